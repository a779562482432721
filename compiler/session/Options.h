// What a caller asks of one compilation.

#pragma once

#include "compiler/import/ShapeOverrides.h"
#include "passes/Stages.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace kiln {

enum class Severity { Note, Warning };

/// An input and an output that are one tensor, updated in place, in every model that has both or one of them. The state
/// has the input's name.
struct StateOption {
  std::string input, output;
};
/// Reads "past=present".
Result<StateOption> readState(std::string_view text);

struct CompileOptions {
  std::string target = "host"; ///< "host", a target's text, or "interpreter"
  std::string device;          ///< what launches run on, as Program::device; empty: what the target's backend is for
  std::string precision = "default";     ///< the only level so far
  std::string cache;                     ///< path of a tuning cache, read-only; empty: none
  ShapeOverrides shapes;                 ///< sizes of inputs
  size_t threads = 0;                    ///< compile threads; 0: the CPUs this process may use. Never changes a byte
                                         ///< of the artifact
  bool requireCompiled = false;          ///< refuse models that need reference kernels (E0209)
  std::optional<Stage> stopAfter;        ///< print the IR after this stage instead of writing an artifact
  std::string dumpDirectory;             ///< write every stage and every kernel there; empty: no
  int64_t rewriteLimit = -1;             ///< let the passes do only so many rewrites; -1: no limit
  std::optional<uint64_t> choiceSeed;    ///< any legal configuration for each kernel, by this seed; none: chosen
  std::vector<std::string> without;      ///< parts of the compiler to leave out (WithoutTable.h)
  std::vector<std::string> extraOutputs; ///< values inside the model, by name, that become outputs as well; of one
                                         ///< of several models: ENTRY:NAME
  std::vector<StateOption> states;       ///< inputs and outputs that are one tensor, which outlives runs
  std::vector<std::string> bind;         ///< initializers that the host binds: "W", "decode:W", "all" (BoundConstants)
  std::string weights = "embedded";      ///< "embedded"; "external": those that lie in a file as they are stay there

  /// Called with notes and warnings, on the calling thread.
  std::function<void(Severity, const std::string &)> message;
  /// Called with the stage under way and how much of it is done, which does not fall within a stage: before every
  /// pass and kernel, too, so that a false, which stops the compilation, is heeded soon. Called from any thread, but
  /// never two at once.
  std::function<bool(std::string_view stage, size_t done, size_t total)> progress;
};

/// What a compilation reads: a file, or bytes under a name.
struct CompileInput {
  std::string path;                                ///< of the file, or the name that errors show
  std::optional<std::span<const std::byte>> bytes; ///< borrowed for the call
  std::string directory;                           ///< where external data of `bytes` lies; empty: none is allowed
  std::string entry = "";                          ///< the entry that the model becomes; empty: "main"
};

} // namespace kiln
