#include "test/runtime/LoadProgram.h"
#include "test/runtime/Samples.h"

#include "runtime/exec/ExecutionContext.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <csignal>
#include <fstream>
#include <numeric>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace kiln;
using namespace kiln::test;

namespace {
std::string runError(ExecutionContext &context, const std::vector<TensorView> &inputs) {
  auto r = context.run(inputs);
  return r.ok() ? "ok" : formatError(r.status());
}
} // namespace

TEST_CASE("host calls and copies run over symbolic sizes") {
  ProgramBuilder b = sampleProgram();
  ExecutionContext context(load(b), 1);
  for (int64_t n : {1, 5, 64, 5}) {
    Tensor x = iota({n, 3}), y = iota({n, 3}, 100);
    std::vector<TensorView> in{x.view(), y.view()};
    auto out = context.run(in);
    INFO(formatError(out.status()));
    REQUIRE(out.ok());
    for (int64_t i = 0; i < n * 3; ++i) {
      float sum = float(i) + float(i + 100);
      REQUIRE((*out)[0].as<float>()[i] == sum * float(i % 3 + 1));
      REQUIRE((*out)[1].as<float>()[i] == sum);
    }
    CHECK((*out)[1].dims()[0] == n * 3);
  }
}

TEST_CASE("inputs that do not fit are named") {
  ProgramBuilder b = sampleProgram();
  ExecutionContext context(load(b), 1);
  Tensor good = iota({5, 3}), wide = iota({5, 4}), other = iota({6, 3}), many = iota({65, 3}), flat = iota({15}),
         none = iota({0, 3});
  Tensor ints = *Tensor::zeros(DType::I32, std::vector<int64_t>{5, 3});
  CHECK(runError(context, {good.view(), good.view()}) == "ok");
  CHECK(runError(context, {good.view()}) == "the model has 2 inputs, 1 were given [KILN-E0502]");
  CHECK(runError(context, {good.view(), {nullptr, DType::F32, good.dims()}}) == "input \"y\" is missing [KILN-E0502]");
  CHECK(runError(context, {ints.view(), good.view()}) == "input \"x\": expected f32[N,3], got i32[5,3] [KILN-E0503]");
  CHECK(runError(context, {flat.view(), good.view()}) == "input \"x\": expected f32[N,3], got f32[15] [KILN-E0504]");
  CHECK(runError(context, {good.view(), wide.view()}) ==
        "input \"y\": expected f32[N,3], got f32[5,4]: dim 1 is 4, expected 3 [KILN-E0505]");
  CHECK(runError(context, {good.view(), other.view()}) ==
        "input \"y\": expected f32[N,3], got f32[6,3]: dim 0 is 6, but N is "
        "bound to 5 by dim 0 of input \"x\" [KILN-E0506]");
  CHECK(runError(context, {many.view(), many.view()}) ==
        "input \"x\": expected f32[N,3], got f32[65,3]: N is 65, allowed is 1..64 [KILN-E0507]");
  CHECK(runError(context, {none.view(), none.view()}).find("E0507") != std::string::npos);
  TensorView crooked = good.view();
  crooked.data = static_cast<char *>(crooked.data) + 1;
  CHECK(runError(context, {good.view(), crooked}) == "input \"y\": its data is not aligned to 4 bytes [KILN-E0515]");
}

TEST_CASE("constraints are checked when inputs are bound") {
  auto failure = [](const char *lhs, Condition::Relation relation, const char *rhs) {
    ProgramBuilder b = sampleProgram();
    b.p.checks.push_back({*SizeExpr::parse(lhs), *SizeExpr::parse(rhs), relation});
    ExecutionContext context(load(b), 1);
    Tensor x = iota({5, 3});
    return runError(context, {x.view(), x.view()});
  };
  using Relation = Condition::Relation;
  CHECK(failure("N", Relation::MultipleOf, "5") == "ok");
  CHECK(failure("N", Relation::MultipleOf, "2") == "dim 0 of \"x\" is 5 (N); it must be a multiple of 2 [KILN-E0508]");
  CHECK(failure("N", Relation::MultipleOf, "N-5") ==
        "dim 0 of \"x\" is 5 (N); it must be a multiple of 0 [KILN-E0508]");
  CHECK(failure("N", Relation::Equal, "6") == "dim 0 of \"x\" is 5 (N); it must be 6 [KILN-E0508]");
  CHECK(failure("M", Relation::Equal, "N") ==
        "size M is 10 and dim 0 of \"x\" is 5 (N); they must be equal [KILN-E0508]");
  CHECK(failure("7", Relation::AtMost, "N") == "dim 0 of \"x\" is 5 (N); it must be at least 7 [KILN-E0508]");
  CHECK(failure("M", Relation::AtMost, "N") == "size M is 10; it must be at most 5 [KILN-E0508]");
  CHECK(failure("N", Relation::AtMost, "M") == "ok");
  CHECK(failure("N", Relation::Broadcast, "4") == "dim 0 of \"x\" is 5 (N); it must be 4 or 1 [KILN-E0508]");
  CHECK(failure("N", Relation::Above, "M") == "dim 0 of \"x\" is 5 (N); the model needs N > M [KILN-E0508]");
}

TEST_CASE("sizes that meet in a broadcast may be large") {
  ProgramBuilder b;
  b.symbol("N", 0, 0);
  b.symbol("K", 1, 0);
  ViewId x = b.input("a", DType::I8, {"N"}), y = b.input("b", DType::I8, {"K"});
  ViewId out = b.output("out", DType::I8, {"max(N,K)"});
  b.call("add", {x, y}, {out});
  b.p.checks.push_back({*SizeExpr::parse("N"), *SizeExpr::parse("K"), Condition::Relation::Broadcast});
  ExecutionContext context(load(b), 1);
  auto run = [&](int64_t n, int64_t k) {
    Tensor first = *Tensor::zeros(DType::I8, std::vector<int64_t>{n}),
           second = *Tensor::zeros(DType::I8, std::vector<int64_t>{k});
    return runError(context, {first.view(), second.view()});
  };
  CHECK(run(3000000, 3000000) == "ok");
  CHECK(run(3000000, 1) == "ok");
  CHECK(run(2, 3) ==
        "dim 0 of \"a\" is 2 (N) and dim 0 of \"b\" is 3 (K); they must be equal, or one of them 1 [KILN-E0508]");
}

TEST_CASE("outputs are bound or allocated") {
  ProgramBuilder b = sampleProgram();
  ExecutionContext context(load(b), 1);
  Tensor x = iota({2, 3}), mine = iota({2, 3});
  std::vector<TensorView> in{x.view(), x.view()};
  std::vector<OutputSlot> out(2);
  out[0].bound = mine.view();
  REQUIRE(context.run(in, out).ok());
  CHECK(!out[0].allocated.valid());
  CHECK(mine.as<float>()[5] == 30);
  CHECK(out[1].result().as<float>()[5] == 10);
  Tensor wrong = iota({3, 2});
  out[0].bound = wrong.view();
  CHECK(formatError(context.run(in, out)) ==
        "output \"out\": the result is f32[2,3], the given buffer f32[3,2] [KILN-E0509]");
}

/// a + b element by element, `grid` workgroups of one size each, worth several threads.
static std::string addInterface(const std::string &grid, const char *bytes = "1000000") {
  return "sizes [n]; in f32[n]; in f32[n]; out f32[n]; launch add(in0,in1,out0) grid [" + grid +
         "] scratch [0] flops [n] bytes [" + bytes + "]";
}

TEST_CASE("kernels run from the mapped code, alike on any number of threads") {
  ProgramBuilder b;
  b.program.target = "x86-64-v3";
  b.symbol("N", 0, 0);
  ViewId x = b.input("x", DType::F32, {"N", "100"}), out = b.output("sums", DType::F32, {"N"});
  ViewId t = b.temp(DType::F32, {"N", "100"}), mark = b.temp(DType::U8, {"N*4"}, Buffer::Place::Workspace);
  ViewId ones = b.constant<float>("ones", DType::F32, {100}, std::vector<float>(100, 1.f));
  ViewId row = b.temp(DType::F32, {"N", "100"});
  b.call("add", {x, ones}, {row});
  b.launch(b.kernel(kernelCode("AddF32"), "sizes [n]; in f32[n]; in f32[n]; out f32[n]; launch add(in0,in1,out0) grid "
                                          "[(n+399) floordiv 400] scratch [0] flops [n] bytes [1000000]"),
           {x, row, t}, {"N*100"});
  b.launch(b.kernel(kernelCode("RowSum"),
                    "sizes [columns,rows]; in f32[rows,columns]; out f32[rows]; workspace [rows*4]; "
                    "launch sum(in0,out0) grid [rows] scratch [64] flops [0] bytes [1000000]"),
           {t, out, mark}, {"100", "N"});
  auto model = load(b);
  ExecutionContext one(model, 1), four(model, 4);
  for (int64_t n : {1, 3, 200}) {
    Tensor in = iota({n, 100});
    std::vector<TensorView> views{in.view()};
    auto a = one.run(views), c = four.run(views);
    INFO(formatError(a.status()) << formatError(c.status()));
    REQUIRE((a.ok() && c.ok()));
    for (int64_t i = 0; i < n; ++i) {
      double want = 2 * (double(i) * 10000 + 4950) + 100;
      REQUIRE((*a)[0].as<float>()[i] == Approx(want));
      REQUIRE((*a)[0].as<float>()[i] == (*c)[0].as<float>()[i]);
    }
  }
  CHECK(one.lastInstance()->scratchBytes == 64);
  four.setProfiling(true);
  Tensor in = iota({8, 100});
  std::vector<TensorView> views{in.view()};
  REQUIRE(four.run(views).ok());
  CHECK(four.stepProfiles().size() == 3);
}

TEST_CASE("contexts of one model run side by side") {
  ProgramBuilder b;
  b.program.target = "x86-64-v3";
  b.symbol("N", 0, 0);
  ViewId x = b.input("x", DType::F32, {"N"}), out = b.output("y", DType::F32, {"N"});
  KernelId add = b.kernel(kernelCode("AddF32"), addInterface("64"));
  ViewId t = b.temp(DType::F32, {"N"}), u = b.temp(DType::F32, {"N"});
  b.launch(add, {x, x, t}, {"N"});
  b.launch(add, {t, x, u}, {"N"});
  b.launch(add, {u, t, out}, {"N"});
  auto model = load(b);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int k = 0; k < 4; ++k)
    threads.emplace_back([&, k] {
      ExecutionContext context(model, 3);
      for (int round = 0; round < 50; ++round) {
        int64_t n = 100 + (round * 7 + k) % 20;
        Tensor in = iota({n}, float(k));
        std::vector<TensorView> views{in.view()};
        auto r = context.run(views);
        for (int64_t i = 0; i < n; ++i)
          wrong += !r.ok() || (*r)[0].as<float>()[i] != 5 * (float(i) + float(k));
      }
    });
  for (auto &t : threads)
    t.join();
  CHECK(wrong == 0);
}

TEST_CASE("a failing step is named") {
  for (auto [status, text] : {std::pair{"1", "node \"node_launch_0\": an index is out of range [KILN-E0513]"},
                              std::pair{"7", "node \"node_launch_0\": the kernel reported error 7 [KILN-E0512]"}}) {
    ProgramBuilder b;
    b.program.target = "x86-64-v3";
    ViewId x = b.input("x", DType::F32, {"2"});
    b.launch(b.kernel(kernelCode("Fail"),
                      "sizes [status]; in f32[2]; launch fail(in0) grid [2] scratch [0] flops [0] bytes [8]"),
             {x}, {status});
    ExecutionContext context(load(b), 1);
    Tensor in = iota({2});
    CHECK(runError(context, {in.view()}) == text);
  }
  ProgramBuilder b;
  ViewId x = b.input("x", DType::F32, {"2"}), i = b.input("i", DType::I64, {"1"}), y = b.output("y", DType::F32, {"1"});
  b.call("gather", {x, i}, {y}, Attributes{{"axis", int64_t(0)}});
  ExecutionContext context(load(b), 1);
  Tensor in = iota({2}), index = *Tensor::of<int64_t>(DType::I64, {1}, std::vector<int64_t>{5});
  std::string error = runError(context, {in.view(), index.view()});
  CHECK(error.find("node \"node_gather_0\": ") == 0);
}

TEST_CASE("what this machine cannot run is refused at load") {
  ProgramBuilder b = sampleProgram();
  b.program.target = "x86-64-v9";
  CHECK(LoadedModel::create(*Artifact::fromBytes(b.bytes())).status().code() == ErrorCode::E0604);
  ProgramBuilder c = sampleProgram();
  std::get<HostCallStep>(c.p.steps[0].action).callee = "no_such_op";
  CHECK(formatError(LoadedModel::create(*Artifact::fromBytes(c.bytes())).status()) ==
        "node \"node_add_0\": this runtime has no operation 'no_such_op' [KILN-E0606]");
}

TEST_CASE("empty tensors and absent operands") {
  ProgramBuilder b;
  b.symbol("N", 0, 0);
  ViewId x = b.input("x", DType::F32, {"N"}), y = b.output("y", DType::F32, {"N"});
  b.call("neg", {x}, {y});
  ExecutionContext context(load(b), 1);
  std::vector<int64_t> dims{0};
  std::vector<TensorView> in{{nullptr, DType::F32, dims}};
  auto r = context.run(in);
  INFO(formatError(r.status()));
  CHECK(r.ok());
}

TEST_CASE("a launch site runs the variant that its guards choose") {
  ProgramBuilder b;
  b.symbol("N", 0, 0);
  ViewId x = b.input("x", DType::F32, {"N"}), y = b.output("y", DType::F32, {"N"});
  using Relation = Condition::Relation;
  SizeExpr n = SizeExpr::symbol("N");
  b.call("neg", {x}, {y}).guards = {{n, 1, Relation::Equal}};
  b.call("abs", {x}, {y}).guards = {{n, 1, Relation::NotEqual}, {n, 4, Relation::AtMost}};
  Step &last = b.call("sqrt", {x}, {y});
  last.guards = {{n, 4, Relation::Above}};
  std::get<HostCallStep>(last.action).flops = n;
  ExecutionContext context(load(b), 1);
  context.setProfiling(true);
  for (auto [size, want] : {std::pair<int64_t, float>{1, -16.f}, {3, 16.f}, {5, 4.f}}) {
    Tensor in = iota({size}, 16);
    std::vector<TensorView> views{in.view()};
    auto r = context.run(views);
    REQUIRE(r.ok());
    CHECK((*r)[0].as<float>()[0] == want);
    CHECK(context.stepProfiles().size() == 3);
    CHECK(context.lastInstance()->flops[2] == (size > 4 ? double(size) : 0));
    CHECK(countWork(b.finish(), b.p, {{"N", size}})->flops == (size > 4 ? double(size) : 0));
  }
}

TEST_CASE("what only a skipped step uses need not make sense") {
  ProgramBuilder b;
  b.symbol("N", 0, 0);
  ViewId x = b.input("x", DType::F32, {"N"}), y = b.output("y", DType::F32, {"N"});
  SizeExpr n = SizeExpr::symbol("N");
  // For N of 4 and less this has a negative size.
  ViewId t = b.temp(DType::F32, {"N-4"});
  ViewId head = b.view(b.p.views[x].buffer, DType::F32, b.dims({"N-4"}));
  b.call("neg", {head}, {t}).guards = {{n, 4, Condition::Relation::Above}};
  b.call("abs", {x}, {y});
  ExecutionContext context(load(b), 1);
  for (int64_t size : {2, 6}) {
    Tensor in = iota({size}, -1);
    std::vector<TensorView> views{in.view()};
    auto r = context.run(views);
    INFO(formatError(r.status()));
    REQUIRE(r.ok());
    CHECK((*r)[0].as<float>()[0] == 1);
  }
  b.p.steps[0].guards.clear();
  ExecutionContext unguarded(load(b), 1);
  Tensor in = iota({2});
  CHECK(runError(unguarded, {in.view()}) == "a dim is negative or overflows for the bound inputs (N = 2) [KILN-E0308]");
}

TEST_CASE("each launch of a kernel is split as its own work is worth") {
  ProgramBuilder b;
  b.program.target = "x86-64-v3";
  b.symbol("N", 0, 0);
  ViewId x = b.input("x", DType::F32, {"N"}), out = b.output("y", DType::F32, {"N"});
  ViewId work = b.temp(DType::U8, {"N*4"}, Buffer::Place::Workspace);
  // y = (x + x) + x, the first sum through the workspace.
  KernelId two = b.kernel(kernelCode("AddF32"),
                          "sizes [n]; in f32[n]; out f32[n]; workspace [n*4]; launch twice(in0,in0,workspace) grid [4] "
                          "scratch [0] flops [n] "
                          "bytes [n]; launch once(workspace,in0,out0) grid [4] scratch [0] flops [n] bytes [n*1000]");
  b.launch(two, {x, out, work}, {"N"});
  auto model = load(b);
  ExecutionContext one(model, 1), three(model, 3);
  for (int64_t n : {5, 1000}) {
    Tensor in = iota({n});
    std::vector<TensorView> views{in.view()};
    auto a = one.run(views), c = three.run(views);
    REQUIRE((a.ok() && c.ok()));
    CHECK(std::memcmp((*a)[0].data(), (*c)[0].data(), size_t(n) * sizeof(float)) == 0);
    CHECK((*a)[0].as<float>()[4] == 12);
    const std::vector<ResolvedLaunch> &launches = three.lastInstance()->launches;
    REQUIRE(launches.size() == 2);
    CHECK(!launches[0].parallel);
    CHECK(launches[1].parallel == (n == 1000));
    CHECK(three.lastInstance()->flops[0] == 2 * double(n));
  }
}

TEST_CASE("static plans use their own offsets") {
  ProgramBuilder b;
  ViewId x = b.input("x", DType::F32, {"1000"}), y = b.output("y", DType::F32, {"1000"});
  ViewId t = b.temp(DType::F32, {"1000"}), u = b.temp(DType::F32, {"1000"});
  b.call("neg", {x}, {t});
  b.call("abs", {t}, {u});
  b.call("sqrt", {u}, {y});
  b.p.buffers[b.p.views[t].buffer].offset = 64;
  b.p.buffers[b.p.views[u].buffer].offset = 4096;
  b.p.arenaBytes = 8128;
  auto model = load(b);
  ExecutionContext context(model, 1);
  Tensor in = iota({1000});
  std::vector<TensorView> views{in.view()};
  auto r = context.run(views);
  REQUIRE(r.ok());
  CHECK((*r)[0].as<float>()[999] == Approx(std::sqrt(999.0)));
  CHECK(context.lastInstance()->arenaBytes == 8128);
}

namespace {
/// One launch that adds `count` elements of a 64-element input to themselves, into a workspace of `room` elements.
ProgramBuilder launchInto(const char *room, const char *count) {
  ProgramBuilder b;
  b.program.target = "x86-64-v3";
  ViewId x = b.input("x", DType::F32, {"64"}), out = b.output("y", DType::F32, {"64"});
  ViewId work = b.temp(DType::F32, {room}, Buffer::Place::Workspace);
  KernelId into = b.kernel(kernelCode("AddF32"),
                           "sizes [n]; in f32[64]; workspace [12]; launch add(in0,in0,workspace) grid [1] scratch [0] "
                           "flops [n] bytes [n]");
  b.launch(into, {x, work}, {count});
  b.launch(b.kernel(kernelCode("AddF32"), addInterface("1")), {x, x, out}, {"64"});
  return b;
}
} // namespace

TEST_CASE("with guard pages results are the same") {
  ProgramBuilder b = sampleProgram();
  auto model = load(b);
  ExecutionContext plain(model, 1), guarded(model, 3);
  guarded.setGuardPages(true);
  for (int64_t n : {1, 64, 5, 5}) {
    Tensor x = iota({n, 3}), y = iota({n, 3}, 100);
    std::vector<TensorView> in{x.view(), y.view()};
    auto want = plain.run(in), got = guarded.run(in);
    INFO(formatError(got.status()));
    REQUIRE((want.ok() && got.ok()));
    for (size_t k = 0; k < 2; ++k)
      CHECK(std::memcmp((*got)[k].data(), (*want)[k].data(), size_t((*want)[k].bytes())) == 0);
  }
  CHECK(guarded.currentStep() == -1);
}

TEST_CASE("with guard pages a write beside a buffer names the step") {
  Tensor x = iota({64});
  std::vector<TensorView> in{x.view()};
  for (auto [count, text] : {std::pair("3", "ok"),
                             {"4", "node \"node_launch_0\": wrote outside buffer %2 of 12 "
                                   "bytes [KILN-E0905]"}}) {
    ProgramBuilder b = launchInto("3", count);
    auto model = load(b);
    ExecutionContext guarded(model, 1), plain(model, 1);
    guarded.setGuardPages(true);
    CHECK(runError(guarded, in) == text);
    CHECK(runError(plain, in) == "ok");
  }
}

TEST_CASE("with guard pages an access beyond a buffer is a fault") {
  Tensor x = iota({64});
  std::vector<TensorView> in{x.view()};
  ProgramBuilder b = launchInto("64", "65"); // one more than the input has
  auto model = load(b);
  for (bool guardPages : {false, true}) {
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
      std::signal(SIGSEGV, SIG_DFL);
      ExecutionContext context(model, 1);
      context.setGuardPages(guardPages);
      _exit(context.run(in).ok() ? 0 : 1);
    }
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK((WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV) == guardPages);
  }
}

TEST_CASE("with guard pages what nobody wrote is NaN") {
  ProgramBuilder b;
  b.program.target = "x86-64-v3";
  ViewId x = b.input("x", DType::F32, {"64"}), out = b.output("y", DType::F32, {"64"}), t = b.temp(DType::F32, {"64"});
  KernelId add = b.kernel(kernelCode("AddF32"), addInterface("1"));
  b.launch(add, {x, x, t}, {"60"});
  b.launch(add, {t, x, out}, {"64"});
  auto model = load(b);
  ExecutionContext context(model, 1);
  context.setGuardPages(true);
  Tensor input = iota({64});
  std::vector<TensorView> in{input.view()};
  auto result = context.run(in);
  REQUIRE(result.ok());
  for (int i = 0; i < 64; ++i)
    CHECK(std::isnan((*result)[0].as<float>()[i]) == (i >= 60));
}

TEST_CASE("a constant that is only reshaped is its source's memory where that is aligned for kernels") {
  ProgramBuilder b;
  ViewId x = b.input("x", DType::F32, {"4"}), y = b.output("y", DType::F32, {"4"});
  b.outside(DType::F32, {2, 2}, BoundSource{"w"});
  b.call("add", {x, b.outside(DType::F32, {4}, DerivedSource{0, *Recipe::parse("reshape[4]")})}, {y});
  std::shared_ptr<const LoadedModel> model = load(b);
  ExecutionContext context(model, 1);
  Tensor in = iota({4});
  std::vector<TensorView> inputs{in.view()};
  std::weak_ptr<const void> earlier;
  for (int64_t shift : {0, 1, 0}) { // elements from an aligned address
    auto memory = std::make_shared<Tensor>(iota({5}, float(10 * shift)));
    int64_t dims[] = {2, 2};
    TensorView w{memory->as<float>() + shift, DType::F32, dims};
    REQUIRE(model->bindConstants(std::vector<ConstantSet::Binding>{{0, w, memory}}).ok());
    CHECK(earlier.expired()); // by both constants
    earlier = memory;
    memory.reset();
    CHECK(!earlier.expired());
    auto *made = model->constants()->data(1, Buffer::Space::Host);
    CHECK((made == static_cast<const char *>(w.data)) == (shift == 0));
    CHECK(reinterpret_cast<uintptr_t>(made) % uintptr_t(bufferAlignment) == 0);
    for (bool guard : {false, true}) {
      context.setGuardPages(guard);
      auto out = context.run(inputs);
      REQUIRE(out.ok());
      for (int i = 0; i < 4; ++i)
        CHECK((*out)[0].as<float>()[i] == float(11 * shift + 2 * i));
    }
  }
}
