// The model reader: records, tensors and external data.
#include "compiler/import/onnx/TensorData.h"
#include "test/import/ModelWriter.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <unistd.h>

using namespace kiln;
using namespace kiln::onnx;
using namespace kiln::onnx::test;
namespace fs = std::filesystem;

TEST_CASE("a model's records") {
  std::string bytes =
      ModelBuilder(11, 6)
          .imports("custom", 2)
          .input("x", {dim("N"), dim(3), dim("")})
          .output("y", {dim(1)}, OnnxType::Int64)
          .initializer(floats("w", {2}, {1, 2}))
          .node("Foo", {"x", "", "w"}, {"y"},
                {{"axis", -1}, {"alpha", 0.5f}, {"mode", "up"}, {"pads", std::vector<int64_t>{1, 2}}}, "n0", "ai.onnx")
          .build();
  Result<ModelProto> model = parseModel(bytesOf(bytes));
  REQUIRE(model.ok());
  CHECK(model->irVersion == 6);
  REQUIRE(model->opsets.size() == 2);
  CHECK(model->opsets[0].domain == "");
  CHECK(model->opsets[0].version == 11);
  CHECK(model->opsets[1].domain == "custom");
  const GraphProto &graph = *model->graph;
  REQUIRE(graph.inputs.size() == 1);
  const ValueInfoProto &x = graph.inputs[0];
  CHECK(x.name == "x");
  CHECK(x.kind == ValueInfoProto::Tensor);
  CHECK(x.elemType == 1);
  REQUIRE(x.dims.size() == 3);
  CHECK(x.dims[0].kind == Dim::Param);
  CHECK(x.dims[0].param == "N");
  CHECK(x.dims[1].value == 3);
  CHECK(x.dims[2].kind == Dim::Unknown);
  REQUIRE(graph.nodes.size() == 1);
  const NodeProto &node = graph.nodes[0];
  CHECK(node.opType == "Foo");
  CHECK(node.name == "n0");
  CHECK(node.domain == "");
  CHECK(node.inputs == std::vector<std::string_view>{"x", "", "w"});
  REQUIRE(node.attributes.size() == 4);
  CHECK(*node.attributes[0].asInt() == -1);
  CHECK(*node.attributes[1].asFloat() == 0.5);
  CHECK(*node.attributes[2].asString() == "up");
  CHECK(*node.attributes[3].asInts() == std::vector<int64_t>{1, 2});
  CHECK(node.attributes[3].asInt().status().message() ==
        "attribute \"pads\" holds a list of integers; expected an integer");
}

TEST_CASE("an attribute without a type takes its payload's") {
  Message attribute = Message().text(field::AttributeName, "axis").integer(field::AttributeI, 4);
  ModelBuilder builder;
  builder.graph.message(field::GraphNode, Message().message(field::NodeAttribute, attribute));
  std::string bytes = builder.build();
  Result<ModelProto> model = parseModel(bytesOf(bytes));
  REQUIRE(model.ok());
  CHECK(*model->graph->nodes[0].attributes[0].asInt() == 4);
}

TEST_CASE("malformed models say where") {
  auto messageOf = [](const std::string &bytes) { return formatError(parseModel(bytesOf(bytes)).status()); };
  std::string good = ModelBuilder().node("Relu", {"x"}, {"y"}).build();
  CHECK(messageOf(good.substr(0, good.size() - 1)) ==
        "byte 8: a length points past the end of its message (in ModelProto) [KILN-E0103]");
  CHECK(messageOf(ModelBuilder().build() + ModelBuilder().build()) ==
        "byte 0: the model has more than one graph [KILN-E0103]");
  CHECK(messageOf("garbage") != "");
}

TEST_CASE("names are UTF-8 text without NUL") {
  auto messageOf = [](const ModelBuilder &model) {
    std::string bytes = model.build();
    return formatError(parseModel(bytesOf(bytes)).status());
  };
  CHECK(messageOf(ModelBuilder().node("Relu", {"x"}, {"gr\xc3\xbc\xc3\x9f"})) == "");
  CHECK(messageOf(ModelBuilder().node("Relu", {"x"}, {std::string("a\0b", 3)})) ==
        "byte 15: the name \"a\\x00b\" is no text; names must be UTF-8 without NUL [KILN-E0301]");
  CHECK(messageOf(ModelBuilder().input("\xff", {dim(1)})) ==
        "byte 12: the name \"\\xff\" is no text; names must be UTF-8 without NUL [KILN-E0301]");
  for (const ModelBuilder &model :
       {ModelBuilder().node("Re\xfelu", {"x"}, {"y"}), ModelBuilder().node("Relu", {"x\xc0"}, {"y"}),
        ModelBuilder().node("Relu", {"x"}, {"y"}, {{"a\xed\xa0\x80", 1}}), ModelBuilder().input("x", {dim("N\xff")}),
        ModelBuilder().node("Relu", {"x"}, {"y"}, {}, "n\xff"),
        ModelBuilder().node("Relu", {"x"}, {"y"}, {}, "n", "d\xff"), ModelBuilder().output("y\xff"),
        ModelBuilder().imports("d\xff", 1), ModelBuilder().initializer(floats("\xff", {1}, {1})),
        ModelBuilder().function(Message().text(field::FunctionInput, "\xff"))})
    CHECK(messageOf(model).find("is no text; names must be UTF-8 without NUL [KILN-E0301]") != std::string::npos);
}

static TensorData read(const Message &message, Status *status = nullptr, const std::string &directory = "") {
  static std::vector<std::unique_ptr<std::string>> keep; // in-place data points into it
  keep.push_back(std::make_unique<std::string>(message.bytes));
  ExternalData external(directory);
  Result<TensorProto> tensor = parseTensor(bytesOf(*keep.back()));
  REQUIRE(tensor.ok());
  Result<TensorData> data = readTensorData(*tensor, external);
  if (status)
    *status = data.status();
  return data.ok() ? *std::move(data) : TensorData();
}
static std::string errorOf(const Message &message, const std::string &directory = "") {
  Status status;
  read(message, &status, directory);
  return formatError(status);
}
template <typename T> static std::vector<T> valuesOf(const TensorData &data) {
  std::vector<T> values(data.bytes.size() / sizeof(T));
  std::memcpy(values.data(), data.bytes.data(), data.bytes.size());
  return values;
}

TEST_CASE("tensor elements, from every field") {
  TensorData raw = read(floats("w", {2}, {1, 2}));
  CHECK(raw.inPlace());
  CHECK(valuesOf<float>(raw) == std::vector<float>{1, 2});

  TensorData packed =
      read(tensor("w", OnnxType::Float, {2}).packedFixed(field::TensorFloatData, std::vector<float>{3, 4}));
  CHECK(packed.inPlace());
  CHECK(valuesOf<float>(packed) == std::vector<float>{3, 4});

  TensorData loose =
      read(tensor("w", OnnxType::Float, {2}).fixed32(field::TensorFloatData, 5).fixed32(field::TensorFloatData, 6));
  CHECK(!loose.inPlace());
  CHECK(valuesOf<float>(loose) == std::vector<float>{5, 6});

  TensorData one = read(tensor("w", OnnxType::Float, {}).fixed32(field::TensorFloatData, 7));
  CHECK(valuesOf<float>(one) == std::vector<float>{7});

  TensorData wide = read(tensor("w", OnnxType::Int64, {3}).packedVarints(field::TensorInt64Data, {-1, 0, 300}));
  CHECK(valuesOf<int64_t>(wide) == std::vector<int64_t>{-1, 0, 300});
  CHECK(*integerElements(wide) == std::vector<int64_t>{-1, 0, 300});

  TensorData narrow = read(tensor("w", OnnxType::Int8, {2}).packedVarints(field::TensorInt32Data, {-1, 5}));
  CHECK(valuesOf<int8_t>(narrow) == std::vector<int8_t>{-1, 5});

  TensorData half = read(tensor("w", OnnxType::Float16, {1}).packedVarints(field::TensorInt32Data, {0x3c00}));
  CHECK(valuesOf<uint16_t>(half) == std::vector<uint16_t>{0x3c00});

  TensorData flags = read(tensor("w", OnnxType::Bool, {3}).text(field::TensorRawData, std::string_view("\0\1\7", 3)));
  CHECK(valuesOf<uint8_t>(flags) == std::vector<uint8_t>{0, 1, 1});

  TensorData none = read(tensor("w", OnnxType::Float, {0, 4}));
  CHECK(none.bytes.empty());
}

TEST_CASE("tensor elements that do not fit") {
  CHECK(errorOf(floats("w", {3}, {1, 2})) == "tensor \"w\" holds 8 bytes; its type f32[3] needs 12 [KILN-E0105]");
  CHECK(errorOf(tensor("w", OnnxType::Int64, {1000000000})) ==
        "tensor \"w\" holds 0 elements; its type i64[1000000000] needs 1000000000 [KILN-E0105]");
  CHECK(errorOf(tensor("w", OnnxType::Float, {-1})) ==
        "tensor \"w\" has dims f32[-1], which are negative or overflow [KILN-E0105]");
  CHECK(errorOf(tensor("w", OnnxType::Float, {INT64_MAX, INT64_MAX})).find("overflow") != std::string::npos);
  CHECK(errorOf(tensor("w", OnnxType::String, {1})) ==
        "tensor \"w\" has element type string, which is not supported [KILN-E0203]");
  CHECK(errorOf(tensor("w", OnnxType(77), {1})) ==
        "tensor \"w\" has element type type 77, which is not supported [KILN-E0203]");
}

static Message external(const std::string &location, const char *offset = nullptr, const char *length = nullptr) {
  auto entry = [](const char *key, const std::string &value) {
    return Message().text(field::EntryKey, key).text(field::EntryValue, value);
  };
  Message m = tensor("w", OnnxType::Float, {2}).integer(field::TensorDataLocation, 1);
  m.message(field::TensorExternalData, entry("location", location));
  if (offset)
    m.message(field::TensorExternalData, entry("offset", offset));
  if (length)
    m.message(field::TensorExternalData, entry("length", length));
  return m;
}

TEST_CASE("external data stays in the model's directory and in the file") {
  fs::path root = fs::temp_directory_path() / ("kiln-external-" + std::to_string(::getpid()));
  fs::create_directories(root / "model" / "sub");
  std::vector<float> values{1, 2, 3, 4};
  auto write = [&](const fs::path &path) {
    std::ofstream(path, std::ios::binary).write(reinterpret_cast<const char *>(values.data()), 16);
  };
  write(root / "model" / "data.bin");
  write(root / "model" / "sub" / "data.bin");
  write(root / "secret.bin");
  fs::create_symlink(root / "secret.bin", root / "model" / "link.bin");
  fs::create_symlink("data.bin", root / "model" / "inner.bin");
  std::string directory = (root / "model").string();

  Status status;
  TensorData data = read(external("data.bin", "8", "8"), &status, directory);
  REQUIRE(status.ok());
  CHECK(data.inPlace());
  CHECK(data.file != nullptr);
  CHECK(valuesOf<float>(data) == std::vector<float>{3, 4});
  CHECK(errorOf(external("sub/data.bin"), directory) == "");
  CHECK(errorOf(external("inner.bin"), directory) == "");
  CHECK(errorOf(external("sub/../data.bin"), directory) == "");
  CHECK(errorOf(external("none/../sub/./data.bin"), directory) == "");

  CHECK(errorOf(external("data.bin", "12"), directory) ==
        "tensor \"w\" needs bytes 12..20 of external data \"data.bin\", which has 16 [KILN-E0104]");
  CHECK(errorOf(external("data.bin", "18446744073709551612"), directory).find("KILN-E0104") != std::string::npos);
  CHECK(errorOf(external("data.bin", "-4"), directory) ==
        "tensor \"w\": external data offset \"-4\" is no byte count [KILN-E0104]");
  CHECK(errorOf(external("data.bin", "0", "4"), directory) ==
        "tensor \"w\" holds 4 bytes; its type f32[2] needs 8 [KILN-E0105]");
  CHECK(errorOf(external("../secret.bin"), directory) ==
        "external data \"../secret.bin\" leads outside the model's directory [KILN-E0104]");
  CHECK(errorOf(external("sub/../../secret.bin"), directory) ==
        "external data \"sub/../../secret.bin\" leads outside the model's directory [KILN-E0104]");
  CHECK(errorOf(external((root / "secret.bin").string()), directory).find("is an absolute path") != std::string::npos);
  CHECK(errorOf(external("link.bin"), directory) ==
        "external data \"link.bin\" is a symbolic link that leads outside the model's directory "
        "[KILN-E0104]");
  CHECK(errorOf(external("none.bin"), directory) == "external data \"none.bin\" is missing [KILN-E0104]");
  CHECK(errorOf(external("sub"), directory) ==
        "external data \"sub\" cannot be read: it is no readable regular file [KILN-E0104]");
  CHECK(errorOf(external("data.bin"), "") ==
        "external data \"data.bin\" cannot be found: the model came as bytes, without a directory "
        "[KILN-E0104]");
  fs::remove_all(root);
}

/// The layout of the Hugging Face cache: names are links into a store of blobs.
TEST_CASE("external data of a model that is a link") {
  fs::path root = fs::temp_directory_path() / ("kiln-links-" + std::to_string(::getpid()));
  fs::path blobs = root / "blobs", snapshot = root / "snapshots" / "rev";
  fs::create_directories(blobs / "deeper");
  fs::create_directories(snapshot / "sub");
  auto write = [&](const fs::path &path) { std::ofstream(path, std::ios::binary) << "sixteen bytes..."; };
  for (const fs::path &file : {blobs / "a1", blobs / "b2", blobs / "deeper" / "c3", blobs / "plain.bin",
                               snapshot / "beside.bin", root / "secret.bin"})
    write(file);
  fs::create_symlink("../../blobs/a1", snapshot / "model.onnx");
  fs::create_symlink("../../blobs/b2", snapshot / "model.onnx_data");
  fs::create_symlink("../../blobs/deeper/c3", snapshot / "deeper.bin");
  fs::create_symlink("../../secret.bin", snapshot / "secret.bin");
  fs::create_symlink("../secret.bin", blobs / "onwards");
  fs::create_symlink("../../blobs/onwards", snapshot / "onwards.bin");
  fs::create_symlink("../../../blobs", snapshot / "sub" / "store");

  auto errorWith = [&](const std::string &location, const fs::path &name) {
    auto model = MappedFile::open(name.string());
    REQUIRE(model.ok());
    return formatError(ExternalData(snapshot.string(), *model).open(location).status());
  };
  auto errorOf = [&](const std::string &location) { return errorWith(location, snapshot / "model.onnx"); };
  for (const char *location :
       {"model.onnx_data", "deeper.bin", "sub/store/b2", "beside.bin", "sub/../model.onnx_data", "plain.bin"})
    CHECK(errorOf(location) == "");
  CHECK(errorOf("secret.bin") ==
        "external data \"secret.bin\" is a symbolic link that leads outside the model's directory [KILN-E0104]");
  CHECK(errorOf("onwards.bin") ==
        "external data \"onwards.bin\" is a symbolic link that leads outside the model's directory [KILN-E0104]");
  CHECK(errorOf("../../blobs/b2") ==
        "external data \"../../blobs/b2\" leads outside the model's directory [KILN-E0104]");
  CHECK(errorOf("sub/store/../secret.bin") == // as text, and that is in sub
        "external data \"sub/store/../secret.bin\" is missing [KILN-E0104]");

  // A model that is no link brings nothing but its own directory.
  write(snapshot / "own.onnx");
  CHECK(errorWith("beside.bin", snapshot / "own.onnx") == "");
  CHECK(errorWith("model.onnx_data", snapshot / "own.onnx") ==
        "external data \"model.onnx_data\" is a symbolic link that leads outside the model's directory [KILN-E0104]");

  // Names that came to mean something else since the model was opened count for nothing.
  auto model = MappedFile::open((snapshot / "model.onnx").string());
  REQUIRE(model.ok());
  fs::remove(snapshot / "model.onnx");
  fs::create_symlink("../../secret.bin", snapshot / "model.onnx");
  CHECK(formatError(ExternalData(snapshot.string(), *model).open("secret.bin").status()) ==
        "external data \"secret.bin\" cannot be found: the model's directory is gone, or holds another model by now "
        "[KILN-E0104]");
  fs::remove_all(root);
}
