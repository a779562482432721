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
