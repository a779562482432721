// What the subcommands of `kiln` share.

#pragma once

#include "kiln/compiler.h"
#include "kiln/runtime.h"

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace kiln::tools {

/// How the program ends.
enum ExitCode {
  Success = 0,
  Failed = 1,      // the model, the artifact or the run
  Usage = 2,       // the command line
  Unsupported = 3, // the model uses something that no part of Kiln supports (KILN-E02xx)
  Interrupted = 130,
};

/// Ends the command with a message and an exit code; thrown inside the tool only.
struct Failure {
  int exitCode;
  std::string message;
};
[[noreturn]] void fail(int exitCode, const std::string &message);
/// Throws what `status` says unless it is ok; clears it.
void check(kiln_status &status);

/// Options that say how to compile; of every command that may.
struct CompileArguments {
  std::string model;
  std::vector<std::string> models; // instead of `model`: of kiln compile, ENTRY=FILE each where there are several
  std::vector<std::string> states; // PAST=PRESENT
  std::vector<std::string> bind;   // NAME, ENTRY:NAME, all
  std::string weights = "embedded";
  std::vector<std::string> shapes; // NAME=1x3x224x224
  std::string target = "host", precision = "default", cache;
  int threads = 0;
  bool requireCompiled = false, verbose = false;
  std::string stopAfter, dumpDirectory;
  int64_t optLimit = -1;
  uint64_t choiceSeed = 0;          // 0: none
  std::vector<std::string> without; // lists of what to leave out, as given
  std::vector<std::string> dump;    // values inside the model that become outputs
  std::vector<std::string> given;   // those of the options given that have no effect on an artifact: "--target" ...
};

struct ModelDeleter {
  void operator()(kiln_model *model) const { kiln_model_release(model); }
};
struct StateDeleter {
  void operator()(kiln_state *state) const { kiln_state_release(state); }
};
struct ContextDeleter {
  void operator()(kiln_context *context) const { kiln_context_release(context); }
};
using Model = std::unique_ptr<kiln_model, ModelDeleter>;
using State = std::unique_ptr<kiln_state, StateDeleter>;
using Context = std::unique_ptr<kiln_context, ContextDeleter>;

/// Compiles into a file (`output` not empty) or memory.
kiln_bytes compile(const CompileArguments &arguments, const std::string &output);
/// The switches that --without names.
std::vector<std::string> switchesOf(const std::vector<std::string> &lists);
/// Loads an artifact, or compiles a model.
Model loadOrCompile(const CompileArguments &arguments);
/// How to compile a model of which `constants` (NAME=@FILE.npy) are bound; an artifact is compiled already.
CompileArguments withBound(CompileArguments arguments, const std::vector<std::string> &constants);
/// Whether MODEL is an artifact; then options that say how to compile are refused.
bool isArtifact(const CompileArguments &arguments);

struct Port {
  std::string name;
  int32_t dtype;
  std::vector<int64_t> dims; // -1 where it depends on the inputs
  std::vector<std::string> texts;
  int32_t kind = KILN_PORT_TENSOR;
  int32_t length = -1;      // of a sequence of known length
  bool differ = false;      // whether its items may differ in their dims
  std::string type() const; // "f32[N,3]"
};
std::vector<Port> inputsOf(const kiln_model *model, size_t entry);
std::vector<Port> outputsOf(const kiln_model *model, size_t entry);
/// A state as an entry sees it.
struct EntryState : Port {
  uint32_t state; // its number
  bool writes;
  int32_t growing; // the axis along which it grows; -1 when it does not
};
std::vector<EntryState> statesOf(const kiln_model *model, size_t entry);
/// The number of the entry of that name; an empty one: the first.
size_t findEntry(const kiln_model *model, const std::string &name);

/// A size that the model leaves open, or one computed from such.
struct SizeSymbol {
  std::string name, expression; // expression: empty where the size is that of an input's dim
  int64_t low = 0;
  bool isCount = false; // how many items a sequence has, or whether an optional has a value
};
/// Values of a model's symbols: what --shape (NAME=1x3xN) or `files`, the dims of inputs read from files, say of an
/// input's dim, else the least value, with a warning. For an artifact --shape is the command's own and is checked here;
/// elsewhere the compiler has heeded and checked it.
class InputSizes {
public:
  InputSizes(const CompileArguments &arguments, std::vector<Port> inputs, const std::vector<SizeSymbol> &symbols,
             const std::map<std::string, std::vector<int64_t>> &files = {});

  const std::map<std::string, int64_t> &symbols() const { return values; }
  std::vector<int64_t> dims(const Port &input) const;

private:
  void read(const std::string &shape, const std::string &model, bool artifact);
  bool isItem(const std::string &name) const;

  std::vector<Port> inputs;
  std::map<std::string, std::vector<int64_t>> given; // -1: not said
  std::map<std::string, int64_t> values;
};

/// One value with its memory, to be passed to a run.
struct Value {
  std::string name;
  bool madeUp = false;
  std::vector<int64_t> dims;
  std::vector<std::byte> data;
  int32_t dtype = 0;
  int32_t kind = KILN_TENSOR; // or a sequence, or KILN_NONE: an optional without a value
  std::vector<Value> items;   // of a sequence
  /// Points into this value.
  kiln_value view();
  std::string type() const; // "f32[1,3]"

private:
  std::vector<kiln_value> itemViews;
};
/// NAME and FILE of NAME=@FILE.
std::pair<std::string, std::string> parseFile(const std::string &text);
/// The value that a file holds.
Value readValue(const std::string &name, const std::string &path);
/// One that the name decides.
Value makeUp(const std::string &name, int32_t dtype, std::vector<int64_t> dims);
/// Binds the model's constants that the host is to bind: to what `files` (NAME=@FILE.npy) hold, the rest made up.
/// Returns what they are bound to, which must live while the model runs.
std::vector<Value> bindConstants(kiln_model *model, const std::vector<std::string> &files);

/// What a run of an entry is given.
struct Inputs {
  std::vector<Value> values; // of its inputs
  State state;
  std::vector<std::pair<std::string, int64_t>> lengths; // of states that grow, before a run
  /// Gives states that grow these lengths again.
  void restoreLengths() const;
};
/// Values for all inputs: from the files that `files` names (NAME=@FILE.npy, of sequences NAME=@A.npy,@B.npy or
/// NAME=[]), the rest made up, the same every time. Optionals that no file gives are absent, and states zero.
Inputs makeInputs(kiln_model *model, size_t entry, const CompileArguments &arguments,
                  const std::vector<std::string> &files);

struct RunArguments {
  CompileArguments compile;
  std::string entry; // empty: the first
  std::vector<std::string> inputs;
  std::vector<std::string> constants; // NAME=@FILE.npy
  std::string outputDirectory;
  bool verify = false;
  bool guardPages = false;
};
struct ReduceArguments {
  RunArguments run;
  std::string check, against, output;
  double rtol = -1, atol = 0, timeout = 60;
  int tries = 5000;
};
struct BenchArguments {
  CompileArguments compile;
  std::string entry; // empty: the first
  std::vector<std::string> inputs;
  std::vector<std::string> constants; // NAME=@FILE.npy
  double seconds = 2;
  int runs = 0; // 0: as many as fit
  int top = 20;
  bool json = false;
};
struct InspectArguments {
  CompileArguments compile;
  std::string entry; // empty: the first
  bool json = false, plan = false;
};

int runCommand(const RunArguments &arguments);
int reduceCommand(const ReduceArguments &arguments);
int benchCommand(const BenchArguments &arguments);
int inspectCommand(const InspectArguments &arguments);
int compileCommand(const CompileArguments &arguments, const std::string &output);
int verifyCommand(const std::string &artifact);

/// "3.21 MB"
std::string printBytes(double bytes);
/// "1 step", "2 steps"
std::string counted(size_t count, const std::string &noun);

} // namespace kiln::tools
