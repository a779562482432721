// kiln-sweep: for each problem text, every candidate configuration of the family that claims it is compiled, checked
// against the interpreter (guard pages and canaries around every buffer, workgroups in several orders), timed and
// listed.
#include "codegen/harness/KernelHarness.h"
#include "tools/sweep/FmaPeak.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>

using namespace kiln;

namespace {

constexpr const char *usage =
    R"(usage: kiln-sweep [options] PROBLEM-TEXT | FILE...
FILE holds one problem text per line; lines that start with '#' are skipped.
  --target=NAME     what to compile for (x86-64-v3, x86-64-v4+bf16 ...); default: host
  --family=NAME     sweep this family rather than the first that claims a problem
  --default         the default configuration only
  --config={...}    this configuration only
  --sizes=N,N,...   values of d0, d1 ... to check and time at (repeatable; the first is timed);
                    default: a middling value, then primes, then 1, for every unknown size
  --repeats=N       timed calls per candidate; default 20
  --no-check        time only
)";

struct Options {
  std::string target = "host", family, config;
  bool onlyDefault = false, check = true;
  int repeats = 20;
  std::vector<std::vector<int64_t>> sizes;
  std::vector<std::string> problems;
};

int fail(const Status &status) {
  std::fprintf(stderr, "kiln-sweep: %s\n", formatError(status).c_str());
  return 2;
}

Result<Options> parseArguments(int argc, char **argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    auto value = [&](const char *name) {
      size_t length = std::strlen(name);
      return argument.compare(0, length, name) == 0 ? std::optional(argument.substr(length)) : std::nullopt;
    };
    if (auto v = value("--target="))
      options.target = *v;
    else if (auto v = value("--family="))
      options.family = *v;
    else if (auto v = value("--config="))
      options.config = *v;
    else if (auto v = value("--repeats="))
      options.repeats = std::max(1, std::atoi(v->c_str()));
    else if (auto v = value("--sizes=")) {
      std::stringstream list(*v);
      std::vector<int64_t> sizes;
      for (std::string part; std::getline(list, part, ',');)
        sizes.push_back(std::atoll(part.c_str()));
      options.sizes.push_back(sizes);
    } else if (argument == "--default")
      options.onlyDefault = true;
    else if (argument == "--no-check")
      options.check = false;
    else if (argument.rfind("--", 0) == 0)
      return makeError(ErrorCode::E0702, "unknown option ", argument, "\n", usage);
    else if (argument.rfind("v1 ", 0) == 0)
      options.problems.push_back(argument);
    else {
      std::ifstream file(argument);
      if (!file)
        return makeError(ErrorCode::E0101, "cannot open ", argument);
      for (std::string line; std::getline(file, line);)
        if (!line.empty() && line[0] != '#')
          options.problems.push_back(line);
    }
  }
  if (options.problems.empty())
    return makeError(ErrorCode::E0701, "no problem given\n", usage);
  return options;
}

/// What candidates are checked on, and timed on: the first of `cases`.
struct Cases {
  std::vector<CheckCase> cases;
  double flops = 0; ///< of the first
};

Result<Cases> makeCases(const Problem &problem, const Options &options) {
  std::vector<std::string> symbols = problem.symbols();
  std::vector<SymbolValues> bindings;
  for (const std::vector<int64_t> &sizes : options.sizes) {
    SymbolValues values;
    for (size_t i = 0; i < symbols.size() && i < sizes.size(); ++i)
      values[symbols[i]] = sizes[i];
    bindings.push_back(values);
  }
  if (options.sizes.empty()) {
    bindings.push_back(nominalSizes(problem));
    if (!symbols.empty()) {
      constexpr int64_t primes[] = {13, 7, 17, 31, 5, 11};
      SymbolValues odd, ones;
      for (size_t i = 0; i < symbols.size(); ++i) {
        odd[symbols[i]] = primes[i % 6];
        ones[symbols[i]] = 1;
      }
      bindings.push_back(odd);
      bindings.push_back(ones);
    }
  }
  Cases all;
  KILN_ASSIGN(int64_t count, flops(problem).evaluate(bindings[0]));
  all.flops = double(count);
  if (!options.check) {
    KILN_ASSIGN(all.cases.emplace_back().inputs, makeInputs(problem, bindings[0]));
    return all;
  }
  for (const SymbolValues &values : bindings) {
    KILN_ASSIGN(std::vector<CheckCase> some, kiln::makeCases(problem, values));
    std::move(some.begin(), some.end(), std::back_inserter(all.cases));
  }
  return all;
}

struct Row {
  std::string config, error;
  double seconds = 0, compileSeconds = 0, peak = 0;
  bool isDefault = false;
};

Row sweepConfig(const KernelFamily &family, const Problem &problem, const Config &config, const TargetInfo &target,
                const Options &options, const std::vector<CheckCase> &cases, bool runs) {
  Row row;
  row.config = config.print();
  Result<CompiledProblem> kernel = CompiledProblem::compile(family, problem, config, target);
  if (!kernel.ok()) {
    row.error = formatError(kernel.status());
    return row;
  }
  row.compileSeconds = kernel->compileSeconds();
  if (!runs)
    return row;
  if (options.check)
    for (const CheckCase &c : cases)
      if (Status status = checkCase(*kernel, problem, family.exactness(problem, config), c); !status.ok()) {
        row.error = formatError(status);
        return row;
      }
  row.peak = measureFmaPeak(target);
  Result<double> seconds = kernel->time(cases[0].views(), options.repeats);
  row.peak = std::max(row.peak, measureFmaPeak(target));
  if (seconds.ok())
    row.seconds = *seconds;
  else
    row.error = formatError(seconds.status());
  return row;
}

/// Prints the table of one problem; the number of wrong candidates.
Result<int> sweep(const std::string &text, const Options &options, const TargetInfo &target, bool runs) {
  KILN_ASSIGN(Problem problem, Problem::parse(text));
  std::printf("%s\n", text.c_str());
  const KernelFamily *family = options.family.empty() ? nullptr : findFamily(cpuFamilies(), options.family);
  for (const KernelFamily *candidate : cpuFamilies())
    if (!family && options.family.empty() && candidate->claims(problem))
      family = candidate;
  if (!family || !family->claims(problem))
    return makeError(ErrorCode::E0701, "no family claims this problem: ", text);
  Config byDefault = family->defaultConfig(problem, target);
  std::vector<Config> configs = options.onlyDefault ? std::vector{byDefault} : family->candidates(problem, target);
  if (!options.config.empty()) {
    KILN_ASSIGN(Config config, Attributes::parse(options.config));
    configs = {config};
  }
  KILN_ASSIGN(Cases checked, makeCases(problem, options));
  std::vector<Row> rows;
  for (const Config &config : configs) {
    rows.push_back(sweepConfig(*family, problem, config, target, options, checked.cases, runs));
    rows.back().isDefault = config == byDefault;
  }
  std::stable_sort(rows.begin(), rows.end(), [](const Row &a, const Row &b) { return a.seconds < b.seconds; });
  int wrong = 0;
  std::printf("  %-10s %10s %9s %7s %9s  configuration of %s for %s\n", "", "us", "GFLOP/s", "of peak", "compile",
              std::string(family->name()).c_str(), target.print().c_str());
  for (const Row &row : rows) {
    const char *verdict = !row.error.empty() ? "WRONG" : !runs ? "compiled" : options.check ? "right" : "unchecked";
    double rate = row.seconds > 0 ? checked.flops / row.seconds : 0;
    std::printf("  %-10s %10.2f %9.1f %6.0f%% %6.0f ms  %s%s\n", verdict, row.seconds * 1e6, rate * 1e-9,
                row.peak > 0 ? 100 * rate / row.peak : 0.0, row.compileSeconds * 1e3, row.config.c_str(),
                row.isDefault ? "  (default)" : "");
    if (!row.error.empty())
      std::printf("             %s\n", row.error.c_str()), ++wrong;
  }
  std::fflush(stdout);
  return wrong;
}

} // namespace

int main(int argc, char **argv) {
  Result<Options> options = parseArguments(argc, argv);
  if (!options.ok())
    return fail(options.status());
  Result<TargetInfo> target = options->target == "host" ? hostTarget() : TargetInfo::parse(options->target);
  if (!target.ok())
    return fail(target.status());
  bool runs = target->runsHere();
  if (!runs)
    std::printf("this machine cannot run %s: candidates are compiled only\n", target->print().c_str());
  int wrong = 0;
  for (const std::string &problem : options->problems) {
    Result<int> result = sweep(problem, *options, *target, runs);
    if (!result.ok())
      return fail(result.status());
    wrong += *result;
  }
  std::printf("%zu problems, %d candidates wrong\n", options->problems.size(), wrong);
  return wrong ? 1 : 0;
}
