// What tests of the executor run: kernels that were made with the tests, and tensors.
#pragma once

#include "runtime/base/Tensor.h"

#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>
#include <numeric>
#include <span>
#include <string>
#include <vector>

namespace kiln::test {

/// The machine code of a kernel in test/runtime/kernels.
inline std::vector<std::byte> kernelCode(const char *name) {
  std::ifstream file(std::string(KILN_TEST_KERNELS "/") + name + ".bin", std::ios::binary);
  REQUIRE(file);
  std::vector<char> chars((std::istreambuf_iterator<char>(file)), {});
  auto bytes = std::as_bytes(std::span(chars));
  return {bytes.begin(), bytes.end()};
}

/// f32: start, start + 1 ...
inline Tensor iota(std::vector<int64_t> dims, float start = 0) {
  Tensor t = *Tensor::create(DType::F32, dims);
  std::iota(t.as<float>(), t.as<float>() + t.size(), start);
  return t;
}

} // namespace kiln::test
