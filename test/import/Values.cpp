// Inputs and outputs of models that are sequences and optionals.
#include "test/import/ImportTesting.h"

using namespace kiln;
using namespace kiln::onnx;
using namespace kiln::onnx::test;
using Catch::Contains;

static const Message floatN = tensorType(OnnxType::Float, {dim("N"), dim(2)});

TEST_CASE("what sequences and optionals hold is read") {
  auto read = [](const Message &type) {
    std::string bytes = ModelBuilder().inputOfType("x", type).build();
    Result<ModelProto> model = parseModel(bytesOf(bytes));
    REQUIRE(model.ok());
    const ValueInfoProto &x = model->graph->inputs[0];
    if (x.held != ValueInfoProto::Opaque) {
      CHECK(x.dims.size() == 2);
      CHECK(x.elemType == 1);
    }
    return std::pair(x.kind, x.held);
  };
  Message sequence = holderType(field::TypeSequence, floatN), optional = holderType(field::TypeOptional, floatN);
  CHECK(read(floatN) == std::pair(ValueInfoProto::Tensor, ValueInfoProto::Missing));
  CHECK(read(sequence) == std::pair(ValueInfoProto::Sequence, ValueInfoProto::Tensor));
  CHECK(read(optional) == std::pair(ValueInfoProto::Optional, ValueInfoProto::Tensor));
  CHECK(read(holderType(field::TypeOptional, sequence)) ==
        std::pair(ValueInfoProto::Optional, ValueInfoProto::Sequence));
  CHECK(read(holderType(field::TypeSequence, sequence)) == std::pair(ValueInfoProto::Sequence, ValueInfoProto::Opaque));
  CHECK(read(holderType(field::TypeSequence, optional)) == std::pair(ValueInfoProto::Sequence, ValueInfoProto::Opaque));
  CHECK(read(holderType(field::TypeOptional, holderType(field::TypeOptional, sequence))) ==
        std::pair(ValueInfoProto::Optional, ValueInfoProto::Opaque));
}

TEST_CASE("types that nest without end are not followed") {
  Message type = floatN;
  for (int i = 0; i < 10000; ++i)
    type = holderType(field::TypeSequence, type);
  Imported imported(ModelBuilder().inputOfType("x", type).node("SequenceLength", {"x"}, {"y"}).output("y").build());
  CHECK(imported.error() ==
        "model.onnx: input \"x\" is neither a tensor nor a sequence or an optional of tensors, so it "
        "is not supported [KILN-E0204]");
}

TEST_CASE("a sequence is an argument with its items along a first dim, an optional one of one or none") {
  Imported imported(ModelBuilder()
                        .input("x", {dim("x_length")})
                        .inputOfType("s", holderType(field::TypeSequence, floatN))
                        .inputOfType("x_length", holderType(field::TypeSequence, floatN))
                        .inputOfType("o", holderType(field::TypeOptional, floatN))
                        .node("SequenceLength", {"s"}, {"n"})
                        .node("OptionalHasElement", {"o"}, {"has"})
                        .output("n")
                        .output("has")
                        .build());
  std::string text = imported.text();
  CHECK_THAT(text, Contains("tensor<?x?x2xf32, #kiln.dims<[s_length, N, 2]>> {kiln.name = \"s\", kiln.value = {kind = "
                            "\"sequence\", name = \"s\"}}"));
  CHECK_THAT(text, Contains("tensor<?x?x2xf32, #kiln.dims<[o_given, N, 2]>> {kiln.name = \"o\", kiln.value = {kind = "
                            "\"optional\", name = \"o\"}}"));
  CHECK_THAT(text, Contains("\"o_given in 0..1\""));
}

TEST_CASE("items whose shapes are given are arguments each") {
  ImportOptions options;
  options.shapes = {{"s[0]", {int64_t(3), int64_t(2)}}, {"s[1]", {std::string("M"), int64_t(2)}}};
  Imported imported(ModelBuilder()
                        .inputOfType("s", holderType(field::TypeSequence, floatN))
                        .node("SequenceLength", {"s"}, {"n"})
                        .output("n")
                        .output("s")
                        .build(),
                    options);
  std::string text = imported.text();
  CHECK_THAT(text,
             Contains("tensor<3x2xf32> {kiln.name = \"s[0]\", kiln.value = {item = 0 : i64, items = 2 : i64, kind = "
                      "\"sequence\", name = \"s\"}}"));
  CHECK_THAT(text, Contains("tensor<?x2xf32, #kiln.dims<[M, 2]>> {kiln.name = \"s[1]\", kiln.value = {item = 1 : i64, "
                            "items = 2 : i64, kind = \"sequence\", name = \"s\"}}"));
  CHECK_THAT(text, Contains("-> (tensor<i64> {kiln.name = \"n\"}, tensor<3x2xf32> {kiln.name = \"s[0]\""));
}

TEST_CASE("outputs that hold nothing have a type all the same") {
  Imported imported(ModelBuilder()
                        .input("x", {dim(2)})
                        .node("SequenceEmpty", {}, {"s"})
                        .node("Optional", {}, {"o"})
                        .node("Optional", {"x"}, {"p"})
                        .outputOfType("s", holderType(field::TypeSequence, tensorType(OnnxType::Int64, {})))
                        .outputOfType("o", holderType(field::TypeOptional, floatN))
                        .outputOfType("p", holderType(field::TypeOptional, floatN))
                        .build());
  std::string text = imported.text();
  CHECK_THAT(text, Contains("-> (tensor<0xi64> {kiln.name = \"s\", kiln.value = {kind = \"sequence\", name = \"s\"}}, "
                            "tensor<0xf32> {kiln.name = \"o\", kiln.value = {kind = \"optional\", name = \"o\"}}, "
                            "tensor<1x2xf32> {kiln.name = \"p\""));
  Imported strings(ModelBuilder()
                       .input("x", {dim(2)})
                       .node("SequenceEmpty", {}, {"s"})
                       .outputOfType("s", holderType(field::TypeSequence, tensorType(OnnxType::String, {})))
                       .build());
  CHECK(strings.error() == "model.onnx: output \"s\" has element type string, which is not supported [KILN-E0203]");
}
