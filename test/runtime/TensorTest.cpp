#include "runtime/base/Tensor.h"

#include <catch2/catch.hpp>

using namespace kiln;

TEST_CASE("counts are checked") {
  CHECK(elementCount(std::vector<int64_t>{}) == 1);
  CHECK(elementCount(std::vector<int64_t>{2, 3}) == 6);
  CHECK(elementCount(std::vector<int64_t>{INT64_MAX, 0, INT64_MAX}) == 0);
  CHECK(!elementCount(std::vector<int64_t>{INT64_MAX, 2}));
  CHECK(!elementCount(std::vector<int64_t>{-1}));
  CHECK(!byteCount(DType::F64, std::vector<int64_t>{INT64_MAX / 4}));
  CHECK(Tensor::create(DType::F32, {-1}).status().code() == ErrorCode::E0308);
  CHECK(Tensor::create(DType::F32, {int64_t(1) << 60}).status().code() == ErrorCode::E0510);
}

TEST_CASE("tensors are aligned and never null") {
  auto t = Tensor::create(DType::F32, {0});
  REQUIRE(t.ok());
  CHECK(t->data() != nullptr);
  auto s = Tensor::zeros(DType::I8, std::vector<int64_t>{3});
  CHECK(reinterpret_cast<uintptr_t>(s->data()) % 64 == 0);
  auto c = Tensor::copyOf(s->view());
  CHECK(c->as<int8_t>()[2] == 0);
  CHECK(printTensorType(DType::BF16, std::vector<int64_t>{1, 2}) == "bf16[1,2]");
}

TEST_CASE("errors carry their code once") {
  Status s = makeError(ErrorCode::E0412, "axis ", 3, " is out of range");
  CHECK(formatError(s.withContext("m.onnx: ")) == "m.onnx: axis 3 is out of range [KILN-E0412]");
  CHECK(formatError(Status()).empty());
  CHECK(errorNumber(ErrorCode::E0412) == 412);
  CHECK(errorSummary(ErrorCode::E0412) == "axis is out of range");
}

TEST_CASE("type table") {
  for (DType t : allDTypes) {
    CHECK(dtypeFromName(dtypeName(t)) == t);
    CHECK(dtypeFromOnnxId(dtypeOnnxId(t)) == t);
    CHECK(dtypeFromCode(uint64_t(t)) == t);
  }
  CHECK(!dtypeFromName("f31"));
  CHECK(dtypeBytes(DType::Bool) == 1);
}
