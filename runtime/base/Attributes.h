// Named attributes of an op, ordered by name. One class for the attributes of ops in plans and
// problem texts and for the configurations of kernel families. Text form: {axis=1, epsilon=1e-05,
// mode="same", pads=[1,1,1,1]}; doubles are printed in their shortest round-trip form and always
// show '.', 'e', inf or nan, so that they differ from integers.
#pragma once

#include "runtime/base/Status.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace kiln {

/// Lists are never heterogeneous; an empty list is an empty list of integers, whatever it was made
/// from.
using Attribute = std::variant<int64_t, double, std::string, std::vector<int64_t>, std::vector<double>>;

class Attributes {
public:
  struct Entry {
    std::string name;
    Attribute value;
  };

  Attributes() = default;
  Attributes(std::initializer_list<Entry> entries);

  bool empty() const { return entries.empty(); }
  size_t size() const { return entries.size(); }
  auto begin() const { return entries.begin(); }
  auto end() const { return entries.end(); }

  /// Sets or replaces. Names are identifiers: [A-Za-z_][A-Za-z0-9_.]*.
  void set(std::string_view name, Attribute value);
  template <typename T>
    requires std::is_arithmetic_v<T>
  void set(std::string_view name, T value) {
    if constexpr (std::is_floating_point_v<T>)
      set(name, Attribute(double(value)));
    else
      set(name, Attribute(int64_t(value)));
  }
  void set(std::string_view name, const char *value) { set(name, Attribute(std::string(value))); }
  bool erase(std::string_view name);

  const Attribute *find(std::string_view name) const;
  bool contains(std::string_view name) const { return find(name) != nullptr; }

  /// The value, or the default where the name is absent or holds another type. getFloat also takes
  /// an integer, getFloats a list of integers.
  int64_t getInt(std::string_view name, int64_t fallback = 0) const;
  bool getBool(std::string_view name, bool fallback = false) const;
  double getFloat(std::string_view name, double fallback = 0) const;
  std::string getString(std::string_view name, std::string_view fallback = {}) const;
  std::vector<int64_t> getInts(std::string_view name, std::vector<int64_t> fallback = {}) const;
  std::vector<double> getFloats(std::string_view name, std::vector<double> fallback = {}) const;
  /// Points into the attributes; null when absent or of another type.
  const std::vector<int64_t> *findInts(std::string_view name) const;
  const std::string *findString(std::string_view name) const;

  /// Canonical text; parse(print()) gives an equal value. Empty attributes print as "{}".
  std::string print() const;
  static Result<Attributes> parse(std::string_view text);
  /// Parses a `{...}` at the start of `text` and removes it; for grammars that embed attributes.
  static Result<Attributes> parsePrefix(std::string_view &text);

  /// Doubles compare by their bits (NaN equals NaN, 0.0 differs from -0.0).
  bool operator==(const Attributes &other) const;
  /// Any total order; for use as a key.
  bool operator<(const Attributes &other) const;

private:
  std::vector<Entry> entries;
};

std::string printAttribute(const Attribute &value);
/// Shortest text that reads back as the same double, told apart from an integer.
std::string printDouble(double value);

} // namespace kiln
