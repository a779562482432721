#include "runtime/plan/PlanEncoding.h"

#include <map>

namespace kiln {
namespace {

/// Writes what the field lists below name. Of<T> makes the lists serve both directions.
class Writer {
public:
  template <typename T> using Of = const T;

  void number(uint64_t v) {
    while (v >= 0x80) {
      body.push_back(std::byte(v | 0x80));
      v >>= 7;
    }
    body.push_back(std::byte(v));
  }
  void field(uint64_t v) { number(v); }
  void field(uint32_t v) { number(v); }
  void field(int64_t v) { number((uint64_t(v) << 1) ^ uint64_t(v >> 63)); }
  void field(int32_t v) { field(int64_t(v)); }
  void field(DType v) { number(uint64_t(v)); }
  void field(Buffer::Place v) { number(uint64_t(v)); }
  void field(Condition::Relation v) { number(uint64_t(v)); }
  void field(const std::string &v) {
    auto [it, isNew] = ids.emplace(v, strings.size());
    if (isNew)
      strings.push_back(v);
    number(it->second);
  }
  void field(bool v) { number(v); }
  void field(const Attributes &v) { field(v.print()); }
  void field(const KernelInterface &v) { field(v.print()); }
  void field(const SizeExpr &v) {
    if (std::optional<int64_t> c = v.asConstant()) {
      number(0);
      field(*c);
    } else {
      number(1);
      field(v.print());
    }
  }
  void field(const std::optional<int64_t> &v) {
    number(v.has_value());
    if (v)
      field(*v);
  }
  template <typename T> void list(const std::vector<T> &v) {
    number(v.size());
    for (const T &item : v)
      transfer(*this, item);
  }
  template <typename... T> void choice(const std::variant<T...> &v) {
    number(v.index());
    std::visit([&](const auto &item) { transfer(*this, item); }, v);
  }

  std::vector<std::byte> finish() {
    std::vector<std::byte> fields = std::move(body);
    body.clear();
    number(strings.size());
    for (const std::string &s : strings) {
      number(s.size());
      auto *p = reinterpret_cast<const std::byte *>(s.data());
      body.insert(body.end(), p, p + s.size());
    }
    body.insert(body.end(), fields.begin(), fields.end());
    return std::move(body);
  }

private:
  std::vector<std::byte> body;
  std::map<std::string, size_t> ids;
  std::vector<std::string> strings;
};

/// Reads the same. The first error sticks; after it every field reads as zero, so no loop runs on.
class Reader {
public:
  template <typename T> using Of = T;

  explicit Reader(std::span<const std::byte> bytes) : rest(bytes) {
    uint64_t count = counted();
    for (uint64_t i = 0; i < count && !failed; ++i) {
      uint64_t n = number();
      if (n > rest.size()) {
        fail();
        return;
      }
      strings.emplace_back(reinterpret_cast<const char *>(rest.data()), size_t(n));
      rest = rest.subspan(size_t(n));
    }
    sizes.resize(strings.size());
  }

  uint64_t number() {
    uint64_t v = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (rest.empty() || failed) {
        fail();
        return 0;
      }
      uint64_t b = uint64_t(rest[0]);
      rest = rest.subspan(1);
      v |= (b & 0x7f) << shift;
      if (b < 0x80)
        return v;
    }
    fail();
    return 0;
  }
  void field(uint64_t &v) { v = number(); }
  void field(uint32_t &v) {
    uint64_t n = number();
    if (n > UINT32_MAX)
      fail();
    v = failed ? 0 : uint32_t(n);
  }
  void field(int64_t &v) {
    uint64_t n = number();
    v = int64_t(n >> 1) ^ -int64_t(n & 1);
  }
  void field(int32_t &v) {
    int64_t wide = 0;
    field(wide);
    if (wide != int32_t(wide))
      fail();
    v = failed ? 0 : int32_t(wide);
  }
  void field(DType &v) {
    std::optional<DType> dtype = dtypeFromCode(number());
    if (!dtype)
      fail();
    v = dtype.value_or(DType::F32);
  }
  void field(Buffer::Place &v) {
    uint64_t n = number();
    if (n > uint64_t(Buffer::Place::Workspace))
      fail();
    v = failed ? Buffer::Place::Arena : Buffer::Place(n);
  }
  void field(Condition::Relation &v) {
    uint64_t n = number();
    if (n > uint64_t(Condition::Relation::MultipleOf))
      fail();
    v = failed ? Condition::Relation::Equal : Condition::Relation(n);
  }
  void field(std::string &v) {
    if (const std::string *s = text())
      v = *s;
  }
  void field(bool &v) {
    uint64_t n = number();
    if (n > 1)
      fail();
    v = !failed && n;
  }
  void field(Attributes &v) { parsed(v); }
  void field(KernelInterface &v) { parsed(v); }
  void field(SizeExpr &v) {
    uint64_t kind = number();
    if (kind == 0) {
      int64_t c = 0;
      field(c);
      v = SizeExpr(c);
      return;
    }
    const std::string *s = kind == 1 ? text() : nullptr;
    if (!s)
      return fail();
    std::optional<SizeExpr> &known = sizes[size_t(s - strings.data())];
    if (!known) {
      Result<SizeExpr> parsed = SizeExpr::parse(*s);
      if (!parsed.ok())
        return fail();
      known = *std::move(parsed);
    }
    v = *known;
  }
  void field(std::optional<int64_t> &v) {
    uint64_t has = number();
    if (has > 1)
      return fail();
    if (has) {
      int64_t value = 0;
      field(value);
      v = value;
    }
  }
  template <typename T> void list(std::vector<T> &v) {
    uint64_t count = counted();
    for (uint64_t i = 0; i < count && !failed; ++i) {
      T item{};
      transfer(*this, item);
      v.push_back(std::move(item));
    }
  }
  template <typename... T> void choice(std::variant<T...> &v) {
    uint64_t index = number();
    if (index >= sizeof...(T))
      return fail();
    size_t i = 0;
    ((i++ == index ? transfer(*this, v.template emplace<T>()) : void()), ...);
  }

  bool done() const { return !failed && rest.empty(); }

private:
  void fail() { failed = true; }
  /// A count of things that take at least a byte each.
  uint64_t counted() {
    uint64_t n = number();
    if (n > rest.size())
      fail();
    return failed ? 0 : n;
  }
  /// Of what is stored as text.
  template <typename T> void parsed(T &v) {
    const std::string *s = text();
    if (!s)
      return;
    Result<T> value = T::parse(*s);
    if (value.ok())
      v = *std::move(value);
    else
      fail();
  }
  const std::string *text() {
    uint64_t id = number();
    if (failed || id >= strings.size()) {
      fail();
      return nullptr;
    }
    return &strings[size_t(id)];
  }

  std::span<const std::byte> rest;
  std::vector<std::string> strings;
  std::vector<std::optional<SizeExpr>> sizes; // parsed once per string
  bool failed = false;
};

// The field lists. Their order is the file format.

template <typename A> void transfer(A &a, typename A::template Of<std::string> &v) { a.field(v); }
template <typename A> void transfer(A &a, typename A::template Of<SizeExpr> &v) { a.field(v); }
template <typename A> void transfer(A &a, typename A::template Of<uint32_t> &v) { a.field(v); }
template <typename A> void transfer(A &a, typename A::template Of<uint64_t> &v) { a.field(v); }
template <typename A> void transfer(A &a, typename A::template Of<int64_t> &v) { a.field(v); }

template <typename A> void transfer(A &a, typename A::template Of<ProgramSymbol> &v) {
  a.field(v.name), a.field(v.input), a.field(v.dim), a.field(v.value), a.field(v.low), a.field(v.high);
}
template <typename A> void transfer(A &a, typename A::template Of<Buffer> &v) {
  a.field(v.place), a.field(v.index), a.field(v.bytes), a.field(v.offset);
}
template <typename A> void transfer(A &a, typename A::template Of<View> &v) {
  a.field(v.buffer), a.field(v.offset), a.field(v.dtype), a.list(v.dims);
}
template <typename A> void transfer(A &a, typename A::template Of<Port> &v) { a.field(v.name), a.field(v.view); }
template <typename A> void transfer(A &a, typename A::template Of<Constant> &v) {
  a.field(v.name), a.field(v.dtype), a.list(v.dims), a.field(v.offset), a.field(v.digest);
}
template <typename A> void transfer(A &a, typename A::template Of<Kernel> &v) {
  a.field(v.family), a.field(v.config), a.field(v.problem), a.field(v.interface), a.field(v.codeOffset),
      a.field(v.codeBytes), a.list(v.entries);
}
template <typename A> void transfer(A &a, typename A::template Of<LaunchStep> &v) {
  a.field(v.kernel), a.list(v.operands), a.list(v.sizes);
}
template <typename A> void transfer(A &a, typename A::template Of<HostCallStep> &v) {
  a.field(v.callee), a.field(v.attributes), a.list(v.inputs), a.list(v.outputs), a.field(v.flops), a.field(v.bytes);
}
template <typename A> void transfer(A &a, typename A::template Of<CopyStep> &v) {
  a.field(v.source), a.field(v.target);
}
template <typename A> void transfer(A &a, typename A::template Of<Condition> &v) {
  a.field(v.lhs), a.field(v.rhs), a.field(v.relation);
}
template <typename A> void transfer(A &a, typename A::template Of<Step> &v) {
  a.choice(v.action), a.list(v.guards), a.field(v.node);
}
template <typename A> void transfer(A &a, typename A::template Of<Program> &v) {
  a.field(v.name), a.field(v.producer), a.field(v.target), a.field(v.precision);
  a.list(v.symbols), a.list(v.checks), a.list(v.buffers), a.list(v.views), a.list(v.inputs), a.list(v.outputs);
  a.list(v.constants), a.list(v.kernels), a.list(v.steps), a.field(v.sharesMemory), a.field(v.arenaBytes);
}

} // namespace

std::vector<std::byte> encodeProgram(const Program &program) {
  Writer writer;
  transfer(writer, program);
  return writer.finish();
}

Result<Program> decodeProgram(std::span<const std::byte> bytes) {
  Reader reader(bytes);
  Program program;
  transfer(reader, program);
  if (!reader.done())
    return makeError(ErrorCode::E0603, "the plan is damaged");
  return program;
}

} // namespace kiln
