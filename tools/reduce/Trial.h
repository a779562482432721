// One try: a module is compiled and run beside the interpreter, or shown to the user's command, in a child process.

#pragma once

#include "runtime/base/Tensor.h"
#include "tools/reduce/Request.h"

#include <memory>

namespace kiln::reduce {

/// An input of the model under reduction. Without a value (nobody knows it) the model can be compiled only.
struct Input {
  std::string name;
  std::shared_ptr<const Tensor> value;
};

/// A model that can be tried: IR text and its inputs, in order.
struct Subject {
  std::string text;
  std::vector<Input> inputs;
};

struct Verdict {
  enum class Kind { Right, Wrong, Error, Crash, Hang, Interesting } kind = Kind::Right;
  std::string code;   ///< Error: "E0901"; Crash: the signal's name
  std::string detail; ///< for people
  std::string output; ///< Wrong: the name of the first output that is

  bool fails() const { return kind != Kind::Right; }
  /// Whether both fail in the same way.
  bool alike(const Verdict &other) const { return kind == other.kind && code == other.code; }
  /// "wrong result: ...", "crash (SIGSEGV)"
  std::string print() const;
};

class Trials {
public:
  explicit Trials(const Request &request, std::string folder) : request(request), folder(std::move(folder)) {}

  Verdict operator()(const Subject &subject) { return run(subject, request.compile); }
  /// With other options of compilation; never by the user's command.
  Verdict run(const Subject &subject, const CompileOptions &options);
  int count() const { return tries; }
  /// Where files may be left for the length of the reduction.
  const std::string &workFolder() const { return folder; }

  /// The module after shape inference; nothing where that fails.
  std::optional<std::string> inferShapes(const std::string &text);
  /// Values of the outputs of `subject` in the interpreter, written to `folder`/N.npy; false where it cannot run.
  bool interpret(const Subject &subject, const std::string &folder);

private:
  Verdict byCommand(const Subject &subject);
  const Request &request;
  std::string folder;
  int tries = 0;
};

/// Writes the text to `path` and each input to a file beside it. The arguments of kiln run that name these.
Result<std::vector<std::string>> writeSubject(const Subject &subject, const std::string &path);

/// Compiles IR text in memory.
Result<AlignedBytes> compileText(const std::string &text, const CompileOptions &options);

} // namespace kiln::reduce
