// Models through the compiler, on the test device: right, and with no transfer but those planned.
#include "test/device/TestDevice.h"
#include "test/import/ModelWriter.h"

#include "compiler/session/Compiler.h"
#include "runtime/exec/ExecutionContext.h"
#include "runtime/plan/Transfers.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <random>

using namespace kiln;
using namespace kiln::test;
using namespace kiln::onnx::test;
using kiln::onnx::AttributeProto;
using kiln::onnx::OnnxType;
namespace field = kiln::onnx::field;

namespace {

AlignedBytes compile(CompileInput input, const char *target, const char *device, std::vector<StateOption> states = {}) {
  CompileOptions options;
  options.states = std::move(states);
  options.target = target;
  options.device = device;
  options.threads = 2;
  AlignedBytes artifact;
  CompileOutput output;
  output.bytes = &artifact;
  Status status = compileModel(input, options, output);
  INFO(formatError(status));
  REQUIRE(status.ok());
  return artifact;
}

std::shared_ptr<const LoadedModel> load(const AlignedBytes &bytes, Device &on) {
  auto artifact = Artifact::fromBytes(bytes);
  REQUIRE(artifact.ok());
  auto model = LoadedModel::create(*artifact, on);
  INFO(formatError(model.status()));
  REQUIRE(model.ok());
  return *model;
}

Tensor random(std::vector<int64_t> dims, int seed) {
  Tensor t = *Tensor::create(DType::F32, dims);
  std::mt19937 numbers(static_cast<unsigned>(seed));
  std::normal_distribution<float> normal;
  std::generate_n(t.as<float>(), t.size(), [&] { return normal(numbers); });
  return t;
}
std::vector<float> values(size_t count, int seed) {
  Tensor t = random({int64_t(count)}, seed);
  return {t.as<float>(), t.as<float>() + count};
}

size_t count(const Program &program, auto kind) {
  size_t steps = 0;
  for (const Function &function : program.functions)
    for (const Step &step : function.steps)
      steps += std::holds_alternative<decltype(kind)>(step.action);
  return steps;
}

/// A model on the test device, and on reference kernels to compare with.
struct OnDevice {
  TestDevice device;
  std::shared_ptr<const LoadedModel> model, reference;
  ExecutionContext context, other;
  int64_t constants; // bytes

  explicit OnDevice(const CompileInput &input)
      : model(load(compile(input, "host", "test"), device)),
        reference(load(compile(input, "interpreter", ""), cpuDevice())), context(model, 1), other(reference, 1),
        constants(device.counts.bytesToDevice) {
    INFO(printProgram(model->program()));
    CHECK(count(model->program(), LaunchStep()) > 0);
  }

  struct Bytes {
    int64_t toDevice, toHost;
    bool operator==(const Bytes &) const = default;
  };
  /// Runs both and compares them; gives what crossed.
  Bytes run(const std::vector<TensorView> &inputs) {
    INFO(printProgram(model->program()));
    int64_t toDevice = device.counts.bytesToDevice, toHost = device.counts.bytesToHost;
    auto got = context.run(inputs), expected = other.run(inputs);
    INFO(formatError(got.status()) << formatError(expected.status()));
    REQUIRE(got.ok());
    REQUIRE(expected.ok());
    for (size_t i = 0; i < got->size(); ++i) {
      const Tensor &a = (*got)[i], &b = (*expected)[i];
      REQUIRE(std::ranges::equal(a.dims(), b.dims()));
      if (a.dtype() != DType::F32) {
        CHECK(std::memcmp(a.data(), b.data(), size_t(a.bytes())) == 0);
        continue;
      }
      for (int64_t k = 0; k < a.size(); ++k)
        REQUIRE(a.as<float>()[k] == Approx(b.as<float>()[k]).margin(1e-4));
    }
    Bytes moved{device.counts.bytesToDevice - toDevice, device.counts.bytesToHost - toHost};
    CHECK(moved == Bytes{context.bytesToDevice(), context.bytesToHost()});
    return moved;
  }
  /// What the plan says of the entry for its last run, without the functions that it calls.
  Bytes planned() const {
    const Function &function = model->program().entry();
    TransferBytes bytes = transfersOf(function);
    std::map<std::string, int64_t> sizes;
    for (size_t i = 0; i < function.symbols.size(); ++i)
      sizes[function.symbols[i].name] = context.lastInstance()->symbols[i];
    return {*bytes.toDevice.evaluate(sizes), *bytes.toHost.evaluate(sizes)};
  }
};

CompileInput fromBytes(const std::string &model) {
  CompileInput input;
  input.path = "model.onnx";
  input.bytes = std::as_bytes(std::span(model));
  return input;
}

/// A node with one attribute that is a graph.
Message withGraph(std::string_view op, const std::vector<std::string> &inputs, const std::vector<std::string> &outputs,
                  const Message &graph) {
  return kiln::onnx::test::node(op, inputs, outputs)
      .message(field::NodeAttribute, Message()
                                         .text(field::AttributeName, "body")
                                         .message(field::AttributeG, graph)
                                         .integer(field::AttributeType, AttributeProto::Graph));
}

} // namespace

TEST_CASE("a convolution net: the image goes there, the digits come back") {
  CompileInput input;
  input.path = KILN_TEST_DATA "/models/mnist_8/model.onnx";
  OnDevice m(input);
  CHECK(count(m.model->program(), HostCallStep()) == 0);
  for (int seed : {1, 2}) {
    Tensor image = random({1, 1, 28, 28}, seed);
    CHECK(m.run({image.view()}) == OnDevice::Bytes{4 * 28 * 28, 4 * 10});
    CHECK(m.planned() == OnDevice::Bytes{4 * 28 * 28, 4 * 10});
  }
}

TEST_CASE("attention over any number of tokens") {
  std::string model = ModelBuilder(18)
                          .input("x", {dim("N"), dim(32)})
                          .output("y")
                          .initializer(floats("wq", {32, 32}, values(1024, 1)))
                          .initializer(floats("wk", {32, 32}, values(1024, 2)))
                          .initializer(floats("wv", {32, 32}, values(1024, 3)))
                          .initializer(floats("scale", {}, {0.03f}))
                          .node("MatMul", {"x", "wq"}, {"q"})
                          .node("MatMul", {"x", "wk"}, {"k"})
                          .node("MatMul", {"x", "wv"}, {"v"})
                          .node("Transpose", {"k"}, {"kt"}, {{"perm", std::vector<int64_t>{1, 0}}})
                          .node("MatMul", {"q", "kt"}, {"s"})
                          .node("Mul", {"s", "scale"}, {"t"})
                          .node("Softmax", {"t"}, {"p"})
                          .node("MatMul", {"p", "v"}, {"o"})
                          .node("Add", {"o", "x"}, {"y"})
                          .build();
  OnDevice m(fromBytes(model));
  CHECK(m.constants == 3 * 4096); // packed, once
  for (int64_t n : {5, 64, 1, 5}) {
    Tensor x = random({n, 32}, int(n));
    CHECK(m.run({x.view()}) == OnDevice::Bytes{4 * 32 * n, 4 * 32 * n});
    CHECK(m.planned() == OnDevice::Bytes{4 * 32 * n, 4 * 32 * n});
  }
}

TEST_CASE("reference kernels in the middle: their operands come back, their results go there") {
  std::string model = ModelBuilder(18)
                          .input("x", {dim("N"), dim(16)})
                          .output("y")
                          .output("total")
                          .initializer(floats("w", {16, 16}, values(256, 1)))
                          .initializer(int64s("axis", {}, {1}))
                          .node("MatMul", {"x", "w"}, {"a"})
                          .node("CumSum", {"a", "axis"}, {"c"}) // no family
                          .node("MatMul", {"c", "w"}, {"d"})
                          .node("Relu", {"d"}, {"e"})
                          .node("Add", {"e", "a"}, {"y"})
                          .node("Exp", {"x"}, {"f"})
                          .node("CumSum", {"f", "axis"}, {"total"})
                          .build();
  OnDevice m(fromBytes(model));
  CHECK(count(m.model->program(), HostCallStep()) == 2);
  for (int64_t n : {3, 40}) {
    Tensor x = random({n, 16}, int(n));
    int64_t one = 4 * 16 * n;
    // There: x, c. Back: a, f, y; total is made on the host.
    CHECK(m.run({x.view()}) == OnDevice::Bytes{2 * one, 3 * one});
    CHECK(m.planned() == OnDevice::Bytes{2 * one, 3 * one});
  }
}

TEST_CASE("a size that only data tells") {
  std::string model = ModelBuilder(18)
                          .input("x", {dim("N")})
                          .output("y")
                          .initializer(floats("zero", {}, {0}))
                          .initializer(int64s("zeroth", {1}, {0}))
                          .node("Exp", {"x"}, {"e"})
                          .node("Greater", {"x", "zero"}, {"c"})
                          .node("Compress", {"e", "c"}, {"k"})
                          .node("Unsqueeze", {"k", "zeroth"}, {"r"})
                          .node("Softmax", {"r"}, {"s"})
                          .node("Transpose", {"s"}, {"t"}, {{"perm", std::vector<int64_t>{1, 0}}})
                          .node("MatMul", {"t", "r"}, {"y"})
                          .build();
  OnDevice m(fromBytes(model));
  CHECK(m.model->program().functions.size() == 2);
  for (int64_t n : {20, 1, 20, 0}) {
    Tensor x = random({n}, int(n) + 1);
    int64_t kept = std::count_if(x.as<float>(), x.as<float>() + n, [](float v) { return v > 0; });
    // x there, e and c back; then k there, and the product back.
    CHECK(m.run({x.view()}) == OnDevice::Bytes{4 * n + 4 * kept, 4 * n + n + 4 * kept * kept});
    CHECK(m.planned() == OnDevice::Bytes{4 * n, 4 * n + n});
  }
}

TEST_CASE("a loop with a product in its body") {
  Message body;
  body.message(field::GraphNode, kiln::onnx::test::node("MatMul", {"v", "w"}, {"p"}))
      .message(field::GraphNode, kiln::onnx::test::node("Tanh", {"p"}, {"v_out"}))
      .message(field::GraphNode, kiln::onnx::test::node("Identity", {"c"}, {"c_out"}))
      .message(field::GraphInput, valueInfo("i", OnnxType::Int64, {}))
      .message(field::GraphInput, valueInfo("c", OnnxType::Bool, {}))
      .message(field::GraphInput, valueInfo("v", OnnxType::Float, {dim(4), dim(8)}))
      .message(field::GraphOutput, valueInfo("c_out", OnnxType::Bool, {}))
      .message(field::GraphOutput, valueInfo("v_out", OnnxType::Float, {dim(4), dim(8)}));
  ModelBuilder builder(18);
  builder.input("x", {dim(4), dim(8)})
      .input("n", {}, OnnxType::Int64)
      .output("y")
      .initializer(floats("w", {8, 8}, values(64, 1)));
  builder.graph.message(field::GraphNode, withGraph("Loop", {"n", "", "x"}, {"z"}, body));
  builder.node("Exp", {"z"}, {"y"});
  std::string model = builder.build();
  OnDevice m(fromBytes(model));
  for (int64_t trips : {0, 1, 6}) {
    Tensor x = random({4, 8}, 3), n = *Tensor::of<int64_t>(DType::I64, {}, std::array{trips});
    // An iteration takes and gives its carried value on the host; then z goes there and y comes back.
    CHECK(m.run({x.view(), n.view()}) == OnDevice::Bytes{128 * (trips + 1), 128 * (trips + 1)});
  }
}

TEST_CASE("a state that grows lies on the host, and crosses with every run") {
  ModelBuilder builder(18);
  builder.input("x", {dim(2), dim(8)})
      .input("past", {dim("P"), dim(8)})
      .output("y")
      .output("present")
      .initializer(floats("w", {8, 8}, values(64, 1)))
      .node("MatMul", {"x", "w"}, {"t"})
      .node("Concat", {"past", "t"}, {"present"}, {{"axis", int64_t(0)}})
      .node("MatMul", {"present", "w"}, {"y"});
  std::string model = builder.build();
  TestDevice device;
  std::vector<StateOption> states{{"past", "present"}};
  auto onDevice = load(compile(fromBytes(model), "host", "test", states), device);
  auto reference = load(compile(fromBytes(model), "interpreter", "", states), cpuDevice());
  INFO(printProgram(onDevice->program()));
  auto state = *StateSet::create(onDevice, {}), other = *StateSet::create(reference, {});
  ExecutionContext context(onDevice, 1), plain(reference, 1);
  for (int64_t run = 0; run < 4; ++run) {
    Tensor x = random({2, 8}, int(run));
    std::vector<TensorView> inputs{x.view()};
    auto got = context.run(inputs, 0, state.get()), expected = plain.run(inputs, 0, other.get());
    INFO(formatError(got.status()) << formatError(expected.status()));
    REQUIRE((got.ok() && expected.ok()));
    REQUIRE(got->at(0).size() == 16 * (run + 1));
    for (int64_t k = 0; k < got->at(0).size(); ++k)
      REQUIRE(got->at(0).as<float>()[k] == Approx(expected->at(0).as<float>()[k]).margin(1e-4));
    CHECK(state->dims(0)[0] == 2 * (run + 1));
    CHECK(context.bytesToHost() >= 4 * 16 * (run + 1)); // y at least
  }
}
