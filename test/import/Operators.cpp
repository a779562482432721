// Version rules of operators: what the same operator becomes under different opsets.
#include "test/import/ImportTesting.h"

using namespace kiln::onnx;
using namespace kiln::onnx::test;
using Catch::Contains;
using Strings = std::vector<std::string>;
using Ints = std::vector<int64_t>;

static const TestDim N = dim("N");

TEST_CASE("Clip: bounds are attributes, then operands") {
  Strings old = nodeOps(6, "Clip", {{N}}, {{"min", 0.0f}, {"max", 6.0f}});
  REQUIRE(old.size() == 4);
  CHECK_THAT(old[2], Contains("max ->"));
  CHECK_THAT(old[3], Contains("min ->"));
  Strings unbounded = nodeOps(6, "Clip", {{N}}, {{"max", 6.0f}});
  CHECK(unbounded.size() == 2);
  Strings recent = nodeOps(13, "Clip", {{N}}, {}, {floats("", {}, {0}), floats("", {}, {6})});
  REQUIRE(recent.size() == 4);
  CHECK_THAT(recent[3], Contains("min ->"));
}

TEST_CASE("Softmax: everything from the axis on as one, then the axis alone") {
  Strings old = nodeOps(11, "Softmax", {{N, dim(3), dim(4)}});
  REQUIRE(old.size() == 3);
  CHECK_THAT(old[0], Contains("reshape") && Contains("[N, 12]"));
  CHECK_THAT(old[1], Contains("axis = 1"));
  CHECK_THAT(old[2], Contains("[N, 3, 4]"));
  CHECK(nodeOps(11, "Softmax", {{N, dim(3), dim(4)}}, {{"axis", 2}}).size() == 1);
  Strings recent = nodeOps(13, "Softmax", {{N, dim(3), dim(4)}});
  REQUIRE(recent.size() == 1);
  CHECK_THAT(recent[0], Contains("axis = 2"));
}

TEST_CASE("ReduceMean and ReduceSum: axes are an attribute, then an operand") {
  for (auto [op, opset] : {std::pair("ReduceMean", 17), std::pair("ReduceSum", 12)}) {
    Strings ops = nodeOps(opset, op, {{N, dim(3), dim(4)}}, {{"axes", Ints{-1, 1}}, {"keepdims", 0}});
    REQUIRE(ops.size() == 1);
    CHECK_THAT(ops[0], Contains("axes = array<i64: 1, 2>") && Contains("keepdims = 0") && Contains("[N]"));
  }
  for (auto [op, opset] : {std::pair("ReduceMean", 18), std::pair("ReduceSum", 13)}) {
    Strings ops = nodeOps(opset, op, {{N, dim(3), dim(4)}}, {}, {int64s("", {1}, {-1})});
    REQUIRE(ops.size() == 2);
    CHECK_THAT(ops[1], Contains("axes = array<i64: 2>") && Contains("[N, 3, 1]"));
    CHECK_THAT(nodeOps(opset, op, {{N, dim(3)}})[0], Contains("axes = array<i64: 0, 1>"));
    CHECK_THAT(nodeOps(opset, op, {{N, dim(3)}}, {{"noop_with_empty_axes", 1}})[0],
               Contains("axes = array<i64>") && Contains("[N, 3]"));
  }
}

TEST_CASE("keepdims is any number but 0") {
  CHECK_THAT(nodeOps(17, "ReduceMean", {{N, dim(3)}}, {{"axes", Ints{1}}, {"keepdims", 2}})[0], Contains("[N, 1]"));
  CHECK_THAT(nodeOps(17, "ArgMax", {{N, dim(3)}}, {{"axis", 1}, {"keepdims", -1}})[0], Contains("[N, 1]"));
}

TEST_CASE("Slice: bounds are attributes, then operands; what is known is static") {
  Strings old = nodeOps(9, "Slice", {{N, dim(8)}}, {{"starts", Ints{1}}, {"ends", Ints{-1}}, {"axes", Ints{1}}});
  REQUIRE(old.size() == 1);
  CHECK_THAT(old[0], Contains("ends = array<i64: -1>") && Contains("[N, 6]"));
  Strings recent =
      nodeOps(10, "Slice", {{N, dim(8)}}, {},
              {int64s("", {1}, {7}), int64s("", {1}, {INT64_MIN}), int64s("", {1}, {-1}), int64s("", {1}, {-2})});
  CHECK_THAT(recent.back(),
             Contains("axes = array<i64: 1>") && Contains("steps = array<i64: -2>") && Contains("[N, 4]"));
}

TEST_CASE("Squeeze and Unsqueeze: axes are an attribute, then an operand; both are reshapes") {
  CHECK_THAT(nodeOps(11, "Squeeze", {{dim(1), N, dim(1)}}, {{"axes", Ints{-1}}})[0],
             Contains("reshape") && Contains("[1, N]"));
  CHECK_THAT(nodeOps(13, "Squeeze", {{dim(1), N, dim(1)}}, {}, {int64s("", {1}, {0})})[1], Contains("[N, 1]"));
  CHECK_THAT(nodeOps(13, "Squeeze", {{dim(1), dim(5), dim(1)}})[0], Contains("tensor<5xf32>"));
  CHECK_THAT(nodeOps(11, "Unsqueeze", {{N}}, {{"axes", Ints{0, 2}}})[0], Contains("[1, N, 1]"));
  CHECK_THAT(nodeOps(13, "Unsqueeze", {{N}}, {}, {int64s("", {1}, {-1})})[1], Contains("[N, 1]"));
}

TEST_CASE("Add before opset 7 broadcasts at an axis") {
  Strings ops = nodeOps(6, "Add", {{dim(2), dim(3), dim(4)}, {dim(3)}}, {{"broadcast", 1}, {"axis", 1}});
  REQUIRE(ops.size() == 2);
  CHECK_THAT(ops[0], Contains("reshape") && Contains("tensor<3x1xf32>"));
  CHECK(nodeOps(7, "Add", {{dim(2), dim(3)}, {dim(3)}}).size() == 1);
}

TEST_CASE("Dropout vanishes; its mask is true, in the operand's type before opset 10") {
  CHECK(nodeOps(7, "Dropout", {{N}}, {{"ratio", 0.3f}}).empty());
  CHECK_THAT(nodeOps(9, "Dropout", {{N}}, {}, {}, 2).back(), Contains("expand") && Contains("f32"));
  CHECK_THAT(nodeOps(12, "Dropout", {{N}}, {}, {}, 2).back(), Contains("expand") && Contains("i1"));
  Message yes = tensor("", OnnxType::Bool, {}).text(field::TensorRawData, "\1");
  // Training with ratio 0 is the identity too: only the two constants are left.
  CHECK(nodeOps(12, "Dropout", {{N}}, {}, {floats("", {}, {0}), yes}).size() == 2);
}

TEST_CASE("Split: sizes are given or equal") {
  Strings old = nodeOps(11, "Split", {{N, dim(6)}}, {{"axis", 1}, {"split", Ints{2, 4}}}, {}, 2);
  REQUIRE(old.size() == 2);
  CHECK_THAT(old[1], Contains("starts = array<i64: 2>") && Contains("[N, 4]"));
  CHECK(nodeOps(13, "Split", {{N, dim(6)}}, {{"axis", 1}}, {}, 3).size() == 3);
  Strings uneven = nodeOps(18, "Split", {{dim(7)}}, {{"num_outputs", 3}}, {}, 3);
  CHECK_THAT(uneven[2], Contains("tensor<1xf32>"));
}

TEST_CASE("Pad: amounts are attributes, then operands") {
  CHECK_THAT(nodeOps(2, "Pad", {{N, dim(3)}}, {{"pads", Ints{0, 1, 0, 2}}, {"value", 5.0f}})[0],
             Contains("pads = array<i64: 0, 1, 0, 2>") && Contains("value = 5.0") && Contains("[N, 6]"));
  CHECK_THAT(nodeOps(18, "Pad", {{N, dim(3)}}, {{"mode", "edge"}},
                     {int64s("", {2}, {1, 2}), floats("", {}, {0}), int64s("", {1}, {1})})
                 .back(),
             Contains("mode = \"edge\"") && Contains("pads = array<i64: 0, 1, 0, 2>"));
}

TEST_CASE("auto_pad is resolved where the sizes are known and kept where not") {
  Message w = floats("", {1, 1, 3, 3}, std::vector<float>(9));
  CHECK_THAT(
      nodeOps(11, "Conv", {{N, dim(1), dim(5), dim(5)}}, {{"auto_pad", "SAME_LOWER"}, {"strides", Ints{2, 2}}}, {w})
          .back(),
      Contains("pads = array<i64: 1, 1, 1, 1>") && !Contains("same_lower"));
  CHECK_THAT(nodeOps(11, "MaxPool", {{N, dim(1), dim("H"), dim(5)}},
                     {{"auto_pad", "SAME_UPPER"}, {"kernel_shape", Ints{2, 2}}})
                 .back(),
             Contains("auto_pad = \"same_upper\""));
}

TEST_CASE("ConvTranspose: pads are given, or follow from a size") {
  Message w = floats("", {1, 2, 3, 3}, std::vector<float>(18));
  std::vector<TestDim> x{N, dim(1), dim("H"), dim(5)};
  CHECK_THAT(nodeOps(1, "ConvTranspose", {x}, {{"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}}, {w}).back(),
             Contains("conv_transpose") && Contains("[N, 2, ") && Contains(", 9]"));
  CHECK_THAT(nodeOps(11, "ConvTranspose", {x}, {{"strides", Ints{2, 2}}, {"auto_pad", "SAME_LOWER"}}, {w}).back(),
             Contains("auto_pad = \"same_lower\"") && Contains(", 10]"));
  for (const Ints &shape : {Ints{10, 8}, Ints{1, 2, 10, 8}}) // batch and channels too, as some write it
    CHECK_THAT(nodeOps(11, "ConvTranspose", {x}, {{"output_shape", shape}}, {w}).back(),
               Contains("output_shape = array<i64: 10, 8>") && Contains("[N, 2, 10, 8]"));
}

TEST_CASE("LpPool and GlobalLpPool: p is a float, then an integer") {
  std::vector<TestDim> x{N, dim(3), dim(8)};
  CHECK_THAT(nodeOps(1, "LpPool", {x}, {{"kernel_shape", Ints{2}}, {"p", 3.0f}})[0],
             Contains("lp_pool") && Contains("p = 3.0"));
  CHECK_THAT(nodeOps(18, "LpPool", {x}, {{"kernel_shape", Ints{2}}, {"p", 3}, {"dilations", Ints{2}}})[0],
             Contains("p = 3.0") && Contains("[N, 3, 6]"));
  CHECK_THAT(nodeOps(1, "GlobalLpPool", {x}, {{"p", 1.0f}})[0], Contains("l1"));
  CHECK_THAT(nodeOps(2, "GlobalLpPool", {x})[0], Contains("l2") && Contains("[N, 3, 1]"));
  CHECK(nodeOps(2, "GlobalLpPool", {x}, {{"p", 3}}).size() == 6);
}

TEST_CASE("Upsample: scales are attributes, then an operand") {
  std::vector<TestDim> x{N, dim(1), dim("H"), dim(5)};
  Strings first = nodeOps(1, "Upsample", {x}, {{"height_scale", 2.0f}, {"width_scale", 1.5f}, {"mode", "bilinear"}});
  REQUIRE(first.size() == 1);
  CHECK_THAT(first[0], Contains("scales = array<f64: 1.000000e+00, 1.000000e+00, 2.000000e+00, 1.500000e+00>") &&
                           Contains("mode = \"linear\"") && Contains(", 7]"));
  CHECK_THAT(nodeOps(7, "Upsample", {x}, {{"scales", std::vector<float>{1, 1, 2, 2}}})[0],
             Contains("asymmetric") && Contains("by_scale") && Contains(", 10]"));
  CHECK_THAT(nodeOps(9, "Upsample", {x}, {}, {floats("", {4}, {1, 1, 2, 2})}).back(), Contains(", 10]"));
}

TEST_CASE("Resize: scales alone, then roi and sizes, then axes") {
  std::vector<TestDim> x{N, dim(1), dim("H"), dim(5)};
  CHECK_THAT(nodeOps(10, "Resize", {x}, {{"mode", "linear"}}, {floats("", {4}, {1, 1, 0.5f, 2})}).back(),
             Contains("asymmetric") && Contains(", 10]"));
  Message none = floats("", {0}, {});
  CHECK_THAT(nodeOps(11, "Resize", {x}, {}, {none, floats("", {4}, {1, 1, 2, 2})}).back(),
             Contains("scales") && !Contains("asymmetric") && Contains(", 10]"));
  CHECK_THAT(nodeOps(11, "Resize", {x}, {{"mode", "cubic"}}, {none, none, int64s("", {4}, {1, 1, 7, 9})}).back(),
             Contains("cubic") && Contains("tensor<1x1x7x9xf32>"));
  CHECK_THAT(nodeOps(18, "Resize", {x}, {{"axes", Ints{-1}}, {"antialias", 1}, {"mode", "linear"}},
                     {none, floats("", {1}, {0.5f})})
                 .back(),
             Contains("antialias = 1") && Contains("axes = array<i64: 3>") && Contains(", 2]"));
  CHECK_THAT(nodeOps(13, "Resize", {{N, dim(1), dim(4), dim(5)}},
                     {{"coordinate_transformation_mode", "tf_crop_and_resize"}},
                     {floats("", {8}, {0, 0, 0, 0.5f, 1, 1, 1, 1}), none, int64s("", {4}, {1, 1, 3, 3})})
                 .back(),
             Contains("roi = array<f64"));
}

TEST_CASE("Resize: sizes may be computed from others") {
  Imported imported(ModelBuilder(13)
                        .input("x", {dim(1), dim(3), dim("H"), dim("W")})
                        .input("like", {dim("A"), dim("B")})
                        .initializer(int64s("head", {2}, {1, 3}))
                        .node("Shape", {"like"}, {"tail"})
                        .node("Concat", {"head", "tail"}, {"sizes"}, {{"axis", 0}})
                        .node("Resize", {"x", "", "", "sizes"}, {"y"})
                        .output("y")
                        .build());
  CHECK_THAT(imported.text(), Contains("kiln.dims<[1, 3, A, B]>"));
}

TEST_CASE("GridSample: modes have other names") {
  std::vector<std::vector<TestDim>> operands{{N, dim(1), dim(4), dim(5)}, {N, dim(2), dim(3), dim(2)}};
  CHECK_THAT(nodeOps(16, "GridSample", operands)[0], Contains("[N, 1, 2, 3]"));
  CHECK_THAT(nodeOps(16, "GridSample", operands, {{"mode", "bicubic"}})[0], Contains("mode = \"cubic\""));
  CHECK_THAT(nodeOps(20, "GridSample", operands, {{"mode", "cubic"}})[0], Contains("mode = \"cubic\""));
}

TEST_CASE("QuantizeLinear and DequantizeLinear: one scale, one for each position, blocks") {
  auto ops = [](int64_t opset, const char *op, const Message &scale, const std::vector<Attr> &attributes = {}) {
    return nodeOps(opset, op, {{N, dim(4)}}, attributes, {scale});
  };
  CHECK_THAT(ops(10, "QuantizeLinear", floats("", {}, {2})).back(), Contains("cast") && Contains("ui8"));
  CHECK_THAT(ops(10, "QuantizeLinear", floats("", {1}, {2})).back(), Contains("[N, 4]"));
  CHECK_THAT(ops(13, "QuantizeLinear", floats("", {4}, {1, 2, 3, 4})).back(), Contains("[N, 4]"));
  CHECK_THAT(ops(21, "QuantizeLinear", floats("", {4}, {1, 2, 3, 4}), {{"output_dtype", 5}}).back(), Contains("xi16"));
  Strings blocked =
      nodeOps(21, "QuantizeLinear", {{dim(3), dim(4)}}, {{"block_size", 3}}, {floats("", {3, 2}, {1, 2, 3, 4, 5, 6})});
  CHECK(std::count_if(blocked.begin(), blocked.end(), [](auto &op) { return op.starts_with("gather"); }) == 1);
  Message bytes = tensor("", OnnxType::Int8, {3, 4}).text(field::TensorRawData, std::string(12, '\1'));
  CHECK_THAT(nodeOps(23, "DequantizeLinear", {}, {{"output_dtype", 10}}, {bytes, floats("", {}, {2})}).back(),
             Contains("f16"));
}

TEST_CASE("Scatter became ScatterElements; opset 16 adds reductions") {
  Message indices = int64s("", {1}, {2}), updates = floats("", {1}, {5});
  CHECK_THAT(nodeOps(9, "Scatter", {{dim(3)}}, {}, {indices, updates}).back(), Contains("scatter_elements"));
  CHECK_THAT(
      nodeOps(18, "ScatterElements", {{dim(3)}}, {{"axis", -1}, {"reduction", "max"}}, {indices, updates}).back(),
      Contains("reduction = \"max\"") && !Contains("-1"));
  CHECK_THAT(nodeOps(16, "ScatterND", {{dim(3)}}, {{"reduction", "add"}}, {int64s("", {1, 1}, {2}), updates}).back(),
             Contains("scatter_nd") && Contains("add"));
}

TEST_CASE("CumSum: the axis may be computed") {
  CHECK_THAT(nodeOps(11, "CumSum", {{N, dim(3)}}, {}, {int64s("", {}, {-1})}).back(), Contains("axis = 1"));
}

TEST_CASE("TopK: k is an attribute, then an operand, which may be computed") {
  std::vector<TestDim> x{N, dim(8)};
  CHECK_THAT(nodeOps(1, "TopK", {x}, {{"k", 3}}, {}, 2)[0],
             Contains("topk") && Contains("axis = 1") && Contains("k = 3") && Contains("[N, 3]"));
  CHECK_THAT(nodeOps(10, "TopK", {x}, {{"axis", 0}}, {int64s("", {1}, {2})}, 2).back(), Contains("tensor<2x8xf32>"));
  CHECK_THAT(nodeOps(11, "TopK", {x}, {{"largest", 0}, {"sorted", 0}}, {int64s("", {1}, {2})}, 2).back(),
             Contains("largest = 0") && Contains("[N, 2]"));
  Imported imported(ModelBuilder(13)
                        .input("x", {N, dim(8)})
                        .initializer(int64s("start", {1}, {0}))
                        .initializer(int64s("end", {1}, {1}))
                        .node("Shape", {"x"}, {"shape"})
                        .node("Slice", {"shape", "start", "end"}, {"k"})
                        .node("TopK", {"x", "k"}, {"v", "i"}, {{"axis", 0}})
                        .output("i")
                        .build());
  CHECK_THAT(imported.text(), Contains("tensor<?x8xi64, #kiln.dims<[N, 8]>>"));
}

TEST_CASE("MaxPool gives positions from opset 8 on, MaxUnpool goes back") {
  std::vector<TestDim> x{N, dim(3), dim(8)};
  CHECK_THAT(nodeOps(8, "MaxPool", {x}, {{"kernel_shape", Ints{2}}, {"storage_order", 1}}, {}, 2)[0],
             Contains("max_pool_indices") && Contains("column_major = 1") && Contains("[N, 3, 7]"));
  CHECK_THAT(nodeOps(8, "MaxPool", {x}, {{"kernel_shape", Ints{2}}, {"storage_order", 1}})[0], Contains("max_pool {"));
  Message indices = int64s("", {1, 1, 2}, {1, 2});
  CHECK_THAT(
      nodeOps(9, "MaxUnpool", {{dim(1), dim(1), dim(2)}}, {{"kernel_shape", Ints{2}}, {"strides", Ints{2}}}, {indices})
          .back(),
      Contains("tensor<1x1x4xf32>"));
  CHECK_THAT(nodeOps(11, "MaxUnpool", {{dim(1), dim(1), dim(2)}}, {{"kernel_shape", Ints{2}}, {"strides", Ints{2}}},
                     {indices, int64s("", {3}, {1, 1, 5})})
                 .back(),
             Contains("pad") && Contains("tensor<1x1x5xf32>"));
}

TEST_CASE("DynamicQuantizeLinear gives a scale and a zero point") {
  Strings ops = nodeOps(11, "DynamicQuantizeLinear", {{N, dim(3)}}, {}, {}, 3);
  CHECK_THAT(ops.back(), Contains("cast") && Contains("tensor<ui8>"));
}

TEST_CASE("Products of quantized operands: zero points of rows, columns and filters, scales of columns and filters") {
  auto u8 = [](const std::vector<int64_t> &dims, size_t count) {
    return tensor("", OnnxType::Uint8, dims).text(field::TensorRawData, std::string(count, '\3'));
  };
  Strings integers = nodeOps(10, "MatMulInteger", {}, {}, {u8({2, 3}, 6), u8({3, 4}, 12), u8({2}, 2), u8({4}, 4)});
  CHECK_THAT(integers.back(), Contains("matmul") && Contains("tensor<2x4xi32>"));
  CHECK(std::count_if(integers.begin(), integers.end(), [](auto &op) { return op.starts_with("sub "); }) == 2);
  Message scale = floats("", {}, {2});
  CHECK_THAT(nodeOps(10, "QLinearMatMul", {}, {},
                     {u8({2, 3}, 6), scale, u8({}, 1), u8({3, 4}, 12), floats("", {4}, {1, 2, 3, 4}), u8({4}, 4), scale,
                      u8({1}, 1)})
                 .back(),
             Contains("cast") && Contains("tensor<2x4xui8>"));
  CHECK_THAT(
      nodeOps(10, "ConvInteger", {}, {{"pads", Ints{1, 1}}}, {u8({1, 2, 5}, 10), u8({3, 2, 3}, 18), u8({}, 1)}).back(),
      Contains("conv") && Contains("tensor<1x3x5xi32>"));
  Message bias = tensor("", OnnxType::Int32, {3}).text(field::TensorRawData, std::string(12, '\1'));
  CHECK_THAT(nodeOps(10, "QLinearConv", {}, {},
                     {u8({1, 2, 5}, 10), scale, u8({}, 1), u8({3, 2, 3}, 18), floats("", {3}, {1, 2, 3}), u8({3}, 3),
                      scale, u8({}, 1), bias})
                 .back(),
             Contains("cast") && Contains("tensor<1x3x3xui8>"));
}

TEST_CASE("Recurrent layers of halves are computed in f32") {
  auto halves = [](const std::vector<int64_t> &dims, size_t count) {
    return tensor("", OnnxType::Float16, dims).text(field::TensorRawData, std::string(2 * count, '\1'));
  };
  Strings ops = nodeOps(14, "GRU", {}, {}, {halves({5, 1, 2}, 10), halves({1, 9, 2}, 18), halves({1, 9, 3}, 27)}, 2);
  CHECK(std::count_if(ops.begin(), ops.end(), [](auto &op) { return op.starts_with("cast {to = \"f32\"}"); }) == 3);
  CHECK(std::count_if(ops.begin(), ops.end(), [](auto &op) { return op.starts_with("cast {to = \"f16\"}"); }) == 2);
  CHECK(std::count_if(ops.begin(), ops.end(),
                      [](auto &op) { return op.starts_with("gru") && op.ends_with("tensor<5x1x1x3xf32>"); }) == 1);
}

TEST_CASE("Recurrent layers: activations with their parameters, layout, absent operands") {
  std::vector<TestDim> x{dim("S"), N, dim(2)};
  Message w = floats("", {1, 12, 2}, std::vector<float>(24)), r = floats("", {1, 12, 3}, std::vector<float>(36));
  CHECK_THAT(nodeOps(1, "LSTM", {x}, {{"hidden_size", 3}, {"output_sequence", 1}}, {w, r}, 3).back(),
             Contains("lstm") && Contains("array<i32: 1, 1, 1, 0, 0, 0, 0, 0>") && Contains("[S, 1, N, 3]"));
  CHECK_THAT(nodeOps(7, "LSTM", {x},
                     {{"activations", Strings{"HardSigmoid", "ScaledTanh", "tanh"}},
                      {"activation_alpha", std::vector<float>{0.25f, 1.5f}},
                      {"activation_beta", std::vector<float>{0.5f, 2}},
                      {"clip", 3.0f},
                      {"input_forget", 1}},
                     {w, r}, 3)
                 .back(),
             Contains("activations = \"hard_sigmoid,scaled_tanh,tanh\"") &&
                 Contains("alpha = array<f64: 2.500000e-01, 1.500000e+00, 0.000000e+00>") && Contains("clip = 3.0") &&
                 Contains("input_forget = 1"));
  Message gru = floats("", {2, 9, 2}, std::vector<float>(36)), gruR = floats("", {2, 9, 3}, std::vector<float>(54));
  CHECK_THAT(
      nodeOps(3, "GRU", {x}, {{"direction", "bidirectional"}, {"linear_before_reset", 1}}, {gru, gruR}, 2).back(),
      Contains("linear_before_reset = 1") && Contains("[S, 2, N, 3]"));
  Message rnn = floats("", {1, 3, 2}, std::vector<float>(6)), rnnR = floats("", {1, 3, 3}, std::vector<float>(9));
  Strings ops = nodeOps(14, "RNN", {x}, {{"layout", 1}, {"activations", Strings{"LeakyRelu"}}}, {rnn, rnnR}, 2);
  REQUIRE(ops.size() == 6);
  CHECK_THAT(ops[2], Contains("transpose") && Contains("[N, S, 2]"));
  CHECK_THAT(ops[3], Contains("leaky_relu") && Contains("alpha = array<f64: 0.00999"));
  CHECK_THAT(ops[4], Contains("[S, N, 1, 3]"));
}

TEST_CASE("OneHot: the depth is a constant of any type of numbers") {
  CHECK_THAT(
      nodeOps(11, "OneHot", {}, {}, {int64s("", {2}, {0, 1}), floats("", {}, {5}), floats("", {2}, {0, 1})}).back(),
      Contains("tensor<2x5xf32>"));
}

TEST_CASE("MatMul of vectors goes through a row or a column") {
  Strings ops = nodeOps(13, "MatMul", {{dim(4)}, {N, dim(4), dim(5)}});
  REQUIRE(ops.size() == 3);
  CHECK_THAT(ops[0], Contains("tensor<1x4xf32>"));
  CHECK_THAT(ops[2], Contains("[N, 5]"));
  CHECK_THAT(nodeOps(13, "MatMul", {{dim(4)}, {dim(4)}}).back(), Contains("tensor<f32>"));
}

TEST_CASE("Gemm is a product, a scaling and an addition") {
  Message b = floats("", {2, 4}, std::vector<float>(8)), c = floats("", {2}, {1, 2});
  Strings plain = nodeOps(11, "Gemm", {{N, dim(4)}}, {{"transB", 1}}, {b, c});
  REQUIRE(plain.size() == 4);
  CHECK_THAT(plain[2], Contains("transpose_b = 1"));
  CHECK(nodeOps(11, "Gemm", {{N, dim(4)}}, {{"transB", 1}, {"alpha", 0.5f}, {"beta", 2.0f}}, {b, c}).size() == 8);
}

TEST_CASE("shape arithmetic is followed at import") {
  Imported imported(ModelBuilder(17)
                        .input("x", {N, dim(8), dim(4)})
                        .initializer(int64s("tail", {2}, {2, -1}))
                        .node("Shape", {"x"}, {"head"}, {{"end", 1}})
                        .node("Concat", {"head", "tail"}, {"dims"}, {{"axis", 0}})
                        .node("Reshape", {"x", "dims"}, {"y"})
                        .output("y")
                        .build());
  CHECK_THAT(imported.text(), Contains("kiln.dims<[N, 2, 16]>"));
}

TEST_CASE("every form of Constant") {
  CHECK_THAT(nodeOps(12, "Constant", {}, {{"value_int", 7}}).back(), Contains("tensor<i64>"));
  CHECK_THAT(nodeOps(12, "Constant", {}, {{"value_ints", Ints{1, 2}}}).back(), Contains("tensor<2xi64>"));
  CHECK_THAT(nodeOps(12, "Constant", {}, {{"value_float", 1.5f}}).back(), Contains("1.5") && Contains("tensor<f32>"));
  CHECK_THAT(nodeOps(12, "Constant", {}, {{"value_floats", std::vector<float>{1, 2}}}).back(),
             Contains("tensor<2xf32>"));
  CHECK_THAT(nodeOps(1, "Constant", {}, {{"value", floats("", {1}, {3})}}).back(), Contains("tensor<1xf32>"));
}

TEST_CASE("Attention stays whole unless its scores are asked for") {
  std::vector<std::vector<TestDim>> operands(3, {N, dim(4), dim("S"), dim(8)});
  Strings whole = nodeOps(23, "Attention", operands);
  REQUIRE(whole.size() == 1);
  CHECK_THAT(whole[0], Contains("attention") && Contains("scale = 0.35355"));
  Strings heads = nodeOps(23, "Attention", {3, {N, dim("S"), dim(32)}}, {{"q_num_heads", 4}, {"kv_num_heads", 4}});
  CHECK_THAT(heads.back(), Contains("reshape") && Contains("[N, S, 32]"));
  Strings spelled = nodeOps(23, "Attention", operands, {{"softcap", 2.0f}});
  for (const std::string &op : spelled)
    CHECK_THAT(op, !Contains("attention"));
}

TEST_CASE("BatchNormalization: training says so by its outputs, then by an attribute") {
  std::vector<std::vector<TestDim>> operands(5, {dim(3)});
  operands[0] = {N, dim(3), dim(4)};
  CHECK(nodeOps(9, "BatchNormalization", operands).size() == 1);
  CHECK(nodeOps(15, "BatchNormalization", operands, {{"training_mode", 0}}).size() == 1);
  CHECK(nodeOps(15, "BatchNormalization", operands, {{"training_mode", 1}}, {}, 3).size() > 5);
}

TEST_CASE("Einsum is a matrix product with transposes where they are needed") {
  Strings plain = nodeOps(12, "Einsum", {{N, dim(3), dim(4)}, {N, dim(4), dim(5)}}, {{"equation", "bij, bjk -> bik"}});
  REQUIRE(plain.size() == 1);
  CHECK_THAT(plain[0], Contains("matmul") && Contains("[N, 3, 5]"));
  Strings outer = nodeOps(12, "Einsum", {{dim(3)}, {dim(4)}}, {{"equation", "i,j"}});
  CHECK_THAT(outer.back(), Contains("tensor<3x4xf32>"));
  Strings sum = nodeOps(12, "Einsum", {{N, dim(3), dim(4)}}, {{"equation", "...ij->...j"}});
  REQUIRE(sum.size() == 1);
  CHECK_THAT(sum[0], Contains("reduce") && Contains("[N, 4]"));
}

TEST_CASE("Einsum: sizes of 1 broadcast, whatever the label") {
  Strings ops = nodeOps(12, "Einsum", {{dim(2), dim(1)}, {dim(3), dim(4)}}, {{"equation", "ij,jk->ik"}});
  REQUIRE(ops.size() == 5);
  CHECK_THAT(ops[0], Contains("reshape") && Contains("tensor<2xf32>"));
  CHECK_THAT(ops[1], Contains("reduce") && Contains("tensor<4xf32>"));
  CHECK_THAT(ops.back(), Contains("tensor<2x4xf32>"));
  // A label of the output takes the larger size; the last operand's here.
  CHECK_THAT(nodeOps(12, "Einsum", {{dim(1)}, {dim(1)}, {dim(5)}}, {{"equation", "i,i,i->i"}}).back(),
             Contains("tensor<5xf32>"));
  // Only a run tells which of the two sizes is 1.
  Strings either = nodeOps(12, "Einsum", {{dim(2), N}, {dim("M"), dim(4)}}, {{"equation", "ij,jk->ik"}});
  CHECK(std::count_if(either.begin(), either.end(), [](auto &op) { return op.starts_with("expand"); }) == 2);
  Strings same = nodeOps(12, "Einsum", {{dim(2), N}, {N, dim(4)}}, {{"equation", "ij,jk->ik"}});
  REQUIRE(same.size() == 1);
}

TEST_CASE("Expand: -1 keeps the size") {
  CHECK_THAT(nodeOps(13, "Expand", {{N, dim(1)}}, {}, {int64s("", {3}, {2, -1, 5})}).back(), Contains("[2, N, 5]"));
}

TEST_CASE("constant operands may be of any length") {
  CHECK(nodeOps(13, "Split", {{dim(600), N}}, {}, {int64s("", {600}, Ints(600, 1))}, 600).size() == 601);
}
