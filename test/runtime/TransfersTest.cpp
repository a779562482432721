#include "TestProgram.h"

#include "runtime/plan/PlanEncoding.h"
#include "runtime/plan/Transfers.h"

#include <catch2/catch.hpp>
#include <sstream>

using namespace kiln;
using namespace kiln::test;

namespace {

/// f32[4] in, f32[4] out.
const char *const unary = "in f32[4]; out f32[4]; launch f(in0,out0) grid [1] scratch [0] flops [4] bytes [32]";

struct Sample : ProgramBuilder {
  KernelId k = 0;
  Sample() {
    program.target = "x86-64-v3";
    k = kernel(std::vector<std::byte>(64), unary);
  }
  ViewId in(const char *name) { return input(name, DType::F32, {"4"}); }
  ViewId out(const char *name) { return output(name, DType::F32, {"4"}); }
  ViewId temp() { return ProgramBuilder::temp(DType::F32, {"4"}); }
  void copy(ViewId source, ViewId target) { step({CopyStep{source, target}, "", {}}); }

  /// The program on the device, which must be a valid one.
  Program moved() {
    Program program = finish();
    moveToDevice(program, "test");
    CHECK(formatError(checkProgram(program, code.size())) == "");
    return program;
  }
  /// Its steps as printed, without their names and work.
  std::string steps() {
    std::istringstream text(printProgram(moved()));
    std::string line, all;
    while (std::getline(text, line))
      if (line.starts_with("step ")) {
        size_t begin = line.find("\" ") + 2, end = line.find(" flops ");
        all += line.substr(begin, end - begin) + "\n";
      }
    return all;
  }
};

} // namespace

TEST_CASE("a value crosses once, and comes back once") {
  Sample s;
  ViewId x = s.in("x"), y = s.out("y"), z = s.out("z"), a = s.temp(), h = s.temp();
  s.launch(s.k, {x, a});
  s.call("neg", {a}, {h});
  s.launch(s.k, {a, y});
  s.call("add", {h, a}, {z});
  s.launch(s.k, {x, a}); // another value
  s.call("add", {z, a}, {z});
  CHECK(s.steps() == R"(copy to device in:x f32[4] -> %5@device f32[4]
launch @0(in0=%5@device f32[4], out0=%3@device f32[4])
copy to host %3@device f32[4] -> %6 f32[4]
call neg(%6 f32[4]) {} -> (%4 f32[4])
launch @0(in0=%3@device f32[4], out0=%7@device f32[4])
call add(%4 f32[4], %6 f32[4]) {} -> (out:z f32[4])
launch @0(in0=%5@device f32[4], out0=%3@device f32[4])
copy to host %3@device f32[4] -> %6 f32[4]
call add(out:z f32[4], %6 f32[4]) {} -> (out:z f32[4])
copy to host %7@device f32[4] -> out:y f32[4]
)");
  TransferBytes bytes = transfersOf(s.moved().functions[0]);
  CHECK(bytes.toDevice == SizeExpr(16));
  CHECK(bytes.toHost == SizeExpr(3 * 16));
}

TEST_CASE("constants do not cross, and are on the device where launches read them") {
  Sample s;
  ViewId y = s.out("y"), z = s.out("z");
  ViewId both = s.constant<float>("both", DType::F32, {4}, {1, 2, 3, 4});
  ViewId own = s.constant<float>("own", DType::F32, {4}, {1, 2, 3, 4});
  ViewId hosts = s.constant<float>("hosts", DType::F32, {4}, {1, 2, 3, 4});
  s.launch(s.k, {own, y});
  s.call("add", {both, hosts}, {z});
  s.launch(s.k, {both, y});
  CHECK(s.steps() == R"(launch @0(in0=const:own@device f32[4], out0=%5@device f32[4])
call add(const:both f32[4], const:hosts f32[4]) {} -> (out:z f32[4])
launch @0(in0=const:both@device f32[4], out0=%5@device f32[4])
copy to host %5@device f32[4] -> out:y f32[4]
)");
  DeviceConstants placed = deviceConstants(s.moved());
  CHECK(placed.offsets == std::vector<int64_t>{64, 0, -1});
  CHECK(placed.bytes == 128);
}

TEST_CASE("copies are made where their source is") {
  Sample s;
  ViewId x = s.in("x"), same = s.out("same"), y = s.out("y"), again = s.out("again"), last = s.out("last");
  ViewId a = s.temp(), b = s.temp();
  s.copy(x, same); // on the host: no launch reads it
  s.launch(s.k, {x, y});
  s.copy(y, again); // comes back once, for both
  s.launch(s.k, {x, a});
  s.copy(a, last); // straight into the output
  s.launch(s.k, {x, a});
  s.copy(a, b);
  s.launch(s.k, {b, y});
  CHECK(s.steps() == R"(copy in:x f32[4] -> out:same f32[4]
copy to device in:x f32[4] -> %7@device f32[4]
launch @0(in0=%7@device f32[4], out0=%8@device f32[4])
copy to host %8@device f32[4] -> out:y f32[4]
copy out:y f32[4] -> out:again f32[4]
launch @0(in0=%7@device f32[4], out0=%5@device f32[4])
copy to host %5@device f32[4] -> out:last f32[4]
launch @0(in0=%7@device f32[4], out0=%5@device f32[4])
copy on device %5@device f32[4] -> %6@device f32[4]
launch @0(in0=%6@device f32[4], out0=%8@device f32[4])
copy to host %8@device f32[4] -> out:y f32[4]
)");
}

TEST_CASE("what a step writes in part, or perhaps, is there before") {
  Sample s;
  ViewId x = s.in("x"), y = s.out("y"), z = s.out("z");
  ViewId whole = s.ProgramBuilder::temp(DType::F32, {"8"});
  BufferId buffer = s.p.views[whole].buffer;
  ViewId left = s.view(buffer, DType::F32, s.dims({"4"})), right = s.view(buffer, DType::F32, s.dims({"4"}), 16);
  s.launch(s.k, {x, left});
  s.call("neg", {x}, {right});
  s.launch(s.k, {right, y});
  s.launch(s.k, {x, z});
  s.call("neg", {x}, {z}).guards.push_back({1, 2, Condition::Relation::Equal});
  s.launch(s.k, {z, y});
  CHECK(s.steps() == R"(copy to device in:x f32[4] -> %4@device f32[4]
launch @0(in0=%4@device f32[4], out0=%3@device f32[4])
copy to host %3@device u8[32] -> %5 u8[32]
call neg(in:x f32[4]) {} -> (%5+16 f32[4])
copy to device %5 u8[32] -> %3@device u8[32]
launch @0(in0=%3+16@device f32[4], out0=%6@device f32[4])
launch @0(in0=%4@device f32[4], out0=%7@device f32[4])
copy to host %7@device f32[4] -> out:z f32[4]
if 1 == 2 call neg(in:x f32[4]) {} -> (out:z f32[4])
copy to device out:z f32[4] -> %7@device f32[4]
launch @0(in0=%7@device f32[4], out0=%6@device f32[4])
copy to host %6@device f32[4] -> out:y f32[4]
)");
}

TEST_CASE("states go to the device and back; called functions take and give values on the host") {
  Sample s;
  ViewId past = s.state("past", DType::F32, {"4"}, true, true);
  ViewId made = s.state("made", DType::F32, {"4"}, false, true);
  ViewId kept = s.state("kept", DType::F32, {"4"}, true, false);
  ViewId x = s.in("x"), y = s.out("y"), a = s.temp(), b = s.temp();
  s.launch(s.k, {past, past});
  s.launch(s.k, {kept, made});
  s.launch(s.k, {x, a});
  s.step({CallStep{{1, {a}, {}}, {b}}, "", {}});
  s.launch(s.k, {b, y});
  s.function("inner");
  ViewId in = s.in("in"), out = s.out("out");
  s.launch(s.k, {in, out});
  CHECK(s.steps() == R"(copy to device state:past f32[4] -> %7@device f32[4]
launch @0(in0=%7@device f32[4], out0=%7@device f32[4])
copy to device state:kept f32[4] -> %8@device f32[4]
launch @0(in0=%8@device f32[4], out0=%9@device f32[4])
copy to device in:x f32[4] -> %10@device f32[4]
launch @0(in0=%10@device f32[4], out0=%5@device f32[4])
copy to host %5@device f32[4] -> %11 f32[4]
@inner(%11 f32[4]) -> (%6 f32[4])
copy to device %6 f32[4] -> %12@device f32[4]
launch @0(in0=%12@device f32[4], out0=%13@device f32[4])
copy to host %13@device f32[4] -> out:y f32[4]
copy to host %7@device f32[4] -> state:past f32[4]
copy to host %9@device f32[4] -> state:made f32[4]
copy to device in:in f32[4] -> %2@device f32[4]
launch @0(in0=%2@device f32[4], out0=%3@device f32[4])
copy to host %3@device f32[4] -> out:out f32[4]
)");
}

TEST_CASE("memory spaces are stored, and steps whose operands lie elsewhere are refused") {
  Sample s;
  ViewId x = s.in("x"), y = s.out("y"), a = s.temp();
  s.launch(s.k, {x, a});
  s.call("neg", {a}, {y});
  Program moved = s.moved();
  Result<Program> again = decodeProgram(encodeProgram(moved));
  REQUIRE(again.ok());
  CHECK(printProgram(*again) == printProgram(moved));
  CHECK(again->functions[0].deviceArenaBytes == 128);
  CHECK(again->functions[0].arenaBytes == 64);

  auto refusal = [&](auto change) {
    Program program = moved;
    change(program, program.functions[0]);
    return formatError(checkProgram(program, s.code.size()));
  };
  CHECK(refusal([](Program &p, Function &) { p.device.clear(); }) ==
        "plan: a buffer cannot lie in device memory [KILN-E0905]");
  CHECK(refusal([](Program &, Function &f) { f.buffers[0].space = Buffer::Space::Device; }) ==
        "plan: a buffer cannot lie in device memory [KILN-E0905]");
  CHECK(refusal([](Program &, Function &f) { std::get<LaunchStep>(f.steps[1].action).operands[0] = 0; }) ==
        "plan: step 1 ('node_launch_0') works in device memory and has an operand elsewhere [KILN-E0905]");
  CHECK(refusal([&](Program &, Function &f) { std::get<HostCallStep>(f.steps[3].action).inputs[0] = a; }) ==
        "plan: step 3 ('node_neg_1') works in host memory and has an operand elsewhere [KILN-E0905]");
  CHECK(refusal([](Program &, Function &f) { f.deviceArenaBytes = 64; }) ==
        "plan: buffer lies outside the arena [KILN-E0905]");
}
