// kiln-reduce: shrinks a model that fails, for `kiln reduce`, which writes what it asks into a JSON file.

#include "tools/reduce/Child.h"
#include "tools/reduce/Culprit.h"
#include "tools/reduce/Shrink.h"

#include "compiler/session/Compiler.h"
#include "dialects/kiln/Dialect.h"
#include "dialects/plan/PlanDialect.h"
#include "runtime/base/ReadFile.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/AttrTypeSubElements.h"
#include "mlir/Parser/Parser.h"

#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

using namespace kiln;
using namespace kiln::reduce;

namespace fs = std::filesystem;

Result<Request> Request::read(const std::string &jsonFile) {
  KILN_ASSIGN(std::string text, readFile(jsonFile));
  nlohmann::ordered_json json = nlohmann::ordered_json::parse(text, nullptr, false); // inputs are in order
  if (!json.is_object())
    return makeError(ErrorCode::E0701, jsonFile, ": is no request of kiln reduce");
  Request request;
  request.model = json["model"];
  request.output = json["output"];
  request.check = json["check"];
  for (std::string shape : json["shapes"])
    KILN_TRY(readShape(shape, request.compile.shapes));
  request.compile.target = json["target"];
  request.compile.precision = json["precision"];
  request.compile.cache = json["cache"];
  request.compile.threads = 1; // children of one thread, and no thread before they are made
  request.compile.requireCompiled = json["require_compiled"];
  request.compile.rewriteLimit = json["opt_limit"];
  if (uint64_t seed = json["choice_seed"])
    request.compile.choiceSeed = seed;
  request.compile.without = json["without"];
  for (auto &[name, file] : json["inputs"].items())
    request.inputFiles.emplace_back(name, file);
  request.runFlags = json["run_flags"];
  request.threads = json["threads"];
  request.guardPages = json["guard_pages"];
  request.rtol = json["rtol"];
  request.atol = json["atol"];
  request.timeout = json["timeout"];
  request.tries = json["tries"];
  return request;
}

namespace {

/// The model as IR text; weights are named by absolute paths, so that the text can lie anywhere.
Result<std::string> importModel(const Request &request) {
  ChildResult child = inChild(
      [&](const Say &say) {
        CompileOptions options;
        options.target = "interpreter";
        options.shapes = request.compile.shapes;
        options.stopAfter = Stage::Imported;
        AlignedBytes text;
        auto compiled = [&]() -> Status {
          if (!request.model.ends_with(".mlir"))
            return compileModel({request.model, std::nullopt, ""}, options, {"", &text});
          KILN_ASSIGN(std::string file, readFile(request.model));
          auto bytes = std::as_bytes(std::span(file));
          text.assign(bytes.begin(), bytes.end());
          return Status();
        };
        Status status = compiled();
        if (status.ok())
          say("T" + std::string(reinterpret_cast<const char *>(text.data()), text.size()));
        else
          say(formatError(status));
      },
      request.timeout);
  if (child.end != ChildResult::End::Finished)
    return makeError(ErrorCode::E0901, request.model, ": importing it crashes or has no end");
  if (!child.text.starts_with("T"))
    return makeError(ErrorCode::E0301, "the model cannot be imported: ", child.text);
  return child.text.substr(1);
}

/// The text with the files of weights named by absolute paths.
std::string withAbsoluteWeights(mlir::MLIRContext &context, const std::string &text, const std::string &model) {
  context.loadDialect<KilnDialect, mlir::func::FuncDialect, plan_ir::PlanDialect>();
  mlir::ScopedDiagnosticHandler quiet(&context, [](mlir::Diagnostic &) { return mlir::success(); });
  auto module = mlir::parseSourceString<mlir::ModuleOp>(text, &context);
  if (!module)
    return text;
  mlir::AttrTypeReplacer replacer;
  replacer.addReplacement([&](WeightAttr weight) -> std::optional<mlir::Attribute> {
    fs::path file = weight.getFile().str(), beside = fs::path(model).parent_path() / file;
    std::error_code error;
    fs::path found = fs::exists(beside, error) ? beside : fs::absolute(file, error);
    return WeightAttr::get(&context, mlir::StringAttr::get(&context, found.string()), weight.getOffset(),
                           weight.getType(), weight.getDigest());
  });
  replacer.recursivelyReplaceElementsIn(*module, true, false, false);
  std::string result;
  llvm::raw_string_ostream stream(result);
  module->print(stream, mlir::OpPrintingFlags().enableDebugInfo(true, false));
  return result;
}

int fail(const Status &status) {
  std::fprintf(stderr, "kiln: %s\n", formatError(status).c_str());
  return status.code() == ErrorCode::E0701 || status.code() == ErrorCode::E0703 ? 2 : 1;
}

std::string shellWord(const std::string &text) {
  bool plain = !text.empty() && text.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                                       "/._-+=@,:%") == std::string::npos;
  if (plain)
    return text;
  std::string quoted = "'";
  for (char c : text)
    quoted += c == '\'' ? "'\\''" : std::string(1, c);
  return quoted + "'";
}

/// Writes the reduced model and tells how to run it.
Status writeResult(const Request &request, const Graph &graph, size_t nodesBefore, const Verdict &verdict) {
  KILN_ASSIGN(std::vector<std::string> arguments, writeSubject(graph.subject(), request.output));
  std::printf("reduced from %zu nodes to %zu: %s\n", nodesBefore, graph.nodeCount(), graph.opNames().c_str());
  std::printf("it fails: %s\n", verdict.print().c_str());
  std::string command = "kiln run " + shellWord(request.output);
  for (const std::vector<std::string> &more : {arguments, request.runFlags})
    for (const std::string &argument : more)
      command += " " + shellWord(argument);
  std::printf("to run it: %s\n", command.c_str());
  std::fflush(stdout);
  return Status();
}

Status reduceModel(const Request &request, const std::string &folder) {
  mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  KILN_ASSIGN(std::string text, importModel(request));
  std::vector<Input> inputs;
  for (auto &[name, file] : request.inputFiles)
    inputs.push_back({name, readTensor(file)});
  KILN_ASSIGN(Graph start, Graph::parse(context, withAbsoluteWeights(context, text, request.model), inputs));
  Request plain = request;
  plain.compile.shapes.clear(); // they are in the text
  Trials trials(plain, folder);
  Verdict failure = trials(start.subject());
  if (!failure.fails())
    return makeError(ErrorCode::E0701, request.model,
                     request.check.empty()
                         ? ": gives what the interpreter gives; there is nothing to reduce"
                         : ": the command ends with another exit code than 0; there is nothing to reduce");
  std::fprintf(stderr, "%zu nodes; %s\n", start.nodeCount(), failure.print().c_str());
  size_t nodesBefore = start.nodeCount();
  Shrinker shrinker(context, trials, plain, std::move(start), failure, folder);
  shrinker.run();
  KILN_TRY(writeResult(request, shrinker.result(), nodesBefore, shrinker.verdict()));
  if (request.check.empty() && !interruptedByUser())
    nameCulprit(trials, plain, shrinker.result().subject(), shrinker.verdict());
  return Status();
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 2) {
    std::fprintf(stderr, "kiln-reduce does the work of `kiln reduce`; see kiln reduce --help\n");
    return 2;
  }
  Result<Request> request = Request::read(argv[1]);
  if (!request.ok())
    return fail(request.status());
  catchInterrupts();
  Status status = reduceModel(*request, fs::path(argv[1]).parent_path().string());
  std::error_code ignored;
  fs::remove_all(fs::path(argv[1]).parent_path(), ignored); // made by kiln reduce for this run
  if (!status.ok())
    return fail(status);
  return interruptedByUser() ? 130 : 0;
}
