// Every op case, compiled: a model of one op goes through the whole compiler and runs, against the
// reference kernel, with static sizes, with unknown sizes (one artifact at all sizes of the case),
// with constant weights and with constant operands only.
#include "compiler/session/Compiler.h"
#include "runtime/device/GuardedBuffer.h"
#include "runtime/exec/ExecutionContext.h"
#include "runtime/reference/Reference.h"
#include "test/ops/OneOpModel.h"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <sstream>
#include <thread>

namespace kiln::test {
namespace {

const std::string folder = std::string(KILN_TEST_DATA) + "/ops";

struct Outcome {
  int runs = 0, models = 0;
  int compiled = 0; ///< models that run in generated code alone
  int unstated = 0; ///< cases and modes that OneOpModel has no model for
  std::vector<std::string> failures;
};

/// How much of an op's cases the test covers: what no longer runs in generated code compares the reference with itself,
/// and what has no model compares nothing.
struct Coverage {
  int compiled = 0; ///< at least as many models run in generated code alone
  int unstated = 0; ///< exactly as many have no model
};

/// coverage.txt by op. KILN_BLESS=1 writes it anew.
const std::string coverageFile = folder + "/coverage.txt";
std::map<std::string, Coverage> readCoverage() {
  std::map<std::string, Coverage> table;
  std::ifstream file(coverageFile);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string op;
    Coverage coverage;
    if (line.rfind("#", 0) != 0 && words >> op >> coverage.compiled >> coverage.unstated)
      table[op] = coverage;
  }
  return table;
}

/// Empty when `status` is the refusal that an error case wants.
std::string refusal(const Case &c, const Status &status) {
  if (status.ok())
    return "no error, want " + c.compileError;
  return errorCodeName(status.code()) == c.compileError ? ""
                                                        : "want " + c.compileError + ", got " + formatError(status);
}

/// Memory between guard pages, aligned to the element only: what a caller may hand in.
GuardedBuffer guardedBuffer(const TensorView &view) {
  return *GuardedBuffer::create(view.bytes(), BufferPlacement::AtEnd, dtypeBytes(view.dtype));
}

Result<std::shared_ptr<const LoadedModel>> compileText(const std::string &text) {
  CompileOptions options;
  options.threads = 1;
  AlignedBytes bytes;
  KILN_TRY(compileModel({"case.mlir", std::as_bytes(std::span(text)), ""}, options, {"", &bytes}));
  KILN_ASSIGN(auto artifact, Artifact::fromBytes(bytes));
  return LoadedModel::create(std::move(artifact));
}

/// Whether kernels do all of the work; a model that was folded to a constant has none.
bool isCompiled(const Program &program) {
  bool launches = false;
  for (const Step &step : program.entry().steps) {
    if (std::holds_alternative<HostCallStep>(step.action))
      return false;
    launches |= std::holds_alternative<LaunchStep>(step.action);
  }
  return launches;
}

/// Runs a compiled model on the operands of one round. Empty when the result is right.
std::string runCompiled(const Case &c, const Sizes &sizes, const OneOpModel &model, ExecutionContext &context) {
  Result<std::vector<Tensor>> operands = makeOperands(c, sizes);
  if (!operands.ok())
    return formatError(operands.status());
  std::ranges::for_each(*operands, flushSubnormals);
  std::vector<TensorView> views = viewsOf(*operands);
  std::vector<GuardedBuffer> buffers;
  std::vector<TensorView> inputs;
  for (size_t k : model.inputs) {
    buffers.push_back(guardedBuffer(views[k]));
    if (views[k].bytes())
      std::memcpy(buffers.back().data(), views[k].data, static_cast<size_t>(views[k].bytes()));
    inputs.push_back({buffers.back().data(), views[k].dtype, views[k].dims});
  }
  Result<std::vector<Tensor>> results = context.run(inputs);
  if (!c.error.empty())
    return refusal(c, results.status());
  if (!results.ok())
    return formatError(results.status());
  const std::vector<TensorView> got = viewsOf(*results);

  // The reference says what the dims must be too: it refuses others.
  std::vector<Tensor> wanted;
  for (const TensorView &view : got)
    wanted.push_back(*Tensor::create(view.dtype, view.dims));
  const Attributes attributes = c.attributes;
  std::vector<TensorView> want = viewsOf(wanted);
  const Status status = ref::find(c.op)({attributes, views, want, ref::Accumulate::Wide});
  if (!status.ok())
    return "the reference refuses the result " + printTensorType(got[0].dtype, got[0].dims) + ": " +
           formatError(status);
  for (size_t i = 0; i < got.size(); ++i) {
    const Bound bound = boundOf(c.op, got[i].dtype, Runner::Compiled);
    if (std::string problem = compare(got[i], want[i], bound); !problem.empty())
      return (got.size() > 1 ? "result " + std::to_string(i) + ": " : "") + problem;
  }

  // Once more into buffers of the caller's, guarded: the same bits.
  std::vector<GuardedBuffer> outputs;
  std::vector<OutputSlot> slots(got.size());
  for (size_t i = 0; i < got.size(); ++i) {
    outputs.push_back(guardedBuffer(got[i]));
    slots[i].bound = {outputs[i].data(), got[i].dtype, got[i].dims};
  }
  if (Status again = context.run(inputs, slots); !again.ok())
    return "into a bound buffer: " + formatError(again);
  for (size_t i = 0; i < got.size(); ++i) {
    if (got[i].bytes() && std::memcmp(slots[i].result().data, got[i].data, static_cast<size_t>(got[i].bytes())) != 0)
      return "into a bound buffer: other bits than before";
    if (!outputs[i].intact())
      return "the kernel wrote outside its result";
  }
  for (const GuardedBuffer &input : buffers)
    if (!input.intact())
      return "the kernel wrote outside an input";
  return "";
}

void runModel(const Case &c, std::span<const Sizes> rounds, Mode mode, Outcome &outcome) {
  const auto fail = [&](const Sizes &sizes, const std::string &problem) {
    outcome.failures.push_back(c.where() + ": " + c.text + "\n  mode: " + std::string(modeName(mode)) +
                               (sizes.empty() ? "" : "; sizes " + printSizes(sizes)) + "\n  " + problem);
  };
  Result<std::vector<Tensor>> operands = makeOperands(c, rounds[0]);
  if (!operands.ok())
    return fail(rounds[0], formatError(operands.status()));
  std::ranges::for_each(*operands, flushSubnormals);
  Result<OneOpModel> model = makeModel(c, rounds[0], *operands, mode);
  const auto failed = [&](const std::string &what, const Status &status) {
    if (std::string problem = c.error.empty() ? formatError(status) : refusal(c, status); !problem.empty())
      fail(rounds[0], what + problem);
  };
  if (!model.ok()) {
    if (model.status().code() == ErrorCode::E0201)
      ++outcome.unstated;
    else
      failed("building the op: ", model.status());
    return;
  }
  ++outcome.models;
  Result<std::shared_ptr<const LoadedModel>> loaded = compileText(model->text);
  if (!loaded.ok())
    return failed("compiling: ", loaded.status());
  outcome.compiled += isCompiled((*loaded)->program());
  ExecutionContext context(*loaded, 1);
  for (const Sizes &sizes : rounds) {
    ++outcome.runs;
    if (std::string problem = runCompiled(c, sizes, *model, context); !problem.empty())
      fail(sizes, problem);
  }
}

void runCase(const Case &c, Outcome &outcome) {
  if (c.referenceOnly)
    return;
  const bool letters = !c.rounds[0].empty();
  if (letters && c.error.empty())
    runModel(c, c.rounds, Mode::Dynamic, outcome);
  // The middle round stands for the others where unknown sizes have run them all.
  const std::span<const Sizes> round(&c.rounds[c.rounds.size() / 2], 1);
  runModel(c, round, Mode::Static, outcome);
  if (c.error.empty() && c.operands.size() > 1)
    runModel(c, round, Mode::Weights, outcome);
  runModel(c, round, Mode::Constants, outcome);
  bool data = false;
  for (size_t k = 0; k < c.operands.size(); ++k)
    data |= saysDims(c, k) && !c.operands[k].absent;
  if (data && c.error.empty())
    runModel(c, round, Mode::Data, outcome);
}

TEST_CASE("compiled ops agree with the reference kernels") {
  const bool bless = std::getenv("KILN_BLESS") != nullptr;
  const std::map<std::string, Coverage> wanted = readCoverage();
  std::ostringstream blessed;
  blessed << "# op, models that run in generated code alone (at least), cases and modes without a model (exactly)\n";
  for (const std::string &path : caseFiles(folder)) {
    const std::string op = std::filesystem::path(path).stem();
    const Result<std::vector<Case>> cases = readCases(path);
    INFO(path);
    REQUIRE(formatError(cases.status()) == "");
    // Compilations are independent of each other: two at a time.
    std::atomic<size_t> next{0};
    std::mutex mutex;
    Outcome total;
    const auto work = [&] {
      Outcome mine;
      for (size_t i; (i = next++) < cases->size();)
        runCase((*cases)[i], mine);
      const std::lock_guard lock(mutex);
      total.runs += mine.runs;
      total.models += mine.models;
      total.compiled += mine.compiled;
      total.unstated += mine.unstated;
      total.failures.insert(total.failures.end(), mine.failures.begin(), mine.failures.end());
    };
    std::thread second(work);
    work();
    second.join();
    std::printf("%-18s %4zu cases, %4d models (%d in generated code alone), %4d runs, %zu failed\n", op.c_str(),
                cases->size(), total.models, total.compiled, total.runs, total.failures.size());
    std::fflush(stdout);
    for (const std::string &failure : total.failures)
      FAIL_CHECK(failure);
    blessed << op << " " << total.compiled << " " << total.unstated << "\n";
    if (bless)
      continue;
    const auto floor = wanted.find(op);
    INFO("KILN_BLESS=1 writes " << coverageFile);
    REQUIRE(floor != wanted.end());
    CHECK(total.compiled >= floor->second.compiled);
    CHECK(total.unstated == floor->second.unstated);
  }
  if (bless)
    std::ofstream(coverageFile) << blessed.str();
}

} // namespace
} // namespace kiln::test
