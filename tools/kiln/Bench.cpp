// kiln bench: how long loading, first and warm runs take, and where the time of a warm run goes.

#include "tools/kiln/Cli.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

namespace kiln::tools {
namespace {

using Clock = std::chrono::steady_clock;

double secondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

double percentile(const std::vector<double> &sorted, double p) {
  double at = p * static_cast<double>(sorted.size() - 1);
  auto low = static_cast<size_t>(at);
  size_t high = std::min(low + 1, sorted.size() - 1);
  return sorted[low] + (sorted[high] - sorted[low]) * (at - static_cast<double>(low));
}

/// A step of the program with its time; a function's is that of its steps, which have rows of their own.
struct Row {
  std::string node, kind, operation, problem, config, source;
  double seconds = 0, flops = 0, bytes = 0;
  double price = 0; ///< seconds that the compiler expected, of a launch
  int32_t kernel = -1;
  int64_t grid = 0;

  bool isFunction() const { return kind == "function"; }
};

class Runner {
public:
  Runner(kiln_context *context, size_t entry, Inputs given, std::vector<Port> outputPorts)
      : context(context), inputs(std::move(given)), ports(std::move(outputPorts)), outputs(ports.size()) {
    for (Value &input : inputs.values)
      values.push_back(input.view());
    options.entry = entry;
    options.state = inputs.state.get();
  }
  /// The first run lets the library allocate the outputs; later ones write into the same memory, where that can be.
  double run() {
    kiln_status status = KILN_STATUS_INIT;
    for (size_t i = 0; i < ports.size(); ++i)
      if (ports[i].kind != KILN_PORT_TENSOR)
        kiln_value_release(&outputs[i]);
    inputs.restoreLengths();
    auto start = Clock::now();
    kiln_context_run(context, values.data(), values.size(), outputs.data(), outputs.size(), &options, &status);
    double seconds = secondsSince(start);
    check(status);
    return seconds;
  }
  ~Runner() {
    for (kiln_value &output : outputs)
      kiln_value_release(&output);
  }

private:
  kiln_context *context;
  Inputs inputs;
  std::vector<Port> ports; // of the outputs
  kiln_run_options options = KILN_RUN_OPTIONS_INIT;
  std::vector<kiln_value> values, outputs;
};

/// The median time of each step: one of a run that others interrupt would outweigh a mean.
std::vector<Row> profile(const kiln_model *model, kiln_context *context, Runner &runner, int runs) {
  kiln_status status = KILN_STATUS_INIT;
  kiln_model_info info = {};
  info.size = sizeof info;
  kiln_model_get_info(model, &info, &status);
  check(status);
  std::vector<Row> rows(info.step_count);
  for (size_t i = 0; i < rows.size(); ++i) {
    kiln_step_info step = {};
    step.size = sizeof step;
    kiln_model_get_step(model, i, &step, &status);
    check(status);
    const char *kinds[] = {"kernel", "reference", "copy", "function", "host"}; // by kiln_step_kind
    Row &row = rows[i];
    row.node = step.node;
    row.kind = kinds[step.kind];
    row.operation = step.operation;
    row.problem = step.problem;
    row.config = step.config;
    row.source = step.source;
    row.price = step.price;
    row.kernel = step.kernel;
  }
  kiln_context_set_profiling(context, 1, &status);
  check(status);
  std::vector<kiln_step_profile> steps(rows.size());
  std::vector<std::vector<double>> times(rows.size());
  for (int run = 0; run < runs; ++run) {
    runner.run();
    kiln_context_get_profile(context, steps.data(), steps.size(), &status);
    check(status);
    for (size_t i = 0; i < rows.size(); ++i) {
      times[i].push_back(static_cast<double>(steps[i].nanoseconds) * 1e-9);
      rows[i].flops = steps[i].flops;
      rows[i].bytes = steps[i].bytes;
      rows[i].grid = steps[i].grid;
    }
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    std::ranges::sort(times[i]);
    rows[i].seconds = percentile(times[i], 0.5);
  }
  kiln_context_set_profiling(context, 0, &status);
  check(status);
  return rows;
}

struct Figures {
  std::vector<std::pair<std::string, std::string>> inputs; // names and types
  double loadSeconds, firstSeconds, warmMean;
  std::vector<double> runs; // sorted
  kiln_context_info info;
  kiln_model_info model;
  std::vector<Row> rows;

  double median() const { return percentile(runs, 0.5); }
  /// What a process that runs once pays on top of a warm run.
  double coldStart() const { return loadSeconds + std::max(0.0, firstSeconds - median()); }
  double profiledSeconds() const {
    double total = 0;
    for (const Row &row : rows)
      total += row.isFunction() ? 0 : row.seconds;
    return total;
  }
  size_t referenceSteps() const {
    return static_cast<size_t>(std::ranges::count(rows, std::string("reference"), &Row::kind));
  }
  double referenceSeconds() const {
    double total = 0;
    for (const Row &row : rows)
      total += row.kind == "reference" ? row.seconds : 0;
    return total;
  }
};

void printText(const Figures &f, int top) {
  printf("target %s, %d thread%s\n", f.model.target, f.info.threads, f.info.threads == 1 ? "" : "s");
  for (const auto &[name, type] : f.inputs)
    printf("input  %s %s\n", name.c_str(), type.c_str());
  printf("load                        %9.3f ms\n", f.loadSeconds * 1e3);
  printf("first run                   %9.3f ms\n", f.firstSeconds * 1e3);
  printf("load + first beyond warm    %9.3f ms\n", f.coldStart() * 1e3);
  printf("warm, %5zu runs   minimum  %9.3f ms\n", f.runs.size(), f.runs.front() * 1e3);
  for (auto [name, p] : {std::pair("median", 0.5), {"90 %", 0.9}, {"99 %", 0.99}})
    printf("                   %-7s  %9.3f ms\n", name, percentile(f.runs, p) * 1e3);
  printf("arithmetic                  %9.3f GFLOP, %.1f GFLOP/s\n", f.info.flops * 1e-9,
         f.info.flops * 1e-9 / f.median());
  if (f.info.flops > 0)
    printf("in generated code           %9.2f %% of the floating-point work\n",
           100 * f.info.generated_flops / f.info.flops);
  printf("%s%zu of %zu steps on reference kernels, %.2f %% of the time\n",
         f.info.flops > 0 ? "" : "no floating-point work; ", f.referenceSteps(), f.rows.size(),
         f.profiledSeconds() > 0 ? 100 * f.referenceSeconds() / f.profiledSeconds() : 0.0);
  printf("memory                      %s arena, %s scratch, %s weights, %s code\n\n",
         printBytes(static_cast<double>(f.info.arena_bytes)).c_str(),
         printBytes(static_cast<double>(f.info.scratch_bytes)).c_str(),
         printBytes(static_cast<double>(f.model.weights_bytes)).c_str(),
         printBytes(static_cast<double>(f.model.code_bytes)).c_str());

  std::vector<const Row *> sorted;
  for (const Row &row : f.rows)
    if (!row.isFunction())
      sorted.push_back(&row);
  std::ranges::stable_sort(sorted, std::ranges::greater(), &Row::seconds);
  printf("   time us  price us   share  GFLOP/s     GB/s  %-10s %-14s node\n", "kind", "operation");
  double total = f.profiledSeconds(), rest = 0;
  int shown = 0;
  for (const Row *row : sorted) {
    if (shown++ >= top) {
      rest += row->seconds;
      continue;
    }
    double seconds = std::max(row->seconds, 1e-9);
    char price[16] = "";
    if (row->price > 0)
      snprintf(price, sizeof price, "%.1f", row->price * 1e6);
    printf("%10.1f %9s  %5.1f %%  %7.1f  %7.1f  %-10s %-14s %s\n", row->seconds * 1e6, price,
           100 * row->seconds / std::max(total, 1e-9), row->flops * 1e-9 / seconds, row->bytes * 1e-9 / seconds,
           row->kind.c_str(), row->operation.c_str(), row->node.c_str());
  }
  if (shown > top)
    printf("%10.1f %9s  %5.1f %%  %s\n", rest * 1e6, "", 100 * rest / std::max(total, 1e-9),
           counted(static_cast<size_t>(shown - top), "more step").c_str());
}

nlohmann::ordered_json toJson(const Figures &f) {
  nlohmann::ordered_json json;
  json["target"] = f.model.target;
  json["threads"] = f.info.threads;
  json["inputs"] = nlohmann::ordered_json::array();
  for (const auto &[name, type] : f.inputs)
    json["inputs"].push_back({{"name", name}, {"type", type}});
  json["load_ms"] = f.loadSeconds * 1e3;
  json["first_ms"] = f.firstSeconds * 1e3;
  json["load_and_first_beyond_warm_ms"] = f.coldStart() * 1e3;
  json["runs"] = f.runs.size();
  json["warm_ms"] = {{"min", f.runs.front() * 1e3},
                     {"median", f.median() * 1e3},
                     {"p90", percentile(f.runs, 0.9) * 1e3},
                     {"p99", percentile(f.runs, 0.99) * 1e3},
                     {"mean", f.warmMean * 1e3}};
  json["flops"] = f.info.flops;
  json["generated_flops"] = f.info.generated_flops;
  json["arena_bytes"] = f.info.arena_bytes;
  json["scratch_bytes"] = f.info.scratch_bytes;
  json["weights_bytes"] = f.model.weights_bytes;
  json["code_bytes"] = f.model.code_bytes;
  double total = std::max(f.profiledSeconds(), 1e-12);
  json["reference_steps"] = f.referenceSteps();
  json["reference_time_share"] = f.referenceSeconds() / total;
  json["steps"] = nlohmann::ordered_json::array();
  for (const Row &row : f.rows)
    json["steps"].push_back({{"node", row.node},
                             {"kind", row.kind},
                             {"operation", row.operation},
                             {"kernel", row.kernel},
                             {"us", row.seconds * 1e6},
                             {"price_us", row.price * 1e6},
                             {"share", row.seconds / total},
                             {"flops", row.flops},
                             {"bytes", row.bytes},
                             {"gflops_per_s", row.flops * 1e-9 / std::max(row.seconds, 1e-12)},
                             {"gb_per_s", row.bytes * 1e-9 / std::max(row.seconds, 1e-12)},
                             {"grid", row.grid},
                             {"config", row.config},
                             {"source", row.source},
                             {"problem", row.problem}});
  return json;
}

} // namespace

int benchCommand(const BenchArguments &arguments) {
  kiln_status status = KILN_STATUS_INIT;
  Figures f = {};
  // A model is compiled first, so that the time to load is that of an artifact either way.
  bool artifact = isArtifact(arguments.compile);
  kiln_bytes bytes =
      artifact ? kiln_bytes(KILN_BYTES_INIT) : compile(withBound(arguments.compile, arguments.constants), "");

  auto start = Clock::now();
  kiln_model *rawModel = nullptr;
  if (artifact)
    kiln_model_load_file(arguments.compile.model.c_str(), &rawModel, &status);
  else
    kiln_model_take_bytes(&bytes, &rawModel, &status);
  check(status);
  Model model(rawModel);
  kiln_context_options options = KILN_CONTEXT_OPTIONS_INIT;
  options.threads = arguments.compile.threads;
  kiln_context *rawContext = nullptr;
  kiln_context_create(rawModel, &options, &rawContext, &status);
  check(status);
  Context context(rawContext);
  f.loadSeconds = secondsSince(start);

  size_t entry = findEntry(rawModel, arguments.entry);
  std::vector<Value> constants = bindConstants(rawModel, arguments.constants);
  Inputs inputs = makeInputs(rawModel, entry, arguments.compile, arguments.inputs);
  for (const Value &input : inputs.values)
    f.inputs.emplace_back(input.name, input.type());
  Runner runner(rawContext, entry, std::move(inputs), outputsOf(rawModel, entry));
  f.firstSeconds = runner.run();
  auto begin = Clock::now();
  // A twentieth of the time warms up; at least three runs are counted.
  while (secondsSince(begin) < arguments.seconds / 20)
    runner.run();
  begin = Clock::now();
  while (arguments.runs ? f.runs.size() < static_cast<size_t>(arguments.runs)
                        : f.runs.size() < 3 || (secondsSince(begin) < arguments.seconds && f.runs.size() < 1000000)) {
    f.runs.push_back(runner.run());
    f.warmMean += f.runs.back();
  }
  f.warmMean /= static_cast<double>(f.runs.size());
  std::ranges::sort(f.runs);
  int profiled = std::clamp(static_cast<int>(arguments.seconds / 4 / f.median()), 1, 200);
  f.rows = profile(rawModel, rawContext, runner, profiled);
  f.info.size = sizeof f.info;
  kiln_context_get_info(rawContext, &f.info, &status);
  check(status);
  f.model.size = sizeof f.model;
  kiln_model_get_info(rawModel, &f.model, &status);
  check(status);
  if (arguments.json)
    printf("%s\n", toJson(f).dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  else
    printText(f, arguments.top);
  return Success;
}

} // namespace kiln::tools
