// kiln: compile, run, measure and look at models. Links the runtime alone; the compiler is loaded
// when a model has to be compiled.

#include "compiler/session/WithoutTable.h"
#include "tools/kiln/Cli.h"

#include <CLI/CLI.hpp>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <new>

using namespace kiln::tools;

constexpr const char *compileGroup = "When MODEL is compiled here";

static std::string withoutHelp() {
  std::string text = "parts of the compiler to leave out, to find what miscompiles (WHAT[,WHAT...], repeatable):";
  for (const kiln::ConservativeSwitch &part : kiln::conservativeSwitches)
    text += "\n  " + std::string(part.name) + ": " + std::string(part.effect);
  return text;
}

/// The options of every command. `runs`: the command runs the model, so it may make up inputs.
static void addCompileOptions(CLI::App &app, CompileArguments &arguments, const char *modelHelp, bool runs) {
  bool artifacts = app.get_name() != "compile";
  std::string group = artifacts ? compileGroup : "Options";
  if (artifacts)
    app.add_option("MODEL", arguments.model, modelHelp)->required();
  else
    app.add_option("MODEL", arguments.models, modelHelp)->required()->type_name("[ENTRY=]FILE ...");
  app.add_option("--shape", arguments.shapes,
                 std::string("an input's sizes, NAME=1x3x224x224 or NAME=1,3,224,224 (use commas where a name contains "
                             "x, and one after a single such name); a size is a number, or, where the model is "
                             "compiled, a name or a range low..high; of "
                             "a sequence, the sizes that all items have, or "
                             "NAME[0]=..., NAME[1]=... for the sizes of each") +
                     (runs        ? "; of made-up inputs too (sizes not given: 1)"
                      : artifacts ? "; figures are shown at these (sizes not given: 1)"
                                  : "") +
                     " (repeatable)")
      ->type_name("TEXT")
      ->allow_extra_args(false);
  if (app.get_name() != "reduce")
    app.add_option(
           "--state", arguments.states,
           "PAST=PRESENT: that input and that output are one tensor, which outlives runs and is changed in place "
           "(repeatable)")
        ->type_name("PAST=PRESENT")
        ->allow_extra_args(false)
        ->group(group);
  app.add_option("--threads", arguments.threads,
                 std::string("threads to compile ") + (runs ? "and run " : "") +
                     "with; 0: the CPUs this process may use")
      ->capture_default_str()
      ->check(CLI::Range(0, 1024));
  app.add_option("--target", arguments.target,
                 "host, x86-64-v3, x86-64-v4 (also with +amx, +bf16, +vnni) or interpreter (reference kernels)")
      ->capture_default_str()
      ->group(group);
  app.add_option("--precision", arguments.precision, "default (strict and fast are not built yet)")
      ->capture_default_str()
      ->group(group);
  app.add_option("--cache", arguments.cache, "a tuning cache, only read (default: none)")->group(group);
  app.add_flag("--require-compiled", arguments.requireCompiled, "refuse models that need reference kernels")
      ->group(group);
  app.add_option("--dump-dir", arguments.dumpDirectory,
                 "a directory to write every stage and kernel to; what an earlier dump left there goes")
      ->group(group);
  app.add_option("--opt-limit", arguments.optLimit,
                 "let the passes do only so many rewrites, to bisect a miscompile (default: no limit)")
      ->check(CLI::NonNegativeNumber)
      ->group(group);
  app.add_option("--without", arguments.without, withoutHelp())
      ->type_name("WHAT[,WHAT...]")
      ->allow_extra_args(false)
      ->group(group);
  app.add_option("--choice-seed", arguments.choiceSeed,
                 "any legal configuration for each kernel, decided by this number and the kernel's problem; for tests")
      ->check(CLI::PositiveNumber)
      ->group(group);
  app.add_flag("-v,--verbose", arguments.verbose, "show how long each stage takes, and the number of rewrites")
      ->group(group);
}

/// Notes which options were given that an artifact cannot heed.
static void noteGiven(const CLI::App &app, CompileArguments &arguments) {
  for (const CLI::Option *option : app.get_options())
    if (option->get_group() == compileGroup && option->count() > 0)
      arguments.given.push_back("--" + option->get_lnames().front());
}

static void addInputs(CLI::App &app, std::vector<std::string> &inputs) {
  app.add_option("--input", inputs,
                 "NAME=@FILE.npy; of a sequence NAME=@A.npy,@B.npy, or NAME=[] for none; inputs that are not given are "
                 "made up, "
                 "the same every time; states are zero (repeatable)")
      ->allow_extra_args(false);
}

static void addConstants(CLI::App &app, std::vector<std::string> &constants) {
  app.add_option("--bind", constants,
                 "NAME=@FILE.npy: what a constant that the host binds is; of a model that is compiled here, any "
                 "initializer; those of an artifact that are not given are made up, the same every time (repeatable)")
      ->type_name("NAME=@FILE.npy")
      ->allow_extra_args(false);
}

static void addEntry(CLI::App &app, std::string &entry, const char *help) {
  app.add_option("--entry", entry, help)->type_name("NAME");
}

static void addGuardPages(CLI::App &app, bool &guardPages) {
  app.add_flag("--guard-pages", guardPages,
               "give every buffer memory of its own between inaccessible pages, filled with NaN: a step that touches "
               "other memory is named, and what nobody wrote shows");
}

static void addReduceOptions(CLI::App &app, ReduceArguments &arguments) {
  addCompileOptions(app, arguments.run.compile, "ONNX model, or IR text up to stage optimized", true);
  addInputs(app, arguments.run.inputs);
  addGuardPages(app, arguments.run.guardPages);
  auto *against = app.add_option("--against", arguments.against,
                                 "interpreter (the default): the model fails when its results differ from the "
                                 "interpreter's, or when compiling or running it crashes, hangs or ends with an error; "
                                 "a smaller model must fail in the same way")
                      ->check(CLI::IsMember({"interpreter"}));
  app.add_option("--check", arguments.check,
                 "a shell command that decides instead: exit code 0 says that a candidate is still interesting. {} "
                 "stands for its file (IR text), {inputs} for the --input options of kiln run that go with it")
      ->excludes(against);
  app.add_option("-o,--output", arguments.output,
                 "the reduced model, IR text; its inputs are written beside it (default: MODEL.reduced.mlir here)");
  app.add_option("--rtol", arguments.rtol,
                 "how far a result may be off, as a part of the output's largest element (default: 0.001, for f16 and "
                 "bf16 0.02; results that are no floating-point numbers must be equal)")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--atol", arguments.atol, "how far it may be off besides")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  app.add_option("--timeout", arguments.timeout, "seconds after which a try counts as a hang")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--tries", arguments.tries, "how many candidates to try at most")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.footer(
      "Ctrl-C ends the search and keeps the best model so far. The report names the parts of the compiler without "
      "which the model is right (--without), the first bad rewrite (--opt-limit), and each kernel checked alone.");
}

/// Runs a command: the exit code, with errors on standard error.
template <typename Command> static int reported(const Command &command) {
  try {
    int code = command();
    if (fflush(stdout) == 0 && !ferror(stdout))
      return code;
    fprintf(stderr, "kiln: standard output: cannot be written: %s [KILN-E0106]\n", strerror(errno));
  } catch (const Failure &failure) {
    fprintf(stderr, "kiln: %s\n", failure.message.c_str());
    return failure.exitCode;
  } catch (const std::bad_alloc &) {
    fprintf(stderr, "kiln: out of memory [KILN-E0510]\n");
  } catch (const std::exception &error) {
    fprintf(stderr, "kiln: %s [KILN-E0901]\n", error.what());
  }
  return Failed;
}

int main(int argc, char **argv) {
  signal(SIGXFSZ, SIG_IGN); // a file beyond the limit is an error of its write, which names it
  CLI::App app{"Kiln compiles machine-learning models to native code, and runs them.", "kiln"};
  app.set_version_flag("--version", std::string("kiln ") + kiln_version());
  app.require_subcommand(1);

  CompileArguments compileArguments;
  std::string output;
  CLI::App *compile = app.add_subcommand("compile", "compile a model to an artifact");
  addCompileOptions(
      *compile, compileArguments,
      "ONNX model, or IR text that --stop-after printed; several, each with a name for its entry "
      "(prefill=a.onnx decode=b.onnx), become one artifact that holds equal weights once. What --shape says "
      "of an input of one of them: ENTRY:NAME=...",
      false);
  compile->add_option("-o,--output", output, "the artifact, or the IR text, to write");
  compile
      ->add_option(
          "--bind", compileArguments.bind,
          "an initializer whose values the host binds, and may bind anew, before runs; of one of several models "
          "ENTRY:NAME; all: those of floating-point elements, more than one of them (repeatable)")
      ->type_name("NAME")
      ->allow_extra_args(false);
  compile
      ->add_option("--weights", compileArguments.weights,
                   "embedded; external: weights stay in the model's files, which the artifact names, relative to its "
                   "folder where they lie there or below; what was computed from them is embedded")
      ->capture_default_str();
  compile->add_option("--stop-after", compileArguments.stopAfter,
                      "print the IR after a stage: imported, canonical, optimized, kernels, "
                      "configured, planned, lowered");

  RunArguments runArguments;
  CLI::App *run = app.add_subcommand("run", "run a model or artifact once");
  addCompileOptions(*run, runArguments.compile, "model or artifact", true);
  addEntry(*run, runArguments.entry, "the entry to run (default: the first)");
  addInputs(*run, runArguments.inputs);
  addConstants(*run, runArguments.constants);
  run->add_option("--output-dir", runArguments.outputDirectory,
                  "a directory to write the outputs and the states that change to, as NAME.npy; characters of NAME "
                  "other than letters, digits and "
                  "._- as %XX");

  run->add_flag("--verify", runArguments.verify, "compare the weights with their checksums first");
  run->add_option("--dump", runArguments.compile.dump,
                  "show these values inside the model too, by the names of the model's values (in IR text, of nodes); "
                  "give it after MODEL (repeatable)")
      ->type_name("TENSOR ...")
      ->group(compileGroup);
  addGuardPages(*run, runArguments.guardPages);

  ReduceArguments reduceArguments;
  CLI::App *reduce =
      app.add_subcommand("reduce", "shrink a model that fails to the fewest nodes, and name what is to blame");
  addReduceOptions(*reduce, reduceArguments);

  BenchArguments benchArguments;
  CLI::App *bench = app.add_subcommand("bench", "measure a model or artifact");
  addCompileOptions(*bench, benchArguments.compile, "model or artifact", true);
  addEntry(*bench, benchArguments.entry, "the entry to run (default: the first)");
  addInputs(*bench, benchArguments.inputs);
  addConstants(*bench, benchArguments.constants);
  bench->add_option("--seconds", benchArguments.seconds, "seconds to measure for")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 3600.0));
  bench
      ->add_option("--runs", benchArguments.runs, "how many runs to measure, instead of --seconds (default: what fits)")
      ->check(CLI::PositiveNumber);
  bench->add_option("--top", benchArguments.top, "how many steps to list")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  bench->add_flag("--json", benchArguments.json, "figures as JSON, with every step");

  InspectArguments inspectArguments;
  CLI::App *inspect = app.add_subcommand("inspect", "show what an artifact holds");
  addCompileOptions(*inspect, inspectArguments.compile, "model or artifact", false);
  addEntry(*inspect, inspectArguments.entry, "the entry that sizes and figures are of (default: the first)");
  inspect->add_flag("--json", inspectArguments.json, "as JSON, with every kernel and step");
  inspect->add_flag("--plan", inspectArguments.plan, "the host program as text");

  std::string artifact;
  CLI::App *verify = app.add_subcommand("verify", "compare all of an artifact with its checksums");
  verify->add_option("ARTIFACT", artifact, "an artifact; loading checks all but the weights")->required();

  // After the subcommands, which would inherit it.
  app.footer(
      "kiln COMMAND --help tells the options of a command.\n"
      "Exit codes: 0 done, 1 the model, the artifact or the run failed, 2 the command line is wrong, 3 the model "
      "uses something that is not supported (KILN-E02xx), 130 interrupted.");

  try {
    app.parse(argc, argv);
  } catch (const CLI::Success &success) { // --help, --version
    return app.exit(success);
  } catch (const CLI::ParseError &error) {
    fprintf(stderr, "kiln: %s [KILN-E0701]\nTry kiln --help.\n", error.what());
    return Usage;
  }
  return reported([&] {
    if (*compile)
      return compileCommand(compileArguments, output);
    noteGiven(*run, runArguments.compile);
    noteGiven(*bench, benchArguments.compile);
    noteGiven(*inspect, inspectArguments.compile);
    if (*run)
      return runCommand(runArguments);
    if (*verify)
      return verifyCommand(artifact);
    if (*reduce)
      return reduceCommand(reduceArguments);
    if (*bench)
      return benchCommand(benchArguments);
    return inspectCommand(inspectArguments);
  });
}
