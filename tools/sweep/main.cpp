// kiln-sweep: for each problem text, every candidate configuration of every family that claims it is compiled, checked
// against the reference (guard pages and canaries around every buffer, workgroups in several orders), timed and
// listed beside its price. In the end, how well prices foretell times.
#include "codegen/Choose.h"
#include "codegen/harness/KernelHarness.h"
#include "runtime/base/ReadFile.h"
#include "tools/sweep/FmaPeak.h"
#include "tools/sweep/PriceReport.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <sstream>

using namespace kiln;

namespace {

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

/// The problem texts that an argument is, or holds: one per line, but for lines that start with '#'.
Status addProblems(const std::string &argument, std::vector<std::string> &problems) {
  if (argument.rfind("v1 ", 0) == 0) {
    problems.push_back(argument);
    return Status();
  }
  Result<std::string> text = readFile(argument);
  if (!text.ok())
    return makeError(ErrorCode::E0101, argument,
                     ": cannot be opened, and is no problem text, which starts with \"v1 \"");
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);)
    if (!line.empty() && line[0] != '#')
      problems.push_back(line);
  return Status();
}

void declareArguments(CLI::App &app, Options &options, std::vector<std::string> &problems,
                      std::vector<std::string> &sizes, bool &noCheck) {
  app.add_option("PROBLEM", problems,
                 "problem texts (of kiln inspect --plan or --json, or of a dump directory), or files with one per line "
                 "(lines that start with '#' are skipped)")
      ->required();
  app.add_option("--target", options.target, "what to compile for: host, x86-64-v3, x86-64-v4+bf16 ...")
      ->capture_default_str();
  app.add_option("--family", options.family, "sweep this family alone, not all that claim a problem");
  app.add_flag("--default", options.onlyDefault, "the default configuration of each family only");
  app.add_option("--config", options.config, "this configuration only, {...}");
  app.add_option("--sizes", sizes,
                 "values N,N,... of d0, d1 ... to check and time at; the first are timed (repeatable; default: a "
                 "middling value, then primes, then 1, for every unknown size)")
      ->allow_extra_args(false);
  app.add_option("--repeats", options.repeats, "timed calls per candidate")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_flag("--no-check", noCheck, "time only");
}

/// What candidates are checked on, and timed on: the first of `cases`.
struct Cases {
  std::vector<CheckCase> cases;
  SymbolValues sizes; ///< of the first
  double flops = 0;   ///< of the first
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
  all.sizes = bindings[0];
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
  std::string family, config, error;
  double seconds = 0, price = 0, compileSeconds = 0, peak = 0;
  bool isDefault = false;
};

Row sweepConfig(const KernelFamily &family, const Problem &problem, const Config &config, const BackendTarget &target,
                const Options &options, const std::vector<CheckCase> &cases, const SymbolValues &sizes, bool runs) {
  Row row;
  row.family = family.name();
  row.config = config.print();
  row.isDefault = config == family.defaultConfig(problem, target.info);
  row.price = family.cost(problem, config, target.info, sizes);
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
  row.peak = measureFmaPeak(target.info);
  Result<double> seconds = kernel->time(cases[0].views(), options.repeats);
  row.peak = std::max(row.peak, measureFmaPeak(target.info));
  if (seconds.ok())
    row.seconds = *seconds;
  else
    row.error = formatError(seconds.status());
  return row;
}

/// Prints the table of one problem; the number of wrong candidates.
Result<int> sweep(const std::string &text, const Options &options, const BackendTarget &target, bool runs,
                  PriceReport &report) {
  KILN_ASSIGN(Problem problem, Problem::parse(text));
  std::printf("%s\n", text.c_str());
  std::span<const KernelFamily *const> families = target.backend->families();
  const KernelFamily *named = findFamily(families, options.family);
  if (!options.family.empty())
    families = named ? std::span(&named, 1) : std::span<const KernelFamily *const>();
  std::vector<const KernelFamily *> claiming = claimingFamilies(problem, families);
  if (claiming.empty())
    return makeError(ErrorCode::E0701, "no family claims this problem: ", text);
  KILN_ASSIGN(Cases checked, makeCases(problem, options));
  std::vector<Row> rows;
  for (const KernelFamily *family : claiming) {
    std::vector<Config> configs = options.onlyDefault ? std::vector{family->defaultConfig(problem, target.info)}
                                                      : family->candidates(problem, target.info);
    if (!options.config.empty()) {
      KILN_ASSIGN(Config config, Attributes::parse(options.config));
      configs = {config};
    }
    size_t first = rows.size();
    for (const Config &config : configs)
      rows.push_back(sweepConfig(*family, problem, config, target, options, checked.cases, checked.sizes, runs));
    report.add(family->name());
    for (const Row &row : std::span(rows).subspan(first))
      if (row.error.empty() && row.seconds > 0)
        report.add({row.price, row.seconds, row.isDefault});
  }
  std::stable_sort(rows.begin(), rows.end(), [](const Row &a, const Row &b) { return a.seconds < b.seconds; });
  int wrong = 0;
  std::printf("  %-10s %10s %10s %9s %7s %9s  configuration for %s\n", "", "us", "price", "GFLOP/s", "of peak",
              "compile", target.info.print().c_str());
  for (const Row &row : rows) {
    const char *verdict = !row.error.empty() ? "WRONG" : !runs ? "compiled" : options.check ? "right" : "unchecked";
    double rate = row.seconds > 0 ? checked.flops / row.seconds : 0;
    std::printf("  %-10s %10.2f %10.2f %9.1f %6.0f%% %6.0f ms  %s %s%s\n", verdict, row.seconds * 1e6, row.price * 1e6,
                rate * 1e-9, row.peak > 0 ? 100 * rate / row.peak : 0.0, row.compileSeconds * 1e3, row.family.c_str(),
                row.config.c_str(), row.isDefault ? "  (default)" : "");
    if (!row.error.empty())
      std::printf("             %s\n", row.error.c_str()), ++wrong;
  }
  std::fflush(stdout);
  return wrong;
}

} // namespace

int main(int argc, char **argv) {
  CLI::App app{"Compiles every configuration of a kernel's problem, checks it against the reference and times it.\n"
               "Exit codes: 0 all are right, 1 some are wrong, 2 the sweep failed.",
               "kiln-sweep"};
  Options options;
  std::vector<std::string> problems, sizes;
  bool noCheck = false;
  declareArguments(app, options, problems, sizes, noCheck);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success &success) { // --help
    return app.exit(success);
  } catch (const CLI::ParseError &error) {
    std::fprintf(stderr, "kiln-sweep: %s [KILN-E0701]\nTry kiln-sweep --help.\n", error.what());
    return 2;
  }
  options.check = !noCheck;
  for (const std::string &list : sizes) {
    std::stringstream stream(list);
    std::vector<int64_t> &values = options.sizes.emplace_back();
    for (std::string part; std::getline(stream, part, ',');) {
      char *end = nullptr;
      values.push_back(std::strtoll(part.c_str(), &end, 10));
      if (part.empty() || *end != 0 || values.back() < 0)
        return fail(makeError(ErrorCode::E0701, "--sizes ", list, ": \"", part, "\" is no size"));
    }
  }
  for (const std::string &problem : problems)
    if (Status status = addProblems(problem, options.problems); !status.ok())
      return fail(status);
  Result<BackendTarget> target = findTarget(options.target);
  if (!target.ok())
    return fail(target.status());
  bool runs = target->info.runsHere();
  if (!runs)
    std::printf("this machine cannot run %s: candidates are compiled only\n", target->info.print().c_str());
  int wrong = 0;
  PriceReport report;
  for (const std::string &problem : options.problems) {
    Result<int> result = sweep(problem, options, *target, runs, report);
    if (!result.ok())
      return fail(result.status());
    wrong += *result;
  }
  if (runs)
    std::printf("%s", report.print().c_str());
  std::printf("%zu problems, %d candidates wrong\n", options.problems.size(), wrong);
  return wrong ? 1 : 0;
}
