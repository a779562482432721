// The protobuf wire format, read in place: steps through the fields of one message without copying
// and without ever looking outside the given bytes. Knows nothing of any schema.
//
// Malformed bytes end the walk; `problem()` then says what is wrong and `position()` where. Groups
// (wire types 3 and 4, which ONNX does not use) count as malformed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace kiln::onnx {

using ByteSpan = std::span<const uint8_t>;
inline ByteSpan byteSpan(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size()};
}

enum class WireType : uint8_t { Varint = 0, Fixed64 = 1, Bytes = 2, Fixed32 = 5 };

/// One field: `bits` holds a varint or a fixed value, `bytes` a length-delimited payload (a view
/// into the message).
struct WireField {
  uint32_t number = 0;
  WireType type = WireType::Varint;
  uint64_t bits = 0;
  ByteSpan bytes;

  int64_t asInt() const { return static_cast<int64_t>(bits); }
  float asFloat() const {
    uint32_t word = static_cast<uint32_t>(bits);
    float value;
    std::memcpy(&value, &word, sizeof value);
    return value;
  }
  std::string_view asString() const { return {reinterpret_cast<const char *>(bytes.data()), bytes.size()}; }
};

class WireReader {
public:
  explicit WireReader(ByteSpan message) : at(message.data()), end(message.data() + message.size()) {}

  /// Reads the next field. False at the end of the message and at malformed bytes (then ok() is
  /// false).
  bool next(WireField &field);

  /// Reads one bare varint, as packed repeated fields hold them. False at the end and at malformed
  /// bytes.
  bool nextVarint(uint64_t &value);

  bool atEnd() const { return at == end; }
  bool ok() const { return reason == nullptr; }
  const char *problem() const { return reason; }
  const uint8_t *position() const { return at; }

private:
  bool fail(const char *why) {
    reason = why;
    return false;
  }

  const uint8_t *at;
  const uint8_t *end;
  const char *reason = nullptr;
};

/// Calls `visit(uint64_t)` for every element of the repeated varint field `number` of `message`,
/// packed or not. Returns nullptr, or what is malformed. A `visit` that returns false ends the walk
/// early.
template <typename Visit> const char *forEachVarint(ByteSpan message, uint32_t number, Visit visit) {
  WireReader reader(message);
  WireField field;
  while (reader.next(field)) {
    if (field.number != number)
      continue;
    if (field.type == WireType::Varint) {
      if (!visit(field.bits))
        return nullptr;
    } else if (field.type == WireType::Bytes) {
      WireReader packed(field.bytes);
      uint64_t value;
      while (packed.nextVarint(value))
        if (!visit(value))
          return nullptr;
      if (!packed.ok())
        return packed.problem();
    } else {
      return "a repeated integer field has a fixed-width wire type";
    }
  }
  return reader.problem();
}

/// The same for fixed-width elements (`Word` is uint32_t or uint64_t): calls `visit(ByteSpan)` with
/// the little-endian bytes of one or more whole elements at a time.
template <typename Word, typename Visit> const char *forEachFixed(ByteSpan message, uint32_t number, Visit visit) {
  constexpr WireType single = sizeof(Word) == 4 ? WireType::Fixed32 : WireType::Fixed64;
  WireReader reader(message);
  WireField field;
  while (reader.next(field)) {
    if (field.number != number)
      continue;
    if (field.type == single) {
      Word word = static_cast<Word>(field.bits);
      uint8_t buffer[sizeof(Word)];
      std::memcpy(buffer, &word, sizeof word);
      if (!visit(ByteSpan(buffer, sizeof buffer)))
        return nullptr;
    } else if (field.type == WireType::Bytes) {
      if (field.bytes.size() % sizeof(Word) != 0)
        return "a packed field's length is not a multiple of its element size";
      if (!visit(field.bytes))
        return nullptr;
    } else {
      return "a repeated fixed-width field has another wire type";
    }
  }
  return reader.problem();
}

} // namespace kiln::onnx
