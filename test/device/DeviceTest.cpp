#include "test/device/TestDevice.h"
#include "test/runtime/Checksums.h"
#include "test/runtime/Samples.h"
#include "test/runtime/TestProgram.h"

#include "runtime/exec/ExecutionContext.h"
#include "runtime/plan/Transfers.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <random>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace kiln;
using namespace kiln::test;

namespace {

const char *const addition =
    "sizes [n]; in f32[n]; in f32[n]; out f32[n]; launch add(in0,in1,out0) grid [4] scratch [0] "
    "flops [n] bytes [12*n]";
const char *const rowSum = "sizes [n,r]; in f32[r,n]; out f32[r]; workspace [4*r]; launch sum(in0,out0) grid "
                           "[r] scratch [64] flops [n] bytes [4*n]";

const char *const failing =
    "sizes [status]; in f32[4]; out f32[4]; launch fail(in0,out0) grid [2] scratch [0] flops [0] bytes [0]";

/// x[N] + x -> a, on the device; -a -> h, on the host; a + h + w -> y, on the device: w.
struct Sample : ProgramBuilder {
  KernelId add;
  Sample() {
    program.target = "x86-64-v3";
    add = kernel(kernelCode("AddF32"), addition);
  }
  void body() {
    symbol("N", 0, 0);
    ViewId x = input("x", DType::F32, {"N"}), y = output("y", DType::F32, {"N"});
    ViewId a = temp(DType::F32, {"N"}), h = temp(DType::F32, {"N"}), b = temp(DType::F32, {"N"});
    launch(add, {x, x, a}, {"N"});
    call("neg", {a}, {h});
    launch(add, {h, a, b}, {"N"});
    launch(add, {b, x, y}, {"N"});
  }
};

Result<std::shared_ptr<const LoadedModel>> tryLoad(ProgramBuilder &b, Device &device, bool move = true) {
  Program program = b.finish();
  if (move)
    moveToDevice(program, "test");
  MemorySink sink;
  KILN_TRY(writeArtifact(
      program, b.code,
      [&](size_t i) -> Result<std::span<const std::byte>> { return std::span<const std::byte>(b.constants[i]); },
      sink));
  KILN_ASSIGN(std::shared_ptr<const Artifact> artifact, Artifact::fromBytes(sink.bytes));
  return LoadedModel::create(artifact, device);
}

std::shared_ptr<const LoadedModel> load(ProgramBuilder &b, Device &device) {
  auto model = tryLoad(b, device);
  INFO(formatError(model.status()));
  REQUIRE(model.ok());
  return *model;
}

/// For TestDevice::refuse: refuses what comes after `left` operations.
Status refuseAfter(int64_t &left, bool throws) {
  if (left-- > 0)
    return Status();
  if (throws)
    throw std::bad_alloc();
  return makeError(ErrorCode::E0510, "no more");
}

/// The signal that a child dies of that does `action`.
template <typename F> int signalOf(F action) {
  pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGSEGV, SIG_DFL);
    action();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

} // namespace

TEST_CASE("the host cannot touch device memory, and nothing happens before somebody waits") {
  TestDevice device;
  Device::Memory memory = *device.allocate(16);
  CHECK(signalOf([&] { *static_cast<volatile char *>(memory.data) = 1; }) == SIGSEGV);
  CHECK(signalOf([&] { (void)*static_cast<volatile char *>(memory.data); }) == SIGSEGV);

  std::unique_ptr<Queue> queue = device.makeQueue();
  float source[4] = {1, 2, 3, 4}, result[4] = {};
  CHECK(queue->copyToDevice(memory.data, source, 16).ok());
  CHECK(queue->copyToHost(result, memory.data, 16).ok());
  CHECK(std::isnan(result[0])); // too early
  CHECK(queue->wait().ok());
  CHECK(result[3] == 4);
  CHECK(signalOf([&] { (void)*static_cast<volatile char *>(memory.data); }) == SIGSEGV);

  CHECK(queue->copyToDevice(memory.data, source, 16).ok());
  source[0] = 5; // too early
  CHECK(formatError(queue->wait()) == "host memory was written before the device had read it [KILN-E0905]");
  CHECK(queue->wait().ok());
  device.free(memory);
}

TEST_CASE("launches work in device memory, host calls in the host's, and copies lie between them") {
  TestDevice device;
  Sample s;
  s.body();
  ExecutionContext context(load(s, device), 4);
  TransferBytes planned = transfersOf(context.model().program().functions[0]);
  CHECK(planned.toDevice.print() == "N*8"); // x and -a
  CHECK(planned.toHost.print() == "N*8");   // a and y
  for (int64_t n : {1000, 7, 5000, 0, 7}) {
    int64_t toDevice = device.counts.bytesToDevice, toHost = device.counts.bytesToHost;
    Tensor x = iota({n}, 1);
    std::vector<TensorView> in{x.view()};
    auto out = context.run(in);
    INFO(formatError(out.status()));
    REQUIRE(out.ok());
    for (int64_t i = 0; i < n; ++i)
      REQUIRE((*out)[0].as<float>()[i] == float(i + 1));
    CHECK(context.bytesToDevice() == 8 * n);
    CHECK(context.bytesToHost() == 8 * n);
    CHECK(device.counts.bytesToDevice - toDevice == 8 * n);
    CHECK(device.counts.bytesToHost - toHost == 8 * n);
  }
}

TEST_CASE("scratch and workspaces are the device's") {
  TestDevice device;
  ProgramBuilder b;
  b.program.target = "x86-64-v3";
  KernelId sum = b.kernel(kernelCode("RowSum"), rowSum);
  b.symbol("N", 0, 0);
  ViewId x = b.input("x", DType::F32, {"N", "100"}), y = b.output("y", DType::F32, {"N"});
  b.launch(sum, {x, y, b.temp(DType::U8, {"N*4"}, Buffer::Place::Workspace)}, {"100", "N"});
  ExecutionContext context(load(b, device), 2);
  for (int64_t n : {3, 300}) {
    Tensor in = iota({n, 100});
    std::vector<TensorView> inputs{in.view()};
    auto out = context.run(inputs);
    INFO(formatError(out.status()));
    REQUIRE(out.ok());
    for (int64_t i = 0; i < n; ++i)
      REQUIRE((*out)[0].as<float>()[i] == float(100 * 100 * i + 4950));
  }
}

TEST_CASE("constants are put on a device once for each loaded model, and given back with it") {
  TestDevice device;
  {
    Sample s;
    s.symbol("N", 0, 0, 3, 3);
    ViewId x = s.input("x", DType::F32, {"N"}), y = s.output("y", DType::F32, {"N"}),
           z = s.output("z", DType::F32, {"3"});
    ViewId w = s.constant<float>("w", DType::F32, {3}, {1, 2, 3}),
           v = s.constant<float>("v", DType::F32, {3}, {4, 5, 6});
    s.launch(s.add, {x, w, y}, {"3"});
    s.call("add", {w, v}, {z});
    auto model = load(s, device);
    CHECK(device.counts.bytesToDevice == 12); // w
    Tensor in = iota({3});
    std::vector<TensorView> inputs{in.view()};
    for (int i = 1; i <= 2; ++i) {
      ExecutionContext context(model, 1);
      auto out = context.run(inputs);
      REQUIRE(out.ok());
      CHECK((*out)[0].as<float>()[2] == 5);
      CHECK((*out)[1].as<float>()[2] == 9);
      CHECK(device.counts.bytesToDevice == 12 + 12 * i);
    }
    CHECK(device.bytesHeld() > 0);
  }
  CHECK(device.bytesHeld() == 0);
}

TEST_CASE("a launch that fails later is reported by its own node, once") {
  TestDevice device;
  Sample s;
  KernelId fail = s.kernel(kernelCode("Fail"), failing);
  s.symbol("N", 0, 0);
  ViewId x = s.input("x", DType::F32, {"N"}), y = s.output("y", DType::F32, {"4"}), n = s.input("n", DType::F32, {"4"});
  ViewId a = s.temp(DType::F32, {"4"}), h = s.temp(DType::F32, {"4"});
  (void)x;
  s.launch(fail, {n, a}, {"N"});
  s.launch(s.add, {n, n, a}, {"4"});
  s.call("neg", {a}, {h});
  s.launch(s.add, {h, h, y}, {"4"});
  ExecutionContext context(load(s, device), 1);
  auto run = [&](int64_t status) {
    Tensor first = iota({status}), second = iota({4});
    std::vector<TensorView> inputs{first.view(), second.view()};
    return formatError(context.run(inputs).status());
  };
  for (bool profiling : {false, true}) {
    context.setProfiling(profiling);
    CHECK(run(0) == "");
    CHECK(run(1) == "node \"node_launch_0\": an index is out of range [KILN-E0513]");
    CHECK(run(7) == "node \"node_launch_0\": the kernel reported error 7 [KILN-E0512]");
    CHECK(run(0) == "");
  }
}

TEST_CASE("a launch that fails later is reported by its own node, whichever function waits") {
  TestDevice device;
  Sample s;
  KernelId fail = s.kernel(kernelCode("Fail"), failing);
  s.symbol("N", 0, 0);
  s.symbol("M", 1, 0);
  s.input("x", DType::F32, {"N"});
  ViewId z = s.input("z", DType::F32, {"M"}), n = s.input("n", DType::F32, {"4"}), y = s.output("y", DType::F32, {"4"});
  ViewId a = s.temp(DType::F32, {"4"}), h = s.temp(DType::F32, {"4"}), b = s.temp(DType::F32, {"4"}),
         c = s.temp(DType::F32, {"4"});
  s.launch(s.add, {n, n, a}, {"4"});
  s.call("neg", {a}, {h}); // after it no copy is under way: the call waits for nothing
  s.launch(fail, {n, b}, {"N"});
  s.step({CallStep{{1, {z, h}, {}}, {c}}, "", {}});
  s.launch(s.add, {b, c, y}, {"4"});
  s.function("callee");
  s.symbol("M", 0, 0);
  s.input("z", DType::F32, {"M"});
  ViewId v = s.input("v", DType::F32, {"4"}), w = s.output("w", DType::F32, {"4"}), t = s.temp(DType::F32, {"4"});
  s.launch(fail, {v, t}, {"M"});
  s.launch(s.add, {v, t, w}, {"4"});
  s.p.steps[0].node = "inner";
  ExecutionContext context(load(s, device), 1);
  auto run = [&](int64_t caller, int64_t callee) {
    Tensor first = iota({caller}), second = iota({callee}), third = iota({4});
    std::vector<TensorView> inputs{first.view(), second.view(), third.view()};
    return formatError(context.run(inputs).status());
  };
  for (bool profiling : {false, true}) {
    context.setProfiling(profiling);
    CHECK(run(1, 0) == "node \"node_launch_2\": an index is out of range [KILN-E0513]");
    CHECK(run(0, 1) == "node \"inner\": an index is out of range [KILN-E0513]");
    CHECK(run(1, 7) == "node \"node_launch_2\": an index is out of range [KILN-E0513]");
    CHECK(run(0, 0) == "");
  }
}

TEST_CASE("what a device refuses ends the run, after it has done what it was given") {
  TestDevice device;
  Sample s;
  s.body();
  ExecutionContext context(load(s, device), 1);
  Tensor x = iota({100}, 1);
  std::vector<TensorView> in{x.view()};
  int64_t left = INT64_MAX;
  bool throws = false;
  device.refuse = [&] { return refuseAfter(left, throws); };
  std::vector<std::string> errors;
  for (bool ended = false; !ended;) {
    int64_t taken = int64_t(errors.size());
    left = taken;
    throws = false;
    Status status = context.run(in).status();
    CHECK(device.pending == 0);
    if ((ended = status.ok()))
      continue;
    errors.push_back(formatError(status));
    left = taken;
    throws = true;
    CHECK_THROWS_AS(context.run(in), std::bad_alloc);
    CHECK(device.pending == 0);
  }
  std::vector<std::string> nodes{"node_launch_0", "node_launch_0", "node_neg_1", "node_launch_2",
                                 "node_launch_2", "node_launch_3", "y"};
  REQUIRE(errors.size() == nodes.size()); // four copies, three launches
  for (size_t i = 0; i < nodes.size(); ++i)
    CHECK(errors[i] == "node \"" + nodes[i] + "\": no more [KILN-E0510]");
  left = INT64_MAX;
  auto out = context.run(in);
  REQUIRE(out.ok());
  CHECK(std::equal(x.as<float>(), x.as<float>() + x.size(), (*out)[0].as<float>()));
}

TEST_CASE("a device that refuses constants makes loading and binding fail, after it has done what it was given") {
  TestDevice device;
  Sample s;
  ViewId x = s.input("x", DType::F32, {"4"}), y = s.output("y", DType::F32, {"4"}), a = s.temp(DType::F32, {"4"}),
         b = s.temp(DType::F32, {"4"}), c = s.temp(DType::F32, {"4"});
  s.launch(s.add, {x, s.constant<float>("v", DType::F32, {4}, {1, 1, 1, 1}), a}, {"4"});
  s.launch(s.add, {a, s.constant<float>("w", DType::F32, {4}, {2, 2, 2, 2}), b}, {"4"});
  s.launch(s.add, {b, s.outside(DType::F32, {4}, BoundSource{"p"}), c}, {"4"});
  s.launch(s.add, {c, s.outside(DType::F32, {4}, BoundSource{"q"}), y}, {"4"});
  int64_t left = 0;
  bool throws = false;
  device.refuse = [&] { return refuseAfter(left, throws); };
  left = 1;
  CHECK(formatError(tryLoad(s, device).status()) == "no more [KILN-E0510]");
  CHECK(device.pending == 0);
  left = 2;
  std::shared_ptr<const LoadedModel> model = load(s, device);
  Tensor p = iota({4}), q = iota({4}, 10);
  std::vector<ConstantSet::Binding> bindings{{2, p.view(), nullptr}, {3, q.view(), nullptr}};
  for (bool thrown : {false, true}) {
    left = 1;
    throws = thrown;
    if (throws)
      CHECK_THROWS_AS(model->bindConstants(bindings), std::bad_alloc);
    else
      CHECK(formatError(model->bindConstants(bindings)) == "no more [KILN-E0510]");
    CHECK(device.pending == 0);
    CHECK(!model->constants()->isBound(2));
  }
  left = 1000;
  CHECK(model->bindConstants(bindings).ok());
  Tensor in = iota({4}, 100);
  std::vector<TensorView> inputs{in.view()};
  auto out = ExecutionContext(model, 1).run(inputs);
  REQUIRE(out.ok());
  CHECK((*out)[0].as<float>()[3] == 103 + 1 + 2 + 3 + 13);
}

TEST_CASE("functions that launch, called again and again, use the frames above their callers'") {
  TestDevice device;
  Sample s;
  s.symbol("N", 0, 0);
  ViewId x = s.input("x", DType::F32, {"N"}), count = s.input("count", DType::I64, {}),
         y = s.output("y", DType::F32, {"N"});
  ViewId kept = s.temp(DType::F32, {"N"}), end = s.temp(DType::F32, {"N"});
  s.launch(s.add, {x, x, kept}, {"N"});
  LoopStep loop;
  loop.body.function = 1;
  loop.count = count;
  loop.initial = {x};
  loop.outputs = {end};
  Step step;
  step.action = loop;
  s.step(step);
  s.launch(s.add, {kept, end, y}, {"N"});
  s.function("body");
  s.symbol("M", 2, 0);
  s.input("i", DType::I64, {});
  ViewId condition = s.input("c", DType::Bool, {});
  ViewId v = s.input("v", DType::F32, {"M"}), next = s.output("next", DType::Bool, {}),
         w = s.output("w", DType::F32, {"M"});
  ViewId t = s.temp(DType::F32, {"M"});
  s.step({CopyStep{condition, next}, "", {}});
  s.launch(s.add, {v, v, t}, {"M"});
  s.call("neg", {t}, {w});
  ExecutionContext context(load(s, device), 1);
  for (int64_t trips : {3, 0, 12}) {
    Tensor in = iota({100}), n = *Tensor::of<int64_t>(DType::I64, {}, std::array{trips});
    std::vector<TensorView> inputs{in.view(), n.view()};
    auto out = context.run(inputs);
    INFO(formatError(out.status()));
    REQUIRE(out.ok());
    for (int i = 0; i < 100; ++i)
      REQUIRE((*out)[0].as<float>()[i] == float(i) * float(2 + std::pow(-2, double(trips))));
    CHECK(context.bytesToDevice() == 400 * (2 + trips));
    CHECK(context.bytesToHost() == 400 * (1 + trips));
  }
}

TEST_CASE("contexts on several threads share a device") {
  TestDevice device;
  Sample s;
  s.body();
  auto model = load(s, device);
  std::atomic<int> right{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      ExecutionContext context(model, 1);
      for (int64_t n = 1; n <= 50; ++n) {
        Tensor x = iota({n * 37 + t}, 1);
        std::vector<TensorView> in{x.view()};
        auto out = context.run(in);
        right += out.ok() && std::equal(x.as<float>(), x.as<float>() + x.size(), (*out)[0].as<float>());
      }
    });
  for (std::thread &thread : threads)
    thread.join();
  CHECK(right == 200);
}

TEST_CASE("a program runs on the device that it was compiled for, without guard pages, within a memory limit") {
  TestDevice device;
  Sample s;
  s.body();
  CHECK(formatError(tryLoad(s, cpuDevice()).status()) ==
        "the artifact is compiled for device \"test\", not for the CPU [KILN-E0604]");
  CHECK(formatError(tryLoad(s, device, false).status()) ==
        "the artifact is compiled for the CPU, not for device \"test\" [KILN-E0604]");
  ExecutionContext context(load(s, device), 1);
  Tensor x = iota({5000});
  std::vector<TensorView> in{x.view()};
  context.setMemoryLimit(30000);
  CHECK(formatError(context.run(in).status()) ==
        "out of memory: the run needs more than its limit of 30000 bytes [KILN-E0510]");
  context.setMemoryLimit(0);
  CHECK(context.run(in).ok());
  context.setGuardPages(true);
  CHECK(formatError(context.run(in).status()) == "guard pages are for the CPU, not for device \"test\" [KILN-E0704]");
}

namespace {

/// y[4] = x + transposed w, on the device; h[2,2] = -w, on the host; w is bound.
struct BoundSample : Sample {
  BoundSample() {
    ViewId x = input("x", DType::F32, {"4"}), y = output("y", DType::F32, {"4"}),
           h = output("h", DType::F32, {"2", "2"});
    ViewId raw = outside(DType::F32, {2, 2}, BoundSource{"w"});
    ViewId turned = outside(DType::F32, {4}, DerivedSource{0, *Recipe::parse("permute[1,0]; reshape[4]")});
    launch(add, {x, turned, y}, {"4"});
    call("neg", {raw}, {h});
  }
};

} // namespace

TEST_CASE("bound constants and what is made of them have memory on the device, one set for a run") {
  TestDevice device;
  BoundSample s;
  std::shared_ptr<const LoadedModel> model = load(s, device);
  ExecutionContext context(model, 1);
  Tensor in = iota({4}, 10);
  std::vector<TensorView> inputs{in.view()};
  CHECK(formatError(context.run(inputs).status()) == "constants are not bound: \"w\" [KILN-E0524]");
  for (float start : {0.f, 100.f}) {
    Tensor w = iota({2, 2}, start);
    std::vector<ConstantSet::Binding> bindings{{0, w.view(), nullptr}};
    int64_t before = device.counts.bytesToDevice;
    REQUIRE(model->bindConstants(bindings).ok());
    CHECK(device.counts.bytesToDevice - before == 16); // what launches read
    auto out = context.run(inputs);
    INFO(formatError(out.status()));
    REQUIRE(out.ok());
    const float order[4] = {0, 2, 1, 3};
    for (int i = 0; i < 4; ++i) {
      CHECK((*out)[0].as<float>()[i] == 10 + float(i) + start + order[i]);
      CHECK((*out)[1].as<float>()[i] == -(start + float(i)));
    }
  }
}

TEST_CASE("a run sees one set of constants on the device, whoever binds others meanwhile") {
  TestDevice device;
  BoundSample s;
  std::shared_ptr<const LoadedModel> model = load(s, device);
  auto bind = [&](float c) {
    auto w = std::make_shared<Tensor>(*Tensor::create(DType::F32, std::vector<int64_t>{2, 2}));
    std::fill_n(w->as<float>(), 4, c);
    REQUIRE(model->bindConstants(std::vector<ConstantSet::Binding>{{0, w->view(), w}}).ok());
  };
  bind(1);
  std::atomic<bool> stop{false};
  std::atomic<int> runs{0}, torn{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      ExecutionContext context(model, 1);
      Tensor in = iota({4});
      std::vector<TensorView> inputs{in.view()};
      while (!stop) {
        auto out = context.run(inputs);
        float c = out.ok() ? (*out)[0].as<float>()[0] : 0;
        bool one = c >= 1 && c <= 64;
        for (int i = 0; one && i < 4; ++i)
          one = (*out)[0].as<float>()[i] == float(i) + c && (*out)[1].as<float>()[i] == -c;
        torn += !one;
        ++runs;
      }
    });
  for (int i = 0; i < 300 || runs < 400; ++i)
    bind(float(1 + i % 64));
  stop = true;
  for (std::thread &thread : threads)
    thread.join();
  CHECK(torn == 0);
  CHECK(device.pending == 0);
}

TEST_CASE("damage that the checksums do not show, in a program for a device with weights in a file") {
  TestDevice device;
  std::string path = std::filesystem::absolute("device-test-weights.bin");
  Tensor content = iota({4});
  std::ofstream(path, std::ios::binary).write(content.as<char>(), content.bytes());
  BoundSample s;
  s.program.files.push_back({path, uint64_t(content.bytes())});
  ViewId z = s.output("z", DType::F32, {"4"}), b = s.temp(DType::F32, {"4"});
  s.launch(s.add, {0, s.outside(DType::F32, {4}, FileSource{0, 0, hash64(content.data(), 16)}), b}, {"4"});
  s.call("neg", {b}, {z});
  Program program = s.finish();
  moveToDevice(program, "test");
  MemorySink sink;
  REQUIRE(writeArtifact(
              program, s.code, [](size_t) { return Result<std::span<const std::byte>>(std::span<const std::byte>()); },
              sink)
              .ok());
  ArtifactHeader h;
  std::memcpy(&h, sink.bytes.data(), sizeof h);
  std::mt19937 rng(7);
  Tensor w = iota({2, 2});
  size_t loaded = 0;
  for (int round = 0; round < 4000; ++round) {
    AlignedBytes damaged = sink.bytes;
    for (int k = 0; k < round % 4; ++k)
      damaged[h.planOffset + rng() % h.planBytes] = std::byte(rng());
    repairChecksums(damaged);
    auto artifact = Artifact::fromBytes(damaged);
    if (!artifact.ok())
      continue;
    (void)printProgram((*artifact)->program());
    auto model = LoadedModel::create(*artifact, device);
    REQUIRE((round > 0 || model.ok()));
    if (!model.ok())
      continue;
    ++loaded;
    (void)(*model)->verifyWeights();
    for (uint32_t i = 0; i < (*artifact)->program().constants.size(); ++i)
      if ((*artifact)->program().constants[i].bound())
        (void)(*model)->bindConstants(std::vector<ConstantSet::Binding>{{i, w.view(), nullptr}});
  }
  CHECK(loaded > 1000);
  CHECK(device.pending == 0);
  CHECK(device.bytesHeld() == 0);
  std::remove(path.c_str());
}
