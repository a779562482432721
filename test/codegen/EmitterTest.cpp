// Constant folding while emitting: index arithmetic is folded, what would overflow is left to the code, which wraps.
#include "FamilyTest.h"

#include "codegen/cpu/CpuEmitter.h"
#include "codegen/cpu/Lowering.h"

#include <catch2/catch.hpp>

#include <limits>

using namespace kiln;
using cpu::Emitter;

TEST_CASE("index arithmetic is folded where it does not overflow") {
  std::unique_ptr<mlir::MLIRContext> context = cpu::makeContext();
  Emitter e(*context, *TargetInfo::parse("x86-64-v3"));
  constexpr int64_t most = std::numeric_limits<int64_t>::max(), least = std::numeric_limits<int64_t>::min();
  auto folded = [](mlir::Value v) {
    double value = 0;
    return Emitter::isConstant(v, &value) ? std::optional(value) : std::nullopt;
  };
  CHECK(folded(e.add(e.index(3), e.index(4))) == 7);
  CHECK(folded(e.sub(e.index(3), e.index(4))) == -1);
  CHECK(folded(e.mul(e.index(1 << 20), e.index(1 << 20))) == 0x1p40);
  CHECK(!folded(e.add(e.index(most), e.index(1))));
  CHECK(!folded(e.sub(e.index(least), e.index(1))));
  CHECK(!folded(e.mul(e.index(most), e.index(2))));
  CHECK(!folded(e.mul(e.index(least), e.index(-1))));
  // Exact beyond what a double can hold.
  CHECK(folded(e.sub(e.index(most), e.index(most - 1))) == 1);
  e.take();
}

TEST_CASE("constants of a model wrap as its tensors do") {
  test::checkFamily("elementwise",
                    "v1 default; %0 = in i64[d0]; %1 = lit i64[] 9223372036854775807; %2 = lit i64[] 3; "
                    "%3 = mul(%1,%2) i64[]; %4 = add(%1,%2) i64[]; %5 = sub(%3,%1) i64[]; %6 = add(%0,%3) i64[d0]; "
                    "%7 = mul(%6,%4) i64[d0]; %8 = sub(%7,%5) i64[d0]; out %8",
                    {{1}, {37}});
}
