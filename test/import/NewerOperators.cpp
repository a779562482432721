// Operators that later opsets brought, most of them spelled with others.
#include "test/import/ImportTesting.h"

using namespace kiln::onnx;
using namespace kiln::onnx::test;
using Catch::Contains;
using Strings = std::vector<std::string>;
using Ints = std::vector<int64_t>;

static const TestDim N = dim("N");

static std::string errorOf(const ModelBuilder &builder) { return Imported(builder.build()).error(); }

TEST_CASE("DFT: the axis is an attribute, then an operand") {
  std::vector<TestDim> x{N, dim(8), dim(4), dim(1)};
  CHECK_THAT(nodeOps(17, "DFT", {x})[0], Contains("axis = 1") && Contains("[N, 8, 4, 2]"));
  CHECK_THAT(nodeOps(17, "DFT", {x}, {{"axis", -2}, {"onesided", 1}})[0],
             Contains("axis = 2") && Contains("[N, 8, 3, 2]"));
  CHECK_THAT(nodeOps(20, "DFT", {x})[0], Contains("axis = 2") && Contains("[N, 8, 4, 2]"));
  CHECK_THAT(nodeOps(20, "DFT", {x}, {}, {int64s("", {}, {6}), int64s("", {}, {1})}).back(),
             Contains("axis = 1") && Contains("length = 6") && Contains("[N, 6, 4, 2]"));
  CHECK_THAT(nodeOps(20, "DFT", {{N, dim(5), dim(2)}}, {{"inverse", 1}, {"onesided", 1}})[0], Contains("[N, 8, 1]"));
  auto model = [](const std::vector<std::string> &operands) {
    return errorOf(ModelBuilder(20)
                       .input("x", {dim(3), dim(8), dim(1)})
                       .initializer(int64s("two", {}, {2}))
                       .initializer(int64s("none", {}, {0}))
                       .node("DFT", operands, {"y"}, {}, "/fft")
                       .output("y"));
  };
  const std::string node = "model.onnx: node \"/fft\" (DFT, opset 20): ";
  CHECK(model({"x", "none"}) == node + "dft_length is 0; expected 1 or more [KILN-E0411]");
  CHECK(model({"x", "", "two"}) == node + "axis 2 holds real and imaginary parts [KILN-E0412]");
}

TEST_CASE("STFT: frames times a window, transformed") {
  std::vector<TestDim> x{N, dim(20), dim(1)};
  Strings ops = nodeOps(17, "STFT", {x}, {}, {int64s("", {}, {4}), floats("", {8}, std::vector<float>(8))});
  CHECK_THAT(ops.back(), Contains("dft") && Contains("onesided = 1") && Contains("[N, 4, 5, 2]"));
  std::vector<TestDim> plain{N, dim(20)}; // real numbers without a dim of their parts
  ops = nodeOps(17, "STFT", {plain}, {}, {int64s("", {}, {4}), floats("", {8}, std::vector<float>(8))});
  CHECK_THAT(ops.back(), Contains("dft") && Contains("[N, 4, 5, 2]"));
  auto model = [](int64_t parts, size_t window) {
    return errorOf(ModelBuilder(17)
                       .input("x", {dim(1), dim(20), dim(parts)})
                       .initializer(int64s("step", {}, {4}))
                       .initializer(int64s("size", {}, {8}))
                       .initializer(floats("window", {int64_t(window)}, std::vector<float>(window)))
                       .node("STFT", {"x", "step", "window", "size"}, {"y"}, {}, "/stft")
                       .output("y"));
  };
  const std::string node = "model.onnx: node \"/stft\" (STFT, opset 17): ";
  CHECK(model(1, 8) == "");
  CHECK(model(2, 8) == node + "a onesided transform needs real numbers: sizes 2 and 1 differ [KILN-E0304]");
  CHECK(model(1, 6) == node + "window and frame_length: sizes 6 and 8 differ [KILN-E0304]");
}

TEST_CASE("Windows have a type of their own") {
  CHECK_THAT(nodeOps(17, "HannWindow", {}, {}, {int64s("", {}, {10})}).back(), Contains("tensor<10xf32>"));
  CHECK_THAT(
      nodeOps(17, "BlackmanWindow", {}, {{"output_datatype", 10}, {"periodic", 0}}, {int64s("", {}, {10})}).back(),
      Contains("cast") && Contains("tensor<10xf16>"));
}

TEST_CASE("CenterCropPad: what is known is static") {
  Strings ops = nodeOps(18, "CenterCropPad", {{N, dim(9), dim(4)}}, {{"axes", Ints{-2, 2}}}, {int64s("", {2}, {4, 7})});
  CHECK_THAT(ops.back(), Contains("pad") && Contains("[N, 4, 7]"));
}

TEST_CASE("Col2Im adds up blocks") {
  std::vector<Message> shapes{int64s("", {2}, {5, 6}), int64s("", {2}, {2, 3})};
  CHECK_THAT(nodeOps(18, "Col2Im", {{N, dim(12), dim(16)}}, {}, shapes).back(), Contains("[N, 2, 5, 6]"));
  auto model = [](int64_t channels, int64_t blocks, const std::vector<Attr> &attributes = {}) {
    return errorOf(ModelBuilder(18)
                       .input("x", {dim(1), dim(channels), dim(blocks)})
                       .initializer(int64s("image", {2}, {5, 6}))
                       .initializer(int64s("block", {2}, {2, 3}))
                       .node("Col2Im", {"x", "image", "block"}, {"y"}, attributes, "/fold")
                       .output("y"));
  };
  const std::string node = "model.onnx: node \"/fold\" (Col2Im, opset 18): ";
  CHECK(model(13, 16) == node + "blocks of dim 1: sizes 12 and 13 differ [KILN-E0304]");
  CHECK(model(12, 15) == node + "number of blocks: sizes 15 and 16 differ [KILN-E0304]");
  CHECK(model(12, 16, {{"strides", Ints{1}}}) == node + "strides has 1 entries; expected 2 [KILN-E0404]");
}

TEST_CASE("AffineGrid, RoiAlign, DeformConv") {
  CHECK_THAT(nodeOps(20, "AffineGrid", {{N, dim(2), dim(3)}}, {}, {int64s("", {4}, {1, 3, 5, 6})}).back(),
             Contains("[N, 5, 6, 2]"));
  std::vector<std::vector<TestDim>> images{{N, dim(3), dim(8), dim(8)}, {dim("R"), dim(4)}};
  auto align = [&](int64_t opset, const std::vector<Attr> &attributes) {
    return Imported(ModelBuilder(opset)
                        .input("x", images[0])
                        .input("rois", images[1])
                        .input("at", {dim("R")}, OnnxType::Int64)
                        .node("RoiAlign", {"x", "rois", "at"}, {"y"}, attributes, "/roi")
                        .output("y")
                        .build());
  };
  CHECK_THAT(align(10, {{"output_height", 2}}).text(), Contains("half_pixel = 0") && Contains("[R, 3, 2, 1]"));
  CHECK_THAT(align(16, {}).text(), !Contains("half_pixel")); // the default
  CHECK(align(16, {{"coordinate_transformation_mode", "asymmetric"}}).error() ==
        "model.onnx: node \"/roi\" (RoiAlign, opset 16): coordinate_transformation_mode is \"asymmetric\"; expected "
        "\"half_pixel\" or \"output_half_pixel\" [KILN-E0411]");
  CHECK(
      align(16, {{"output_height", -2}}).error() ==
      "model.onnx: node \"/roi\" (RoiAlign, opset 16): height and width are -2 and 1, expected 1 or more [KILN-E0411]");
  CHECK(align(16, {{"sampling_ratio", -1}}).error() ==
        "model.onnx: node \"/roi\" (RoiAlign, opset 16): sampling_ratio is -1, expected 0 or more [KILN-E0411]");
  CHECK(align(16, {{"mode", "sum"}}).error() ==
        "model.onnx: node \"/roi\" (RoiAlign, opset 16): mode is \"sum\"; expected \"avg\" or \"max\" [KILN-E0411]");
  CHECK_THAT(nodeOps(19, "DeformConv",
                     {{N, dim(2), dim(4), dim(4)}, {dim(3), dim(2), dim(3), dim(3)}, {N, dim(18), dim(2), dim(2)}})
                 .back(),
             Contains("deform_conv") && Contains("[N, 3, 2, 2]"));
}

TEST_CASE("LinearAttention: heads come apart, the rule says which inputs there are") {
  auto model = [](const std::vector<std::string> &operands, const std::vector<Attr> &attributes) {
    return Imported(ModelBuilder(27)
                        .input("q", {N, dim("T"), dim(8)})
                        .input("k", {N, dim("T"), dim(4)})
                        .input("v", {N, dim("T"), dim(6)})
                        .input("g", {N, dim("T"), dim(2)})
                        .node("LinearAttention", operands, {"y", "s"}, attributes, "/la")
                        .output("y")
                        .output("s")
                        .build());
  };
  std::vector<Attr> heads{{"q_num_heads", 4}, {"kv_num_heads", 2}, {"update_rule", "gated"}};
  CHECK_THAT(model({"q", "k", "v", "", "g"}, heads).text(),
             Contains("linear_attention") && Contains("scale = 0.7071") && Contains("[N, T, 12]"));
  const std::string node = "model.onnx: node \"/la\" (LinearAttention, opset 27): ";
  CHECK(model({"q", "k", "v"}, heads).error() == node + "update_rule \"gated\" needs input decay [KILN-E0306]");
  heads[2] = {"update_rule", "linear"};
  CHECK(model({"q", "k", "v", "", "g"}, heads).error() ==
        node + "update_rule \"linear\" has no input decay [KILN-E0306]");
  heads[0] = {"q_num_heads", 3};
  CHECK(model({"q", "k", "v"}, heads).error() == node + "q_num_heads is 3, kv_num_heads 2; expected positive numbers, "
                                                        "the first a multiple of the second [KILN-E0411]");
}

TEST_CASE("CausalConvWithState, TensorScatter") {
  Strings ops = nodeOps(27, "CausalConvWithState", {{N, dim(3), dim("T")}, {dim(3), dim(1), dim(4)}},
                        {{"activation", "silu"}}, {}, 2);
  CHECK(std::count_if(ops.begin(), ops.end(), [](auto &op) { return op.starts_with("conv "); }) == 1);
  CHECK_THAT(ops.back(), Contains("slice") && Contains("[N, 3, 3]"));
  CHECK_THAT(
      nodeOps(24, "TensorScatter", {{N, dim(2), dim(8), dim(4)}, {N, dim(2), dim(1), dim(4)}}, {{"mode", "circular"}})
          .back(),
      Contains("scatter_nd") && Contains("[N, 2, 8, 4]"));
  auto error = [](const std::vector<Attr> &attributes) {
    return errorOf(ModelBuilder(24)
                       .input("cache", {dim(1), dim(8), dim(4)})
                       .input("update", {dim(1), dim(1), dim(4)})
                       .node("TensorScatter", {"cache", "update"}, {"y"}, attributes, "/kv")
                       .output("y"));
  };
  const std::string node = "model.onnx: node \"/kv\" (TensorScatter, opset 24): ";
  CHECK(error({{"axis", 0}}) == node + "axis is 0, which is the batch [KILN-E0411]");
  CHECK(error({{"axis", 2}}) == node + "cache and update: sizes 8 and 1 differ [KILN-E0304]");
  CHECK(error({{"mode", "ring"}}) == node + "mode is \"ring\"; expected \"linear\" or \"circular\" [KILN-E0411]");
}

TEST_CASE("CumProd, Det, BitShift, BitCast, SwiGLU") {
  CHECK_THAT(nodeOps(26, "CumProd", {{N, dim(3)}}, {}, {int64s("", {}, {-1})}).back(),
             Contains("cumprod") && Contains("axis = 1"));
  CHECK_THAT(nodeOps(11, "Det", {{N, dim(3), dim(3)}})[0], Contains("det") && Contains("[N]"));
  CHECK_THAT(nodeOps(26, "BitCast", {{N}}, {{"to", 6}})[0], Contains("bitcast") && Contains("xi32"));
  CHECK_THAT(nodeOps(28, "SwiGLU", {{N}, {N}})[0], Contains("silu"));
  Message bytes = tensor("", OnnxType::Uint8, {2}).text(field::TensorRawData, "\1\2");
  CHECK_THAT(nodeOps(11, "BitShift", {}, {{"direction", "LEFT"}}, {bytes, bytes}).back(), Contains("shift_left"));
  CHECK(
      errorOf(ModelBuilder(11)
                  .input("x", {N}, OnnxType::Uint8)
                  .node("BitShift", {"x", "x"}, {"y"}, {{"direction", "UP"}}, "/s")
                  .output("y")) ==
      "model.onnx: node \"/s\" (BitShift, opset 11): direction is \"UP\"; expected \"LEFT\" or \"RIGHT\" [KILN-E0411]");
  CHECK(errorOf(ModelBuilder(26).input("x", {N}).node("BitCast", {"x"}, {"y"}, {{"to", 7}}, "/b").output("y")) ==
        "model.onnx: node \"/b\" (BitCast, opset 26): an element of f32 has not the width of i64 [KILN-E0305]");
}

TEST_CASE("Unique and TopK: how many there are only a run tells") {
  auto text = [](const char *op, const std::vector<Attr> &attributes) {
    bool isTopK = std::string_view(op) == "TopK";
    return Imported(ModelBuilder(13)
                        .input("x", {N, dim(6)})
                        .input("k", {dim(1)}, OnnxType::Int64)
                        .node(op, isTopK ? Strings{"x", "k"} : Strings{"x"}, {"y", "i"}, attributes)
                        .output("y")
                        .output("i", {}, OnnxType::Int64)
                        .build())
        .text();
  };
  CHECK_THAT(text("Unique", {{"axis", 0}}), Contains("kiln.unique %arg0") && Contains("\"u$_0 <= N\"") &&
                                                Contains("tensor<?x6xf32, #kiln.dims<[u$_0, 6]>>"));
  CHECK_THAT(text("Unique", {{"sorted", 0}}),
             Contains("reshape") && Contains("sorted = 0") && Contains("\"u$_1 <= N*6\""));
  CHECK_THAT(text("TopK", {}), Contains("kiln.topk %arg0, %arg1") && Contains("u$_0"));
}

TEST_CASE("FlexAttention: its graphs become part of the function, with what they use from outside") {
  std::vector<TestDim> q{N, dim(4), dim(3), dim(8)}, kv{N, dim(2), dim(5), dim(8)};
  auto model = [&](const ModelBuilder &graph) {
    return Imported(ModelBuilder(26)
                        .imports("ai.onnx.preview", 1)
                        .input("q", q)
                        .input("k", kv)
                        .input("v", kv)
                        .input("mask", {dim(3), dim(5)})
                        .node("FlexAttention", {"q", "k", "v"}, {"y"}, {{"score_mod", GraphAttr{graph.graph}}}, "/fa",
                              "ai.onnx.preview")
                        .output("y")
                        .build());
  };
  ModelBuilder masked;
  masked.input("s", {}).node("Add", {"s", "mask"}, {"t"}, {}, "add").output("t");
  std::string text = model(masked).text(true);
  CHECK_THAT(text, Contains("kiln.add %") && Contains("%arg3") && Contains("loc(\"/fa/score_mod/add\")") &&
                       Contains("kiln.softmax"));
  const std::string node = "model.onnx: node \"/fa\" (ai.onnx.preview.FlexAttention, opset 1): ";
  ModelBuilder two;
  two.input("s", {}).input("t", {}).output("s");
  CHECK(model(two).error() == node + "graph 'score_mod' has 2 inputs, 1 are handed over [KILN-E0306]");
  ModelBuilder narrow;
  narrow.input("s", {}).node("Cast", {"s"}, {"t"}, {{"to", 10}}, "cast").output("t");
  CHECK(model(narrow).error() == node + "graph 'score_mod' does not keep the type of what it changes [KILN-E0305]");
}

TEST_CASE("Steps of optimizers take lists of tensors, gradients and what is remembered of each") {
  auto model = [](const char *op, const Strings &operands, const Strings &results,
                  const std::vector<Attr> &attributes) {
    ModelBuilder builder(17);
    builder.imports("ai.onnx.preview.training", 1).input("r", {}).input("t", {}, OnnxType::Int64);
    for (const char *name : {"x", "z", "g", "h", "v", "w"})
      builder.input(name, {N, dim(2)});
    for (const std::string &result : results)
      builder.output(result);
    builder.node(op, operands, results, attributes, "/step", "ai.onnx.preview.training");
    return Imported(builder.build());
  };
  std::vector<Attr> attributes{{"alpha", 0.9f}, {"beta", 0.1f}, {"norm_coefficient", 0.001f}, {"mode", "nesterov"}};
  CHECK_THAT(model("Momentum", {"r", "t", "x", "z", "g", "h", "v", "w"}, {"a", "b", "c", "d"}, attributes).text(),
             Contains("kiln.where") && Contains("[N, 2]"));
  CHECK_THAT(model("Adagrad", {"r", "t", "x", "g", "h"}, {"a", "b"}, {{"decay_factor", 0.1f}}).text(),
             Contains("kiln.sqrt"));
  CHECK_THAT(model("Adam", {"r", "t", "x", "g", "v", "h"}, {"a", "b", "c"}, {}).text(), Contains("kiln.pow"));
  const std::string node = "model.onnx: node \"/step\" (ai.onnx.preview.training.Momentum, opset 1): ";
  CHECK(model("Momentum", {"r", "t", "x", "z", "g", "h"}, {"a", "b"}, attributes).error() ==
        node + "has 6 inputs; expected 2 and a multiple of 3 [KILN-E0306]");
  attributes[3] = {"mode", "heavy"};
  CHECK(model("Momentum", {"r", "t", "x", "g", "v"}, {"a", "b"}, attributes).error() ==
        node + "mode is \"heavy\"; expected \"standard\" or \"nesterov\" [KILN-E0411]");
}
