#include "Checksums.h"
#include "TestProgram.h"

#include "runtime/plan/PlanEncoding.h"

#include <catch2/catch.hpp>
#include <cstdio>
#include <fcntl.h>
#include <random>
#include <sys/stat.h>
#include <unistd.h>

using namespace kiln;
using namespace kiln::test;

namespace {
ErrorCode loadError(std::span<const std::byte> bytes) { return Artifact::fromBytes(bytes).status().code(); }
} // namespace

TEST_CASE("a program survives writing and loading") {
  ProgramBuilder b = sampleProgram();
  std::vector<std::byte> bytes = b.bytes();
  REQUIRE(b.failure == "");
  auto artifact = Artifact::fromBytes(bytes);
  REQUIRE(artifact.ok());
  const Program &p = (*artifact)->program();
  Program expected = b.finish();
  expected.constants = p.constants; // offsets and digests are the writer's
  CHECK(printProgram(p) == printProgram(expected));
  CHECK(encodeProgram(p) == encodeProgram(expected));
  float w[3];
  std::memcpy(w, (*artifact)->constant(0).data(), sizeof w);
  CHECK(w[2] == 3);
  CHECK((*artifact)->verifyWeights().ok());
  CHECK(b.bytes() == bytes); // deterministic
  // What was loaded can be written again, byte by byte the same.
  CHECK(std::equal((*artifact)->bytes().begin(), (*artifact)->bytes().end(), bytes.begin(), bytes.end()));
}

TEST_CASE("an artifact file is mapped and its weights used in place") {
  std::string path = "artifact-test.kiln";
  ProgramBuilder b = sampleProgram();
  b.code.assign(5000, std::byte(0x90));
  KernelInterface interface;
  interface.launches.resize(2);
  interface.launches[0].name = interface.launches[1].name = "f";
  b.program.kernels.push_back(Kernel{"test", "{}", "v1 default", interface, 4096, 904, {0, 64}});
  std::vector<std::byte> bytes = b.bytes();
  REQUIRE(b.failure == "");
  int fd = ::open(path.c_str(), O_CREAT | O_TRUNC | O_RDWR, 0644);
  REQUIRE(fd >= 0);
  REQUIRE(
      writeArtifact(
          b.finish(), b.code,
          [&](size_t i) -> Result<std::span<const std::byte>> { return std::span<const std::byte>(b.constants[i]); },
          *std::make_unique<FileSink>(fd, path))
          .ok());
  ::close(fd);
  auto artifact = Artifact::open(path);
  REQUIRE(artifact.ok());
  CHECK(std::equal((*artifact)->bytes().begin(), (*artifact)->bytes().end(), bytes.begin(), bytes.end()));
  CHECK((*artifact)->code().size() == 5000);
  CHECK(reinterpret_cast<uintptr_t>((*artifact)->code().data()) % 4096 == 0);
  CHECK((*artifact)->code()[4999] == std::byte(0x90));
  CHECK((*artifact)->constant(0).data() >= (*artifact)->bytes().data());
  std::remove(path.c_str());
  CHECK(Artifact::open(path).status().code() == ErrorCode::E0101);
  CHECK(Artifact::open("/").status().code() == ErrorCode::E0101);
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  CHECK(formatError(Artifact::open(path).status()) == path + ": cannot be opened: it is no regular file [KILN-E0101]");
  std::remove(path.c_str());
}

TEST_CASE("a full disk is an error that names the file") {
  int fd = ::open("/dev/full", O_WRONLY);
  REQUIRE(fd >= 0);
  CHECK(formatError(FileSink(fd, "m.kiln").write(std::vector<std::byte>(10))) ==
        "m.kiln: cannot be written: No space left on device [KILN-E0106]");
  ::close(fd);
}

TEST_CASE("damaged weights are named") {
  std::vector<std::byte> bytes = sampleProgram().bytes();
  ArtifactHeader h;
  std::memcpy(&h, bytes.data(), sizeof h);
  bytes[h.weightsOffset] ^= std::byte(1);
  auto artifact = Artifact::fromBytes(bytes);
  REQUIRE(artifact.ok());
  CHECK(formatError((*artifact)->verifyWeights()) ==
        "weights are damaged: constant 0 (\"w\") does not match its checksum; copy or compile the artifact again "
        "[KILN-E0608]");
}

TEST_CASE("other files and other versions are told apart") {
  std::string text = "hello, this is no artifact at all; it is longer than a header would be, much "
                     "longer than that, by some lines";
  text += text;
  CHECK(loadError(std::as_bytes(std::span(text))) == ErrorCode::E0601);
  CHECK(loadError({}) == ErrorCode::E0601);
  std::vector<std::byte> bytes = sampleProgram().bytes();
  auto newer = bytes;
  newer[8] = std::byte(artifactVersion + 1);
  CHECK(loadError(newer) == ErrorCode::E0602);
  newer[8] = std::byte(artifactOldestVersion - 1);
  CHECK(loadError(newer) == ErrorCode::E0607);
}

TEST_CASE("every truncation and every flipped byte is an error or a correct load") {
  ProgramBuilder b = sampleProgram();
  b.kernel(std::vector<std::byte>(300, std::byte(0xc3)),
           "in f32[4]; launch f(in0) grid [1] scratch [0] flops [0] bytes [0]");
  std::vector<std::byte> bytes = b.bytes();
  REQUIRE(b.failure == "");
  std::string text = printProgram((*Artifact::fromBytes(bytes))->program());
  for (size_t n = 0; n < bytes.size(); n += n < 200 || n > bytes.size() - 200 ? 1 : 37)
    REQUIRE(!Artifact::fromBytes(std::span(bytes).first(n)).ok());
  auto longer = bytes;
  longer.push_back(std::byte(0));
  CHECK(loadError(longer) == ErrorCode::E0603);
  for (size_t i = 0; i < bytes.size(); ++i)
    for (unsigned flip : {1u, 0x80u, 0xffu}) {
      auto damaged = bytes;
      damaged[i] ^= std::byte(flip);
      auto artifact = Artifact::fromBytes(damaged);
      if (!artifact.ok())
        continue;
      // Only padding and weights may differ; the latter are found by verifyWeights.
      REQUIRE(printProgram((*artifact)->program()) == text);
      ArtifactHeader h;
      std::memcpy(&h, bytes.data(), sizeof h);
      if (i >= h.weightsOffset && i < h.weightsOffset + h.weightsBytes)
        REQUIRE((*artifact)->verifyWeights().code() == ErrorCode::E0608);
    }
}

TEST_CASE("the parser survives damage that the checksums do not show") {
  std::vector<std::byte> bytes = sampleProgram().bytes();
  ArtifactHeader h;
  std::memcpy(&h, bytes.data(), sizeof h);
  size_t loaded = 0;
  auto tryLoad = [&](std::vector<std::byte> damaged) {
    repairChecksums(damaged);
    auto artifact = Artifact::fromBytes(damaged);
    if (artifact.ok()) {
      ++loaded;
      (void)printProgram((*artifact)->program());
      (void)countWork((*artifact)->program(), (*artifact)->program().entry(), {{"N", 3}, {"M", 6}});
    }
  };
  for (size_t i = h.planOffset; i < h.planOffset + h.planBytes; ++i)
    for (int v = 0; v < 256; v += i % 3 == 0 ? 1 : 7) {
      auto damaged = bytes;
      damaged[i] = std::byte(v);
      tryLoad(std::move(damaged));
    }
  std::mt19937 rng(5);
  for (int round = 0; round < 3000; ++round) {
    auto damaged = bytes;
    for (int k = 0; k < 4; ++k)
      damaged[h.planOffset + rng() % h.planBytes] = std::byte(rng());
    tryLoad(std::move(damaged));
  }
  for (size_t i = 8; i < 120; ++i) // header fields
    for (unsigned v : {0u, 1u, 0x7fu, 0xffu}) {
      auto damaged = bytes;
      damaged[i] = std::byte(v);
      ArtifactHeader broken;
      std::memcpy(&broken, damaged.data(), sizeof broken);
      broken.headerHash = broken.computeHash();
      std::memcpy(damaged.data(), &broken, sizeof broken);
      (void)Artifact::fromBytes(damaged);
    }
  CHECK(loaded > 0);
}

TEST_CASE("inconsistent programs are refused") {
  auto refuse = [](auto change) {
    ProgramBuilder b = sampleProgram();
    Program program = b.finish();
    change(program, program.functions[0]);
    Status status = checkProgram(program, 0);
    INFO(formatError(status));
    CHECK(status.code() == ErrorCode::E0905);
  };
  refuse([](Program &, Function &p) { p.views[0].buffer = 99; });
  refuse([](Program &, Function &p) { p.views[0].dims[0] = *SizeExpr::parse("Q"); });
  refuse([](Program &, Function &p) { p.inputs[1].view = p.inputs[0].view; });
  refuse([](Program &, Function &p) { p.inputs[1].name = "x"; });
  refuse([](Program &, Function &p) { p.symbols[0].dim = 2; });
  refuse([](Program &, Function &p) { p.symbols[1].name = "N"; });
  refuse([](Program &, Function &p) { std::swap(p.symbols[0], p.symbols[1]); });
  refuse([](Program &, Function &p) { p.symbols[0].low = 65; });
  refuse([](Program &program, Function &) { program.constants[0].dims = {-1}; });
  refuse([](Program &program, Function &) { program.constants[0].dims = {2}; });
  refuse([](Program &, Function &p) { p.arenaBytes = 0; });
  refuse([](Program &, Function &p) { std::get<HostCallStep>(p.steps[0].action).outputs[0] = p.inputs[0].view; });
  refuse([](Program &, Function &p) { std::get<HostCallStep>(p.steps[0].action).outputs[0] = noView; });
  refuse([](Program &, Function &p) { p.steps[0].action = LaunchStep(); });
}

TEST_CASE("the program's text") {
  ProgramBuilder b = sampleProgram();
  std::string text = printProgram(b.finish());
  INFO(text);
  CHECK(text.find("symbol N = dim 0 of \"x\" in 1..64\nsymbol M = N*2\n") != std::string::npos);
  CHECK(text.find("step 1 \"node_mul_1\" call mul(%5 f32[N,3], const:w f32[3]) {axis=1} -> "
                  "(out:out f32[N,3])") != std::string::npos);
  auto work = countWork(b.finish(), b.p, {{"N", 5}, {"M", 10}});
  REQUIRE(work.ok());
  CHECK(work->flops == 15);
  CHECK(work->generatedShare() == 0);
}
