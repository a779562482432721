// The recurrent family: rnn, gru and lstm over all their steps.
#include "FamilyTest.h"

#include <catch2/catch.hpp>

using namespace kiln::test;

namespace {

/// A layer of 5 inputs: `more` are the operands behind r (bias, lengths, states), `given` their definitions.
std::string layer(const std::string &op, int64_t gates, int64_t hidden, const std::string &steps,
                  const std::string &batch, int64_t directions, const std::string &attributes, bool withOperands,
                  const std::string &outputs, bool withLengths = false) {
  auto n = [](int64_t x) { return std::to_string(x); };
  std::string state = "f32[" + n(directions) + "," + batch + "," + n(hidden) + "]";
  std::string text = "v1 default; %0 = in f32[" + steps + "," + batch + ",5]; %1 = const f32[" + n(directions) + "," +
                     n(gates * hidden) + ",5]; %2 = const f32[" + n(directions) + "," + n(gates * hidden) + "," +
                     n(hidden) + "]; ";
  bool isLstm = op == "lstm";
  int next = 3;
  std::string operands = "%0,%1,%2";
  if (withOperands) {
    text += "%3 = const f32[" + n(directions) + "," + n(2 * gates * hidden) + "]; %4 = in " + state + "; ";
    operands += ",%3,_,%4";
    next = 5;
    if (isLstm) {
      text += "%5 = in " + state + "; ";
      operands += ",%5,_";
      next = 6;
    }
    if (withLengths) {
      text += "%" + n(next) + " = in i32[" + batch + "]; ";
      operands.replace(operands.find("_"), 1, "%" + n(next++));
    }
  } else {
    operands += isLstm ? ",_,_,_,_,_" : ",_,_,_";
  }
  std::string y = "f32[" + steps + "," + n(directions) + "," + batch + "," + n(hidden) + "]";
  std::string results = "%" + n(next) + ",%" + n(next + 1) + (isLstm ? ",%" + n(next + 2) : "");
  text +=
      results + " = " + op + "(" + operands + ")" + attributes + " " + y + "," + state + (isLstm ? "," + state : "");
  text += "; out ";
  for (char which : outputs)
    text += (which == outputs.front() ? "%" : ",%") + n(next + (which - '0'));
  return text;
}

struct Kind {
  const char *op;
  int64_t gates;
  const char *attributes;
};
constexpr Kind kinds[] = {{"rnn", 1, ""},
                          {"rnn", 1, "{activations=\"relu\"}"},
                          {"gru", 3, ""},
                          {"gru", 3, "{linear_before_reset=1}"},
                          {"lstm", 4, ""}};

} // namespace

TEST_CASE("recurrent layers of static sizes") {
  for (const Kind &kind : kinds)
    for (int64_t hidden : {1, 16, 21})
      for (auto [steps, batch] : {std::pair("1", "1"), {"6", "3"}, {"3", "9"}}) {
        if (hidden == 1 && kind.gates == 1)
          continue; // its bias is not a buffer but two numbers, which a layer of one unit does not repay
        checkFamily("recurrent", layer(kind.op, kind.gates, hidden, steps, batch, 1, kind.attributes, true, "01"));
        checkFamily("recurrent", layer(kind.op, kind.gates, hidden, steps, batch, 1, kind.attributes, false, "0"));
      }
}

TEST_CASE("recurrent layers in all configurations, at sizes that only a run tells") {
  for (const Kind &kind : kinds)
    checkFamily("recurrent", layer(kind.op, kind.gates, 18, "d0", "d1", 1, kind.attributes, true, "10"),
                {{0, 2}, {1, 1}, {4, 7}, {11, 2}}, /*allCandidates=*/true);
}

TEST_CASE("recurrent layers in both directions, and the last states") {
  for (std::string direction : {"reverse", "bidirectional"})
    for (std::string outputs : {"0", "1", "2", "012"}) {
      std::string attributes = "{direction=\"" + direction + "\"}";
      checkFamily("recurrent",
                  layer("lstm", 4, 20, "d0", "d1", direction == "reverse" ? 1 : 2, attributes, true, outputs),
                  {{0, 1}, {1, 1}, {5, 3}});
    }
}

TEST_CASE("recurrent layers whose elements have lengths of their own") {
  using namespace kiln;
  for (const Kind &kind : kinds)
    for (std::string direction : {"forward", "reverse", "bidirectional"}) {
      std::string attributes = kind.attributes;
      attributes = (attributes.empty() ? "{" : attributes.substr(0, attributes.size() - 1) + ", ") + "direction=\"" +
                   direction + "\"}";
      int64_t directions = direction == "bidirectional" ? 2 : 1;
      std::string text =
          layer(kind.op, kind.gates, 21, "5", "7", directions, attributes, true, kind.gates == 4 ? "012" : "01", true);
      INFO(text);
      Result<Problem> parsed = Problem::parse(text);
      REQUIRE(parsed.ok());
      const KernelFamily *family = claimant(text);
      REQUIRE(family);
      std::vector<Tensor> inputs = *makeInputs(*parsed, {});
      std::vector<TensorView> views;
      for (Tensor &input : inputs) {
        if (input.dtype() == DType::I32)
          std::ranges::copy(std::array<int32_t, 7>{0, 1, 5, 3, 5, 2, 4}, input.as<int32_t>());
        views.push_back(input.view());
      }
      for (const TargetInfo &target : allTargets()) {
        Config config = family->defaultConfig(*parsed, target);
        auto kernel = CompiledProblem::compile(*family, *parsed, config, {&cpuBackend(), target});
        REQUIRE(kernel.ok());
        if (!target.runsHere())
          continue;
        Status status = checkOn(*kernel, *parsed, family->exactness(*parsed, config), views);
        INFO(formatError(status));
        CHECK(status.ok());
        for (Tensor &input : inputs)
          if (input.dtype() == DType::I32) {
            for (int32_t wrong : {-1, 6}) {
              input.as<int32_t>()[3] = wrong;
              CHECK(kernel->run(views).status().code() == ErrorCode::E0513);
            }
            input.as<int32_t>()[3] = 3;
          }
      }
    }
}

TEST_CASE("what the recurrent family does not claim") {
  for (const char *attributes : {"{clip=1.0}", "{input_forget=1}", "{activations=\"tanh,tanh,tanh\"}"})
    CHECK(claimant(layer("lstm", 4, 8, "3", "2", 1, attributes, true, "0")) == nullptr);
  CHECK(claimant("v1 default; %0 = in f32[3,2,5]; %1 = in f32[1,8,5]; %2 = const f32[1,8,8]; %3,%4 = "
                 "rnn(%0,%1,%2,_,_,_) f32[3,1,2,8],f32[1,2,8]; out %3") == nullptr);
}
