#include "runtime/base/Text.h"

#include <algorithm>
#include <cstdint>

namespace kiln {
namespace {

constexpr size_t longestWord = 400, longestLine = 10000;

unsigned char byteAt(std::string_view text, size_t i) { return i < text.size() ? (unsigned char)text[i] : 0; }

/// Bytes of the well-formed UTF-8 character at `i`; 0 when there is none.
size_t characterBytes(std::string_view text, size_t i) {
  unsigned char first = byteAt(text, i);
  size_t n = first < 0x80                    ? 1
             : first >= 0xc2 && first < 0xe0 ? 2
             : first >= 0xe0 && first < 0xf0 ? 3
             : first >= 0xf0 && first < 0xf5 ? 4
                                             : 0;
  for (size_t k = 1; k < n; ++k)
    if ((byteAt(text, i + k) & 0xc0) != 0x80)
      return 0;
  // Overlong forms, surrogates, and what lies beyond Unicode.
  unsigned char second = byteAt(text, i + 1);
  if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) || (first == 0xf0 && second < 0x90) ||
      (first == 0xf4 && second > 0x8f))
    return 0;
  return n;
}

std::string escape(std::string_view text) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out;
  for (size_t i = 0; i < text.size();) {
    size_t n = characterBytes(text, i);
    unsigned char first = byteAt(text, i);
    if (n == 0 || (first < 0x20 && first != '\n') || first == 0x7f) {
      out += {'\\', 'x', digits[first >> 4], digits[first & 15]};
      ++i;
    } else {
      out += text.substr(i, n);
      i += n;
    }
  }
  return out;
}

/// Leaves out the middle of parts (between any of `separators`) that are longer than `limit`.
std::string shorten(std::string_view text, std::string_view separators, size_t limit) {
  std::string out;
  auto isInside = [&](size_t i) { return (byteAt(text, i) & 0xc0) == 0x80; }; // of a character
  for (size_t start = 0; start <= text.size();) {
    size_t end = std::min(text.find_first_of(separators, start), text.size());
    if (end - start <= limit) {
      out += text.substr(start, end - start);
    } else {
      size_t head = start + limit / 2, tail = end - limit / 4;
      while (isInside(head))
        --head;
      while (isInside(tail))
        ++tail;
      out += text.substr(start, head - start);
      out += "...(" + std::to_string(tail - head) + " bytes)...";
      out += text.substr(tail, end - tail);
    }
    if (end < text.size())
      out += text[end];
    start = end + 1;
  }
  return out;
}

} // namespace

std::string printable(std::string_view text) {
  return shorten(shorten(escape(text), " \n", longestWord), "\n", longestLine);
}

bool isText(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    size_t n = text[i] == 0 ? 0 : characterBytes(text, i);
    if (n == 0)
      return false;
    i += n;
  }
  return true;
}

} // namespace kiln
