#include "runtime/base/KernelInterface.h"

#include <catch2/catch.hpp>

using namespace kiln;

namespace {
const char *const product =
    "sizes [d0]; in f32[d0,64]; in f32[64,max(8,3)]; out f32[d0,8]; in_place out0 in0; packed in1 \"permute[1,0]; "
    "reshape[8,64]\"; workspace [d0*64]; launch prepare(in0,workspace) grid [d0] scratch [0] flops [0] bytes [d0*512]; "
    "launch matmul(workspace,packed0,out0) grid [(d0+3) floordiv 4] scratch [1024] flops [d0*1024] bytes [d0*32+2048]";

std::string errorOf(const std::string &text) { return formatError(KernelInterface::parse(text).status()); }
} // namespace

TEST_CASE("a kernel interface reads back as it was printed") {
  Result<KernelInterface> k = KernelInterface::parse(product);
  INFO(formatError(k.status()));
  REQUIRE(k.ok());
  CHECK(k->inputs[1].dims == std::vector<SizeExpr>{64, 8});
  CHECK(k->packed[0].input == 1);
  CHECK(k->packedType(0)->dims == std::vector<int64_t>{8, 64});
  Result<KernelInterface> again = KernelInterface::parse(k->print());
  REQUIRE(again.ok());
  CHECK(*again == *k);
  CHECK(again->print() == k->print());
}

TEST_CASE("a call's operands are those that launches take, ordered by kind") {
  KernelInterface k = *KernelInterface::parse(product);
  std::string names;
  for (const KernelOperand &operand : k.operands())
    names += operand.print() + " ";
  CHECK(names == "in0 packed0 out0 workspace ");
  CHECK(k.flops() == SizeExpr::symbol("d0") * 1024);
}

TEST_CASE("a kernel interface that is malformed or refers to nothing is refused") {
  std::string prefix = "kernel interface: expected ";
  for (auto [text, error] : std::vector<std::pair<std::string, std::string>>{
           {"", prefix + "sizes, in, out, in_place, packed, workspace or launch at position 0 of ''"},
           {"in f33[2]", prefix + "an element type before this at position 6 of 'in f33[2]'"},
           {"in f32[2", prefix + "[ ... ] at position 7 of 'in f32[2'"},
           {"sizes [d0] in f32[d0]", prefix + "; or the end at position 11 of 'sizes [d0] in f32[d0]'"},
           {"in_place in0 out0", prefix + "an output and an input before this at position 17 of 'in_place in0 out0'"},
           {"launch f(in1x) grid [1]", prefix + "in<i>, packed<i>, out<i> or workspace before this at position 13 of "
                                                "'launch f(in1x) grid [1]'"},
           {"launch f(in0) scratch [1]", prefix + "grid before this at position 21 of 'launch f(in0) scratch [1]'"},
           {"sizes [d0,d0]", "kernel interface: size 'd0' is malformed or named twice"},
           {"in f32[d0]", "kernel interface: size d0 uses d0, which is none of its sizes"},
           {"in f32[-1]", "kernel interface: a size is negative or overflows"},
           {"in f32[2]; packed in1 \"\"", "kernel interface: packed0 names no input"},
           {"in f32[2]; in_place out0 in0", "kernel interface: an in-place pair names no output or input"},
           {"launch f(workspace) grid [1] scratch [0] flops [0] bytes [0]",
            "kernel interface: launch f takes workspace, which does not exist"}})
    CHECK(errorOf(text) == error + " [KILN-E0805]");
}
