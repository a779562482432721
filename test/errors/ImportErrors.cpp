// What a user sees when a model cannot be imported: the exact texts.
#include "runtime/base/MappedFile.h"
#include "test/import/ImportTesting.h"

#include <sstream>

using namespace kiln;
using namespace kiln::onnx;
using namespace kiln::onnx::test;
using Ints = std::vector<int64_t>;

static std::string errorOf(const ModelBuilder &builder) { return Imported(builder.build()).error(); }
static ModelBuilder oneNode(int64_t opset, std::string_view opType, const std::vector<TestDim> &x,
                            const std::vector<Attr> &attributes = {}, size_t operands = 1) {
  return ModelBuilder(opset)
      .input("x", x)
      .node(opType, std::vector<std::string>(operands, "x"), {"y"}, attributes, "/enc/0/" + std::string(opType))
      .output("y");
}

TEST_CASE("an axis out of range") {
  CHECK(errorOf(oneNode(13, "Softmax", {dim(2), dim(3), dim(4)}, {{"axis", 3}})) ==
        "model.onnx: node \"/enc/0/Softmax\" (Softmax, opset 13): axis 3 is out of range for rank "
        "3; expected -3..2 [KILN-E0412]");
  CHECK(errorOf(oneNode(11, "ReduceSum", {dim(2), dim(3)}, {{"axes", Ints{0, -2}}})) ==
        "model.onnx: node \"/enc/0/ReduceSum\" (ReduceSum, opset 11): axis 0 is given twice "
        "[KILN-E0413]");
}

TEST_CASE("attributes") {
  CHECK(errorOf(oneNode(13, "Softmax", {dim(2)}, {{"axis", 0.5f}})) ==
        "model.onnx: node \"/enc/0/Softmax\" (Softmax, opset 13): attribute \"axis\" holds a "
        "float; expected an integer [KILN-E0402]");
  CHECK(errorOf(oneNode(13, "MaxPool", {dim(1), dim(1), dim(4)})) ==
        "model.onnx: node \"/enc/0/MaxPool\" (MaxPool, opset 13): attribute \"kernel_shape\" is "
        "missing [KILN-E0401]");
  CHECK(errorOf(oneNode(13, "MaxPool", {dim(1), dim(1), dim(4)}, {{"kernel_shape", Ints{2, 2}}})) ==
        "model.onnx: node \"/enc/0/MaxPool\" (MaxPool, opset 13): kernel_shape has 2 entries; "
        "expected 1 [KILN-E0404]");
  CHECK(errorOf(oneNode(13, "Transpose", {dim(2), dim(3)}, {{"perm", Ints{0, 0}}})) ==
        "model.onnx: node \"/enc/0/Transpose\" (Transpose, opset 13): perm is no permutation of "
        "0..1 [KILN-E0411]");
}

TEST_CASE("sampling") {
  auto resize = [](const std::vector<std::string> &operands, const std::vector<Attr> &attributes = {}) {
    return errorOf(ModelBuilder(18)
                       .input("x", {dim(2), dim(3)})
                       .input("scales", {dim(2)})
                       .initializer(floats("zero", {2}, {0, 1}))
                       .node("Resize", operands, {"y"}, attributes, "/up")
                       .output("y"));
  };
  const std::string node = "model.onnx: node \"/up\" (Resize, opset 18): ";
  CHECK(resize({"x", "", "scales"}) == ""); // sizes that only a run tells
  CHECK(resize({"x", "", "zero"}) == node + "scales holds 0, which is out of range [KILN-E0411]");
  CHECK(resize({"x"}) == node + "needs either scales or sizes [KILN-E0306]");
  CHECK(resize({"x", "", "zero"}, {{"mode", "area"}}) == node + "mode is \"area\", which is unknown [KILN-E0411]");
}

TEST_CASE("operands") {
  CHECK(errorOf(oneNode(13, "Add", {dim(2)})) ==
        "model.onnx: node \"/enc/0/Add\" (Add, opset 13): has 1 input; expected 2 [KILN-E0306]");
  CHECK(errorOf(oneNode(13, "Clip", {dim(2)}, {}, 4)) ==
        "model.onnx: node \"/enc/0/Clip\" (Clip, opset 13): has 4 inputs; expected 1 to 3 "
        "[KILN-E0306]");
}

TEST_CASE("products of quantized operands") {
  auto product = [](const std::string &a, const std::string &zeroOfA, const std::string &scaleOfB = "s") {
    return errorOf(ModelBuilder(10)
                       .input("f", {dim(2), dim(3)})
                       .input("a", {dim(2), dim(3)}, OnnxType::Uint8)
                       .input("b", {dim(3), dim(4)}, OnnxType::Int8)
                       .input("z", {}, OnnxType::Uint8)
                       .input("zb", {}, OnnxType::Int8)
                       .input("z3", {dim(3)}, OnnxType::Uint8)
                       .input("s", {})
                       .input("s2", {dim(2)})
                       .node("QLinearMatMul", {a, "s", zeroOfA, "b", scaleOfB, "zb", "s", "z"}, {"y"}, {}, "/fc")
                       .output("y"));
  };
  const std::string node = "model.onnx: node \"/fc\" (QLinearMatMul, opset 10): ";
  CHECK(product("f", "z") == node + "products of quantized f32 are not supported [KILN-E0203]");
  CHECK(product("a", "zb") == node + "the zero point is i8, its operand u8 [KILN-E0305]");
  CHECK(product("a", "z3") == node + "scale and zero point: sizes 3 and 2 differ [KILN-E0304]");
  CHECK(product("a", "z", "s2") == node + "scale and zero point: sizes 2 and 4 differ [KILN-E0304]");
}

TEST_CASE("recurrent layers") {
  auto lstm = [](const std::vector<Attr> &attributes) {
    return errorOf(ModelBuilder(14)
                       .input("x", {dim(5), dim(1), dim(2)})
                       .initializer(floats("w", {1, 12, 2}, std::vector<float>(24)))
                       .initializer(floats("r", {1, 12, 3}, std::vector<float>(36)))
                       .node("LSTM", {"x", "w", "r"}, {"y"}, attributes, "/rnn")
                       .output("y"));
  };
  const std::string node = "model.onnx: node \"/rnn\" (LSTM, opset 14): ";
  using Strings = std::vector<std::string>;
  CHECK(lstm({{"activations", Strings{"Sigmoid", "Tanh"}}}) == node + "activations has 2 entries; expected 3 [KILN-E0404]");
  CHECK(lstm({{"activations", Strings{"Sigmoid", "Swish", "Tanh"}}}) ==
        node + "activation \"Swish\" is unknown [KILN-E0411]");
  CHECK(lstm({{"activations", Strings{"Sigmoid", "Affine", "Tanh"}}}) ==
        node + "activation Affine needs a value in activation_alpha [KILN-E0401]");
  CHECK(lstm({{"direction", "both"}}) ==
        node + "direction is \"both\"; expected \"forward\", \"reverse\" or \"bidirectional\" [KILN-E0411]");
  CHECK(lstm({{"clip", -1.0f}}) == node + "clip is -1; expected a positive number [KILN-E0411]");
  CHECK(lstm({{"hidden_size", 4}}) == node + "hidden_size: sizes 3 and 4 differ [KILN-E0304]");
  CHECK(lstm({{"layout", 2}}) == node + "layout is 2; expected 0 or 1 [KILN-E0411]");
}

TEST_CASE("a value that nothing defines") {
  CHECK(errorOf(ModelBuilder(13).input("x", {dim(2)}).node("Add", {"x", "bias"}, {"y"}).output("y")) ==
        "model.onnx: node \"Add_y\" (Add, opset 13): input \"bias\" is no output of a node, no "
        "input and no initializer "
        "[KILN-E0302]");
  CHECK(errorOf(ModelBuilder(13).input("x", {dim(2)}).output("y")) ==
        "model.onnx: output \"y\" of the graph is not defined [KILN-E0302]");
}

TEST_CASE("a value defined twice") {
  CHECK(errorOf(ModelBuilder(13)
                    .input("x", {dim(2)})
                    .node("Relu", {"x"}, {"y"})
                    .node("Abs", {"x"}, {"y"}, {}, "again")
                    .output("y")) ==
        "model.onnx: node \"again\" (Abs, opset 13): output \"y\" is defined twice [KILN-E0303]");
  CHECK(errorOf(ModelBuilder(13).input("x", {dim(2)}).input("x", {dim(2)}).output("x")) ==
        "model.onnx: input \"x\" is defined twice [KILN-E0303]");
}

TEST_CASE("a cycle") {
  CHECK(errorOf(ModelBuilder(13)
                    .input("x", {dim(2)})
                    .node("Relu", {"c"}, {"a"}, {}, "one")
                    .node("Abs", {"a"}, {"b"}, {}, "two")
                    .node("Neg", {"b"}, {"c"}, {}, "three")
                    .output("c")) == "model.onnx: node \"one\" (Relu, opset 13): is part of a "
                                     "cycle of 3 nodes: \"one\", \"three\", \"two\" [KILN-E0307]");
}

TEST_CASE("everything that is not supported is listed at once") {
  CHECK(errorOf(ModelBuilder(16)
                    .imports("com.acme", 2)
                    .input("x", {dim(2)})
                    .node("Multinomial", {"x"}, {"a"}, {}, "/roi/Multinomial")
                    .node("Relu", {"a"}, {"b"})
                    .node("Multinomial", {"b"}, {"c"}, {}, "/roi/Multinomial_1")
                    .node("Magic", {"c"}, {"y"}, {}, "/m", "com.acme")
                    .output("y")) ==
        "model.onnx: 3 nodes are not supported: Multinomial (opset 16) x2, com.acme.Magic (opset 2) x1; "
        "docs/onnx.md lists what is\n"
        "  Multinomial (opset 16): \"/roi/Multinomial\", \"/roi/Multinomial_1\"\n"
        "  com.acme.Magic (opset 2): \"/m\" [KILN-E0201]");
  CHECK(errorOf(ModelBuilder(12)
                    .input("x", {dim(1), dim(1), dim(4)})
                    .node("Einsum", {"x"}, {"a"}, {{"equation", "iij->j"}}, "p")
                    .node("Relu", {"a"}, {"b"})
                    .node("BatchNormalization", {"x", "x", "x", "x", "x"}, {"c", "d"}, {}, "n")
                    .output("b")) ==
        "model.onnx: 2 nodes are not supported\n"
        "  node \"p\" (Einsum, opset 12): term \"iij\" takes a diagonal, which is not supported\n"
        "  node \"n\" (BatchNormalization, opset 12): training outputs are not supported before "
        "opset 14 [KILN-E0205]");
}

TEST_CASE("what is not supported is listed beside operators that are unknown, as far as it does not depend on them") {
  CHECK(errorOf(ModelBuilder(12)
                    .input("x", {dim(1), dim(1), dim(4)})
                    .node("Multinomial", {"x"}, {"z"}, {}, "z")
                    .node("Einsum", {"x"}, {"a"}, {{"equation", "iij->j"}}, "p")
                    .node("Add", {"a", "z"}, {"b"})
                    .output("b")) ==
        "model.onnx: 2 nodes are not supported: Multinomial (opset 12) x1; docs/onnx.md lists what is\n"
        "  Multinomial (opset 12): \"z\"\n"
        "  node \"p\" (Einsum, opset 12): term \"iij\" takes a diagonal, which is not supported [KILN-E0201]");
}

TEST_CASE("Gemm: C broadcasts to the product, and not the product to C") {
  CHECK_THAT(errorOf(ModelBuilder(13)
                         .input("a", {dim(1), dim(3)})
                         .input("b", {dim(3), dim(1)})
                         .input("c", {dim(4)})
                         .node("Gemm", {"a", "b", "c"}, {"y"}, {}, "g")
                         .output("y")),
             Catch::Contains("node \"g\" (Gemm, opset 13): operand C does not broadcast to the product: ") &&
                 Catch::Contains("[KILN-E0304]"));
}

TEST_CASE("a domain that is not imported is version 1, but for the default one") {
  auto inverse = [](int64_t irVersion) {
    return ModelBuilder(13, irVersion)
        .input("x", {dim(2)})
        .node("Inverse", {"x"}, {"y"}, {}, "g", "com.microsoft")
        .output("y");
  };
  CHECK(errorOf(inverse(8)) ==
        "model.onnx: 1 node is not supported: com.microsoft.Inverse (opset 1) x1; docs/onnx.md lists "
        "what is\n  com.microsoft.Inverse (opset 1): \"g\" [KILN-E0201]");
  ModelBuilder none(13);
  none.graph = Message().message(field::GraphNode, test::node("Relu", {"x"}, {"y"}));
  std::string bytes = Message().integer(field::ModelIrVersion, 8).message(field::ModelGraph, none.graph).bytes;
  CHECK(Imported(bytes).error() ==
        "model.onnx: node \"Relu_y\" (Relu): the model imports no opset of domain \"\" [KILN-E0301]");
}

TEST_CASE("a kernel_shape that contradicts the weights") {
  auto conv = [](const TestDim &rows) {
    return ModelBuilder(13)
        .input("x", {dim(1), dim(2), dim(8), dim(8)})
        .input("w", {dim(4), dim(2), rows, dim(3)})
        .node("Conv", {"x", "w"}, {"y"}, {{"kernel_shape", Ints{5, 3}}}, "c")
        .output("y");
  };
  CHECK(errorOf(conv(dim(5))) == "");
  CHECK(errorOf(conv(dim(3))) ==
        "model.onnx: node \"c\" (Conv, opset 13): kernel_shape differs from the weight's dims [KILN-E0414]");
  CHECK(errorOf(conv(dim("K"))) == ""); // a check when sizes are bound
}

TEST_CASE("two ellipses in a term") {
  for (auto [equation, term, operands] :
       {std::tuple("......->...", "......", 1), std::tuple("...i...->i", "...i...", 1),
        std::tuple("...i......,j->i", "...i......", 2), std::tuple("...i->......", "......", 1)})
    CHECK(errorOf(oneNode(13, "Einsum", {dim(2), dim(3), dim(4), dim(5)}, {{"equation", equation}},
                          size_t(operands))) == "model.onnx: node \"/enc/0/Einsum\" (Einsum, opset 13): term \"" +
                                                    std::string(term) + "\" has two ellipses [KILN-E0411]");
}

TEST_CASE("many nodes that are not supported are listed in lines of readable length") {
  ModelBuilder model(16);
  model.input("x", {dim(2)});
  for (int i = 0; i < 40; ++i)
    model.node("Multinomial", {"x"}, {"y" + std::to_string(i)}, {}, "/features/block/Multinomial_" + std::to_string(i));
  std::string text = errorOf(model.output("y0"));
  CHECK_THAT(text, Catch::StartsWith("model.onnx: 40 nodes are not supported: Multinomial (opset 16) x40; "));
  for (int i = 0; i < 40; ++i)
    CHECK_THAT(text, Catch::Contains("\"/features/block/Multinomial_" + std::to_string(i) + "\""));
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    CHECK(line.size() < 130);
}

TEST_CASE("types") {
  CHECK(errorOf(ModelBuilder(13).input("x", {dim(2)}, OnnxType::String).node("Identity", {"x"}, {"y"}).output("y")) ==
        "model.onnx: input \"x\" has element type string, which is not supported [KILN-E0203]");
  CHECK(errorOf(
            ModelBuilder(13).input("x", {dim(2)}).node("Relu", {"x"}, {"y"}).output("y", {dim(2)}, OnnxType::Int64)) ==
        "model.onnx: output \"y\" of the graph is declared as int64, but its value is float "
        "[KILN-E0305]");
}

TEST_CASE("files that are no models") {
  CHECK(Imported("").error() == "model.onnx: the model has no graph; is it an ONNX model? [KILN-E0301]");
  CHECK(Imported("hello").error() ==
        "model.onnx: byte 3: a field has an unknown wire type (in ModelProto) [KILN-E0103]");
  CHECK(formatError(MappedFile::open("/nonexistent/m.onnx").status()) ==
        "/nonexistent/m.onnx: cannot be opened: No such file or directory [KILN-E0101]");
}
