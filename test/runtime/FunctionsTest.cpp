// Programs of several functions: calls, branches, loops and sizes from data.
#include "test/runtime/LoadProgram.h"

#include "runtime/exec/ExecutionContext.h"

#include <catch2/catch.hpp>

#include <sstream>
#include <thread>

using namespace kiln;
using kiln::test::load;
using kiln::test::ProgramBuilder;

namespace {

Tensor floats(std::vector<int64_t> dims, std::vector<float> values) {
  return *Tensor::of<float>(DType::F32, std::move(dims), values);
}
Tensor integers(std::vector<int64_t> dims, std::vector<int64_t> values) {
  return *Tensor::of<int64_t>(DType::I64, std::move(dims), values);
}
Tensor boolean(bool value) { return *Tensor::of<uint8_t>(DType::Bool, {}, std::vector<uint8_t>{value}); }

std::vector<TensorView> viewsOf(const std::vector<Tensor> &tensors) {
  std::vector<TensorView> views;
  for (const Tensor &t : tensors)
    views.push_back(t.view());
  return views;
}

/// What the model gives, with guard pages and without: "2,4 [2]; ...", or the error.
template <typename... T> std::string run(ExecutionContext &context, T... tensors) {
  std::vector<Tensor> inputs;
  (inputs.push_back(std::move(tensors)), ...);
  std::string texts[2];
  for (bool guard : {false, true}) {
    context.setGuardPages(guard);
    std::vector<TensorView> views = viewsOf(inputs);
    Result<std::vector<Tensor>> results = context.run(views);
    std::string &text = texts[guard];
    if (!results.ok()) {
      text = formatError(results.status());
      continue;
    }
    for (const Tensor &r : *results) {
      for (int64_t i = 0; i < r.size(); ++i) {
        std::ostringstream os;
        r.dtype() == DType::F32 ? os << r.as<float>()[i] : os << r.as<int64_t>()[i];
        text += (i ? "," : "") + os.str();
      }
      text += (r.size() ? " " : "") + printTensorType(r.dtype(), r.dims()) + "; ";
    }
  }
  CHECK(texts[0] == texts[1]);
  return texts[0];
}
template <typename... T> std::string run(ProgramBuilder &b, T... tensors) {
  ExecutionContext context(load(b), 1);
  return run(context, std::move(tensors)...);
}

/// y = f(x) + x, where f negates through a buffer of its own and returns into the caller's arena.
ProgramBuilder nested() {
  ProgramBuilder b;
  b.symbol("N", 0, 0);
  ViewId x = b.input("x", DType::F32, {"N"}), y = b.output("y", DType::F32, {"N"});
  ViewId keep = b.temp(DType::F32, {"N"}), t = b.temp(DType::F32, {"N"});
  b.call("neg", {x}, {keep});
  b.step({CallStep{{1, {keep}, {}}, {t}}, "", {}});
  b.call("add", {t, keep}, {y}); // what the caller keeps outlives the callee's frame
  b.function("twice");
  b.symbol("M", 0, 0);
  ViewId in = b.input("in", DType::F32, {"M"}), out = b.output("out", DType::F32, {"M"});
  ViewId first = b.temp(DType::F32, {"M"}), second = b.temp(DType::F32, {"M"});
  b.call("neg", {in}, {first});
  b.call("neg", {first}, {second});
  b.call("add", {first, second}, {out});
  return b;
}

/// sum += x[i] for i < count, while sum < limit (as long as `conditional`); scans the sums.
ProgramBuilder summing(bool limited, bool conditional) {
  ProgramBuilder b;
  b.symbol("N", 0, 0);
  ViewId x = b.input("x", DType::F32, {"N"}), start = b.input("start", DType::F32, {});
  ViewId count = b.input("count", DType::I64, {}), first = b.input("first", DType::Bool, {});
  ViewId limit = b.input("limit", DType::F32, {});
  ViewId sum = b.output("sum", DType::F32, {});
  ViewId sums = b.openOutput("sums", DType::F32, {"k"});
  LoopStep loop;
  loop.body = {1, {x, limit}, {}};
  loop.count = limited ? count : noView;
  loop.condition = conditional ? first : noView;
  loop.initial = {start};
  loop.outputs = {sum, sums};
  b.step({loop, "", {}});
  b.function("body");
  b.symbol("M", 3, 0);
  ViewId i = b.input("i", DType::I64, {}), unused = b.input("c", DType::Bool, {}),
         carried = b.input("s", DType::F32, {});
  ViewId all = b.input("x", DType::F32, {"M"}), most = b.input("limit", DType::F32, {});
  (void)unused;
  ViewId next = b.output("next", DType::Bool, {}), out = b.output("out", DType::F32, {});
  ViewId scanned = b.output("scanned", DType::F32, {});
  ViewId item = b.temp(DType::F32, {});
  b.call("gather", {all, i}, {item}, Attributes{{"axis", int64_t(0)}});
  b.call("add", {carried, item}, {out});
  b.call("less", {out, most}, {next});
  b.step({CopyStep{out, scanned}, "", {}});
  return b;
}

} // namespace

TEST_CASE("a called function works above what its caller keeps") {
  ProgramBuilder b = nested();
  auto model = load(b);
  ExecutionContext context(model, 1);
  CHECK(run(context, floats({3}, {1, 2, 3})) == "-1,-2,-3 f32[3]; ");
  CHECK(run(context, floats({0}, {})) == "f32[0]; ");
  CHECK(run(context, floats({1}, {5})) == "-5 f32[1]; ");
  // A warm run allocates nothing more.
  int64_t arena = context.arenaBytes();
  CHECK(run(context, floats({3}, {1, 2, 3})) == "-1,-2,-3 f32[3]; ");
  CHECK(context.arenaBytes() == arena);
}

TEST_CASE("a callee that needs more memory leaves its caller's where it is") {
  ProgramBuilder b;
  b.symbol("N", 0, 0);
  ViewId x = b.input("x", DType::F32, {"N"}), y = b.output("y", DType::F32, {"N"}), z = b.output("z", DType::F32, {});
  ViewId t = b.temp(DType::F32, {"N"}); // not in use during the call
  b.step({CallStep{{1, {x}, {}}, {z}}, "", {}});
  b.call("neg", {x}, {t});
  b.call("neg", {t}, {y});
  b.function("large");
  b.symbol("M", 0, 0);
  ViewId in = b.input("in", DType::F32, {"M"}), out = b.output("out", DType::F32, {});
  ViewId many = b.temp(DType::F32, {"100000", "M"});
  b.call("expand", {in}, {many});
  b.call("reduce", {many}, {out},
         Attributes{{"kind", std::string("max")}, {"axes", std::vector<int64_t>{0, 1}}, {"keepdims", int64_t(0)}});
  ExecutionContext context(load(b), 1);
  for (int64_t n : {1, 5, 40}) {
    std::vector<float> values;
    std::string text;
    for (int64_t i = 0; i < n; ++i) {
      values.push_back(float(i));
      text += (i ? "," : "") + std::to_string(i);
    }
    CHECK(run(context, floats({n}, values)) ==
          text + " f32[" + std::to_string(n) + "]; " + std::to_string(n - 1) + " f32[]; ");
  }
}

TEST_CASE("a loop ends at its count, at its condition, or before it begins") {
  auto go = [](bool limited, bool conditional, int64_t count, bool first, float limit) {
    ProgramBuilder b = summing(limited, conditional);
    return run(b, floats({4}, {1, 2, 3, 4}), floats({}, {10}), integers({}, {count}), boolean(first),
               floats({}, {limit}));
  };
  CHECK(go(true, true, 4, true, 1000) == "20 f32[]; 11,13,16,20 f32[4]; ");
  CHECK(go(true, true, 2, true, 1000) == "13 f32[]; 11,13 f32[2]; ");
  CHECK(go(false, true, 0, true, 12) == "13 f32[]; 11,13 f32[2]; ");
  CHECK(go(true, false, 1, false, 1000) == "11 f32[]; 11 f32[1]; ");
  CHECK(go(true, true, 0, true, 1000) == "10 f32[]; f32[0]; ");
  CHECK(go(true, true, -1, true, 1000) == "10 f32[]; f32[0]; ");
  CHECK(go(true, true, 4, false, 1000) == "10 f32[]; f32[0]; ");
  // An error in an iteration names the nodes around it.
  CHECK(go(true, true, 9, true, 1000) ==
        "node \"node_0\": node \"node_gather_0\": gather: index 4 is out of range for axis 0 of size 4 [KILN-E0513]");
}

TEST_CASE("a carried value may change its size from iteration to iteration") {
  ProgramBuilder b;
  b.symbol("N", 0, 0);
  ViewId x = b.input("x", DType::F32, {"N"}), count = b.input("count", DType::I64, {});
  ViewId y = b.openOutput("y", DType::F32, {"m"});
  LoopStep loop;
  loop.body = {1, {}, {}};
  loop.count = count;
  loop.initial = {x};
  loop.outputs = {y};
  b.step({loop, "", {}});
  b.function("body");
  b.symbol("M", 2, 0);
  b.input("i", DType::I64, {});
  ViewId go = b.input("c", DType::Bool, {}), carried = b.input("s", DType::F32, {"M"});
  ViewId next = b.output("next", DType::Bool, {}), out = b.output("out", DType::F32, {"M*2"});
  b.step({CopyStep{go, next}, "", {}});
  b.call("concat", {carried, carried}, {out}, Attributes{{"axis", int64_t(0)}});
  auto model = load(b);
  ExecutionContext context(model, 1);
  CHECK(run(context, floats({1}, {3}), integers({}, {2})) == "3,3,3,3 f32[4]; ");
  CHECK(run(context, floats({1}, {3}), integers({}, {0})) == "3 f32[1]; ");
  // What varies in a loop does not fill the memory that contexts share; a limit holds it.
  context.setMemoryLimit(1 << 20);
  context.setGuardPages(false);
  std::vector<Tensor> inputs;
  inputs.push_back(floats({1}, {3}));
  inputs.push_back(integers({}, {40}));
  std::vector<TensorView> views = viewsOf(inputs);
  CHECK(formatError(context.run(views).status()) ==
        "node \"node_0\": out of memory: the run needs more than its limit of 1048576 bytes [KILN-E0510]");
}

TEST_CASE("what iterations make for themselves does not add up") {
  ProgramBuilder b;
  ViewId x = b.input("x", DType::F32, {}), count = b.input("count", DType::I64, {}), y = b.output("y", DType::F32, {});
  LoopStep loop;
  loop.body = {1, {}, {}};
  loop.count = count;
  loop.initial = {x};
  loop.outputs = {y};
  b.step({loop, "", {}});
  b.function("body");
  b.input("i", DType::I64, {});
  ViewId go = b.input("c", DType::Bool, {}), in = b.input("s", DType::F32, {});
  ViewId next = b.output("next", DType::Bool, {}), out = b.output("out", DType::F32, {});
  ViewId many = b.returned(DType::F32, {"k"});
  b.step({CopyStep{go, next}, "", {}});
  b.step({CallStep{{2, {in}, {}}, {many}}, "", {}});
  b.step({CallStep{{3, {many}, {}}, {out}}, "", {}});
  b.function("make");
  ViewId one = b.input("one", DType::F32, {}), all = b.output("all", DType::F32, {"1000"});
  b.call("expand", {one}, {all});
  b.function("use");
  b.symbol("K", 0, 0);
  ViewId given = b.input("given", DType::F32, {"K"}), most = b.output("most", DType::F32, {});
  b.call("reduce", {given}, {most},
         Attributes{{"kind", std::string("max")}, {"axes", std::vector<int64_t>{0}}, {"keepdims", int64_t(0)}});
  auto model = load(b);
  ExecutionContext context(model, 1);
  context.setMemoryLimit(64 << 10);
  CHECK(run(context, floats({}, {7}), integers({}, {1000})) == "7 f32[]; ");
}

TEST_CASE("branches give one result, of sizes that may differ") {
  ProgramBuilder b;
  b.symbol("N", 1, 0);
  ViewId condition = b.input("c", DType::Bool, {}), x = b.input("x", DType::F32, {"N"});
  ViewId same = b.output("same", DType::F32, {"N"});
  ViewId open = b.openOutput("open", DType::F32, {"m"});
  ViewId between = b.returned(DType::F32, {"m"});
  b.step({IfStep{condition, {1, {x}, {}}, {2, {x}, {}}, {same, between}}, "", {}});
  b.step({CallStep{{3, {between}, {}}, {open}}, "", {}});
  for (bool then : {true, false}) {
    b.function(then ? "then" : "otherwise");
    b.symbol("N", 0, 0);
    ViewId in = b.input("x", DType::F32, {"N"}), first = b.output("first", DType::F32, {"N"});
    ViewId second = b.output("second", DType::F32, {then ? "N" : "N*2"});
    b.call(then ? "neg" : "abs", {in}, {first});
    if (then)
      b.call("neg", {in}, {second});
    else
      b.call("concat", {in, in}, {second}, Attributes{{"axis", int64_t(0)}});
  }
  b.function("after");
  b.symbol("K", 0, 0);
  ViewId in = b.input("in", DType::F32, {"K"}), out = b.output("out", DType::F32, {"K"});
  b.call("exp", {in}, {out});
  CHECK(run(b, boolean(true), floats({1}, {0})) == "-0 f32[1]; 1 f32[1]; ");
  CHECK(run(b, boolean(false), floats({1}, {0})) == "0 f32[1]; 1,1 f32[2]; ");
}

TEST_CASE("a host call returns what only its kernel knows the dims of") {
  ProgramBuilder b;
  b.symbol("N", 0, 0);
  ViewId x = b.input("x", DType::F32, {"N"}), y = b.openOutput("y", DType::I64, {"1", "k"});
  ViewId total = b.openOutput("total", DType::I64, {"m"}), found = b.returned(DType::I64, {"1", "k"});
  b.call("nonzero", {x}, {y});
  b.call("nonzero", {x}, {found});
  b.step({CallStep{{1, {found}, {}}, {total}}, "", {}});
  b.function("rest");
  b.symbol("K", 0, 1);
  ViewId in = b.input("in", DType::I64, {"1", "K"}), out = b.output("out", DType::I64, {"K"});
  b.call("reduce", {in}, {out},
         Attributes{{"kind", std::string("sum")}, {"axes", std::vector<int64_t>{0}}, {"keepdims", int64_t(0)}});
  auto model = load(b);
  ExecutionContext context(model, 1);
  CHECK(run(context, floats({4}, {0, 5, 0, 7})) == "1,3 i64[1,2]; 1,3 i64[2]; ");
  CHECK(run(context, floats({2}, {0, 0})) == "i64[1,0]; i64[0]; ");

  Tensor some = floats({4}, {0, 5, 0, 7}), more = floats({4}, {1, 5, 0, 7}), mine = integers({1, 2}, {0, 0});
  std::vector<OutputSlot> slots(2);
  slots[0].bound = mine.view();
  REQUIRE(context.run(std::vector<TensorView>{some.view()}, slots).ok());
  CHECK(mine.as<int64_t>()[1] == 3);
  CHECK(formatError(context.run(std::vector<TensorView>{more.view()}, slots)) ==
        "node \"node_nonzero_0\": output \"y\": the result is i64[1,3], the given buffer i64[1,2] [KILN-E0509]");
}

TEST_CASE("dims that the model excludes are no result of a host call") {
  ProgramBuilder b;
  b.symbol("N", 0, 0);
  ViewId x = b.input("x", DType::F32, {"N"});
  b.call("nonzero", {x}, {b.openOutput("y", DType::I64, {"2", "k"})});
  CHECK(run(b, floats({2}, {0, 1})) ==
        "node \"node_nonzero_0\": result 0 is i64[1,1], which the model excludes [KILN-E0517]");
}

TEST_CASE("a size from data is handed to the function that goes on with it") {
  ProgramBuilder b;
  b.symbol("N", 0, 0);
  ViewId x = b.input("x", DType::F32, {"N"}), shape = b.input("shape", DType::I64, {"2"});
  ViewId y = b.openOutput("y", DType::F32, {"a", "b"});
  ViewId sum = b.temp(DType::I64, {"2"});
  b.call("add", {shape, shape}, {sum});
  b.step({CallStep{{1, {x}, {{0, sum, 0}, {0, sum, 1}, {SizeExpr::symbol("N"), noView, 0}}}, {y}}, "", {}});
  b.function("rest");
  b.symbol("N", 0, 0);
  for (int32_t i = 0; i < 3; ++i) {
    ProgramSymbol s;
    s.name = std::string(1, char('A' + i));
    s.parameter = i;
    s.high = 100;
    b.p.symbols.push_back(s);
  }
  b.p.checks.push_back({*SizeExpr::parse("A*B"), SizeExpr::symbol("N"), Condition::Relation::Equal});
  ViewId in = b.input("in", DType::F32, {"N"}), out = b.output("out", DType::F32, {"A", "B"});
  ViewId reshaped = b.view(b.p.views[in].buffer, DType::F32, b.dims({"A", "B"}));
  b.call("neg", {reshaped}, {out});
  CHECK(run(b, floats({8}, {1, 2, 3, 4, 5, 6, 7, 8}), integers({2}, {1, 2})) == "-1,-2,-3,-4,-5,-6,-7,-8 f32[2,4]; ");
  CHECK(run(b, floats({8}, {1, 2, 3, 4, 5, 6, 7, 8}), integers({2}, {1, 1})) ==
        "node \"node_1\": size A*B is 4 and dim 0 of input \"x\" is 8 (N); they must be equal [KILN-E0508]");
  CHECK(run(b, floats({0}, {}), integers({2}, {-1, 0})) ==
        "node \"node_1\": size A is -2, allowed is 0..100 [KILN-E0507]");
}

TEST_CASE("a run is cancelled before its next step") {
  // An endless loop.
  ProgramBuilder b;
  ViewId x = b.input("x", DType::F32, {}), y = b.output("y", DType::F32, {});
  LoopStep loop;
  loop.body = {1, {}, {}};
  loop.initial = {x};
  loop.outputs = {y};
  b.step({loop, "", {}});
  b.function("body");
  b.input("i", DType::I64, {});
  ViewId go = b.input("c", DType::Bool, {}), in = b.input("s", DType::F32, {});
  ViewId next = b.output("next", DType::Bool, {}), out = b.output("out", DType::F32, {});
  b.step({CopyStep{go, next}, "", {}});
  b.call("neg", {in}, {out});
  ExecutionContext context(load(b), 1);
  std::thread other([&] {
    while (context.currentStep() < 1)
      std::this_thread::yield();
    context.cancel();
  });
  Tensor value = floats({}, {1});
  std::vector<TensorView> views{value.view()};
  Status status = context.run(views).status();
  other.join();
  CHECK(status.code() == ErrorCode::E0518);
  CHECK(context.currentStep() == -1);
}

TEST_CASE("calls that do not fit their functions are refused") {
  auto refuse = [](auto change, ProgramBuilder b) {
    Program program = b.finish();
    change(program, program.functions[0]);
    Status status = checkProgram(program, 0);
    INFO(formatError(status));
    CHECK(status.code() == ErrorCode::E0905);
  };
  auto callOf = [](Function &f) -> CallStep & { return std::get<CallStep>(f.steps[1].action); };
  refuse([&](Program &, Function &f) { callOf(f).callee.function = 0; }, nested());
  refuse([&](Program &, Function &f) { callOf(f).callee.function = 2; }, nested());
  refuse([&](Program &, Function &f) { callOf(f).callee.inputs.clear(); }, nested());
  refuse([&](Program &, Function &f) { callOf(f).outputs.push_back(0); }, nested());
  refuse([&](Program &, Function &f) { callOf(f).callee.sizes.push_back({}); }, nested());
  refuse([&](Program &p, Function &) { p.functions[1].views[0].dtype = DType::I64; }, nested());
  refuse([&](Program &p, Function &) { p.entries.clear(); }, nested());
  refuse([&](Program &p, Function &) { p.entries.push_back(p.entries[0]); }, nested());
  refuse([&](Program &p, Function &) { p.functions[1].outputs[0].view = 99; }, nested());
  auto loopOf = [](Function &f) -> LoopStep & { return std::get<LoopStep>(f.steps[0].action); };
  refuse([&](Program &, Function &f) { loopOf(f).count = loopOf(f).initial[0]; }, summing(true, true));
  refuse([&](Program &, Function &f) { loopOf(f).initial.clear(); }, summing(true, true));
  refuse([&](Program &, Function &f) { loopOf(f).outputs.pop_back(); }, summing(true, true));
  refuse(
      [&](Program &, Function &f) {
        f.views[f.outputs[0].view].open = true;
        f.steps.push_back({CopyStep{0, f.outputs[0].view}, "", {}});
      },
      summing(true, true));
}
