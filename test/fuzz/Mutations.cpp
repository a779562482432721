// Deterministic mutations of seed models: whatever the bytes, the reader and the importer return,
// and the reader's memory stays within its stated multiple of the file's size.
#include "test/fuzz/OneModel.h"
#include "test/import/ModelWriter.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <malloc.h>
#include <new>

using namespace kiln::onnx;
using namespace kiln::onnx::test;
using namespace std::literals;

// --- memory: bytes held through operator new, and their peak

static std::atomic<size_t> held{0}, peak{0};

void *operator new(size_t size) {
  void *p = std::malloc(size ? size : 1);
  if (!p)
    throw std::bad_alloc();
  size_t now = held += malloc_usable_size(p);
  for (size_t seen = peak; now > seen && !peak.compare_exchange_weak(seen, now);)
    ;
  return p;
}
void operator delete(void *p) noexcept {
  if (p)
    held -= malloc_usable_size(p);
  std::free(p);
}
void operator delete(void *p, size_t) noexcept { operator delete(p); }

/// The most memory that reading these bytes held at once.
static size_t peakOfReading(const std::string &bytes) {
  size_t before = held;
  peak = before;
  fuzz::readModel(bytesOf(bytes));
  return peak - before;
}

// --- mutations

struct Random {
  uint64_t state;
  uint64_t next() {
    uint64_t z = state += 0x9E3779B97F4A7C15;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
  }
  size_t below(size_t n) { return n ? size_t(next() % n) : 0; }
};

static void mutate(std::string &bytes, Random &random) {
  static const std::string_view bombs[] = {"\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "\xff\xff\xff\x7f",
                                           "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
                                           "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"};
  size_t at = random.below(bytes.size());
  switch (random.below(7)) {
  case 0: bytes.resize(at); break;
  case 1:
  case 2:
    if (!bytes.empty())
      bytes[at] = char(bytes[at] ^ (1 << random.below(8)));
    break;
  case 3:
    if (!bytes.empty())
      bytes[at] = char(random.next());
    break;
  case 4: { // a huge length or number
    std::string_view bomb = bombs[random.below(std::size(bombs))];
    bytes.replace(at, std::min(bomb.size(), bytes.size() - at), bomb);
    break;
  }
  case 5: { // a piece again, elsewhere
    std::string piece = bytes.substr(at, random.below(64));
    bytes.insert(random.below(bytes.size() + 1), piece);
    break;
  }
  case 6: bytes.erase(at, random.below(16)); break;
  }
}

static std::vector<std::string> seeds() {
  std::vector<std::string> all;
  Message w = floats("w", {4, 3, 3, 3}, std::vector<float>(108, 0.5f));
  all.push_back(ModelBuilder(11)
                    .input("x", {dim("N"), dim(3), dim(8), dim(8)})
                    .initializer(w)
                    .node("Conv", {"x", "w"}, {"c"},
                          {{"pads", std::vector<int64_t>{1, 1, 1, 1}}, {"strides", std::vector<int64_t>{2, 2}}})
                    .node("Relu", {"c"}, {"r"})
                    .node("MaxPool", {"r"}, {"m"}, {{"kernel_shape", std::vector<int64_t>{2, 2}}})
                    .node("GlobalAveragePool", {"m"}, {"g"})
                    .node("Flatten", {"g"}, {"y"})
                    .output("y")
                    .build());
  all.push_back(ModelBuilder(18)
                    .input("x", {dim("batch"), dim("sequence"), dim(16)})
                    .initializer(int64s("tail", {2}, {4, -1}))
                    .initializer(floats("scale", {16}, std::vector<float>(16, 1)))
                    .initializer(int64s("axes", {1}, {-1}))
                    .node("LayerNormalization", {"x", "scale"}, {"n"}, {{"axis", -1}, {"epsilon", 1e-5f}})
                    .node("Shape", {"n"}, {"s"}, {{"end", 2}})
                    .node("Concat", {"s", "tail"}, {"dims"}, {{"axis", 0}})
                    .node("Reshape", {"n", "dims"}, {"r"})
                    .node("Transpose", {"r"}, {"t"}, {{"perm", std::vector<int64_t>{0, 2, 1, 3}}})
                    .node("Softmax", {"t"}, {"p"})
                    .node("ReduceMean", {"p", "axes"}, {"q"})
                    .node("Split", {"t"}, {"a", "b"}, {{"axis", 1}, {"num_outputs", 2}})
                    .node("Slice", {"t", "axes", "tail", "axes"}, {"z"})
                    .output("q")
                    .output("a")
                    .build());
  all.push_back(ModelBuilder(13)
                    .input("x", {dim(2), dim(3)})
                    .node("Constant", {}, {"k"},
                          {{"value", tensor("", OnnxType::Int64, {2}).packedVarints(field::TensorInt64Data, {3, 2})}})
                    .node("Constant", {}, {"f"}, {{"value_floats", std::vector<float>{1, 2, 3}}})
                    .node("Expand", {"f", "k"}, {"e"})
                    .node("Pad", {"x", "k"}, {"d"})
                    .node("Gemm", {"x", "x"}, {"g"}, {{"transB", 1}, {"alpha", 0.5f}})
                    .node("Cast", {"g"}, {"i"}, {{"to", 6}})
                    .node("Tile", {"x", "k"}, {"t"})
                    .node("Range", {"i", "i", "i"}, {"y"})
                    .output("g")
                    .build());
  Message function = Message()
                         .text(field::FunctionName, "F")
                         .text(field::FunctionDomain, "mine")
                         .text(field::FunctionInput, "a")
                         .text(field::FunctionOutput, "b")
                         .message(field::FunctionNode, node("Relu", {"a"}, {"b"}))
                         .message(field::FunctionOpsetImport, Message().integer(field::OpsetVersion, 13));
  all.push_back(ModelBuilder(13)
                    .imports("mine", 1)
                    .function(function)
                    .input("x", {dim(2)})
                    .node("F", {"x"}, {"y"}, {}, "", "mine")
                    .output("y")
                    .build());
  return all;
}

TEST_CASE("mutated models are read or refused") {
  Random random{1};
  size_t models = 0;
  for (const std::string &seed : seeds()) {
    CHECK(fuzz::readModel(bytesOf(seed)));
    for (int round = 0; round < 6000; ++round) {
      std::string bytes = seed;
      for (size_t count = 1 + random.below(4); count > 0; --count)
        mutate(bytes, random);
      models += fuzz::readModel(bytesOf(bytes));
    }
  }
  CHECK(models > 1000); // mutations reach beyond the first message
}

TEST_CASE("mutated models are imported or refused") {
  Random random{2};
  size_t imported = 0;
  for (const std::string &seed : seeds()) {
    for (int round = 0; round < 1500; ++round) {
      mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
      std::string bytes = seed;
      for (size_t count = 1 + random.below(2); count > 0; --count)
        mutate(bytes, random);
      imported += fuzz::importModel(context, bytesOf(bytes));
    }
  }
  CHECK(imported > 100);
}

TEST_CASE("every truncation of a model") {
  for (const std::string &seed : seeds())
    for (size_t size = 0; size < seed.size(); ++size)
      fuzz::readModel(bytesOf(seed.substr(0, size)));
}

TEST_CASE("graphs within graphs within graphs") {
  Message graph;
  for (int level = 0; level < 2000; ++level) {
    Message attribute = Message().text(field::AttributeName, "body").message(field::AttributeG, graph);
    attribute.integer(field::AttributeType, AttributeProto::Graph);
    Message inner = node("Loop", {}, {"y"}).message(field::NodeAttribute, attribute);
    graph = Message().message(field::GraphNode, inner);
  }
  std::string bytes = Message()
                          .integer(field::ModelIrVersion, 8)
                          .message(field::ModelGraph, graph)
                          .message(field::ModelOpsetImport, Message().integer(field::OpsetVersion, 13))
                          .bytes;
  mlir::MLIRContext context;
  kiln::WeightStore weights;
  auto result = kiln::importOnnx(context, weights, std::as_bytes(bytesOf(bytes)), nullptr);
  CHECK(formatError(result.status()).find("KILN-E0107") != std::string::npos);
}

TEST_CASE("memory stays within its multiple of the file") {
  auto repeat = [](std::string_view piece, size_t count) {
    std::string out;
    for (size_t i = 0; i < count; ++i)
      out += piece;
    return out;
  };
  constexpr size_t slack = 1 << 14;
  for (std::string_view piece : {"\x0a\x00"sv, "\x2a\x00"sv, "\x5a\x00"sv, "\x0a\x02\x0a\x00"sv, "\x0a\x02\x2a\x00"sv,
                                 "\x5a\x04\x12\x02\x0a\x00"sv}) {
    std::string bytes = Message().text(field::ModelGraph, repeat(piece, 20000)).bytes;
    CHECK(peakOfReading(bytes) <= kModelMemoryFactor * bytes.size() + slack);
  }
  // A tensor that says it is huge holds nothing.
  std::string huge = ModelBuilder().initializer(tensor("w", OnnxType::Float, {1 << 30})).build();
  CHECK(peakOfReading(huge) <= kModelMemoryFactor * huge.size() + slack);
}
