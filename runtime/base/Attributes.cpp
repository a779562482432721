#include "runtime/base/Attributes.h"

#include "runtime/base/TextScanner.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace kiln {
namespace {

bool lessByName(const Attributes::Entry &entry, std::string_view name) { return entry.name < name; }

void printString(std::string &out, std::string_view text) {
  static const char hex[] = "0123456789abcdef";
  out += '"';
  for (unsigned char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += char(c);
    } else if (c < 0x20 || c == 0x7f) {
      out += "\\x";
      out += hex[c >> 4];
      out += hex[c & 15];
    } else {
      out += char(c);
    }
  }
  out += '"';
}

template <typename T, typename F> void printList(std::string &out, const std::vector<T> &list, F print) {
  out += '[';
  for (size_t i = 0; i < list.size(); ++i) {
    if (i)
      out += ',';
    out += print(list[i]);
  }
  out += ']';
}

int hexDigit(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  return -1;
}

class Parser {
public:
  explicit Parser(std::string_view text) : scan(text) {}

  Result<Attributes> parse() {
    Attributes result;
    if (!scan.consume('{'))
      return scan.fail(ErrorCode::E0108, "expected '{'");
    if (scan.consume('}'))
      return result;
    do {
      std::string name(scan.identifier());
      if (name.empty())
        return scan.fail(ErrorCode::E0108, "expected an attribute name");
      if (result.contains(name))
        return scan.fail(ErrorCode::E0108, "attribute '" + name + "' is given twice");
      if (!scan.consume('='))
        return scan.fail(ErrorCode::E0108, "expected '='");
      KILN_ASSIGN(Attribute value, parseValue());
      result.set(name, std::move(value));
    } while (scan.consume(','));
    if (!scan.consume('}'))
      return scan.fail(ErrorCode::E0108, "expected ',' or '}'");
    return result;
  }

  TextScanner scan;

private:
  Result<Attribute> parseValue() {
    char c = scan.peek();
    if (c == '"')
      return parseString();
    if (c != '[')
      return parseNumber();
    scan.consume('[');
    std::vector<int64_t> ints;
    std::vector<double> floats;
    if (!scan.consume(']')) {
      do {
        KILN_ASSIGN(Attribute number, parseNumber());
        if (auto *i = std::get_if<int64_t>(&number))
          ints.push_back(*i);
        else
          floats.push_back(std::get<double>(number));
        if (!ints.empty() && !floats.empty())
          return scan.fail(ErrorCode::E0108, "list mixes integers and floats");
      } while (scan.consume(','));
      if (!scan.consume(']'))
        return scan.fail(ErrorCode::E0108, "expected ',' or ']'");
    }
    if (!floats.empty())
      return Attribute(std::move(floats));
    return Attribute(std::move(ints));
  }

  Result<Attribute> parseNumber() {
    scan.skipBlanks();
    std::string_view rest = scan.remaining();
    size_t n = 0;
    while (n < rest.size() && std::string_view("+-.0123456789abcdefinxEINF").find(rest[n]) != std::string_view::npos)
      ++n;
    std::string_view token = rest.substr(0, n);
    const char *begin = token.data(), *end = begin + n;
    if (token.find_first_of(".einf") == std::string_view::npos) {
      int64_t value = 0;
      auto [stop, error] = std::from_chars(begin, end, value);
      if (n == 0 || error != std::errc() || stop != end)
        return scan.fail(ErrorCode::E0108, "expected a number, string or list");
      scan.take(n);
      return Attribute(value);
    }
    double value = 0;
    auto [stop, error] = std::from_chars(begin, end, value);
    if (error != std::errc() || stop != end)
      return scan.fail(ErrorCode::E0108, "expected a number");
    scan.take(n);
    return Attribute(value);
  }

  Result<Attribute> parseString() {
    scan.consume('"');
    std::string text;
    while (true) {
      std::string_view c = scan.take(1);
      if (c.empty())
        return scan.fail(ErrorCode::E0108, "unterminated string");
      if (c[0] == '"')
        return Attribute(std::move(text));
      if (c[0] != '\\') {
        text += c[0];
        continue;
      }
      c = scan.take(1);
      if (c == "x") {
        std::string_view digits = scan.take(2);
        if (digits.size() != 2 || hexDigit(digits[0]) < 0 || hexDigit(digits[1]) < 0)
          return scan.fail(ErrorCode::E0108, "malformed escape");
        text += char(hexDigit(digits[0]) * 16 + hexDigit(digits[1]));
      } else if (c == "\"" || c == "\\") {
        text += c[0];
      } else {
        return scan.fail(ErrorCode::E0108, "malformed escape");
      }
    }
  }
};

bool sameBits(double a, double b) { return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b); }

} // namespace

std::string printDouble(double value) {
  if (std::isnan(value))
    return "nan";
  char buffer[40];
  auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value);
  std::string text(buffer, end);
  if (text.find_first_of(".einf") == std::string::npos)
    text += ".0";
  return text;
}

std::string printAttribute(const Attribute &value) {
  std::string out;
  switch (value.index()) {
  case 0: out = std::to_string(std::get<0>(value)); break;
  case 1: out = printDouble(std::get<1>(value)); break;
  case 2: printString(out, std::get<2>(value)); break;
  case 3: printList(out, std::get<3>(value), [](int64_t v) { return std::to_string(v); }); break;
  case 4: printList(out, std::get<4>(value), printDouble); break;
  }
  return out;
}

Attributes::Attributes(std::initializer_list<Entry> list) {
  for (const Entry &entry : list)
    set(entry.name, entry.value);
}

void Attributes::set(std::string_view name, Attribute value) {
  if (auto *floats = std::get_if<std::vector<double>>(&value); floats && floats->empty())
    value = std::vector<int64_t>();
  // A NaN has one text, so it has one value.
  if (auto *number = std::get_if<double>(&value); number && std::isnan(*number))
    *number = std::numeric_limits<double>::quiet_NaN();
  if (auto *floats = std::get_if<std::vector<double>>(&value))
    for (double &number : *floats)
      if (std::isnan(number))
        number = std::numeric_limits<double>::quiet_NaN();
  auto it = std::lower_bound(entries.begin(), entries.end(), name, lessByName);
  if (it != entries.end() && it->name == name)
    it->value = std::move(value);
  else
    entries.insert(it, {std::string(name), std::move(value)});
}

bool Attributes::erase(std::string_view name) {
  auto it = std::lower_bound(entries.begin(), entries.end(), name, lessByName);
  if (it == entries.end() || it->name != name)
    return false;
  entries.erase(it);
  return true;
}

const Attribute *Attributes::find(std::string_view name) const {
  auto it = std::lower_bound(entries.begin(), entries.end(), name, lessByName);
  return it != entries.end() && it->name == name ? &it->value : nullptr;
}

int64_t Attributes::getInt(std::string_view name, int64_t fallback) const {
  const Attribute *value = find(name);
  const int64_t *number = value ? std::get_if<int64_t>(value) : nullptr;
  return number ? *number : fallback;
}

bool Attributes::getBool(std::string_view name, bool fallback) const { return getInt(name, fallback) != 0; }

double Attributes::getFloat(std::string_view name, double fallback) const {
  const Attribute *value = find(name);
  if (!value)
    return fallback;
  if (const double *number = std::get_if<double>(value))
    return *number;
  if (const int64_t *number = std::get_if<int64_t>(value))
    return double(*number);
  return fallback;
}

std::string Attributes::getString(std::string_view name, std::string_view fallback) const {
  const std::string *text = findString(name);
  return text ? *text : std::string(fallback);
}

std::vector<int64_t> Attributes::getInts(std::string_view name, std::vector<int64_t> fallback) const {
  const std::vector<int64_t> *list = findInts(name);
  return list ? *list : fallback;
}

std::vector<double> Attributes::getFloats(std::string_view name, std::vector<double> fallback) const {
  const Attribute *value = find(name);
  if (!value)
    return fallback;
  if (const auto *list = std::get_if<std::vector<double>>(value))
    return *list;
  if (const auto *list = std::get_if<std::vector<int64_t>>(value))
    return {list->begin(), list->end()};
  return fallback;
}

const std::vector<int64_t> *Attributes::findInts(std::string_view name) const {
  const Attribute *value = find(name);
  return value ? std::get_if<std::vector<int64_t>>(value) : nullptr;
}

const std::string *Attributes::findString(std::string_view name) const {
  const Attribute *value = find(name);
  return value ? std::get_if<std::string>(value) : nullptr;
}

std::string Attributes::print() const {
  std::string out = "{";
  for (const Entry &entry : entries) {
    if (out.size() > 1)
      out += ", ";
    out += entry.name;
    out += '=';
    out += printAttribute(entry.value);
  }
  out += '}';
  return out;
}

Result<Attributes> Attributes::parse(std::string_view text) {
  Parser parser(text);
  KILN_ASSIGN(Attributes result, parser.parse());
  if (!parser.scan.atEnd())
    return parser.scan.fail(ErrorCode::E0108, "unexpected text after '}'");
  return result;
}

Result<Attributes> Attributes::parsePrefix(std::string_view &text) {
  Parser parser(text);
  KILN_ASSIGN(Attributes result, parser.parse());
  text = parser.scan.remaining();
  return result;
}

bool Attributes::operator==(const Attributes &other) const {
  return std::equal(begin(), end(), other.begin(), other.end(), [](const Entry &a, const Entry &b) {
    if (a.name != b.name || a.value.index() != b.value.index())
      return false;
    if (const double *x = std::get_if<double>(&a.value))
      return sameBits(*x, std::get<double>(b.value));
    if (const auto *x = std::get_if<std::vector<double>>(&a.value)) {
      const auto &y = std::get<std::vector<double>>(b.value);
      return std::equal(x->begin(), x->end(), y.begin(), y.end(), sameBits);
    }
    return a.value == b.value;
  });
}

bool Attributes::operator<(const Attributes &other) const { return print() < other.print(); }

} // namespace kiln
