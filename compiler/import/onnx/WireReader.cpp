#include "compiler/import/onnx/WireReader.h"

#include <bit>

namespace kiln::onnx {

static_assert(std::endian::native == std::endian::little, "fixed-width fields are read as they lie in the file");

bool WireReader::nextVarint(uint64_t &value) {
  if (!ok() || at == end)
    return false;
  uint64_t result = 0;
  const uint8_t *cursor = at;
  for (unsigned shift = 0; shift < 70; shift += 7) {
    if (cursor == end)
      return fail("a varint runs past the end of its message");
    uint8_t byte = *cursor++;
    // The tenth byte holds one bit; protobuf drops what lies above 64 bits.
    result |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (!(byte & 0x80)) {
      at = cursor;
      value = result;
      return true;
    }
  }
  return fail("a varint is longer than 10 bytes");
}

bool WireReader::next(WireField &field) {
  uint64_t tag = 0;
  if (!nextVarint(tag))
    return false;
  if ((tag >> 3) == 0 || (tag >> 3) > 0x1fffffff)
    return fail("a field number is out of range");
  field.number = static_cast<uint32_t>(tag >> 3);
  field.bits = 0;
  field.bytes = {};
  size_t left = static_cast<size_t>(end - at);
  switch (tag & 7) {
  case 0:
    field.type = WireType::Varint;
    if (at == end)
      return fail("a field ends before its value");
    return nextVarint(field.bits);
  case 1:
  case 5: {
    field.type = (tag & 7) == 1 ? WireType::Fixed64 : WireType::Fixed32;
    size_t size = field.type == WireType::Fixed64 ? 8 : 4;
    if (left < size)
      return fail("a fixed-width value runs past the end of its message");
    std::memcpy(&field.bits, at, size);
    at += size;
    return true;
  }
  case 2: {
    field.type = WireType::Bytes;
    uint64_t length = 0;
    if (at == end)
      return fail("a field ends before its length");
    if (!nextVarint(length))
      return false;
    if (length > static_cast<uint64_t>(end - at))
      return fail("a length points past the end of its message");
    field.bytes = ByteSpan(at, static_cast<size_t>(length));
    at += length;
    return true;
  }
  default: return fail("a field has an unknown wire type");
  }
}

} // namespace kiln::onnx
