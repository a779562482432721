// kiln reduce: writes down what is asked and the inputs of the run, then becomes kiln-reduce, which lies beside this
// program and links the compiler.

#include "tools/kiln/Cli.h"
#include "tools/kiln/Npy.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <unistd.h>

namespace kiln::tools {

namespace fs = std::filesystem;

/// Writes the values that `kiln run` would take; the names and files of the inputs, in order. A model that the
/// interpreter does not even compile has none.
static nlohmann::ordered_json writeInputs(const ReduceArguments &arguments, const fs::path &folder) {
  nlohmann::ordered_json files = nlohmann::ordered_json::object();
  CompileArguments interpreted = arguments.run.compile;
  interpreted.target = "interpreter";
  interpreted.requireCompiled = interpreted.verbose = false;
  interpreted.dumpDirectory.clear();
  Model model;
  try {
    model = loadOrCompile(interpreted);
  } catch (const Failure &failure) {
    if (failure.exitCode == Interrupted)
      throw;
    fprintf(stderr, "note: no inputs, for the interpreter cannot run the model: %s\n", failure.message.c_str());
    return files;
  }
  Inputs inputs = makeInputs(model.get(), 0, interpreted, arguments.run.inputs);
  for (const Value &value : inputs.values) {
    if (value.kind == KILN_SEQUENCE)
      fail(Failed, "input \"" + value.name + "\" is a sequence; kiln reduce takes models of tensors [KILN-E0511]");
    if (value.kind == KILN_NONE) // as it is where no file is given
      continue;
    std::string file = (folder / ("input." + npyFileName(value.name) + ".npy")).string();
    Status written = writeNpy(file, kiln_dtype_name(value.dtype), value.dims, value.data.data());
    if (!written.ok())
      fail(Failed, formatError(written));
    files[value.name] = file;
  }
  return files;
}

/// The options of kiln run that the failure needs.
static std::vector<std::string> runFlags(const ReduceArguments &arguments) {
  const CompileArguments &c = arguments.run.compile;
  std::vector<std::string> flags = {"--target", c.target};
  if (c.choiceSeed)
    flags.insert(flags.end(), {"--choice-seed", std::to_string(c.choiceSeed)});
  if (c.optLimit >= 0)
    flags.insert(flags.end(), {"--opt-limit", std::to_string(c.optLimit)});
  for (const std::string &list : c.without)
    flags.insert(flags.end(), {"--without", list});
  if (c.threads)
    flags.insert(flags.end(), {"--threads", std::to_string(c.threads)});
  if (arguments.run.guardPages)
    flags.push_back("--guard-pages");
  return flags;
}

static fs::path makeFolder() {
  std::string name = (fs::temp_directory_path() / "kiln-reduce-XXXXXX").string();
  if (!mkdtemp(name.data()))
    fail(Failed, name + ": cannot be made: " + strerror(errno) + " [KILN-E0106]");
  return name;
}

int reduceCommand(const ReduceArguments &arguments) {
  const CompileArguments &c = arguments.run.compile;
  if (isArtifact(c))
    fail(Usage, c.model + " is compiled already; reduce the model that it was compiled from [KILN-E0703]");
  fs::path folder = makeFolder();
  try {
    std::string output =
        arguments.output.empty() ? fs::path(c.model).stem().string() + ".reduced.mlir" : arguments.output;
    nlohmann::ordered_json request = {
        {"model", fs::absolute(c.model).string()},
        {"output", output},
        {"check", arguments.check},
        {"shapes", c.shapes},
        {"target", c.target},
        {"precision", c.precision},
        {"cache", c.cache},
        {"require_compiled", c.requireCompiled},
        {"opt_limit", c.optLimit},
        {"choice_seed", c.choiceSeed},
        {"without", switchesOf(c.without)},
        {"inputs", writeInputs(arguments, folder)},
        {"run_flags", runFlags(arguments)},
        {"threads", c.threads},
        {"guard_pages", arguments.run.guardPages},
        {"rtol", arguments.rtol},
        {"atol", arguments.atol},
        {"timeout", arguments.timeout},
        {"tries", arguments.tries},
    };
    std::string file = (folder / "request.json").string(),
                program = fs::read_symlink("/proc/self/exe").parent_path() / "kiln-reduce";
    std::ofstream(file) << request.dump();
    execl(program.c_str(), "kiln-reduce", file.c_str(), nullptr);
    fail(Failed, program + ": cannot be started: " + strerror(errno) + " [KILN-E0705]");
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(folder, ignored);
    throw;
  }
}

} // namespace kiln::tools
