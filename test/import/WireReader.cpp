#include "compiler/import/onnx/WireReader.h"

#include "test/import/ModelWriter.h"

#include <catch2/catch.hpp>

using namespace kiln::onnx;
using namespace kiln::onnx::test;
using namespace std::literals;

TEST_CASE("every wire type is read") {
  std::string bytes =
      Message().integer(1, -1).fixed32(2, 1.5f).text(3, "abc").tag(4, 1).raw("\1\0\0\0\0\0\0\0"sv).bytes;
  WireReader reader(bytesOf(bytes));
  WireField field;
  REQUIRE(reader.next(field));
  CHECK(field.number == 1);
  CHECK(field.asInt() == -1);
  REQUIRE(reader.next(field));
  CHECK(field.asFloat() == 1.5f);
  REQUIRE(reader.next(field));
  CHECK(field.asString() == "abc");
  REQUIRE(reader.next(field));
  CHECK(field.type == WireType::Fixed64);
  CHECK(field.bits == 1);
  CHECK(!reader.next(field));
  CHECK(reader.ok());
}

static std::string problemOf(std::string_view text) {
  std::string bytes(text);
  WireReader reader(bytesOf(bytes));
  WireField field;
  while (reader.next(field))
    ;
  return reader.ok() ? "" : reader.problem();
}

TEST_CASE("malformed bytes end the walk with a reason") {
  CHECK(problemOf("") == "");
  CHECK(problemOf("\x08") == "a field ends before its value");
  CHECK(problemOf("\x08\x80") == "a varint runs past the end of its message");
  CHECK(problemOf("\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01") == "a varint is longer than 10 bytes");
  CHECK(problemOf("\x0a") == "a field ends before its length");
  CHECK(problemOf("\x0a\x05"
                  "abcd") == "a length points past the end of its message");
  CHECK(problemOf("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01") == "a length points past the end of its message");
  CHECK(problemOf("\x0d"
                  "abc") == "a fixed-width value runs past the end of its message");
  CHECK(problemOf("\x02\x01") == "a field number is out of range");
  CHECK(problemOf("\x0b") == "a field has an unknown wire type");
}

TEST_CASE("repeated numbers are read packed and one by one") {
  std::string bytes = Message().packedVarints(1, {1, 300}).integer(1, -2).bytes;
  std::vector<int64_t> seen;
  CHECK(forEachVarint(bytesOf(bytes), 1, [&](uint64_t v) { return seen.push_back(int64_t(v)), true; }) == nullptr);
  CHECK(seen == std::vector<int64_t>{1, 300, -2});
  std::string odd = Message().text(1, "abc").bytes;
  CHECK(std::string(forEachFixed<uint32_t>(bytesOf(odd), 1, [](ByteSpan) { return true; })) ==
        "a packed field's length is not a multiple of its element size");
}
