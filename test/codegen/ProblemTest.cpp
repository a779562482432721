#include "codegen/problem/Problem.h"
#include "codegen/problem/ProblemReference.h"

#include "dialects/kiln/OpTable.h"

#include <catch2/catch.hpp>

using namespace kiln;

static const char *convText = "v1 default; %0 = in f32[d0,56,56,64]; %1 = const f32[64,64,1,1]; "
                              "%2 = conv(%0,%1){layout=\"nhwc\", strides=[1,1]} f32[d0,56,56,64]; %3 = lit f32[] 6.0; "
                              "%4 = min(%2,%3) f32[d0,56,56,64]; out %4; inplace %4=%0; range d0 1..64";

TEST_CASE("problem text: parse and print agree") {
  for (std::string text : {
           std::string(convText),
           std::string("v1 strict; %0 = in f32[]; %1 = in f32[]; %2 = conv(%0,_,%1) f32[]; out %2"),
           std::string("v1 fast; %0 = in i64[d0,min(d0, d1)]; %1 = lit i64[3] [1,-2,3]; "
                       "%2 = gather(%0,%1){axis=0} i64[3,min(d0, d1)]; out %2; range d0 1..; range d1 ..9"),
           std::string("v1 default; %0 = in f32[2]; %1 = lit f32[4] [inf,-inf,nan,1e-05]; "
                       "%2 = lit bf16[] 0.100097656; %3 = lit f64[] 0.1; %4 = lit bool[] 1; "
                       "%5 = lit u64[] 18446744073709551615; %6 = lit f32[0] []; "
                       "%7 = add(%0,%2) f32[2]; %8 = neg(%7) f32[2]; out %7,%8"),
       }) {
    auto problem = Problem::parse(text);
    INFO(text << "\n" << problem.status().message());
    REQUIRE(problem.ok());
    CHECK(problem->print() == text);
    CHECK(problem->verify().ok());
  }
}

TEST_CASE("problem text: what is malformed is an error that says where") {
  const char *bad[] = {
      "",
      "v2 default",
      "v1 quick; out %0",
      "v1 default",
      "v1 default; %0 = in f32[2]; out %0",                                 // output is no op result
      "v1 default; %1 = in f32[2]; out %1",                                 // numbering
      "v1 default; %0 = in f99[2]; out %0",                                 // type
      "v1 default; %0 = in f32[2; out %0",                                  // bracket
      "v1 default; %0 = neg(%1) f32[2]; out %0",                            // use before definition
      "v1 default; %0 = in f32[2]; %1 = neg(%0) f32[2]",                    // no output
      "v1 default; %0 = lit f32[3] [1.0,2.0]; %1 = neg(%0) f32[3]; out %1", // literal size
      "v1 default; %0 = in f32[-1]; %1 = neg(%0) f32[2]; out %1",
      "v1 default; %0 = in f32[2]; %1 = neg(%0){axis} f32[2]; out %1",
      "v1 default; %0 = in f32[2]; %1 = neg(%0) f32[3]; out %1; inplace %1=%0",
      "v1 default; %0 = const f32[2]; %1 = neg(%0) f32[2]; out %1; inplace %1=%0",
      "v1 default; %0 = in f32[2]; %1 = neg(%0) f32[2]; out %1; range d0 5..4",
      "v1 default; %0 = in f32[2]; %1 = neg(%0) f32[2]; out %1 rubbish",
  };
  for (const char *text : bad) {
    auto problem = Problem::parse(text);
    INFO(text);
    REQUIRE(!problem.ok());
    CHECK(problem.status().code() == ErrorCode::E0805);
  }
  CHECK(Problem::parse("v1 default; %0 = 7").status().message().find("character 18") != std::string::npos);
}

TEST_CASE("problem text: every prefix and every damaged byte is handled") {
  std::string text = convText;
  for (size_t n = 0; n < text.size(); ++n) {
    (void)Problem::parse(text.substr(0, n)).ok();
    for (char c : {'%', '(', ']', '9', ';', '\0'}) {
      std::string damaged = text;
      damaged[n] = c;
      if (auto p = Problem::parse(damaged); p.ok())
        CHECK(p->verify().ok());
    }
  }
}

static SizeExpr sym(const char *name) { return SizeExpr::symbol(name); }

TEST_CASE("canonical form does not depend on the order of building") {
  // relu(x @ w) + y, built in two orders, with other symbol names and a dead value.
  Problem a;
  int x = a.addInput(DType::F32, {sym("N"), 8});
  int w = a.addConst(DType::F32, {8, 4});
  int m = a.addOp("matmul", {x, w}, {}, DType::F32, {sym("N"), 4});
  int r = a.addOp("relu", {m}, {}, DType::F32, {sym("N"), 4});
  int y = a.addInput(DType::F32, {sym("N"), 4});
  int s = a.addOp("add", {r, y}, {}, DType::F32, {sym("N"), 4});
  a.addOutput(s);
  a.inPlace.push_back({0, 2});
  a.ranges["N"] = {1, 64};

  Problem b;
  y = b.addInput(DType::F32, {sym("batch"), 4});
  w = b.addConst(DType::F32, {8, 4});
  x = b.addInput(DType::F32, {sym("batch"), 8});
  b.addOp("neg", {y}, {}, DType::F32, {sym("batch"), 4});
  m = b.addOp("matmul", {x, w}, {}, DType::F32, {sym("batch"), 4});
  r = b.addOp("relu", {m}, {}, DType::F32, {sym("batch"), 4});
  s = b.addOp("add", {r, y}, {}, DType::F32, {sym("batch"), 4});
  b.addOutput(s);
  b.inPlace.push_back({0, 0});
  b.ranges["batch"] = {1, 64};

  Problem::Canonical ca = a.canonical(), cb = b.canonical();
  CHECK(ca.problem.print() == cb.problem.print());
  CHECK(ca.problem.print() == "v1 default; %0 = in f32[d0,8]; %1 = const f32[8,4]; %2 = matmul(%0,%1) f32[d0,4]; "
                              "%3 = relu(%2) f32[d0,4]; %4 = in f32[d0,4]; %5 = add(%3,%4) f32[d0,4]; out %5; "
                              "inplace %5=%4; range d0 1..64");
  CHECK(ca.problem.verify().ok());
  CHECK(ca.inputOrder == std::vector<int>{0, 1, 2});
  CHECK(cb.inputOrder == std::vector<int>{2, 1, 0});
  CHECK(cb.symbolMap == std::vector<std::string>{"batch"});
  CHECK(ca.problem.canonical().problem.print() == ca.problem.print());
}

TEST_CASE("symbols are numbered by first use, many of them too") {
  Problem p;
  std::vector<SizeExpr> dims;
  for (int i = 0; i < 12; ++i)
    dims.push_back(sym(("s" + std::to_string(11 - i)).c_str()));
  int x = p.addInput(DType::F32, dims);
  p.addOutput(p.addOp("neg", {x}, {}, DType::F32, dims));
  Problem::Canonical c = p.canonical();
  CHECK(c.symbolMap.front() == "s11");
  CHECK(c.problem.symbols()[10] == "d10");
  CHECK(c.problem.canonical().problem.print() == c.problem.print());
  auto parsed = Problem::parse(c.problem.print());
  REQUIRE(parsed.ok());
  CHECK(parsed->symbols() == c.problem.symbols());
}

TEST_CASE("work is counted") {
  auto count = [](const char *text) {
    auto p = Problem::parse(text);
    REQUIRE(p.ok());
    return std::pair(flops(*p).print(), bytes(*p).print());
  };
  CHECK(count(convText) == std::pair<std::string, std::string>("d0*25890816", "d0*1605632+16384"));
  CHECK(count("v1 default; %0 = in f32[d0,4,7,8]; %1 = in f32[d0,4,8,d1]; "
              "%2 = matmul(%0,%1) f32[d0,4,7,d1]; out %2")
            .first == "d0*d1*448");
  CHECK(count("v1 default; %0 = in f32[9,d0]; %1 = transpose(%0){perm=[1,0]} f32[d0,9]; out %1").first == "0");
  CHECK(count("v1 default; %0 = in i64[9]; %1 = neg(%0) i64[9]; out %1").first == "0");
}

TEST_CASE("every op that computes counts as work") {
  for (const OpInfo &op : allOps()) {
    if (op.structural)
      continue;
    INFO(op.name);
    Problem p;
    std::vector<SizeExpr> dims(4, SizeExpr(2));
    std::vector<Problem::ValueId> operands;
    for (int i = 0; i < std::max(op.minOperands, 1); ++i)
      operands.push_back(p.addInput(DType::F32, dims));
    Attributes attributes;
    for (const AttributeInfo &info : op.attributes)
      if (info.kind == AttributeInfo::Kind::Ints)
        attributes.set(info.name, std::vector<int64_t>{1, 1});
    p.addOp(std::string(op.name), operands, attributes, DType::F32, dims);
    CHECK(opFlops(p, p.ops[0]).isConstant(0) == (op.flops == 0));
  }
}

static Tensor floats(std::vector<int64_t> dims, std::vector<float> values) {
  return *Tensor::of<float>(DType::F32, std::move(dims), values);
}

TEST_CASE("a problem runs on reference kernels at the sizes of its inputs") {
  auto p = Problem::parse("v1 default; %0 = in f32[d0,2]; %1 = const f32[2,2]; "
                          "%2 = matmul(%0,%1) f32[d0,2]; %3 = lit f32[] 0.0; "
                          "%4 = max(%2,%3) f32[d0,2]; out %4,%2");
  REQUIRE(p.ok());
  Tensor x = floats({3, 2}, {1, 2, -3, 4, 5, -6}), w = floats({2, 2}, {1, -1, 1, 2});
  TensorView views[] = {x.view(), w.view()};
  auto out = referenceResults(*p, views);
  INFO(out.status().message());
  REQUIRE(out.ok());
  REQUIRE(out->size() == 2);
  float expected[] = {3, 3, 1, 11, -1, -17};
  for (int i = 0; i < 6; ++i) {
    CHECK((*out)[1].as<float>()[i] == expected[i]);
    CHECK((*out)[0].as<float>()[i] == std::max(expected[i], 0.0f));
  }
  TensorView wrong[] = {w.view()};
  CHECK(!referenceResults(*p, wrong).ok());
  Tensor narrow = floats({3, 1}, {1, 2, 3});
  TensorView contradicting[] = {narrow.view(), w.view()};
  CHECK(referenceResults(*p, contradicting).status().code() == ErrorCode::E0304);
}

TEST_CASE("an op without a reference kernel is an error") {
  auto p = Problem::parse("v1 default; %0 = in f32[2]; %1 = frobnicate(%0) f32[2]; out %1");
  REQUIRE(p.ok());
  Tensor x = floats({2}, {1, 2});
  TensorView views[] = {x.view()};
  CHECK(referenceResults(*p, views).status().code() == ErrorCode::E0805);
}
