// Entries and states through the C API: what runs may do with a state, what is refused, and what a failed run leaves.
#include "TestProgram.h"

#include "kiln/runtime.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <string>
#include <thread>

using namespace kiln;
using namespace kiln::test;

namespace {

/// Entries over a state `sums` f32[N]:
/// - add: out = table[at], then sums[at] += x; `at` may be out of range of either
/// - fill: sums = v, whatever it was
/// - show: out = sums
/// - hang: sums[at] += x, then an endless loop
ProgramBuilder sampleStates() {
  ProgramBuilder b;
  b.program.entries = {{"add", 0}, {"fill", 1}, {"show", 2}, {"hang", 3}};
  Attributes adding{{"axis", int64_t(0)}, {"reduction", "add"}}, first{{"axis", int64_t(0)}};
  auto scatter = [&] {
    ViewId at = b.input("at", DType::I64, {"1"}), x = b.input("x", DType::F32, {"1"});
    ViewId sums = b.state("sums", DType::F32, {"N"}, true, true);
    return std::tuple(at, x, sums);
  };
  b.p.name = "add";
  b.symbol("N", 2, 0);
  auto [at, x, sums] = scatter();
  ViewId table = b.constant<float>("table", DType::F32, {6}, {0, 1, 2, 3, 4, 5});
  b.call("gather", {table, at}, {b.output("out", DType::F32, {"1"})}, first);
  b.call("scatter_elements", {sums, at, x}, {sums}, adding);

  b.function("fill");
  b.symbol("N", 0, 0);
  ViewId v = b.input("v", DType::F32, {"N"});
  b.step({CopyStep{v, b.state("sums", DType::F32, {"N"}, false, true)}, "", {}});

  b.function("show");
  b.symbol("N", 0, 0);
  ViewId shown = b.state("sums", DType::F32, {"N"}, true, false);
  b.step({CopyStep{shown, b.output("out", DType::F32, {"N"})}, "", {}});

  b.function("hang");
  b.symbol("N", 2, 0);
  auto [at2, x2, sums2] = scatter();
  b.call("scatter_elements", {sums2, at2, x2}, {sums2}, adding);
  LoopStep loop;
  loop.body = {4, {}, {}};
  loop.initial = {x2};
  loop.outputs = {b.output("y", DType::F32, {"1"})};
  b.step({loop, "", {}});
  b.function("body");
  b.input("i", DType::I64, {});
  ViewId go = b.input("c", DType::Bool, {}), in = b.input("s", DType::F32, {"1"});
  b.step({CopyStep{go, b.output("next", DType::Bool, {})}, "", {}});
  b.call("neg", {in}, {b.output("out", DType::F32, {"1"})});
  return b;
}

constexpr size_t add = 0, fill = 1, show = 2, hang = 3;

struct Sums {
  kiln_model *model = nullptr;
  kiln_context *context = nullptr;
  kiln_state *state = nullptr;
  kiln_status status = KILN_STATUS_INIT;

  explicit Sums(int64_t count, int guardPages = 0) {
    ProgramBuilder b = sampleStates();
    std::vector<std::byte> bytes = b.bytes();
    INFO(b.failure);
    REQUIRE(b.failure.empty());
    REQUIRE(kiln_model_load_bytes(bytes.data(), bytes.size(), &model, nullptr) == 0);
    context = makeContext(guardPages);
    kiln_size size = {"N", count};
    REQUIRE(kiln_state_create(model, &size, 1, &state, nullptr) == 0);
  }
  ~Sums() {
    kiln_model_release(model); // contexts and states keep it alive
    kiln_state_release(state);
    kiln_context_release(context);
    kiln_status_clear(&status);
  }
  kiln_context *makeContext(int guardPages = 0) {
    kiln_context_options options = KILN_CONTEXT_OPTIONS_INIT;
    options.threads = 1;
    options.guard_pages = guardPages;
    kiln_context *made = nullptr;
    REQUIRE(kiln_context_create(model, &options, &made, nullptr) == 0);
    return made;
  }

  int run(kiln_context *where, size_t entry, std::vector<kiln_value> inputs, kiln_status *outcome, float *out,
          kiln_state *with) const {
    kiln_run_options options = KILN_RUN_OPTIONS_INIT;
    options.entry = entry;
    options.state = with;
    kiln_value output = KILN_VALUE_INIT;
    int failed =
        kiln_context_run(where, inputs.data(), inputs.size(), &output, entry == fill ? 0 : 1, &options, outcome);
    if (!failed && out)
      std::memcpy(out, output.u.tensor.data, size_t(output.u.tensor.dims[0]) * sizeof(float));
    kiln_value_release(&output);
    return failed;
  }
  static int64_t one[1];
  int doAdd(int64_t at, float x, size_t entry = add) {
    return run(context, entry, {KILN_TENSOR_INIT(&at, one, 1, KILN_I64), KILN_TENSOR_INIT(&x, one, 1, KILN_F32)},
               &status, nullptr, state);
  }
  std::string message() const { return status.message ? status.message : ""; }
  bool valid() const {
    int valid = -1;
    REQUIRE(kiln_state_is_valid(state, "sums", &valid, nullptr) == 0);
    return valid != 0;
  }
  std::vector<float> values() {
    kiln_value value = KILN_VALUE_INIT;
    REQUIRE(kiln_state_get(state, "sums", &value, &status) == 0);
    auto *data = static_cast<float *>(value.u.tensor.data);
    std::vector<float> list(data, data + value.u.tensor.dims[0]);
    kiln_value_release(&value);
    return list;
  }
};
int64_t Sums::one[1] = {1};

using Floats = std::vector<float>;

} // namespace

TEST_CASE("entries and states have a signature") {
  Sums s(4);
  kiln_model_info info = KILN_MODEL_INFO_INIT;
  REQUIRE(kiln_model_get_info(s.model, &info, nullptr) == 0);
  CHECK(info.entry_count == 4);
  CHECK(info.state_count == 1);
  CHECK(std::string(info.name) == "add");
  size_t entry = 99;
  REQUIRE(kiln_model_find_entry(s.model, "show", &entry, nullptr) == 0);
  CHECK(entry == show);
  CHECK(kiln_model_find_entry(s.model, "none", &entry, &s.status) == 501);
  CHECK(s.message() == "the model has no entry \"none\"; it has add, fill, show, hang [KILN-E0501]");
  kiln_entry_info of = KILN_ENTRY_INFO_INIT;
  REQUIRE(kiln_model_get_entry(s.model, fill, &of, nullptr) == 0);
  CHECK(std::string(of.name) == "fill");
  CHECK((of.input_count == 1 && of.output_count == 0 && of.state_count == 1 && of.symbol_count == 1));
  CHECK(kiln_model_get_entry(s.model, 4, &of, &s.status) == 704);
  CHECK(s.message() == "there is no entry number 4; the model has 4 [KILN-E0704]");
  kiln_port_info port = KILN_PORT_INFO_INIT;
  REQUIRE(kiln_model_get_state(s.model, 0, &port, nullptr) == 0);
  CHECK(std::string(port.name) == "sums");
  CHECK((port.rank == 1 && port.dims[0].value == -1 && std::string(port.dims[0].text) == "N"));
  CHECK(kiln_model_get_state(s.model, 1, &port, nullptr) == 501);
  REQUIRE(kiln_model_get_entry_input(s.model, add, 1, &port, nullptr) == 0);
  CHECK(std::string(port.name) == "x");
  kiln_entry_state_info use = KILN_ENTRY_STATE_INFO_INIT;
  REQUIRE(kiln_model_get_entry_state(s.model, show, 0, &use, nullptr) == 0);
  CHECK((use.state == 0 && use.reads && !use.writes && use.rank == 1));
  REQUIRE(kiln_model_get_entry_state(s.model, fill, 0, &use, nullptr) == 0);
  CHECK((!use.reads && use.writes));
  kiln_symbol_info symbol = KILN_SYMBOL_INFO_INIT;
  REQUIRE(kiln_model_get_entry_symbol(s.model, add, 0, &symbol, nullptr) == 0);
  CHECK((symbol.input == 2 && symbol.dim == 0)); // after two inputs: the first state
  CHECK(std::string(kiln_model_text(s.model)).find("state \"sums\" f32[N] read written") != std::string::npos);
}

TEST_CASE("a state outlives runs, and entries and contexts share it") {
  for (int guardPages : {0, 1}) {
    Sums s(4, guardPages);
    CHECK(s.values() == Floats{0, 0, 0, 0});
    REQUIRE(s.doAdd(1, 2.5f) == 0);
    REQUIRE(s.doAdd(1, 1) == 0);
    REQUIRE(s.doAdd(3, -1) == 0);
    CHECK(s.values() == Floats{0, 3.5f, 0, -1});
    kiln_context_info info = KILN_CONTEXT_INFO_INIT;
    REQUIRE(kiln_context_get_info(s.context, &info, nullptr) == 0);
    CHECK(info.state_bytes_copied == 0);
    kiln_context *other = s.makeContext();
    float shown[4] = {};
    REQUIRE(s.run(other, show, {}, nullptr, shown, s.state) == 0);
    CHECK(Floats(shown, shown + 4) == Floats{0, 3.5f, 0, -1});
    REQUIRE(kiln_context_get_info(other, &info, nullptr) == 0);
    CHECK(info.state_bytes_copied == 16); // the whole of it, out

    kiln_state *copy = nullptr;
    REQUIRE(kiln_state_copy(s.state, &copy, nullptr) == 0);
    REQUIRE(s.doAdd(0, 9) == 0);
    REQUIRE(s.run(other, show, {}, nullptr, shown, copy) == 0);
    CHECK(shown[0] == 0);
    CHECK(s.values()[0] == 9);
    kiln_state_release(copy);
    kiln_context_release(other);

    float given[4] = {1, 2, 3, 4};
    int64_t dims[1] = {4};
    kiln_value value = KILN_TENSOR_INIT(given, dims, 1, KILN_F32);
    REQUIRE(kiln_state_set(s.state, "sums", &value, nullptr) == 0);
    REQUIRE(s.doAdd(0, 1) == 0);
    float read[4] = {};
    value.u.tensor.data = read;
    REQUIRE(kiln_state_get(s.state, "sums", &value, nullptr) == 0);
    CHECK(Floats(read, read + 4) == Floats{2, 2, 3, 4});
    REQUIRE(kiln_state_reset(s.state, nullptr, nullptr) == 0);
    CHECK(s.values() == Floats{0, 0, 0, 0});
  }
}

TEST_CASE("what does not fit a state is refused") {
  Sums s(4);
  kiln_state *other = nullptr;
  CHECK(kiln_state_create(s.model, nullptr, 0, &other, &s.status) == 523);
  CHECK(s.message() == "state \"sums\" is f32[N]: no value is given for N [KILN-E0523]");
  kiln_size sizes[2] = {{"N", 2}, {"M", 2}};
  CHECK(kiln_state_create(s.model, sizes, 2, &other, &s.status) == 704);
  CHECK(s.message() == "no state has a size \"M\" [KILN-E0704]");
  sizes[0].value = -1;
  CHECK(kiln_state_create(s.model, sizes, 1, &other, &s.status) == 704);
  CHECK(s.message() == "size N of a state is -1 [KILN-E0704]");
  sizes[0].value = INT64_MAX / 8;
  CHECK(kiln_state_create(s.model, sizes, 1, &other, &s.status) == 510);

  float given[3] = {};
  int64_t dims[1] = {3};
  kiln_value value = KILN_TENSOR_INIT(given, dims, 1, KILN_F32);
  CHECK(kiln_state_set(s.state, "sums", &value, &s.status) == 509);
  CHECK(s.message() == "state \"sums\" is f32[4], the given tensor f32[3] [KILN-E0509]");
  CHECK(kiln_state_get(s.state, "sums", &value, nullptr) == 509);
  value.kind = KILN_NONE;
  CHECK(kiln_state_set(s.state, "sums", &value, &s.status) == 502);
  CHECK(s.message() == "the value of state \"sums\" is missing [KILN-E0502]");
  CHECK(kiln_state_get(s.state, "total", &value, &s.status) == 501);
  CHECK(s.message() == "the model has no state \"total\" [KILN-E0501]");

  value = KILN_TENSOR_INIT(given, dims, 1, KILN_F32);
  CHECK(s.run(s.context, fill, {value}, &s.status, nullptr, s.state) == 506);
  CHECK(s.message() == "state \"sums\": expected f32[N], got f32[4]: dim 0 is 4, but N is bound to 3 by dim 0 of input "
                       "\"v\" [KILN-E0506]");
  CHECK(s.valid());
  CHECK(s.run(s.context, show, {}, &s.status, nullptr, nullptr) == 523);
  CHECK(s.message() == "entry \"show\" works on states (\"sums\"), and the run is given none [KILN-E0523]");
  Sums another(4);
  CHECK(s.run(s.context, show, {}, &s.status, nullptr, another.state) == 704);
  CHECK(s.message() == "the states are those of another model [KILN-E0704]");
  CHECK(s.run(s.context, 9, {}, &s.status, nullptr, s.state) == 704);
}

TEST_CASE("a failed run poisons what it may have written") {
  Sums s(4);
  REQUIRE(s.doAdd(0, 1) == 0);
  // The step before the one that writes fails: nothing happened.
  CHECK(s.doAdd(6, 1) == 513);
  CHECK(s.valid());
  // The one that writes fails.
  CHECK(s.doAdd(5, 1) == 513);
  CHECK(!s.valid());
  CHECK(s.doAdd(0, 1) == 521);
  CHECK(s.message() == "state \"sums\" is not valid: a run that wrote it failed; reset or set it [KILN-E0521]");
  kiln_value value = KILN_VALUE_INIT;
  CHECK(kiln_state_get(s.state, "sums", &value, nullptr) == 521);
  kiln_state *copy = nullptr;
  REQUIRE(kiln_state_copy(s.state, &copy, nullptr) == 0);
  int valid = 1;
  CHECK((kiln_state_is_valid(copy, "sums", &valid, nullptr) == 0 && !valid));
  kiln_state_release(copy);

  SECTION("reset") { REQUIRE(kiln_state_reset(s.state, "sums", nullptr) == 0); }
  SECTION("set, or written as a whole by a run that does not read it") {
    float zeros[4] = {};
    int64_t dims[1] = {4};
    value = KILN_TENSOR_INIT(zeros, dims, 1, KILN_F32);
    if (GENERATE(true, false))
      REQUIRE(kiln_state_set(s.state, "sums", &value, nullptr) == 0);
    else
      REQUIRE(s.run(s.context, fill, {value}, &s.status, nullptr, s.state) == 0);
  }
  CHECK(s.valid());
  REQUIRE(s.doAdd(2, 1) == 0);
  CHECK(s.values() == Floats{0, 0, 1, 0});
}

TEST_CASE("a cancelled run poisons too, and a state works for one run at a time") {
  Sums s(4);
  kiln_context *second = s.makeContext();
  int refused[4] = {};
  std::string message;
  std::thread other([&] {
    while (kiln_context_current_step(s.context) < 4) // the loop's steps
      std::this_thread::yield();
    kiln_status status = KILN_STATUS_INIT;
    refused[0] = s.run(second, show, {}, &status, nullptr, s.state);
    message = status.message ? status.message : "";
    kiln_status_clear(&status);
    kiln_value value = KILN_VALUE_INIT;
    refused[1] = kiln_state_get(s.state, "sums", &value, nullptr);
    refused[2] = kiln_state_reset(s.state, nullptr, nullptr);
    kiln_state *copy = nullptr;
    refused[3] = kiln_state_copy(s.state, &copy, nullptr);
    kiln_context_cancel(s.context);
  });
  CHECK(s.doAdd(1, 1, hang) == 518);
  other.join();
  kiln_context_release(second);
  for (int code : refused)
    CHECK(code == 522);
  CHECK(message == "the states are in use by a run [KILN-E0522]");
  CHECK(!s.valid());
  CHECK(s.doAdd(0, 1) == 521);
  REQUIRE(kiln_state_reset(s.state, nullptr, nullptr) == 0);
  CHECK(s.doAdd(0, 1) == 0);
}

TEST_CASE("threads with contexts of their own take turns on a state, or are refused") {
  Sums s(4);
  constexpr int threads = 8, runs = 500;
  std::atomic<int> done{0}, refused{0}, failed{0};
  std::vector<kiln_context *> contexts;
  for (int t = 0; t < threads; ++t)
    contexts.push_back(s.makeContext());
  std::vector<std::thread> pool;
  for (int t = 0; t < threads; ++t)
    pool.emplace_back([&, t] {
      for (int i = 0; i < runs; ++i) {
        int64_t at = t % 4;
        float x = 1;
        int code = s.run(contexts[t], add,
                         {KILN_TENSOR_INIT(&at, Sums::one, 1, KILN_I64), KILN_TENSOR_INIT(&x, Sums::one, 1, KILN_F32)},
                         nullptr, nullptr, s.state);
        ++(code == 0 ? done : code == 522 ? refused : failed);
      }
    });
  for (std::thread &thread : pool)
    thread.join();
  for (kiln_context *context : contexts)
    kiln_context_release(context);
  CHECK(failed == 0);
  CHECK(done + refused == threads * runs);
  CHECK(done > 0);
  Floats sums = s.values();
  CHECK(sums[0] + sums[1] + sums[2] + sums[3] == float(done)); // every run that was not refused counts, once
}

TEST_CASE("runs end anyhow at random places, and what they leave is right or refused") {
  Sums s(4);
  constexpr int threads = 8, runs = 300;
  std::vector<kiln_context *> contexts;
  for (int t = 0; t < threads; ++t) {
    kiln_context_options options = KILN_CONTEXT_OPTIONS_INIT;
    options.threads = 1;
    options.memory_limit = t == 0 ? 1 : 0; // out of memory, always
    REQUIRE(kiln_context_create(s.model, &options, &contexts.emplace_back(), nullptr) == 0);
  }
  std::atomic<int> left{threads}, unexpected{0};
  std::vector<std::thread> pool;
  for (int t = 0; t < threads; ++t)
    pool.emplace_back([&, t] {
      uint32_t random = uint32_t(t) + 1;
      for (int i = 0; i < runs; ++i) {
        random = random * 1664525 + 1013904223;
        int64_t at = random >> 29; // of eight, four are places; one more is in the table
        float x = 1;
        int code = s.run(contexts[t], (random >> 20) % 16 == 0 ? hang : add,
                         {KILN_TENSOR_INIT(&at, Sums::one, 1, KILN_I64), KILN_TENSOR_INIT(&x, Sums::one, 1, KILN_F32)},
                         nullptr, nullptr, s.state);
        bool expected = code == 0 || code == 510 || code == 513 || code == 518 || code == 521 || code == 522;
        unexpected += !expected || (code == 0 && (at > 3 || t == 0));
        if (code == 521)
          kiln_state_reset(s.state, nullptr, nullptr); // refused while a run goes on
      }
      --left;
    });
  while (left > 0) {
    for (kiln_context *context : contexts)
      kiln_context_cancel(context);
    std::this_thread::yield();
  }
  for (std::thread &thread : pool)
    thread.join();
  for (kiln_context *context : contexts)
    kiln_context_release(context);
  CHECK(unexpected == 0);
  REQUIRE(kiln_state_reset(s.state, nullptr, nullptr) == 0);
  REQUIRE(s.doAdd(2, 1) == 0);
  CHECK(s.values() == Floats{0, 0, 1, 0});
}

TEST_CASE("programs that misuse states are refused") {
  auto refuse = [](auto change) {
    Program program = sampleStates().finish();
    change(program, program.functions[add]);
    Status status = checkProgram(program, 0);
    INFO(formatError(status));
    CHECK(status.code() == ErrorCode::E0905);
  };
  CHECK(checkProgram(sampleStates().finish(), 0).ok());
  refuse([](Program &, Function &f) { f.states[0].state = 1; });
  refuse([](Program &, Function &f) { f.states.push_back(f.states[0]); });
  refuse([](Program &, Function &f) { f.states[0].view = 99; });
  refuse([](Program &, Function &f) { f.states[0].view = 0; });
  refuse([](Program &, Function &f) { f.states[0].written = false; });
  refuse([](Program &, Function &f) { f.views[f.states[0].view].dtype = DType::I32; });
  refuse([](Program &p, Function &) { p.states[0].dims.push_back(1); });
  refuse([](Program &, Function &f) { f.buffers[f.views[f.states[0].view].buffer].index = 1; });
  refuse([](Program &, Function &f) { f.symbols[0].input = 3; });
  refuse([](Program &p, Function &) { p.functions[4].states = p.functions[show].states; }); // only entries have states
}
