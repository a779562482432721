// kiln: compile, run, measure and look at models. Links the runtime alone; the compiler is loaded
// when a model has to be compiled.

#include "tools/kiln/Cli.h"

#include <CLI/CLI.hpp>
#include <cstdio>

using namespace kiln::tools;

static void addCompileOptions(CLI::App &app, CompileArguments &arguments, const char *modelHelp) {
  app.add_option("MODEL", arguments.model, modelHelp)->required();
  app.add_option("--shape", arguments.shapes,
                 "sizes of an input, NAME=1x3x224x224; a size is a number, a name or a range low..high")
      ->allow_extra_args(false);
  app.add_option("--target", arguments.target,
                 "host, x86-64-v3, x86-64-v4+bf16+vnni ... or interpreter (reference kernels)")
      ->capture_default_str();
  app.add_option("--precision", arguments.precision, "strict, default or fast")->capture_default_str();
  app.add_option("--cache", arguments.cache, "a tuning cache, only read");
  app.add_option("--threads", arguments.threads, "threads; 0: the CPUs this process may use")
      ->check(CLI::Range(0, 1024));
  app.add_flag("--require-compiled", arguments.requireCompiled, "refuse models that need reference kernels");
  app.add_option("--dump-dir", arguments.dumpDirectory, "a directory to write every stage and kernel to");
  app.add_option("--opt-limit", arguments.optLimit, "let the passes do only so many rewrites, to bisect a miscompile")
      ->check(CLI::NonNegativeNumber);
  app.add_flag("-v,--verbose", arguments.verbose, "show what takes how long");
}

static void addInputs(CLI::App &app, std::vector<std::string> &inputs) {
  app.add_option("--input", inputs, "NAME=@FILE.npy; inputs that are not given are made up, the same every time")
      ->allow_extra_args(false);
}

int main(int argc, char **argv) {
  CLI::App app{"Kiln compiles machine-learning models to native code, and runs them.", "kiln"};
  app.set_version_flag("--version", std::string("kiln ") + kiln_version());
  app.require_subcommand(1);

  CompileArguments compileArguments;
  std::string output;
  CLI::App *compile = app.add_subcommand("compile", "compile a model to an artifact");
  addCompileOptions(*compile, compileArguments, "ONNX model, or IR text that --stop-after printed");
  compile->add_option("-o,--output", output, "the artifact, or the IR text, to write");
  compile->add_option("--stop-after", compileArguments.stopAfter,
                      "print the IR after a stage: imported, canonical, optimized, kernels, "
                      "configured, planned, lowered");

  RunArguments runArguments;
  CLI::App *run = app.add_subcommand("run", "run a model or artifact once");
  addCompileOptions(*run, runArguments.compile, "model or artifact");
  addInputs(*run, runArguments.inputs);
  run->add_option("--output-dir", runArguments.outputDirectory, "a directory to write the outputs to, as NAME.npy");

  BenchArguments benchArguments;
  CLI::App *bench = app.add_subcommand("bench", "measure a model or artifact");
  addCompileOptions(*bench, benchArguments.compile, "model or artifact");
  addInputs(*bench, benchArguments.inputs);
  bench->add_option("--seconds", benchArguments.seconds, "how long to measure")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 3600.0));
  bench->add_option("--runs", benchArguments.runs, "how many runs to measure, instead of --seconds")
      ->check(CLI::PositiveNumber);
  bench->add_option("--top", benchArguments.top, "how many steps to list")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  bench->add_flag("--json", benchArguments.json, "figures as JSON, with every step");

  InspectArguments inspectArguments;
  CLI::App *inspect = app.add_subcommand("inspect", "show what an artifact holds");
  addCompileOptions(*inspect, inspectArguments.compile, "model or artifact");
  inspect->add_flag("--json", inspectArguments.json, "as JSON, with every kernel and step");
  inspect->add_flag("--plan", inspectArguments.plan, "the host program as text");

  try {
    app.parse(argc, argv);
  } catch (const CLI::Success &success) { // --help, --version
    return app.exit(success);
  } catch (const CLI::ParseError &error) {
    fprintf(stderr, "kiln: %s [KILN-E0701]\nTry kiln --help.\n", error.what());
    return Usage;
  }
  try {
    if (*compile)
      return compileCommand(compileArguments, output);
    if (*run)
      return runCommand(runArguments);
    if (*bench)
      return benchCommand(benchArguments);
    return inspectCommand(inspectArguments);
  } catch (const Failure &failure) {
    fprintf(stderr, "kiln: %s\n", failure.message.c_str());
    return failure.exitCode;
  } catch (const std::exception &error) {
    fprintf(stderr, "kiln: %s\n", error.what());
    return Failed;
  }
}
