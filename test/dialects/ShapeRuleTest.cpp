// Shape rules: what each finds, and that none trips over operands and attributes that make no sense.
#include "dialects/kiln/Build.h"
#include "dialects/kiln/Dialect.h"
#include "mlir/IR/BuiltinOps.h"

#include <catch2/catch.hpp>

#include <random>

using namespace kiln;
using namespace mlir;

namespace {

struct Fixture {
  Fixture() : context(MLIRContext::Threading::DISABLED), builder(&context) {
    context.loadDialect<KilnDialect>();
    module = ModuleOp::create(builder.getUnknownLoc());
    builder.setInsertionPointToEnd(module->getBody());
  }
  /// An operand of that type.
  Value value(ArrayRef<SizeExpr> dims, Type element) {
    return module->getBody()->addArgument(makeTensorType(dims, element), builder.getUnknownLoc());
  }
  Value f32(ArrayRef<SizeExpr> dims) { return value(dims, builder.getF32Type()); }
  /// The result's dims, or the error.
  std::string infer(StringRef op, ValueRange operands, const Attributes &attributes = {}) {
    auto made = makeOp(builder, sizes, builder.getUnknownLoc(), op, operands, attributes);
    if (!made.ok())
      return formatError(made.status());
    std::string text;
    for (const SizeExpr &dim : getDims((*made)->getResult(0)))
      text += (text.empty() ? "" : ",") + sizes.expand(dim).print();
    return "[" + text + "]";
  }

  MLIRContext context;
  OpBuilder builder;
  OwningOpRef<ModuleOp> module;
  SizeTable sizes;
};

using Ints = std::vector<int64_t>;

} // namespace

TEST_CASE("windows") {
  Fixture f;
  SizeExpr n = f.sizes.declareUser("N"), h = f.sizes.declareUser("H");
  Value x = f.f32({n, 3, h, 9}), w = f.f32({8, 3, 3, 3});
  Attributes conv{{"strides", Ints{2, 2}}, {"pads", Ints{1, 1, 1, 1}}, {"dilations", Ints{1, 1}}};
  CHECK(f.infer("conv", {x, w}, conv) == "[N,8,((H+1) floordiv 2),5]");
  CHECK(f.infer("conv", {x, f.f32({8, 4, 3, 3})}, conv) ==
        "channels of operand and weights: sizes 3 and 4 differ [KILN-E0304]");
  CHECK(f.infer("conv", {x, w}) == "conv needs the attribute dilations [KILN-E0401]");
  conv.set("strides", Ints{2});
  CHECK_THAT(f.infer("conv", {x, w}, conv), Catch::Contains("[KILN-E0404]"));
  Attributes pool{{"kernel", Ints{3, 3}},
                  {"strides", Ints{2, 2}},
                  {"pads", Ints{0, 0, 0, 0}},
                  {"dilations", Ints{1, 1}},
                  {"ceil_mode", 1}};
  // The window that would begin beyond the operand is left out.
  CHECK(f.infer("max_pool", f.f32({1, 1, 5, 6}), pool) == "[1,1,2,3]");
  pool.set("kernel", Ints{1, 1});
  CHECK(f.infer("max_pool", f.f32({1, 1, 6, 6}), pool) == "[1,1,3,3]");
}

TEST_CASE("windows must fit, known sizes and unknown ones alike") {
  Fixture f;
  Attributes pool{{"kernel", Ints{3}}, {"strides", Ints{2}}, {"pads", Ints{0, 0}}, {"dilations", Ints{1}}};
  auto positions = [&](const SizeExpr &size) { return f.infer("max_pool", f.f32({1, 1, size}), pool); };
  auto leastOf = [&](const char *name) {
    std::string known = positions(f.sizes.declareUser(name));
    CHECK_THAT(known, Catch::Contains(name));
    return f.sizes.find(name)->low;
  };
  CHECK(positions(3) == "[1,1,1]");
  CHECK(positions(2) == "window 3 with dilation 1 does not fit into size 2 with pads 0, 0 [KILN-E0304]");
  CHECK(positions(0) == "window 3 with dilation 1 does not fit into size 0 with pads 0, 0 [KILN-E0304]");
  CHECK(leastOf("A") == 3);
  pool.set("ceil_mode", 1); // may reach one further
  CHECK(positions(2) == "[1,1,1]");
  CHECK(positions(1) == "window 3 with dilation 1 does not fit into size 1 with pads 0, 0 [KILN-E0304]");
  CHECK(leastOf("B") == 2);
  pool.set("pads", Ints{0, 1}); // fits into every size but 0, which has no position
  CHECK(positions(1) == "[1,1,1]");
  CHECK(positions(0) == "[1,1,0]");
  CHECK(leastOf("C") == 0);

  SizeExpr n = f.sizes.declareUser("N"), k = f.sizes.declareUser("K");
  Attributes conv{{"strides", Ints{1}}, {"pads", Ints{1, 1}}, {"dilations", Ints{1}}};
  CHECK(f.infer("conv", {f.f32({1, 2, n}), f.f32({4, 2, k})}, conv) == "[1,4,K*-1+N+3]");
  CHECK(f.sizes.find("K")->low == 1);
  REQUIRE(f.sizes.checks().size() == 1);
  CHECK(f.sizes.checks()[0].kind == SizeTable::Check::AtMost);
  CHECK(f.sizes.checks()[0].a.print() == "0");
  CHECK(f.sizes.checks()[0].b.print() == "K*-1+N-min(N, 1)+3");
}

TEST_CASE("movement") {
  Fixture f;
  SizeExpr n = f.sizes.declareUser("N"), s = f.sizes.declareUser("S");
  Value x = f.f32({n, s, 768});
  auto shape = [&](Ints values) { return makeInts(f.builder, f.builder.getUnknownLoc(), values); };
  CHECK(f.infer("reshape", {x, shape({0, 0, 12, 64})}) == "[N,S,12,64]");
  CHECK(f.infer("reshape", {x, shape({0, -1, 64})}) == "[N,S*12,64]");
  CHECK(f.infer("reshape", {x, shape({-1, 768})}) == "[N*S,768]");
  CHECK_THAT(f.infer("reshape", {x, shape({-1, -1})}), Catch::Contains("[KILN-E0311]"));
  CHECK_THAT(f.infer("reshape", {f.f32({5}), shape({-1, 2})}), Catch::Contains("[KILN-E0304]"));
  CHECK(f.infer("expand", {f.f32({n, 1}), shape({2, -1, 5})}) == "[2,N,5]");
  CHECK(f.infer("expand", {f.f32({n, 1}), shape({-1, 2, 5})}) == "shape has the negative entry -1 [KILN-E0311]");
  CHECK(f.infer("slice", x,
                {{"starts", Ints{1, -64}}, {"ends", Ints{9, 1000}}, {"axes", Ints{1, 2}}, {"steps", Ints{2, 1}}}) ==
        "[N,(min(S, 9) floordiv 2),64]");
  CHECK(f.infer("slice", f.f32({10}),
                {{"starts", Ints{-1}}, {"ends", Ints{INT64_MIN}}, {"axes", Ints{0}}, {"steps", Ints{-3}}}) == "[4]");
  CHECK(f.infer("concat", {x, x}, {{"axis", -2}}) == "[N,S*2,768]");
  CHECK(f.infer("transpose", x, {{"perm", Ints{2, 0, 1}}}) == "[768,N,S]");
  CHECK_THAT(f.infer("transpose", x, {{"perm", Ints{2, 0, 0}}}), Catch::Contains("[KILN-E0411]"));
  CHECK_THAT(f.infer("softmax", x, {{"axis", 3}}),
             Catch::Contains("axis 3 is out of range for rank 3; expected -3..2 [KILN-E0412]"));
}

TEST_CASE("nonsense is an error, never a crash") {
  Fixture f;
  std::mt19937_64 random(1);
  auto pick = [&](auto... choices) {
    auto list = {choices...};
    return *(list.begin() + random() % list.size());
  };
  auto integer = [&]() -> int64_t {
    return pick(int64_t(0), int64_t(1), int64_t(2), int64_t(3), int64_t(-1), int64_t(-2), int64_t(7), INT64_MAX,
                INT64_MIN, int64_t(1) << 31, int64_t(1) << 62);
  };
  auto list = [&] {
    Ints values(random() % 6);
    for (int64_t &v : values)
      v = integer();
    return values;
  };
  Type elements[] = {f.builder.getF32Type(), f.builder.getI64Type(), f.builder.getI1Type()};
  SmallVector<Value> pool;
  for (int i = 0; i < 60; ++i) {
    Dims dims(random() % 5);
    for (SizeExpr &dim : dims)
      dim = pick(SizeExpr(0), SizeExpr(1), SizeExpr(2), SizeExpr(3), SizeExpr(int64_t(1) << 62),
                 f.sizes.declareUser("N"), f.sizes.declareUser("M"));
    pool.push_back(f.value(dims, elements[random() % 3]));
  }
  for (int i = 0; i < 40; ++i)
    pool.push_back(makeInts(f.builder, f.builder.getUnknownLoc(), list()));

  int accepted = 0;
  for (const OpInfo &op : allOps()) {
    if (op.structural)
      continue;
    for (int round = 0; round < 300; ++round) {
      SmallVector<Value> operands;
      int most = op.maxOperands < 0 ? op.minOperands + 4 : op.maxOperands;
      for (int i = 0, n = op.minOperands + random() % (most - op.minOperands + 1); i < n; ++i)
        operands.push_back(pool[random() % pool.size()]);
      Attributes attributes;
      for (const AttributeInfo &info : op.attributes) {
        if (!info.required && random() % 2)
          continue;
        switch (info.kind) {
        case AttributeInfo::Kind::Int: attributes.set(info.name, kiln::Attribute(integer())); break;
        case AttributeInfo::Kind::Float: attributes.set(info.name, kiln::Attribute(double(integer()))); break;
        case AttributeInfo::Kind::Ints:
        case AttributeInfo::Kind::Floats: attributes.set(info.name, list()); break;
        case AttributeInfo::Kind::String:
          attributes.set(info.name,
                         std::string(pick("nchw", "nhwc", "f32", "i64", "sum", "mean", "same_upper", "constant", "x")));
          break;
        }
      }
      SizeTable scratch;
      ShapeContext context(scratch);
      auto made = makeOp(f.builder, scratch, f.builder.getUnknownLoc(), StringRef(op.name.data(), op.name.size()),
                         operands, attributes);
      if (!made.ok())
        continue;
      ++accepted;
      (void)context.values((*made)->getResult(0));
      // What the rule accepts, the verifier, which is the rule, accepts too.
      INFO(op.name);
      CHECK(succeeded(verifyByShapeRule(*made)));
      (*made)->erase();
    }
  }
  CHECK(accepted > 500);
}
