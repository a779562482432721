#include "tools/reduce/Trial.h"

#include "codegen/harness/Close.h"
#include "codegen/harness/KernelHarness.h"
#include "compiler/session/Compilation.h"
#include "compiler/session/Compiler.h"
#include "passes/graph/Passes.h"
#include "runtime/base/AtomicFile.h"
#include "runtime/exec/ExecutionContext.h"
#include "tools/kiln/Npy.h"
#include "tools/reduce/Child.h"

#include <cfloat>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <unistd.h>

namespace kiln::reduce {
namespace {

Result<std::vector<Tensor>> runModule(const Subject &subject, const CompileOptions &options, const Request &request,
                                      std::vector<std::string> *names = nullptr) {
  KILN_ASSIGN(AlignedBytes bytes, compileText(subject.text, options));
  KILN_ASSIGN(auto artifact, Artifact::fromBytes(bytes));
  KILN_ASSIGN(auto model, LoadedModel::create(std::move(artifact)));
  if (names)
    for (const Port &output : model->program().entry().outputs)
      names->push_back(output.name);
  ExecutionContext context(model, request.threads);
  context.setGuardPages(request.guardPages && options.target != "interpreter");
  std::vector<TensorView> views;
  for (const Input &input : subject.inputs)
    views.push_back(input.value->view());
  return context.run(views);
}

/// What is under suspicion is left out of what it is compared with: not only code generation, but passes and planning.
void makePlain(CompileOptions &options) {
  options.target = "interpreter";
  options.rewriteLimit = 0;
  options.without = {"layout", "scheduling", "buffer-reuse"};
  options.choiceSeed.reset();
  options.requireCompiled = false;
}

/// Numbers that generated code takes for 0.
double flushed(double value) { return std::fabs(value) < FLT_MIN ? 0 : value; }

std::string difference(const TensorView &got, const TensorView &want, const Request &request) {
  if (got.dtype != want.dtype || !std::ranges::equal(got.dims, want.dims))
    return "is " + printTensorType(got.dtype, got.dims) + ", expected " + printTensorType(want.dtype, want.dims);
  bool narrow = want.dtype == DType::F16 || want.dtype == DType::BF16;
  double rtol = request.rtol >= 0 ? request.rtol : narrow ? 2e-2 : 1e-3;
  double most = 0;
  for (int64_t i = 0; i < want.size(); ++i)
    if (double v = std::fabs(elementAt(want, i)); std::isfinite(v))
      most = std::max(most, v);
  double slack = isFloat(want.dtype) ? rtol * most + request.atol : 0;
  for (int64_t i = 0; i < want.size(); ++i) {
    double a = elementAt(got, i), b = elementAt(want, i);
    if (!isClose(flushed(a), flushed(b), slack)) {
      std::ostringstream text;
      text << "element " << i << " of " << want.size() << ": got " << a << ", expected " << b;
      return text.str();
    }
  }
  return "";
}

std::string signalName(int signal) {
  const char *name = ::sigabbrev_np(signal);
  return name ? std::string("SIG") + name : "signal " + std::to_string(signal);
}

} // namespace

Result<AlignedBytes> compileText(const std::string &text, const CompileOptions &options) {
  AlignedBytes bytes;
  KILN_TRY(compileModel({"reduced.mlir", std::as_bytes(std::span(text)), ""}, options, {"", &bytes}));
  return bytes;
}

std::string Verdict::print() const {
  switch (kind) {
  case Kind::Right: return "right";
  case Kind::Wrong: return "wrong result: output \"" + output + "\", " + detail;
  case Kind::Error: return "error: " + detail;
  case Kind::Crash: return "crash (" + code + ")";
  case Kind::Hang: return "hang: " + detail;
  case Kind::Interesting: return "the command says so";
  }
  return "";
}

Verdict Trials::run(const Subject &subject, const CompileOptions &options) {
  if (!request.check.empty())
    return byCommand(subject);
  ++tries;
  // The child's lines: "E code message", "compiled" once the code under suspicion is done, "W output detail".
  ChildResult child = inChild(
      [&](const Say &say) {
        bool runs = std::ranges::all_of(subject.inputs, [](const Input &input) { return input.value != nullptr; });
        std::vector<std::string> names;
        Result<std::vector<Tensor>> got =
            runs ? runModule(subject, options, request, &names) : [&]() -> Result<std::vector<Tensor>> {
          KILN_TRY(compileText(subject.text, options).status());
          return std::vector<Tensor>();
        }();
        if (!got.ok())
          return say("E " + std::string(errorCodeName(got.status().code())) + " " + formatError(got.status()));
        say("compiled\n");
        CompileOptions plain = options;
        makePlain(plain);
        Result<std::vector<Tensor>> want = runs ? runModule(subject, plain, request) : std::vector<Tensor>();
        if (!want.ok()) { // sizes that only folding makes known
          plain.rewriteLimit = -1;
          want = runModule(subject, plain, request);
        }
        if (!want.ok())
          return; // the interpreter refuses what the compiler takes: nothing to compare with
        for (size_t i = 0; i < got->size(); ++i)
          if (std::string text = difference((*got)[i].view(), (*want)[i].view(), request); !text.empty())
            return say("W " + names[i] + "\n" + text);
      },
      request.timeout);
  Verdict verdict;
  std::string_view text = child.text;
  constexpr std::string_view mark = "compiled\n";
  bool compared = text.starts_with(mark);
  if (compared)
    text.remove_prefix(mark.size());
  if (child.end != ChildResult::End::Finished) {
    if (compared) // the interpreter's own
      return verdict;
    bool hang = child.end == ChildResult::End::TimedOut;
    verdict.kind = hang ? Verdict::Kind::Hang : Verdict::Kind::Crash;
    if (hang)
      verdict.detail = "no end after " + std::to_string(int(request.timeout)) + " seconds";
    else
      verdict.code = signalName(child.signal);
  } else if (text.starts_with("E ")) {
    verdict.kind = Verdict::Kind::Error;
    verdict.code = text.substr(2, 5);
    verdict.detail = text.substr(8);
  } else if (text.starts_with("W ")) {
    size_t line = text.find('\n');
    verdict.kind = Verdict::Kind::Wrong;
    verdict.output = text.substr(2, line - 2);
    verdict.detail = text.substr(line + 1);
  }
  return verdict;
}

static std::string shellQuoted(const std::string &text) {
  std::string result = "'";
  for (char c : text)
    result += c == '\'' ? "'\\''" : std::string(1, c);
  return result + "'";
}

Verdict Trials::byCommand(const Subject &subject) {
  ++tries;
  Verdict verdict;
  std::string path = folder + "/candidate.mlir";
  Result<std::vector<std::string>> arguments = writeSubject(subject, path);
  if (!arguments.ok())
    return verdict;
  std::string inputs;
  for (const std::string &argument : *arguments)
    inputs += (inputs.empty() ? "" : " ") + shellQuoted(argument);
  std::string command = request.check;
  const std::pair<std::string, std::string> marks[] = {{"{inputs}", inputs}, {"{}", shellQuoted(path)}};
  for (const auto &[mark, text] : marks)
    for (size_t at = 0; (at = command.find(mark, at)) != std::string::npos; at += text.size())
      command.replace(at, mark.size(), text);
  ChildResult child = inChild(
      [&](const Say &say) {
        ::setpgid(0, 0);
        if (std::system(command.c_str()) == 0)
          say("interesting");
      },
      request.timeout);
  if (child.end == ChildResult::End::Finished && child.text == "interesting")
    verdict.kind = Verdict::Kind::Interesting;
  return verdict;
}

std::optional<std::string> Trials::inferShapes(const std::string &text) {
  ChildResult child = inChild(
      [&](const Say &say) {
        CompileOptions options;
        options.target = "interpreter";
        auto c = Compilation::create(options, {{"reduced.mlir", std::as_bytes(std::span(text)), ""}});
        if (c.ok() && (*c)->read().ok() && (*c)->run(createInferShapes()).ok())
          say((*c)->printModule() + "// end\n");
      },
      request.timeout);
  bool whole = child.end == ChildResult::End::Finished && child.text.ends_with("// end\n");
  return whole ? std::optional(child.text) : std::nullopt;
}

bool Trials::interpret(const Subject &subject, const std::string &target) {
  ChildResult child = inChild(
      [&](const Say &say) {
        CompileOptions options;
        makePlain(options);
        Result<std::vector<Tensor>> values = runModule(subject, options, request);
        if (!values.ok()) {
          options.rewriteLimit = -1;
          values = runModule(subject, options, request);
        }
        if (!values.ok())
          return;
        for (size_t i = 0; i < values->size(); ++i) {
          const Tensor &value = (*values)[i];
          if (!tools::writeNpy(target + "/" + std::to_string(i) + ".npy", std::string(dtypeName(value.dtype())),
                               {value.dims().begin(), value.dims().end()}, value.data())
                   .ok())
            return;
        }
        say("done");
      },
      request.timeout * 10);
  return child.end == ChildResult::End::Finished && child.text == "done";
}

Result<std::vector<std::string>> writeSubject(const Subject &subject, const std::string &path) {
  std::vector<std::string> arguments;
  KILN_TRY(writeFile(path, std::as_bytes(std::span(subject.text))));
  std::string stem = path.ends_with(".mlir") ? path.substr(0, path.size() - 5) : path;
  for (const Input &input : subject.inputs) {
    if (!input.value)
      continue;
    std::string file = stem + "." + tools::npyFileName(input.name) + ".npy";
    KILN_TRY(tools::writeNpy(file, std::string(dtypeName(input.value->dtype())),
                             {input.value->dims().begin(), input.value->dims().end()}, input.value->data()));
    arguments.push_back("--input");
    arguments.push_back(input.name + "=@" + file);
  }
  return arguments;
}

} // namespace kiln::reduce
