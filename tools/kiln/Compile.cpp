// kiln compile, and the compilation on the fly of the other commands.

#include "runtime/base/ReadFile.h"
#include "runtime/plan/Artifact.h"
#include "tools/kiln/Cli.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <unistd.h>

namespace kiln::tools {
namespace {

// Set by the first Ctrl-C; the compiler stops at the next report of progress and removes what it
// has written. A second one kills.
volatile sig_atomic_t interrupted = 0;

class InterruptGuard {
public:
  InterruptGuard() {
    struct sigaction action = {};
    action.sa_handler = [](int) { interrupted = 1; };
    action.sa_flags = static_cast<int>(SA_RESETHAND);
    for (size_t i = 0; i < std::size(signals); ++i) {
      sigaction(signals[i], nullptr, &old[i]);
      if (old[i].sa_handler != SIG_IGN) // under nohup, say
        sigaction(signals[i], &action, nullptr);
    }
  }
  ~InterruptGuard() {
    for (size_t i = 0; i < std::size(signals); ++i)
      sigaction(signals[i], &old[i], nullptr);
  }

private:
  static constexpr int signals[] = {SIGINT, SIGTERM, SIGHUP};
  struct sigaction old[std::size(signals)];
};

/// What is under way, on one line of a terminal, and how long each stage took.
class Progress {
public:
  Progress() : terminal(isatty(STDERR_FILENO)) {}
  ~Progress() { clear(); }

  void show(const char *stage, uint64_t done, uint64_t total) {
    auto now = std::chrono::steady_clock::now();
    if (stages.back().first != stage)
      stages.emplace_back(stage, now);
    if (!terminal || now - shown < std::chrono::milliseconds(50))
      return;
    shown = now;
    clear();
    if (total > 1)
      fprintf(stderr, "%s %llu/%llu", stage, static_cast<unsigned long long>(done),
              static_cast<unsigned long long>(total));
    else
      fprintf(stderr, "%s", stage);
    fflush(stderr);
    dirty = true;
  }
  void clear() {
    if (dirty)
      fprintf(stderr, "\r\033[K");
    dirty = false;
  }
  void printTable() {
    clear();
    auto end = std::chrono::steady_clock::now();
    auto row = [](const std::string &name, std::chrono::duration<double> time) {
      fprintf(stderr, "%-12s %8.3f\n", name.c_str(), time.count());
    };
    fprintf(stderr, "%-12s %8s\n", "stage", "seconds");
    for (size_t i = 0; i < stages.size(); ++i)
      row(stages[i].first, (i + 1 < stages.size() ? stages[i + 1].second : end) - stages[i].second);
    row("total", end - stages.front().second);
  }

private:
  using Time = std::chrono::steady_clock::time_point;
  bool terminal, dirty = false;
  Time shown = std::chrono::steady_clock::now();
  std::vector<std::pair<std::string, Time>> stages{{"start", shown}}; // with when they began
};

struct Callbacks {
  Progress progress;
};

std::vector<const char *> pointersOf(const std::vector<std::string> &texts) {
  std::vector<const char *> pointers;
  for (const std::string &text : texts)
    pointers.push_back(text.c_str());
  return pointers;
}

/// What MODEL says: a file, or ENTRY=FILE. A file whose own name reads like that is taken for the file.
kiln_compile_model modelOf(const std::string &text, std::string &entry) {
  kiln_compile_model model = KILN_COMPILE_MODEL_INIT;
  model.path = text.c_str();
  size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || text.find('/') < equals || access(text.c_str(), F_OK) == 0)
    return model;
  entry = text.substr(0, equals);
  model.entry = entry.c_str();
  model.path += equals + 1;
  return model;
}

} // namespace

kiln_bytes compile(const CompileArguments &arguments, const std::string &output) {
  InterruptGuard guard;
  Callbacks callbacks;
  kiln_compile_options options = KILN_COMPILE_OPTIONS_INIT;
  options.target = arguments.target.c_str();
  options.precision = arguments.precision.c_str();
  std::vector<const char *> shapes = pointersOf(arguments.shapes);
  options.shapes = shapes.data();
  options.shape_count = shapes.size();
  options.cache = arguments.cache.empty() ? nullptr : arguments.cache.c_str();
  options.threads = arguments.threads;
  options.require_compiled = arguments.requireCompiled;
  options.stop_after = arguments.stopAfter.empty() ? nullptr : arguments.stopAfter.c_str();
  options.dump_dir = arguments.dumpDirectory.empty() ? nullptr : arguments.dumpDirectory.c_str();
  // A limit makes the compiler say how many rewrites there were, which -v shows and a bisection starts from.
  options.has_opt_limit = arguments.optLimit >= 0 || arguments.verbose;
  options.opt_limit = arguments.optLimit >= 0 ? arguments.optLimit : INT64_MAX;
  options.choice_seed = arguments.choiceSeed;
  std::vector<std::string> switches = switchesOf(arguments.without);
  std::vector<const char *> without = pointersOf(switches), extra = pointersOf(arguments.dump);
  options.without = without.data();
  options.without_count = without.size();
  options.extra_outputs = extra.data();
  options.extra_output_count = extra.size();
  std::vector<const char *> states = pointersOf(arguments.states);
  options.states = states.data();
  options.state_count = states.size();
  std::vector<const char *> bind = pointersOf(arguments.bind);
  options.bind = bind.data();
  options.bind_count = bind.size();
  options.weights = arguments.weights.c_str();
  options.diagnostic_context = options.progress_context = &callbacks;
  options.diagnostic = [](void *context, kiln_severity severity, const char *message) {
    static_cast<Callbacks *>(context)->progress.clear();
    fprintf(stderr, "%s: %s\n", severity == KILN_WARNING ? "warning" : "note", message);
  };
  options.progress = [](void *context, const char *stage, uint64_t done, uint64_t total) {
    static_cast<Callbacks *>(context)->progress.show(stage, done, total);
    return static_cast<int>(interrupted);
  };
  kiln_status status = KILN_STATUS_INIT;
  kiln_bytes artifact = KILN_BYTES_INIT;
  std::vector<std::string> names = arguments.models.empty() ? std::vector{arguments.model} : arguments.models;
  std::vector<std::string> entries(names.size());
  std::vector<kiln_compile_model> models;
  for (size_t i = 0; i < names.size(); ++i)
    models.push_back(modelOf(names[i], entries[i]));
  kiln_compile_models(models.data(), models.size(), &options, output.empty() ? nullptr : output.c_str(),
                      output.empty() ? &artifact : nullptr, &status);
  callbacks.progress.clear();
  if (interrupted && status.code) {
    kiln_status_clear(&status);
    fail(Interrupted, "interrupted");
  }
  check(status);
  if (arguments.verbose)
    callbacks.progress.printTable();
  return artifact;
}

// Commas part a list; a node's name, which may hold commas, ends it.
std::vector<std::string> switchesOf(const std::vector<std::string> &lists) {
  std::vector<std::string> switches;
  for (const std::string &list : lists)
    for (size_t start = 0; start <= list.size();) {
      bool node = list.compare(start, 7, "kernel:") == 0;
      size_t end = node ? list.size() : std::min(list.find(',', start), list.size());
      switches.push_back(list.substr(start, end - start));
      start = end + 1;
    }
  return switches;
}

bool isArtifact(const CompileArguments &arguments) {
  const std::string &path = arguments.model;
  Result<int> file = openForReading(path);
  if (!file.ok())
    fail(Failed, formatError(file.status()));
  std::byte start[16];
  ssize_t count = read(*file, start, sizeof start);
  close(*file);
  if (!Artifact::looksLike({start, size_t(std::max<ssize_t>(count, 0))}))
    return false;
  if (!arguments.dump.empty())
    fail(Usage, path + " is compiled already, and values inside it lie in no memory of their own; give --dump with the "
                       "model that it was compiled from [KILN-E0703]");
  if (!arguments.given.empty())
    fail(Usage,
         path + " is compiled already; " + arguments.given.front() + " has no effect on an artifact [KILN-E0703]");
  return true;
}

CompileArguments withBound(CompileArguments arguments, const std::vector<std::string> &constants) {
  for (const std::string &constant : constants)
    arguments.bind.push_back(parseFile(constant).first);
  return arguments;
}

Model loadOrCompile(const CompileArguments &arguments) {
  kiln_status status = KILN_STATUS_INIT;
  kiln_model *model = nullptr;
  if (isArtifact(arguments)) {
    kiln_model_load_file(arguments.model.c_str(), &model, &status);
  } else {
    kiln_bytes artifact = compile(arguments, "");
    kiln_model_take_bytes(&artifact, &model, &status);
  }
  check(status);
  return Model(model);
}

int compileCommand(const CompileArguments &arguments, const std::string &output) {
  bool text = !arguments.stopAfter.empty() && arguments.stopAfter != "artifact";
  if (output.empty() && !text)
    fail(Usage, "compile: -o OUT is required unless --stop-after names a stage before artifact [KILN-E0701]");
  kiln_bytes result = compile(arguments, output);
  if (output.empty())
    fwrite(result.data, 1, result.size, stdout);
  kiln_bytes_release(&result);
  return Success;
}

} // namespace kiln::tools
