// A cursor over text for the small grammars of this layer: every read is bounds-checked and skips
// blanks first.
#pragma once

#include "runtime/base/Status.h"

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kiln {

class TextScanner {
public:
  explicit TextScanner(std::string_view text) : whole(text), rest(text) {}

  static bool isIdentifierStart(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
  static bool isDigit(char c) { return c >= '0' && c <= '9'; }

  void skipBlanks() {
    while (!rest.empty() && (rest[0] == ' ' || rest[0] == '\t' || rest[0] == '\n' || rest[0] == '\r'))
      rest.remove_prefix(1);
  }
  bool atEnd() {
    skipBlanks();
    return rest.empty();
  }
  char peek() {
    skipBlanks();
    return rest.empty() ? '\0' : rest[0];
  }
  bool consume(char c) {
    if (peek() != c || rest.empty())
      return false;
    rest.remove_prefix(1);
    return true;
  }
  /// [A-Za-z_][A-Za-z0-9_.$]*, empty when there is none.
  std::string_view identifier() {
    skipBlanks();
    size_t n = 0;
    while (n < rest.size() &&
           (isIdentifierStart(rest[n]) || (n > 0 && (isDigit(rest[n]) || rest[n] == '.' || rest[n] == '$'))))
      ++n;
    return take(n);
  }
  /// An integer with optional sign; nullopt when there is none or it does not fit 64 bits.
  std::optional<int64_t> integer() {
    skipBlanks();
    int64_t value = 0;
    auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
    if (error != std::errc())
      return std::nullopt;
    rest.remove_prefix(size_t(end - rest.data()));
    return value;
  }
  std::string_view take(size_t n) {
    std::string_view head = rest.substr(0, n);
    rest.remove_prefix(head.size());
    return head;
  }
  std::string_view remaining() const { return rest; }
  size_t position() const { return whole.size() - rest.size(); }

  Status fail(ErrorCode code, std::string_view what) const {
    return makeError(code, what, " at position ", position(), " of '", whole.substr(0, 200),
                     whole.size() > 200 ? "...'" : "'");
  }

private:
  std::string_view whole, rest;
};

} // namespace kiln
