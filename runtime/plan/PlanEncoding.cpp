#include "runtime/plan/PlanEncoding.h"

#include <concepts>
#include <map>
#include <type_traits>
#include <utility>

namespace kiln {
namespace {

/// The key of a field: its number, whether it holds a number or bytes behind a length, and whether a reader that does
/// not know it must give up.
struct Key {
  uint64_t field;
  bool bytes, must;
  uint64_t code() const { return field << 2 | uint64_t(bytes) << 1 | uint64_t(must); }
  static Key of(uint64_t code) { return {code >> 2, (code & 2) != 0, (code & 1) != 0}; }
};

/// What is stored as one number. Texts are numbers of the string table.
template <typename T>
concept Scalar =
    std::is_arithmetic_v<T> || std::is_enum_v<T> || std::same_as<T, std::string> || std::same_as<T, SizeExpr> ||
    std::same_as<T, Attributes> || std::same_as<T, KernelInterface> || std::same_as<T, Recipe>;
template <typename T> constexpr bool isVector = false;
template <typename T> constexpr bool isVector<std::vector<T>> = true;
template <typename T> constexpr bool isOptional = false;
template <typename T> constexpr bool isOptional<std::optional<T>> = true;

uint64_t zigzag(int64_t v) { return (uint64_t(v) << 1) ^ uint64_t(v >> 63); }
int64_t unzigzag(uint64_t n) { return int64_t(n >> 1) ^ -int64_t(n & 1); }

using Bytes = std::vector<std::byte>;

void put(Bytes &to, uint64_t v) {
  while (v >= 0x80) {
    to.push_back(std::byte(v | 0x80));
    v >>= 7;
  }
  to.push_back(std::byte(v));
}
void put(Bytes &to, const Bytes &bytes) {
  put(to, bytes.size());
  to.insert(to.end(), bytes.begin(), bytes.end());
}

/// Writes what the field lists below name.
class Writer {
public:
  /// A field that every reader must know.
  template <typename T> void field(uint64_t number, const T &v, const T &absent) {
    if (!isAbsent(v, absent))
      write(number, v, true);
  }
  /// A field for people.
  template <typename T> void note(uint64_t number, const T &v, const T &absent) {
    if (!isAbsent(v, absent))
      write(number, v, false);
  }

  template <typename T> void alternative(uint64_t number, const T &v) { write(number, v, true); }

  template <typename T> Bytes record(const T &v);
  Bytes finish(const Program &program) {
    Bytes fields = record(program), all;
    put(all, strings.size());
    for (const std::string &s : strings) {
      put(all, s.size());
      auto *p = reinterpret_cast<const std::byte *>(s.data());
      all.insert(all.end(), p, p + s.size());
    }
    all.insert(all.end(), fields.begin(), fields.end());
    return all;
  }

private:
  template <typename T> static bool isAbsent(const T &v, const T &absent) {
    if constexpr (isVector<T>)
      return v.empty();
    else if constexpr (isOptional<T>)
      return !v;
    else if constexpr (!Scalar<T> || std::same_as<T, KernelInterface>)
      return false;
    else
      return v == absent;
  }

  uint64_t number(const std::string &v) {
    auto [it, isNew] = ids.emplace(v, strings.size());
    if (isNew)
      strings.push_back(v);
    return it->second;
  }
  uint64_t number(const Attributes &v) { return number(v.print()); }
  uint64_t number(const KernelInterface &v) { return number(v.print()); }
  uint64_t number(const Recipe &v) { return number(v.print()); }
  /// A constant that leaves room for a bit, or a text.
  uint64_t number(const SizeExpr &v) {
    std::optional<int64_t> c = v.asConstant();
    if (c && *c >= -(int64_t(1) << 61) && *c < int64_t(1) << 61)
      return zigzag(*c) << 1;
    return number(v.print()) << 1 | 1;
  }
  template <typename T>
    requires std::is_arithmetic_v<T> || std::is_enum_v<T>
  uint64_t number(T v) {
    if constexpr (std::is_enum_v<T>)
      return uint64_t(v);
    else
      return std::is_signed_v<T> ? zigzag(int64_t(v)) : uint64_t(v);
  }

  template <typename T> void write(uint64_t field, const T &v, bool must) {
    if constexpr (isOptional<T>) {
      write(field, *v, must);
    } else if constexpr (Scalar<T>) {
      put(*body, Key{field, false, must}.code());
      put(*body, number(v));
    } else {
      Bytes bytes = content(v);
      put(*body, Key{field, true, must}.code());
      put(*body, bytes);
    }
  }
  template <typename T> Bytes content(const T &v) {
    if constexpr (isVector<T>) {
      Bytes bytes;
      put(bytes, v.size());
      for (const auto &item : v)
        if constexpr (Scalar<std::decay_t<decltype(item)>>)
          put(bytes, number(item));
        else
          put(bytes, record(item));
      return bytes;
    } else {
      return record(v);
    }
  }

  Bytes *body = nullptr; // of the record under way
  std::map<std::string, uint64_t> ids;
  std::vector<std::string> strings;
};

/// Reads the same. The first error sticks; after it nothing more is read, so no loop runs on.
class Reader {
public:
  explicit Reader(std::span<const std::byte> bytes) {
    uint64_t count = counted(bytes);
    for (uint64_t i = 0; i < count && !failed; ++i) {
      std::span<const std::byte> s = lengthPrefixed(bytes);
      strings.emplace_back(reinterpret_cast<const char *>(s.data()), s.size());
    }
    sizes.resize(strings.size());
    rest = bytes;
  }

  Result<Program> run() {
    Program program;
    record(rest, program);
    if (unknown)
      return makeError(ErrorCode::E0602, "the plan holds something that this runtime does not know");
    if (failed)
      return makeError(ErrorCode::E0603, "the plan is damaged");
    return program;
  }

  template <typename T> void field(uint64_t number, T &v, const T &) { read(number, v); }
  template <typename T> void note(uint64_t number, T &v, const T &) { read(number, v); }
  template <typename T> void alternative(uint64_t number, T &v, bool &present) {
    for (const Field &f : *fields)
      present |= f.key.field == number;
    read(number, v);
  }

private:
  struct Field {
    Key key;
    uint64_t number = 0;
    std::span<const std::byte> bytes = {};
    bool known = false;
  };

  void fail() { failed = true; }

  uint64_t take(std::span<const std::byte> &from) {
    uint64_t v = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (from.empty() || failed)
        break;
      auto b = uint64_t(from[0]);
      from = from.subspan(1);
      v |= (b & 0x7f) << shift;
      if (b < 0x80)
        return v;
    }
    fail();
    return 0;
  }
  std::span<const std::byte> lengthPrefixed(std::span<const std::byte> &from) {
    uint64_t n = take(from);
    if (n > from.size())
      fail();
    if (failed)
      return {};
    std::span<const std::byte> bytes = from.first(size_t(n));
    from = from.subspan(size_t(n));
    return bytes;
  }
  /// A count of things that take at least a byte each.
  uint64_t counted(std::span<const std::byte> &from) {
    uint64_t n = take(from);
    if (n > from.size())
      fail();
    return failed ? 0 : n;
  }

  template <typename T> void record(std::span<const std::byte> bytes, T &v);

  /// The last field of that number, as later ones replace earlier ones.
  template <typename T> void read(uint64_t number, T &v) {
    for (Field &f : *fields)
      if (f.key.field == number && !failed) {
        f.known = true;
        if (f.key.bytes == isNumber<T>())
          return fail();
        if constexpr (isNumber<T>())
          decode(f.number, v);
        else
          content(f.bytes, v);
      }
  }
  template <typename T> static constexpr bool isNumber() {
    if constexpr (isOptional<T>)
      return Scalar<typename T::value_type>;
    else
      return Scalar<T>;
  }

  template <typename T> void decode(uint64_t n, std::optional<T> &v) { decode(n, v.emplace()); }
  void decode(uint64_t n, std::string &v) {
    if (const std::string *s = text(n))
      v = *s;
  }
  void decode(uint64_t n, Attributes &v) { parse(n, v); }
  void decode(uint64_t n, KernelInterface &v) { parse(n, v); }
  void decode(uint64_t n, Recipe &v) { parse(n, v); }
  void decode(uint64_t n, SizeExpr &v) {
    if ((n & 1) == 0) {
      v = SizeExpr(unzigzag(n >> 1));
      return;
    }
    const std::string *s = text(n >> 1);
    if (!s)
      return;
    std::optional<SizeExpr> &known = sizes[size_t(s - strings.data())];
    if (!known) {
      Result<SizeExpr> parsed = SizeExpr::parse(*s);
      if (!parsed.ok())
        return fail();
      known = *std::move(parsed);
    }
    v = *known;
  }
  void decode(uint64_t n, DType &v) {
    std::optional<DType> dtype = dtypeFromCode(n);
    if (!dtype)
      fail();
    v = dtype.value_or(DType::F32);
  }
  void decode(uint64_t n, Buffer::Place &v) { enumerator(n, v, Buffer::Place::State); }
  void decode(uint64_t n, Buffer::Space &v) { enumerator(n, v, Buffer::Space::Device); }
  void decode(uint64_t n, PortValue::Kind &v) { enumerator(n, v, PortValue::Kind::OptionalSequence); }
  void decode(uint64_t n, Condition::Relation &v) { enumerator(n, v, Condition::Relation::MultipleOf); }
  template <typename T> void enumerator(uint64_t n, T &v, T last) {
    if (n > uint64_t(last))
      fail();
    else
      v = T(n);
  }
  template <typename T>
    requires std::is_arithmetic_v<T>
  void decode(uint64_t n, T &v) {
    if constexpr (std::is_signed_v<T>) {
      int64_t wide = unzigzag(n);
      v = T(wide);
      if (int64_t(v) != wide)
        fail();
    } else {
      v = T(n);
      if (uint64_t(v) != n)
        fail();
    }
  }
  /// Of what is stored as text.
  template <typename T> void parse(uint64_t n, T &v) {
    const std::string *s = text(n);
    if (!s)
      return;
    Result<T> value = T::parse(*s);
    if (value.ok())
      v = *std::move(value);
    else
      fail();
  }
  const std::string *text(uint64_t id) {
    if (failed || id >= strings.size()) {
      fail();
      return nullptr;
    }
    return &strings[size_t(id)];
  }

  template <typename T> void content(std::span<const std::byte> bytes, std::vector<T> &v) {
    uint64_t count = counted(bytes);
    for (uint64_t i = 0; i < count && !failed; ++i) {
      T item{};
      if constexpr (Scalar<T>)
        decode(take(bytes), item);
      else
        record(lengthPrefixed(bytes), item);
      v.push_back(std::move(item));
    }
    if (!bytes.empty())
      fail();
  }
  template <typename T> void content(std::span<const std::byte> bytes, T &v) { record(bytes, v); }

  std::span<const std::byte> rest;
  std::vector<Field> *fields = nullptr; // of the record under way
  std::vector<std::string> strings;
  std::vector<std::optional<SizeExpr>> sizes; // parsed once per string
  bool failed = false, unknown = false;
};

// The field lists. A number that was used once is never used for something else.

#define FIELD(number, name) a.field(number, v.name, fresh.name)
#define NOTE(number, name) a.note(number, v.name, fresh.name)

template <typename A, typename V> void transfer(A &a, V &v) {
  using T = std::remove_const_t<V>;
  static const T fresh{};
  if constexpr (std::same_as<T, ProgramSymbol>) {
    FIELD(1, name), FIELD(2, input), FIELD(3, dim), FIELD(4, value), FIELD(5, low), FIELD(6, high), FIELD(7, parameter);
  } else if constexpr (std::same_as<T, Condition>) {
    FIELD(1, lhs), FIELD(2, rhs), FIELD(3, relation);
  } else if constexpr (std::same_as<T, Buffer>) {
    FIELD(1, place), FIELD(2, index), FIELD(3, bytes), FIELD(4, offset), FIELD(5, space);
  } else if constexpr (std::same_as<T, View>) {
    FIELD(1, buffer), FIELD(2, offset), FIELD(3, dtype), FIELD(4, dims), FIELD(5, open);
  } else if constexpr (std::same_as<T, Port>) {
    FIELD(1, name), FIELD(2, view);
  } else if constexpr (std::same_as<T, PortValue>) {
    FIELD(1, name), FIELD(2, kind), FIELD(3, items);
  } else if constexpr (std::same_as<T, StatePort>) {
    FIELD(1, state), FIELD(2, view), FIELD(3, read), FIELD(4, written), FIELD(5, grown);
  } else if constexpr (std::same_as<T, State>) {
    FIELD(1, name), FIELD(2, dtype), FIELD(3, dims), FIELD(4, growing);
  } else if constexpr (std::same_as<T, Constant>) {
    NOTE(1, name), FIELD(2, dtype), FIELD(3, dims), FIELD(6, source); // 4 and 5 were format version 3
  } else if constexpr (std::same_as<T, SectionSource>) {
    FIELD(1, offset), FIELD(2, digest);
  } else if constexpr (std::same_as<T, FileSource>) {
    FIELD(1, file), FIELD(2, offset), FIELD(3, digest);
  } else if constexpr (std::same_as<T, BoundSource>) {
    FIELD(1, name);
  } else if constexpr (std::same_as<T, DerivedSource>) {
    FIELD(1, constant), FIELD(2, recipe);
  } else if constexpr (std::same_as<T, WeightFile>) {
    FIELD(1, path), FIELD(2, bytes);
  } else if constexpr (std::same_as<T, Kernel>) {
    NOTE(1, family), NOTE(2, config), NOTE(3, problem), FIELD(4, interface), FIELD(5, codeOffset), FIELD(6, codeBytes),
        FIELD(7, entries), NOTE(8, source), NOTE(9, price);
  } else if constexpr (std::same_as<T, LaunchStep>) {
    FIELD(1, kernel), FIELD(2, operands), FIELD(3, sizes);
  } else if constexpr (std::same_as<T, HostCallStep>) {
    FIELD(1, callee), FIELD(2, attributes), FIELD(3, inputs), FIELD(4, outputs), NOTE(5, flops), NOTE(6, bytes);
  } else if constexpr (std::same_as<T, CopyStep>) {
    FIELD(1, source), FIELD(2, target);
  } else if constexpr (std::same_as<T, SizeArgument>) {
    FIELD(1, value), FIELD(2, view), FIELD(3, element);
  } else if constexpr (std::same_as<T, Call>) {
    FIELD(1, function), FIELD(2, inputs), FIELD(3, sizes);
  } else if constexpr (std::same_as<T, CallStep>) {
    FIELD(1, callee), FIELD(2, outputs);
  } else if constexpr (std::same_as<T, IfStep>) {
    FIELD(1, condition), FIELD(2, then), FIELD(3, otherwise), FIELD(4, outputs);
  } else if constexpr (std::same_as<T, LoopStep>) {
    FIELD(1, body), FIELD(2, count), FIELD(3, condition), FIELD(4, initial), FIELD(5, outputs);
  } else if constexpr (std::same_as<T, Step>) {
    NOTE(1, node), FIELD(2, guards), FIELD(3, action);
  } else if constexpr (std::same_as<T, Function>) {
    NOTE(1, name), FIELD(2, symbols), FIELD(3, checks), FIELD(4, buffers), FIELD(5, views), FIELD(6, inputs),
        FIELD(7, outputs), FIELD(8, steps), FIELD(9, sharesMemory), FIELD(10, arenaBytes), FIELD(11, states),
        FIELD(12, deviceArenaBytes), FIELD(13, inputValues), FIELD(14, outputValues);
  } else if constexpr (std::same_as<T, Entry>) {
    FIELD(1, name), FIELD(2, function);
  } else {
    static_assert(std::same_as<T, Program>);
    NOTE(1, producer), FIELD(2, target), FIELD(3, precision), FIELD(4, constants), FIELD(5, kernels),
        FIELD(6, functions), FIELD(7, entries), FIELD(8, states), FIELD(9, device), FIELD(10, files);
  }
}

#undef FIELD
#undef NOTE

/// The alternative at index i is field i + 1.
template <typename... T> void transfer(Writer &a, const std::variant<T...> &v) {
  std::visit([&](const auto &item) { a.alternative(v.index() + 1, item); }, v);
}
template <typename... T> void transfer(Reader &a, std::variant<T...> &v) {
  uint64_t number = 0;
  auto alternative = [&](auto item) {
    bool present = false;
    a.alternative(++number, item, present);
    if (present)
      v = std::move(item);
  };
  (alternative(T{}), ...);
}

template <typename T> Bytes Writer::record(const T &v) {
  Bytes own, *outer = std::exchange(body, &own);
  transfer(*this, v);
  body = outer;
  return own;
}

template <typename T> void Reader::record(std::span<const std::byte> bytes, T &v) {
  std::vector<Field> own;
  while (!bytes.empty() && !failed) {
    Field f{Key::of(take(bytes))};
    if (f.key.bytes)
      f.bytes = lengthPrefixed(bytes);
    else
      f.number = take(bytes);
    own.push_back(f);
  }
  std::vector<Field> *outer = std::exchange(fields, &own);
  transfer(*this, v);
  fields = outer;
  for (const Field &f : own)
    unknown |= f.key.must && !f.known && !failed;
}

} // namespace

std::vector<std::byte> encodeProgram(const Program &program) { return Writer().finish(program); }

Result<Program> decodeProgram(std::span<const std::byte> bytes) { return Reader(bytes).run(); }

} // namespace kiln
