#include "compiler/session/Compiler.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <map>
#include <thread>

using namespace kiln;

namespace {
CompileInput digits() {
  CompileInput input;
  input.path = KILN_TEST_DATA "/models/mnist_8/model.onnx";
  return input;
}
} // namespace

TEST_CASE("progress is reported by one thread at a time, and in order") {
  CompileOptions options;
  options.threads = 4;
  std::atomic<int> inside = 0;
  int overlaps = 0, setbacks = 0;
  std::map<std::pair<std::string, size_t>, size_t> most; // done, by stage and total
  options.progress = [&](std::string_view stage, size_t done, size_t total) {
    overlaps += ++inside != 1;
    std::this_thread::sleep_for(std::chrono::microseconds(200));
    size_t &before = most[{std::string(stage), total}];
    setbacks += done < before;
    before = std::max(before, done);
    --inside;
    return true;
  };
  AlignedBytes artifact;
  CompileOutput output;
  output.bytes = &artifact;
  REQUIRE(compileModel(digits(), options, output).ok());
  CHECK(overlaps == 0);
  CHECK(setbacks == 0);
  CHECK(most.size() > 8); // several stages, and kernels by number
}

TEST_CASE("a compilation ends at whatever report it is told to stop") {
  size_t reports = 0, stopAt = SIZE_MAX;
  CompileOptions options;
  options.threads = 2;
  options.progress = [&](std::string_view, size_t, size_t) { return ++reports < stopAt; };
  AlignedBytes artifact;
  CompileOutput output;
  output.bytes = &artifact;
  REQUIRE(compileModel(digits(), options, output).ok());
  size_t all = reports;
  CHECK(all > 40); // every pass and kernel is one
  for (size_t at = 1; at < all; at += 5) {
    reports = 0;
    stopAt = at;
    CHECK(formatError(compileModel(digits(), options, output)) == "the compilation was interrupted [KILN-E0701]");
    CHECK(reports <= at + 1); // the other thread may have begun to report
  }
}
