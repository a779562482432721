// States that grow, through the C API: their lengths, their memory, and what a run that fails leaves.
#include "TestProgram.h"

#include "kiln/runtime.h"

#include <catch2/catch.hpp>
#include <string>

using namespace kiln;
using namespace kiln::test;

namespace {

using Floats = std::vector<float>;

/// Entries over a state `cache` f32[2,P], stored as [P,2], and `other` f32[P], which must be as long:
/// - add: cache gets x [1,2] behind it, then out = table[at], where `at` may be out of range; other gets at's element
/// too
/// - fill: cache = v [S,2], whatever it was
/// - turn: cache = x, then what it was: made elsewhere and copied in
ProgramBuilder sampleCache() {
  ProgramBuilder b;
  b.program.entries = {{"add", 0}, {"fill", 1}, {"turn", 2}};
  Attributes first{{"axis", int64_t(0)}};
  b.p.name = "add";
  b.symbol("P", 2, 0, 0, 9);
  ViewId at = b.input("at", DType::I64, {"1"}), x = b.input("x", DType::F32, {"1", "2"});
  ViewId cache = b.growing("cache", DType::F32, 1, {"P", "2"}, {"P+1", "2"}, true);
  ViewId other = b.growing("other", DType::F32, 0, {"P"}, {"P+1"}, true);
  auto behind = [&](ViewId of, const char *offset, const std::vector<const char *> &dims) {
    return b.view(b.p.views[of].buffer, DType::F32, ProgramBuilder::dims(dims), *SizeExpr::parse(offset));
  };
  b.step({CopyStep{x, behind(cache, "P*8", {"1", "2"})}, "", {}});
  ViewId table = b.constant<float>("table", DType::F32, {3}, {5, 6, 7});
  b.call("gather", {table, at}, {behind(other, "P*4", {"1"})}, first);

  b.function("fill");
  b.symbol("S", 0, 0);
  ViewId v = b.input("v", DType::F32, {"S", "2"});
  b.growing("cache", DType::F32, 1, {"0", "2"}, {"S", "2"}, false);
  b.step({CopyStep{v, b.p.states[0].grown}, "", {}});

  b.function("turn");
  b.symbol("P", 1, 0);
  ViewId before = b.input("x", DType::F32, {"1", "2"});
  ViewId old = b.growing("cache", DType::F32, 1, {"P", "2"}, {"P+1", "2"}, true);
  ViewId made = b.temp(DType::F32, {"P+1", "2"});
  b.call("concat", {before, old}, {made}, first);
  b.step({CopyStep{made, b.p.states[0].grown}, "", {}});
  return b;
}

constexpr size_t add = 0, fill = 1, turn = 2;

struct Cache {
  kiln_model *model = nullptr;
  kiln_context *context = nullptr;
  kiln_state *state = nullptr;
  kiln_status status = KILN_STATUS_INIT;

  explicit Cache(int guardPages = 0) {
    ProgramBuilder b = sampleCache();
    std::vector<std::byte> bytes = b.bytes();
    INFO(b.failure);
    REQUIRE(b.failure.empty());
    REQUIRE(kiln_model_load_bytes(bytes.data(), bytes.size(), &model, nullptr) == 0);
    kiln_context_options options = KILN_CONTEXT_OPTIONS_INIT;
    options.threads = 1;
    options.guard_pages = guardPages;
    REQUIRE(kiln_context_create(model, &options, &context, nullptr) == 0);
    REQUIRE(kiln_state_create(model, nullptr, 0, &state, nullptr) == 0);
  }
  ~Cache() {
    kiln_model_release(model);
    kiln_state_release(state);
    kiln_context_release(context);
    kiln_status_clear(&status);
  }
  int run(size_t entry, std::vector<kiln_value> inputs) {
    kiln_run_options options = KILN_RUN_OPTIONS_INIT;
    options.entry = entry;
    options.state = state;
    return kiln_context_run(context, inputs.data(), inputs.size(), nullptr, 0, &options, &status);
  }
  int doAdd(int64_t at, float a, float b) {
    int64_t dims[] = {1, 2};
    float x[] = {a, b};
    return run(add, {KILN_TENSOR_INIT(&at, dims, 1, KILN_I64), KILN_TENSOR_INIT(x, dims, 2, KILN_F32)});
  }
  std::string message() const { return status.message ? status.message : ""; }
  int64_t copied() const {
    kiln_context_info info = KILN_CONTEXT_INFO_INIT;
    REQUIRE(kiln_context_get_info(context, &info, nullptr) == 0);
    return info.state_bytes_copied;
  }
  /// Its elements in the model's order, its length first.
  Floats values(const char *name = "cache") {
    kiln_value value = KILN_VALUE_INIT;
    REQUIRE(kiln_state_get(state, name, &value, &status) == 0);
    const kiln_tensor &t = value.u.tensor;
    Floats list{float(t.dims[t.rank - 1])};
    auto *data = static_cast<float *>(t.data);
    list.insert(list.end(), data, data + t.dims[0] * (t.rank == 2 ? t.dims[1] : 1));
    kiln_value_release(&value);
    return list;
  }
  int set(const char *name, std::vector<int64_t> dims, Floats values) {
    kiln_value value = KILN_TENSOR_INIT(values.data(), dims.data(), int32_t(dims.size()), KILN_F32);
    return kiln_state_set(state, name, &value, &status);
  }
};

} // namespace

TEST_CASE("a state grows with every run, in the model's order of axes") {
  for (int guardPages : {0, 1}) {
    Cache c(guardPages);
    kiln_port_info port = KILN_PORT_INFO_INIT;
    REQUIRE(kiln_model_get_state(c.model, 0, &port, nullptr) == 0);
    CHECK((port.growing == 1 && port.rank == 2 && port.dims[0].value == 2 && port.dims[1].value == -1));
    CHECK(std::string(port.dims[1].text) == "P");
    REQUIRE(kiln_model_get_entry_input(c.model, add, 0, &port, nullptr) == 0);
    CHECK(port.growing == -1);
    CHECK(c.values() == Floats{0});
    for (int i = 0; i < 4; ++i) {
      REQUIRE(c.doAdd(1, float(i), float(i + 10)) == 0);
      CHECK(c.copied() == 0); // the limit of P is room enough
    }
    CHECK(c.values() == Floats{4, 0, 1, 2, 3, 10, 11, 12, 13});
    CHECK(c.values("other") == Floats{4, 6, 6, 6, 6});
    // Entries that do not read it leave what they write; others copy.
    int64_t dims[] = {2, 2}, one[] = {1, 2};
    float v[] = {1, 2, 3, 4}, x[] = {8, 9};
    REQUIRE(c.run(fill, {KILN_TENSOR_INIT(v, dims, 2, KILN_F32)}) == 0);
    CHECK(c.values() == Floats{2, 1, 3, 2, 4});
    REQUIRE(c.run(turn, {KILN_TENSOR_INIT(x, one, 2, KILN_F32)}) == 0);
    CHECK(c.values() == Floats{3, 8, 1, 3, 9, 2, 4});
    CHECK(c.copied() == (guardPages ? 0 : 24)); // which counts copies to the memory of states itself
    // Lengths that do not go together are refused, and stay.
    CHECK(c.doAdd(0, 1, 1) == 506);
    CHECK(c.message() ==
          "state \"other\": expected f32[P], got f32[4]: dim 0 is 4, but P is bound to 3 by dim 1 of state "
          "\"cache\" [KILN-E0506]");
    REQUIRE(kiln_state_resize(c.state, "other", 3, nullptr) == 0);
    REQUIRE(c.doAdd(0, 1, 1) == 0);
    CHECK(c.values("other") == Floats{4, 6, 6, 6, 5});
  }
}

TEST_CASE("memory of a state grows by doubling, or as a caller says") {
  Cache c;
  REQUIRE(kiln_state_resize(c.state, nullptr, 9, nullptr) == 0); // P is at most 9
  REQUIRE(c.doAdd(0, 1, 2) == 0);
  CHECK(c.copied() == 9 * 8 + 9 * 4);
  CHECK(c.values("other") == Floats{10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5});
  CHECK(c.doAdd(0, 1, 2) == 507);
  CHECK(c.message() == "state \"cache\": expected f32[2,P], got f32[2,10]: P is 10, allowed is 0..9 [KILN-E0507]");
  Cache roomy;
  REQUIRE(kiln_state_reserve(roomy.state, nullptr, 10, nullptr) == 0);
  REQUIRE(kiln_state_resize(roomy.state, nullptr, 9, nullptr) == 0);
  REQUIRE(roomy.doAdd(0, 1, 2) == 0);
  CHECK(roomy.copied() == 0);
  CHECK(kiln_state_reserve(c.state, "cache", INT64_MAX, &c.status) == 308);
  CHECK(c.message().find("state \"cache\" grows to 9223372036854775807: ") == 0);
  CHECK(kiln_state_resize(c.state, "cache", -1, &c.status) == 704);
  CHECK(c.message() == "state \"cache\" cannot have -1 elements along an axis [KILN-E0704]");
  CHECK(c.values().front() == 10);
}

TEST_CASE("a run that fails changes no length") {
  Cache c;
  REQUIRE(c.doAdd(0, 1, 2) == 0);
  CHECK(c.doAdd(3, 1, 2) == 513); // after the cache was written
  kiln_value value = KILN_VALUE_INIT;
  CHECK(kiln_state_get(c.state, "cache", &value, &c.status) == 521);
  REQUIRE(kiln_state_reset(c.state, nullptr, nullptr) == 0);
  CHECK(c.values() == Floats{0});
  REQUIRE(c.doAdd(0, 1, 2) == 0);
  CHECK(c.values() == Floats{1, 1, 2});
}

TEST_CASE("a state that grows is set at any length, and copied") {
  Cache c;
  REQUIRE(c.set("cache", {2, 3}, {1, 2, 3, 4, 5, 6}) == 0);
  REQUIRE(c.set("other", {3}, {7, 8, 9}) == 0);
  CHECK(c.values() == Floats{3, 1, 2, 3, 4, 5, 6});
  CHECK(c.set("cache", {3, 2}, {1, 2, 3, 4, 5, 6}) == 509);
  CHECK(c.message() == "state \"cache\" is f32[2,P], the given tensor f32[3,2] [KILN-E0509]");
  kiln_state *copy = nullptr;
  REQUIRE(kiln_state_copy(c.state, &copy, nullptr) == 0);
  REQUIRE(c.doAdd(2, 8, 9) == 0);
  CHECK(c.values() == Floats{4, 1, 2, 3, 8, 4, 5, 6, 9});
  std::swap(copy, c.state);
  CHECK(c.values() == Floats{3, 1, 2, 3, 4, 5, 6});
  REQUIRE(c.doAdd(2, 8, 9) == 0);
  CHECK(c.copied() == 0);
  kiln_state_release(copy);
  // Where the caller has memory, it must be for as much as there is.
  float out[8];
  int64_t dims[] = {2, 3};
  kiln_value value = KILN_TENSOR_INIT(out, dims, 2, KILN_F32);
  CHECK(kiln_state_get(c.state, "cache", &value, &c.status) == 509);
  dims[1] = 4;
  REQUIRE(kiln_state_get(c.state, "cache", &value, &c.status) == 0);
  CHECK(Floats(out, out + 8) == Floats{1, 2, 3, 8, 4, 5, 6, 9});
}

TEST_CASE("programs that misuse states that grow are refused") {
  auto refuse = [](auto change) {
    Program program = sampleCache().finish();
    change(program, program.functions[add]);
    Status status = checkProgram(program, 0);
    INFO(formatError(status));
    CHECK(status.code() == ErrorCode::E0905);
  };
  CHECK(checkProgram(sampleCache().finish(), 0).ok());
  refuse([](Program &p, Function &) { p.states[0].growing = 2; });
  refuse([](Program &p, Function &) { p.states[0].growing.reset(); });
  refuse([](Program &, Function &f) { f.states[0].grown = noView; });
  refuse([](Program &, Function &f) { f.states[0].grown = 99; });
  refuse([](Program &, Function &f) { f.states[0].grown = f.states[1].grown; });
  refuse([](Program &, Function &f) { f.states[0].written = false; });
  refuse([](Program &, Function &f) { f.states[0].read = false; });
  refuse([](Program &, Function &f) { f.views[f.states[0].grown].dims[1] = 3; });
  refuse([](Program &, Function &f) { f.views[f.states[0].grown].dtype = DType::I32; });
  refuse([](Program &, Function &f) { f.views[f.states[0].grown].offset = 8; });
}
