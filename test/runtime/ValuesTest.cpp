// Sequences and optionals through the C API.
#include "TestProgram.h"

#include "kiln/runtime.h"

#include <catch2/catch.hpp>
#include <cstddef>

using namespace kiln;
using namespace kiln::test;

namespace {

/// The negatives of: a sequence of any length `s`, a list of two items `l`, an optional `o`, and a tensor `x`.
ProgramBuilder valuesProgram() {
  ProgramBuilder b;
  b.symbol("N", 0, 1);
  b.symbol("L", 0, 0);
  b.symbol("G", 3, 0, 0, 1);
  using Kind = PortValue::Kind;
  b.p.inputValues = {{"s", Kind::Sequence}, {"l", Kind::Sequence, 2}, {"o", Kind::Optional}, {"x"}};
  b.p.outputValues = {{"t", Kind::Sequence}, {"m", Kind::Sequence, 2}, {"p", Kind::Optional}, {"y"}};
  const char *inputs[] = {"s", "l[0]", "l[1]", "o", "x"}, *outputs[] = {"t", "m[0]", "m[1]", "p", "y"};
  std::vector<const char *> dims[] = {{"L", "N"}, {"2"}, {"1", "N"}, {"G", "3"}, {"N"}};
  for (size_t i = 0; i < 5; ++i) {
    ViewId in = b.input(inputs[i], DType::F32, dims[i]);
    b.call("neg", {in}, {b.output(outputs[i], DType::F32, dims[i])});
  }
  return b;
}

struct Run {
  kiln_status status = KILN_STATUS_INIT;
  kiln_model *model = nullptr;
  kiln_context *context = nullptr;
  kiln_value out[4] = {};

  explicit Run(ProgramBuilder program = valuesProgram(), int64_t limit = 0) {
    std::vector<std::byte> bytes = program.bytes();
    REQUIRE(program.failure == "");
    REQUIRE(kiln_model_load_bytes(bytes.data(), bytes.size(), &model, &status) == 0);
    kiln_context_options options = KILN_CONTEXT_OPTIONS_INIT;
    options.memory_limit = limit;
    REQUIRE(kiln_context_create(model, &options, &context, &status) == 0);
  }
  ~Run() {
    for (kiln_value &value : out)
      kiln_value_release(&value);
    kiln_context_release(context);
    kiln_model_release(model);
    kiln_status_clear(&status);
  }
  /// "" or the error.
  std::string operator()(std::vector<kiln_value> in) {
    for (kiln_value &value : out)
      kiln_value_release(&value);
    kiln_context_run(context, in.data(), in.size(), out, 4, nullptr, &status);
    return status.message ? status.message : "";
  }
};

kiln_value sequence(std::vector<kiln_value> &items) {
  kiln_value value = KILN_VALUE_INIT;
  value.kind = KILN_SEQUENCE;
  value.u.sequence = {items.data(), items.size()};
  return value;
}

std::vector<float> elements(const kiln_value &value) {
  size_t count = 1;
  for (int32_t d = 0; d < value.u.tensor.rank; ++d)
    count *= size_t(value.u.tensor.dims[d]);
  auto *data = static_cast<const float *>(value.u.tensor.data);
  return {data, data + count};
}

// What runs are given.
float data[] = {1, 2, 3, 4, 5, 6};
const int64_t one[] = {1}, two[] = {2}, three[] = {3}, row[] = {1, 2}, wide[] = {1, 1};
const kiln_value none = KILN_VALUE_INIT;
const kiln_value pair = KILN_TENSOR_INIT(data, two, 1, KILN_F32), other = KILN_TENSOR_INIT(data + 2, two, 1, KILN_F32),
                 single = KILN_TENSOR_INIT(data, one, 1, KILN_F32), triple = KILN_TENSOR_INIT(data, three, 1, KILN_F32),
                 rowOfTwo = KILN_TENSOR_INIT(data + 4, row, 2, KILN_F32),
                 rowOfOne = KILN_TENSOR_INIT(data + 4, wide, 2, KILN_F32);

} // namespace

TEST_CASE("kinds of inputs and outputs") {
  Run run;
  kiln_model_info model = KILN_MODEL_INFO_INIT;
  REQUIRE(kiln_model_get_info(run.model, &model, nullptr) == 0);
  CHECK((model.input_count == 4 && model.output_count == 4));
  kiln_entry_info entry = KILN_ENTRY_INFO_INIT;
  REQUIRE(kiln_model_get_entry(run.model, 0, &entry, nullptr) == 0);
  CHECK((entry.input_count == 4 && entry.output_count == 4));
  auto input = [&](size_t i) {
    kiln_port_info port = KILN_PORT_INFO_INIT;
    REQUIRE(kiln_model_get_input(run.model, i, &port, nullptr) == 0);
    return port;
  };
  kiln_port_info s = input(0), l = input(1), o = input(2), x = input(3);
  CHECK((s.kind == KILN_PORT_SEQUENCE && s.length == -1 && s.dtype == KILN_F32 && s.rank == 1));
  CHECK(std::string(s.dims[0].text) == "N");
  CHECK((l.kind == KILN_PORT_SEQUENCE && l.length == 2 && l.rank == -1));
  CHECK((o.kind == KILN_PORT_OPTIONAL && o.length == -1 && o.rank == 1 && o.dims[0].value == 3));
  CHECK((x.kind == KILN_PORT_TENSOR && x.length == -1 && std::string(x.name) == "x"));
  kiln_port_info port = KILN_PORT_INFO_INIT;
  CHECK(kiln_model_get_input(run.model, 4, &port, nullptr) == 501);
  // As a program sees it that was compiled before there were kinds.
  kiln_port_info old = {offsetof(kiln_port_info, kind), nullptr, 0, 0, nullptr, 77, 77};
  REQUIRE(kiln_model_get_output(run.model, 3, &old, nullptr) == 0);
  CHECK((std::string(old.name) == "y" && old.kind == 77));
  kiln_symbol_info symbol = KILN_SYMBOL_INFO_INIT;
  auto place = [&](size_t i) {
    REQUIRE(kiln_model_get_symbol(run.model, i, &symbol, nullptr) == 0);
    return std::pair(symbol.input, symbol.dim);
  };
  CHECK(place(0) == std::pair(0, 0));
  CHECK(place(1) == std::pair(0, -1));
  CHECK(place(2) == std::pair(2, -1));
  CHECK(std::string(kiln_model_text(run.model)).find("input value \"l\" sequence of 2 ports\n") != std::string::npos);
}

TEST_CASE("sequences and optionals go through a run") {
  Run run;
  std::vector<kiln_value> items{pair, other, pair}, list{other, rowOfTwo};
  kiln_value strided = pair; // 5, 3
  const int64_t backwards[] = {-2};
  strided.u.tensor.data = data + 4;
  strided.u.tensor.flags = KILN_HAS_STRIDES;
  strided.u.tensor.strides = backwards;
  items[2] = strided;
  REQUIRE(run({sequence(items), sequence(list), triple, pair}) == "");
  REQUIRE((run.out[0].kind == KILN_SEQUENCE && run.out[0].u.sequence.count == 3));
  const kiln_value *got = run.out[0].u.sequence.items;
  CHECK(elements(got[0]) == std::vector<float>{-1, -2});
  CHECK(elements(got[2]) == std::vector<float>{-5, -3});
  CHECK(got[1].u.tensor.data == static_cast<float *>(got[0].u.tensor.data) + 2); // rows of one tensor
  REQUIRE(run.out[1].u.sequence.count == 2);
  CHECK(elements(run.out[1].u.sequence.items[1]) == std::vector<float>{-5, -6});
  CHECK(run.out[1].u.sequence.items[1].u.tensor.rank == 2);
  REQUIRE((run.out[2].kind == KILN_TENSOR && run.out[2].u.tensor.rank == 1));
  CHECK(elements(run.out[2]) == std::vector<float>{-1, -2, -3});
  CHECK(elements(run.out[3]) == std::vector<float>{-1, -2});

  // No items, whose dims other inputs tell; no value.
  std::vector<kiln_value> nothing;
  REQUIRE(run({sequence(nothing), sequence(list), none, pair}) == "");
  CHECK((run.out[0].kind == KILN_SEQUENCE && run.out[0].u.sequence.count == 0));
  CHECK((run.out[2].kind == KILN_NONE && !run.out[2].release));
}

TEST_CASE("sequences and optionals that do not fit") {
  Run run;
  std::vector<kiln_value> items{pair, other}, list{pair, rowOfTwo}, unlike{pair, single}, short_{pair};
  kiln_value s = sequence(items), l = sequence(list), wrong = sequence(unlike);
  CHECK(run({wrong, l, none, pair}) ==
        "input \"s\": item 0 is f32[2] and item 1 is f32[1]; where the number of items is not known when compiling, "
        "they must have equal dims [KILN-E0204]");
  CHECK(run({none, l, none, pair}) == "input \"s\" is missing [KILN-E0502]");
  CHECK(run({pair, l, none, pair}) == "input \"s\" is a sequence, and is given something else [KILN-E0511]");
  CHECK(run({s, sequence(short_), none, pair}) == "input \"l\" has 1 items; the model was compiled for 2 [KILN-E0505]");
  CHECK(run({s, l, s, pair}) == "input \"o\" is not a tensor [KILN-E0511]");
  CHECK(run({s, l, pair, pair}) == "input \"o\": expected f32[3], got f32[2] [KILN-E0505]");
  CHECK(run({s, l, none, s}) == "input \"x\" is not a tensor [KILN-E0511]");
  CHECK(run({s, l, none}) == "the model has 4 inputs, 3 were given [KILN-E0502]");
  std::vector<kiln_value> rows{pair, rowOfTwo}, halves{pair, none}, narrow{pair, rowOfOne};
  CHECK(run({sequence(rows), l, none, pair}) == "item 1 of input \"s\": expected f32[N], got f32[1,2] [KILN-E0504]");
  CHECK(run({sequence(halves), l, none, pair}) == "item 1 of input \"s\" is missing [KILN-E0502]");
  CHECK(run({s, sequence(halves), none, pair}) == "item 1 of input \"l\" is missing [KILN-E0502]");
  CHECK(run({s, sequence(narrow), none, pair}) ==
        "input \"l[1]\": expected f32[1,N], got f32[1,1]: dim 1 is 1, but N is bound to 2 by dim 1 of input \"s\" "
        "[KILN-E0506]");
  kiln_value empty = KILN_VALUE_INIT;
  empty.kind = KILN_SEQUENCE;
  empty.u.sequence = {nullptr, 2};
  CHECK(run({empty, l, none, pair}) == "input \"s\" has no items [KILN-E0704]");
  rows[1] = pair;
  rows[1].u.tensor.data = nullptr;
  CHECK(run({sequence(rows), l, none, pair}) == "item 1 of input \"s\" has no data [KILN-E0502]");
  run.out[0] = pair;
  kiln_value in[] = {s, l, none, pair};
  CHECK(kiln_context_run(run.context, in, 4, run.out, 4, nullptr, &run.status) == 704);
  CHECK(std::string(run.status.message) ==
        "output \"t\" is no tensor, so it is allocated; pass KILN_NONE for it [KILN-E0704]");
  run.out[0] = none;
}

TEST_CASE("an optional that a model always takes must be there") {
  ProgramBuilder b;
  b.p.inputValues = {{"o", PortValue::Kind::Optional}};
  b.call("neg", {b.input("o", DType::F32, {"1", "2"})}, {b.output("y", DType::F32, {"1", "2"})});
  b.p.outputValues = {{"y", PortValue::Kind::Optional}};
  std::vector<std::byte> bytes = b.bytes();
  Run run(b);
  kiln_value in = none;
  CHECK(kiln_context_run(run.context, &in, 1, run.out, 1, nullptr, &run.status) == 502);
  CHECK(std::string(run.status.message) == "input \"o\" is absent; the model always takes its value [KILN-E0502]");
  in = pair;
  REQUIRE(kiln_context_run(run.context, &in, 1, run.out, 1, nullptr, &run.status) == 0);
  CHECK(elements(run.out[0]) == std::vector<float>{-1, -2});
}

TEST_CASE("an optional sequence has a dim for its presence and one for its items") {
  ProgramBuilder b;
  b.symbol("G", 0, 0, 0, 1);
  b.symbol("L", 0, 1);
  b.p.inputValues = {{"o", PortValue::Kind::OptionalSequence}};
  b.p.outputValues = {{"y", PortValue::Kind::OptionalSequence}};
  b.call("neg", {b.input("o", DType::F32, {"G", "L", "2"})}, {b.output("y", DType::F32, {"G", "L", "2"})});
  Run run(b);
  kiln_port_info port = KILN_PORT_INFO_INIT;
  REQUIRE(kiln_model_get_input(run.model, 0, &port, nullptr) == 0);
  CHECK((port.kind == KILN_PORT_OPTIONAL_SEQUENCE && port.length == -1 && port.rank == 1 && port.dims[0].value == 2));
  auto runWith = [&](kiln_value in) {
    kiln_value_release(&run.out[0]);
    kiln_context_run(run.context, &in, 1, run.out, 1, nullptr, &run.status);
    return run.status.message ? std::string(run.status.message) : "";
  };
  std::vector<kiln_value> items{pair, other}, nothing;
  REQUIRE(runWith(sequence(items)) == "");
  REQUIRE((run.out[0].kind == KILN_SEQUENCE && run.out[0].u.sequence.count == 2));
  CHECK(elements(run.out[0].u.sequence.items[1]) == std::vector<float>{-3, -4});
  REQUIRE(runWith(sequence(nothing)) == "");
  CHECK((run.out[0].kind == KILN_SEQUENCE && run.out[0].u.sequence.count == 0));
  REQUIRE(runWith(none) == "");
  CHECK(run.out[0].kind == KILN_NONE);
  CHECK(runWith(pair) == "input \"o\" is a sequence, and is given something else [KILN-E0511]");
}

TEST_CASE("copies of items count towards the memory limit") {
  Run run(valuesProgram(), 300);
  std::vector<float> large(100);
  const int64_t dims[] = {100};
  kiln_value item = KILN_TENSOR_INIT(large.data(), dims, 1, KILN_F32);
  std::vector<kiln_value> items{item}, list{pair, rowOfTwo};
  std::string error = run({sequence(items), sequence(list), none, pair});
  CHECK(run.status.code == 510);
}

TEST_CASE("values that ports do not make up") {
  using Kind = PortValue::Kind;
  auto failure = [](auto change) {
    ProgramBuilder b = valuesProgram();
    change(b.p);
    return formatError(checkProgram(b.finish(), 0));
  };
  CHECK(failure([](Function &) {}) == "");
  CHECK(failure([](Function &f) { f.inputValues.pop_back(); }) == "plan: a port belongs to no value [KILN-E0905]");
  CHECK(failure([](Function &f) { f.inputValues[1].items = 9; }) ==
        "plan: value 'l' has more items than there are ports [KILN-E0905]");
  CHECK(failure([](Function &f) { f.outputValues[0].name = "m"; }) ==
        "plan: value 'm' exists twice, or is no sequence and has items [KILN-E0905]");
  CHECK(failure([](Function &f) { f.inputValues[1].kind = Kind::Optional; }) ==
        "plan: value 'l' exists twice, or is no sequence and has items [KILN-E0905]");
  CHECK(failure([](Function &f) { f.views[f.outputs[3].view].dims.clear(); }) ==
        "plan: value 'p' has no dim for its items [KILN-E0905]");
  CHECK(failure([](Function &f) { f.views[f.outputs[2].view].dtype = DType::I32; }) ==
        "plan: value 'm' has items of several types [KILN-E0905]");
}
