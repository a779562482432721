#include "test/runtime/TestProgram.h"

#include "runtime/plan/Arena.h"

#include <catch2/catch.hpp>

using namespace kiln;
using kiln::test::ProgramBuilder;

namespace {
std::string print(const std::vector<LiveInterval> &intervals, std::initializer_list<BufferId> buffers) {
  std::string text;
  for (BufferId b : buffers)
    text += std::to_string(intervals[b].first) + ".." + std::to_string(intervals[b].last) + " ";
  return text;
}

void assign(ProgramBuilder &b) {
  Program program = b.finish();
  assignArenas(program);
  b.p = program.functions.back();
}
} // namespace

TEST_CASE("buffers that are never in use together share bytes") {
  ProgramBuilder b;
  ViewId x = b.input("x", DType::F32, {"16"}), y = b.output("y", DType::F32, {"16"});
  ViewId a = b.temp(DType::F32, {"16"}), c = b.temp(DType::F32, {"16"}), d = b.temp(DType::F32, {"16"});
  BufferId first = b.p.views[a].buffer, second = b.p.views[c].buffer, third = b.p.views[d].buffer;
  ViewId alias = b.view(first, DType::F32, {4, 4}); // keeps `a` in use
  b.call("neg", {x}, {a});
  b.call("neg", {alias}, {c});
  b.call("neg", {c}, {d});
  b.call("neg", {d}, {y});
  CHECK(print(liveIntervals(b.program, b.p), {first, second, third}) == "0..1 1..2 2..3 ");
  assign(b);
  CHECK(b.p.arenaBytes == 128);
  CHECK(b.p.buffers[first].offset == b.p.buffers[third].offset);
  CHECK(b.p.buffers[first].offset != b.p.buffers[second].offset);

  b.p.sharesMemory = false;
  CHECK(print(liveIntervals(b.program, b.p), {first, second, third}) == "0..3 0..3 0..3 ");
  assign(b);
  CHECK(b.p.arenaBytes == 192);
}

TEST_CASE("each launch of a kernel is a moment of its own") {
  ProgramBuilder b;
  ViewId x = b.input("x", DType::F32, {"16"}), y = b.output("y", DType::F32, {"16"});
  ViewId a = b.temp(DType::F32, {"16"}), work = b.temp(DType::U8, {"64"}, Buffer::Place::Workspace);
  ViewId c = b.temp(DType::F32, {"16"});
  std::byte code[64] = {};
  KernelId kernel =
      b.kernel(code, "in f32[16]; out f32[16]; workspace [64]; launch f(in0,workspace) grid [1] scratch [0] "
                     "flops [0] bytes [0]; launch g(workspace,out0) grid [1] scratch [0] flops [0] bytes [0]");
  b.call("neg", {x}, {a});
  b.launch(kernel, {a, c, work});
  b.call("neg", {c}, {y});
  BufferId input = b.p.views[a].buffer, between = b.p.views[work].buffer, output = b.p.views[c].buffer;
  CHECK(print(liveIntervals(b.program, b.p), {input, between, output}) == "0..1 1..2 2..3 ");
  assign(b);
  CHECK(b.p.arenaBytes == 128); // the output lies where the input was
}

TEST_CASE("one unknown size leaves all offsets to run time") {
  ProgramBuilder b;
  b.symbol("N", 0, 0);
  ViewId x = b.input("x", DType::F32, {"N"}), y = b.output("y", DType::F32, {"N"});
  ViewId a = b.temp(DType::F32, {"N"}), c = b.temp(DType::F32, {"16"});
  b.p.buffers[b.p.views[c].buffer].offset = 64;
  b.call("neg", {x}, {a});
  b.call("neg", {a}, {y});
  assign(b);
  CHECK(!b.p.arenaBytes);
  CHECK(!b.p.buffers[b.p.views[c].buffer].offset);
}
