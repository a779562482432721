// Whole models: signature, names, order, constants, functions.
#include "runtime/base/MappedFile.h"
#include "test/import/ImportTesting.h"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <unistd.h>

using namespace kiln;
using namespace kiln::onnx;
using namespace kiln::onnx::test;
using Catch::Contains;

TEST_CASE("names, symbols and locations") {
  Imported imported(ModelBuilder()
                        .input("left", {dim("batch size"), dim(3), dim("")})
                        .input("right", {dim("batch size"), dim(1), dim(-1)})
                        .node("Add", {"left", "right"}, {"sum"}, {}, "/enc/Add")
                        .node("Relu", {"sum"}, {"y"})
                        .output("y")
                        .output("left")
                        .build());
  std::string text = imported.text(true);
  CHECK_THAT(text, Contains("kiln.stage = \"imported\""));
  CHECK_THAT(text,
             Contains("kiln.name = \"left\"") && Contains("kiln.name = \"right\"") && Contains("kiln.name = \"y\""));
  CHECK_THAT(text, Contains("kiln.dims<[batch$20size, 3, left_2]>"));
  CHECK_THAT(text, Contains("check left_2 ~ right_2"));
  CHECK_THAT(text, Contains("loc(\"/enc/Add\")"));
  CHECK_THAT(text, Contains("loc(\"Relu_y\")"));
}

TEST_CASE("a fresh symbol never takes a name that the model uses") {
  Imported imported(ModelBuilder().input("x", {dim(""), dim("x_0")}).node("Relu", {"x"}, {"y"}).output("y").build());
  CHECK_THAT(imported.text(), Contains("kiln.dims<[x_0_, x_0]>"));
}

TEST_CASE("a size whose name is escaped can still be settled") {
  // "0_1" starts with a digit; the product makes it 4.
  Imported imported(ModelBuilder()
                        .input("0", {dim("0_0"), dim("0_1")})
                        .initializer(floats("w", {4, 2}, std::vector<float>(8)))
                        .node("MatMul", {"0", "w"}, {"y"})
                        .output("y")
                        .build());
  CHECK_THAT(imported.text(), Contains("_$0_1"));
}

TEST_CASE("initializers are constants, also where the graph lists them as inputs") {
  Imported imported(ModelBuilder(8, 3)
                        .input("x", {dim(2)})
                        .input("w", {dim(2)})
                        .initializer(floats("w", {2}, {1, 2}))
                        .node("Add", {"x", "w"}, {"y"})
                        .output("y")
                        .build());
  std::string text = imported.text();
  CHECK_THAT(text, Contains("dense<[1.000000e+00, 2.000000e+00]>"));
  CHECK_THAT(text, !Contains("kiln.name = \"w\""));
}

TEST_CASE("large constants are references into the model's bytes") {
  std::vector<float> values(1000, 0.5f);
  Imported imported(ModelBuilder()
                        .input("x", {dim(1000)})
                        .initializer(floats("w", {1000}, values))
                        .node("Add", {"x", "w"}, {"y"})
                        .output("y")
                        .build());
  CHECK_THAT(imported.text(), Contains("#kiln.weight<\"model.onnx\", "));
  CHECK(imported.weights.derivedBytes() == 0);
}

TEST_CASE("external data is mapped from beside the model") {
  namespace fs = std::filesystem;
  fs::path directory = fs::temp_directory_path() / ("kiln-import-" + std::to_string(::getpid()));
  fs::create_directories(directory);
  std::vector<float> values(1000, 0.5f);
  std::ofstream(directory / "w.bin", std::ios::binary).write(reinterpret_cast<const char *>(values.data()), 4000);
  Message weight = tensor("w", OnnxType::Float, {1000}).integer(field::TensorDataLocation, 1);
  weight.message(field::TensorExternalData,
                 Message().text(field::EntryKey, "location").text(field::EntryValue, "w.bin"));
  std::string model =
      ModelBuilder().input("x", {dim(1000)}).initializer(weight).node("Add", {"x", "w"}, {"y"}).output("y").build();
  std::ofstream(directory / "m.onnx", std::ios::binary) << model;
  mlir::MLIRContext context;
  WeightStore weights;
  auto file = MappedFile::open((directory / "m.onnx").string());
  REQUIRE(file.ok());
  ImportOptions options;
  options.directory = directory.string();
  auto module = importOnnx(context, weights, (*file)->bytes(), *file, options, (*file)->path());
  REQUIRE(module.status().message() == "");
  std::string external = fs::canonical(directory / "w.bin").string();
  REQUIRE(weights.hasFile(external));
  auto bytes = weights.bytes(external, 0, 4000);
  REQUIRE(bytes.ok());
  CHECK(std::memcmp(bytes->data(), values.data(), 4000) == 0);

  // The same model from memory needs to be told the directory.
  CHECK(Imported(model, options).error() == "");
  CHECK_THAT(Imported(model).error(), Contains("the model came as bytes, without a directory"));
  fs::remove_all(directory);
}

TEST_CASE("nodes may stand in any order") {
  Imported imported(ModelBuilder()
                        .input("x", {dim(2)})
                        .node("Relu", {"b"}, {"y"})
                        .node("Abs", {"a"}, {"b"})
                        .node("Neg", {"x"}, {"a"})
                        .output("y")
                        .build());
  std::vector<std::string> ops = opsOf(imported);
  REQUIRE(ops.size() == 3);
  CHECK_THAT(ops[0], Contains("neg"));
  CHECK_THAT(ops[1], Contains("abs"));
  CHECK_THAT(ops[2], Contains("relu"));
}

static Message opset(const char *domain, int64_t version) {
  return Message().text(field::OpsetDomain, domain).integer(field::OpsetVersion, version);
}

TEST_CASE("a model's functions are inlined, with their attributes") {
  Message alpha = Message().text(field::AttributeName, "alpha").text(field::AttributeRefAttrName, "slope");
  alpha.integer(field::AttributeType, AttributeProto::Float);
  Message leaky = node("LeakyRelu", {"a"}, {"b"}).message(field::NodeAttribute, alpha);
  Message function = Message()
                         .text(field::FunctionName, "Double")
                         .text(field::FunctionDomain, "mine")
                         .text(field::FunctionInput, "a")
                         .text(field::FunctionInput, "unused")
                         .text(field::FunctionOutput, "c")
                         .text(field::FunctionAttribute, "slope")
                         .message(field::FunctionNode, leaky)
                         .message(field::FunctionNode, node("Add", {"b", "b"}, {"c"}, {}, "inner"))
                         .message(field::FunctionOpsetImport, opset("", 16));
  Imported imported(ModelBuilder()
                        .imports("mine", 1)
                        .function(function)
                        .input("x", {dim(2)})
                        .node("Double", {"x"}, {"h"}, {{"slope", 0.25f}}, "first", "mine")
                        .node("Double", {"h"}, {"y"}, {}, "second", "mine")
                        .output("y")
                        .build());
  std::string text = imported.text(true);
  CHECK_THAT(text, Contains("alpha = 2.500000e-01"));
  CHECK_THAT(text, Contains("loc(\"first/inner\")") && Contains("loc(\"second/inner\")"));
}

TEST_CASE("functions that multiply are stopped") {
  ModelBuilder builder;
  builder.imports("mine", 1).input("x", {dim(2)});
  for (int level = 0; level < 40; ++level) {
    std::string next = "f" + std::to_string(level + 1);
    Message function = Message()
                           .text(field::FunctionName, "f" + std::to_string(level))
                           .text(field::FunctionDomain, "mine")
                           .text(field::FunctionInput, "a")
                           .text(field::FunctionOutput, "c")
                           .message(field::FunctionOpsetImport, opset("", 16))
                           .message(field::FunctionOpsetImport, opset("mine", 1));
    if (level == 39) {
      function.message(field::FunctionNode, node("Identity", {"a"}, {"c"}));
    } else {
      function.message(field::FunctionNode, node(next, {"a"}, {"b"}, {}, "", "mine"));
      function.message(field::FunctionNode, node(next, {"b"}, {"c"}, {}, "", "mine"));
    }
    builder.function(function);
  }
  auto start = std::chrono::steady_clock::now();
  Imported imported(builder.node("f0", {"x"}, {"y"}, {}, "", "mine").output("y").build());
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(1)); // counted, not tried
  CHECK(imported.error() == "model.onnx: the model has more than 1048576 nodes once its functions "
                            "are inlined [KILN-E0107]");
}

TEST_CASE("functions that call themselves are stopped") {
  Message function = Message()
                         .text(field::FunctionName, "f")
                         .text(field::FunctionDomain, "mine")
                         .text(field::FunctionInput, "a")
                         .text(field::FunctionOutput, "c")
                         .message(field::FunctionOpsetImport, opset("mine", 1))
                         .message(field::FunctionNode, node("f", {"a"}, {"c"}, {}, "", "mine"));
  ModelBuilder builder;
  builder.function(function).input("x", {dim(2)}).node("f", {"x"}, {"y"}, {}, "", "mine").output("y");
  CHECK(Imported(builder.build()).error() == "model.onnx: function \"f\" calls itself [KILN-E0107]");
}

TEST_CASE("constants that are defined twice count once where they are equal") {
  Message half = floats("", {2}, {0.5f, 2}), other = floats("", {2}, {0.5f, 3});
  auto build = [&](const Message &first, const Message &second) {
    Message named = first;
    named.text(field::TensorName, "b");
    return ModelBuilder()
        .input("x", {dim(2)})
        .initializer(floats("a", {2}, {1, 2}))
        .initializer(tensor("a", OnnxType::Float, {2}).packedFixed(field::TensorFloatData, std::vector<float>{1, 2}))
        .initializer(named)
        .node("Constant", {}, {"b"}, {{"value", second}}, "twin")
        .node("Constant", {}, {"c"}, {{"value_float", 1.0f}})
        .node("Constant", {}, {"c"}, {{"value", floats("", {}, {1})}})
        .node("Sum", {"x", "a", "b", "c"}, {"y"})
        .output("y")
        .build();
  };
  Imported taken(build(half, half));
  CHECK(taken.error() == "");
  CHECK(taken.warnings ==
        std::vector<std::string>{"model.onnx: constants are defined twice, with equal elements: \"a\", \"b\", \"c\""});
  CHECK(Imported(build(half, other)).error() ==
        "model.onnx: node \"twin\" (Constant, opset 18): output \"b\" is defined twice [KILN-E0303]");
  CHECK(Imported(ModelBuilder()
                     .initializer(floats("a", {2}, {1, 2}))
                     .initializer(floats("a", {2}, {1, 3}))
                     .output("a")
                     .build())
            .error() == "model.onnx: initializer \"a\" is defined twice [KILN-E0303]");
  CHECK(Imported(ModelBuilder()
                     .input("x", {dim(2)})
                     .node("Relu", {"x"}, {"y"})
                     .node("Constant", {}, {"y"}, {{"value", half}}, "late")
                     .output("y")
                     .build())
            .error() == "model.onnx: node \"late\" (Constant, opset 18): output \"y\" is defined twice [KILN-E0303]");
}

TEST_CASE("one integer is taken as a list of axes") {
  ModelBuilder builder(11);
  builder.input("x", {dim(1), dim(2)});
  for (int i = 0; i < 10; ++i)
    builder.node("Squeeze", {"x"}, {"y" + std::to_string(i)}, {{"axes", 0}}, "squeeze" + std::to_string(i));
  Imported imported(builder.output("y3").build());
  CHECK_THAT(imported.text(), Contains("(tensor<1x2xf32>) -> tensor<2xf32>"));
  CHECK(imported.warnings ==
        std::vector<std::string>{"model.onnx: attribute \"axes\" holds an integer, which is taken as a list of one: "
                                 "\"squeeze0\", \"squeeze1\", \"squeeze2\", \"squeeze3\", \"squeeze4\", "
                                 "\"squeeze5\", \"squeeze6\", \"squeeze7\" and 2 more"});
}

TEST_CASE("the caller's shapes") {
  auto build = [] {
    return ModelBuilder()
        .input("a", {dim("N"), dim(""), dim(3)})
        .input("b", {dim("N"), dim("M"), dim(3)})
        .node("Add", {"a", "b"}, {"y"})
        .output("y")
        .build();
  };
  ImportOptions options;
  options.shapes["a"] = {int64_t(4), SizeRange{1, 64}, int64_t(3)};
  std::string text = Imported(build(), options).text();
  CHECK_THAT(text, Contains("kiln.dims<[4, a_1, 3]>") && Contains("kiln.dims<[4, M, 3]>") && Contains("a_1 in 1..64"));

  options.shapes["a"] = {std::string("batch"), int64_t(7), int64_t(3)};
  CHECK_THAT(Imported(build(), options).text(),
             Contains("kiln.dims<[batch, 7, 3]>") && Contains("kiln.dims<[batch, M, 3]>"));

  options.shapes["b"] = {int64_t(2), int64_t(7), int64_t(3)};
  CHECK(Imported(build(), options).error() ==
        "model.onnx: shape of input \"b\", dim 0: 2 contradicts \"batch\", given for the same name "
        "\"N\" [KILN-E0701]");
  options.shapes = {{"a", {int64_t(4), int64_t(1), int64_t(5)}}};
  CHECK(Imported(build(), options).error() ==
        "model.onnx: shape of input \"a\", dim 2: 5 is given; the model fixes it to 3 [KILN-E0701]");
  options.shapes = {{"a", {int64_t(4)}}};
  CHECK(Imported(build(), options).error() ==
        "model.onnx: shape of input \"a\": 1 dims are given; the model has 3 [KILN-E0701]");
  options.shapes = {{"c", {int64_t(4)}}};
  CHECK(Imported(build(), options).error() == "model.onnx: a shape is given for \"c\", which is no input of the model; "
                                              "its inputs are \"a\", \"b\" [KILN-E0501]");
}
