// Deterministic mutations of seed models: whatever the bytes, the reader and the importer return,
// and the reader's memory stays within its stated multiple of the file's size.
#include "test/fuzz/Mutation.h"
#include "test/fuzz/OneModel.h"
#include "test/fuzz/SeedModels.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <malloc.h>
#include <new>

using namespace kiln::onnx;
using namespace kiln::onnx::test;
using kiln::test::mutate;
using kiln::test::Random;
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

TEST_CASE("mutated models are read or refused") {
  Random random{1};
  size_t models = 0;
  for (const std::string &seed : seedModels()) {
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
  for (const std::string &seed : seedModels()) {
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
  for (const std::string &seed : seedModels())
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
