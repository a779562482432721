// Small programs for tests, built by hand.
#pragma once

#include "runtime/plan/Artifact.h"
#include "runtime/plan/Program.h"

#include <cstring>

namespace kiln::test {

/// Grows a program view by view.
class ProgramBuilder {
public:
  Program program; ///< without the function that is under way
  Function p;      ///< that one

  ProgramBuilder() {
    program.target = "interpreter";
    program.precision = "default";
    program.entries.push_back({"main", 0});
    p.name = "main";
  }

  /// Goes on with another function; one calls only those after it.
  FunctionId function(const char *name) {
    program.functions.push_back(std::move(p));
    p = Function();
    p.name = name;
    return FunctionId(program.functions.size());
  }
  Program finish() const {
    Program whole = program;
    whole.functions.push_back(p);
    return whole;
  }

  void symbol(const char *name, int input, int dim, int64_t low = 0, int64_t high = INT64_MAX) {
    ProgramSymbol s;
    s.name = name;
    s.input = input;
    s.dim = dim;
    s.low = low;
    s.high = high;
    p.symbols.push_back(s);
  }
  void define(const char *name, const char *value) {
    ProgramSymbol s;
    s.name = name;
    s.value = *SizeExpr::parse(value);
    p.symbols.push_back(s);
  }
  static std::vector<SizeExpr> dims(const std::vector<const char *> &texts) {
    std::vector<SizeExpr> out;
    for (const char *t : texts)
      out.push_back(*SizeExpr::parse(t));
    return out;
  }
  ViewId view(BufferId buffer, DType dtype, std::vector<SizeExpr> d, SizeExpr offset = 0) {
    p.views.push_back({buffer, offset, dtype, std::move(d)});
    return ViewId(p.views.size() - 1);
  }
  BufferId buffer(Buffer::Place place, size_t index = 0) {
    Buffer b;
    b.place = place;
    b.index = uint32_t(index);
    p.buffers.push_back(b);
    return BufferId(p.buffers.size() - 1);
  }
  ViewId input(const char *name, DType dtype, const std::vector<const char *> &d) {
    ViewId v = view(buffer(Buffer::Place::Input, p.inputs.size()), dtype, dims(d));
    p.inputs.push_back({name, v});
    return v;
  }
  ViewId output(const char *name, DType dtype, const std::vector<const char *> &d) {
    ViewId v = view(buffer(Buffer::Place::Output, p.outputs.size()), dtype, dims(d));
    p.outputs.push_back({name, v});
    return v;
  }
  /// The state of that name as this function uses it; the first use declares it.
  ViewId state(const char *name, DType dtype, const std::vector<const char *> &d, bool read, bool written) {
    size_t number = 0;
    while (number < program.states.size() && program.states[number].name != name)
      ++number;
    if (number == program.states.size())
      program.states.push_back({name, dtype, dims(d), {}});
    ViewId v = view(buffer(Buffer::Place::State, p.states.size()), dtype, dims(d));
    p.states.push_back({uint32_t(number), v, read, written});
    return v;
  }
  /// The same of one that grows along an axis of the model's: dims in stored order before a run, and after one that
  /// writes it.
  ViewId growing(const char *name, DType dtype, uint32_t axis, const std::vector<const char *> &before,
                 const std::vector<const char *> &after, bool read) {
    ViewId v = state(name, dtype, before, read, !after.empty());
    program.states[p.states.back().state].growing = axis;
    if (!after.empty())
      p.states.back().grown = view(p.views[v].buffer, dtype, dims(after));
    return v;
  }
  template <typename T> ViewId constant(const char *name, DType dtype, std::vector<int64_t> d, std::vector<T> values) {
    std::vector<SizeExpr> sizes(d.begin(), d.end());
    ViewId v = view(buffer(Buffer::Place::Constant, program.constants.size()), dtype, sizes);
    Constant c;
    c.name = name;
    c.dtype = dtype;
    c.dims = std::move(d);
    program.constants.push_back(c);
    std::vector<std::byte> bytes(values.size() * sizeof(T));
    std::memcpy(bytes.data(), values.data(), bytes.size());
    constants.push_back(std::move(bytes));
    return v;
  }
  /// A constant that does not lie in the weights section. Also for what is used by recipes only: its number is that of
  /// the last constant.
  template <typename Source> ViewId outside(DType dtype, std::vector<int64_t> d, Source source) {
    std::vector<SizeExpr> sizes(d.begin(), d.end());
    ViewId v = view(buffer(Buffer::Place::Constant, program.constants.size()), dtype, sizes);
    program.constants.push_back({"", dtype, std::move(d), std::move(source)});
    constants.emplace_back();
    return v;
  }
  uint32_t lastConstant() const { return uint32_t(program.constants.size() - 1); }
  ViewId temp(DType dtype, const std::vector<const char *> &d, Buffer::Place place = Buffer::Place::Arena) {
    ViewId v = view(buffer(place), dtype, dims(d));
    p.buffers[p.views[v].buffer].bytes = p.views[v].bytes();
    return v;
  }
  Step &call(const char *op, std::vector<ViewId> in, std::vector<ViewId> out, Attributes attributes = {}) {
    Step s;
    s.action = HostCallStep{op, std::move(attributes), std::move(in), std::move(out), 0, 0};
    s.node = std::string("node_") + op + "_" + std::to_string(p.steps.size());
    p.steps.push_back(std::move(s));
    return p.steps.back();
  }
  /// What a step returns, of dims that only it knows; `names` stand for them.
  ViewId returned(DType dtype, const std::vector<const char *> &names) {
    size_t index = 0;
    for (const Buffer &b : p.buffers)
      index += b.place == Buffer::Place::Returned;
    ViewId v = view(buffer(Buffer::Place::Returned, index), dtype, dims(names));
    p.views[v].open = true;
    return v;
  }
  /// An output whose dims only a called function knows.
  ViewId openOutput(const char *name, DType dtype, const std::vector<const char *> &names) {
    ViewId v = output(name, dtype, names);
    p.views[v].open = true;
    return v;
  }
  /// `bytes` become a kernel whose launches all begin at their start.
  KernelId kernel(std::span<const std::byte> bytes, const std::string &interface) {
    code.resize((code.size() + 63) / 64 * 64);
    Kernel k;
    k.family = "test";
    k.config = "{}";
    k.problem = "v1 default; test";
    Result<KernelInterface> parsed = KernelInterface::parse(interface);
    if (parsed.ok())
      k.interface = *parsed;
    else
      failure = formatError(parsed.status());
    k.codeOffset = code.size();
    k.codeBytes = bytes.size();
    k.entries.assign(k.interface.launches.size(), 0);
    code.insert(code.end(), bytes.begin(), bytes.end());
    program.kernels.push_back(k);
    return KernelId(program.kernels.size() - 1);
  }
  void step(Step action) {
    action.node = "node_" + std::to_string(p.steps.size());
    p.steps.push_back(std::move(action));
  }
  void launch(KernelId kernel, std::vector<ViewId> operands, std::vector<const char *> sizes = {}) {
    Step s;
    s.action = LaunchStep{kernel, std::move(operands), dims(sizes)};
    s.node = "node_launch_" + std::to_string(p.steps.size());
    p.steps.push_back(std::move(s));
  }

  std::vector<std::byte> bytes() {
    MemorySink sink;
    Status status = writeArtifact(
        finish(), code,
        [&](size_t i) -> Result<std::span<const std::byte>> { return std::span<const std::byte>(constants[i]); }, sink);
    if (!status.ok())
      failure = formatError(status);
    return {sink.bytes.begin(), sink.bytes.end()};
  }

  std::vector<std::byte> code;
  std::vector<std::vector<std::byte>> constants;
  std::string failure;
};

/// Two symbolic inputs, a constant, two host calls, a copy.
inline ProgramBuilder sampleProgram() {
  ProgramBuilder b;
  b.symbol("N", 0, 0, 1, 64);
  b.define("M", "N*2");
  ViewId x = b.input("x", DType::F32, {"N", "3"});
  ViewId y = b.input("y", DType::F32, {"N", "3"});
  ViewId out = b.output("out", DType::F32, {"N", "3"});
  ViewId twice = b.output("twice", DType::F32, {"N*3"});
  ViewId w = b.constant<float>("w", DType::F32, {3}, {1, 2, 3});
  ViewId t = b.temp(DType::F32, {"N", "3"});
  std::get<HostCallStep>(b.call("add", {x, y}, {t}).action).flops = *SizeExpr::parse("N*3");
  b.call("mul", {t, w}, {out}, Attributes{{"axis", int64_t(1)}});
  Step copy;
  copy.guards.push_back({*SizeExpr::parse("N"), 0, Condition::Relation::Above});
  copy.node = "copy";
  ViewId flat = b.view(b.p.views[t].buffer, DType::F32, b.dims({"N*3"}));
  copy.action = CopyStep{flat, twice};
  b.p.steps.push_back(copy);
  b.p.checks.push_back({*SizeExpr::parse("N"), 1, Condition::Relation::MultipleOf});
  return b;
}

} // namespace kiln::test
