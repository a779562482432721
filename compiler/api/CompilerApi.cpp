// kiln/compiler.h over the compiler's C++ interface. Nothing throws past this file; what is
// allocated here is freed here.

#include "compiler/session/Compiler.h"
#include "kiln/compiler.h"
#include "runtime/base/NoThrow.h"
#include "runtime/base/Text.h"

#include <cstring>
#include <memory>

using namespace kiln;

namespace {

Result<std::vector<std::string>> textList(const char *const *texts, size_t count, const char *what) {
  std::vector<std::string> list;
  for (size_t i = 0; i < count; ++i) {
    if (!texts || !texts[i])
      return makeError(ErrorCode::E0704, what, " are missing");
    list.emplace_back(texts[i]);
  }
  return list;
}

Result<CompileOptions> convert(const kiln_compile_options &given) {
  CompileOptions options;
  auto text = [](const char *value, const char *fallback) { return std::string(value ? value : fallback); };
  options.target = text(given.target, "host");
  options.precision = text(given.precision, "default");
  options.cache = text(given.cache, "");
  if (given.shape_count && !given.shapes)
    return makeError(ErrorCode::E0704, "shapes are missing");
  for (size_t i = 0; i < given.shape_count; ++i)
    KILN_TRY(readShape(given.shapes[i] ? given.shapes[i] : "", options.shapes));
  if (given.threads < 0 || given.threads > 1024)
    return makeError(ErrorCode::E0701, "threads must lie in 0..1024, not ", given.threads);
  options.threads = static_cast<size_t>(given.threads);
  options.requireCompiled = given.require_compiled != 0;
  if (given.stop_after) {
    options.stopAfter = parseStage(given.stop_after);
    if (!options.stopAfter) {
      std::string names;
      for (const StageInfo &stage : allStages())
        names += (names.empty() ? "" : ", ") + std::string(stage.name);
      return makeError(ErrorCode::E0701, "stage \"", given.stop_after, "\" is unknown; stages are ", names);
    }
  }
  options.dumpDirectory = text(given.dump_dir, "");
  if (given.has_opt_limit) {
    if (given.opt_limit < 0)
      return makeError(ErrorCode::E0701, "a limit of ", given.opt_limit, " rewrites is not possible");
    options.rewriteLimit = given.opt_limit;
  }
  if (given.choice_seed)
    options.choiceSeed = given.choice_seed;
  KILN_ASSIGN(options.without, textList(given.without, given.without_count, "names of what to leave out"));
  KILN_ASSIGN(options.extraOutputs, textList(given.extra_outputs, given.extra_output_count, "names of extra outputs"));
  KILN_ASSIGN(std::vector<std::string> states, textList(given.states, given.state_count, "states"));
  for (const std::string &state : states) {
    KILN_ASSIGN(StateOption option, readState(state));
    options.states.push_back(std::move(option));
  }
  KILN_ASSIGN(options.bind, textList(given.bind, given.bind_count, "names of constants to bind"));
  options.weights = text(given.weights, "embedded");
  if (given.diagnostic)
    options.message = [given](Severity severity, const std::string &message) {
      given.diagnostic(given.diagnostic_context, severity == Severity::Warning ? KILN_WARNING : KILN_NOTE,
                       printable(message).c_str());
    };
  if (given.progress)
    options.progress = [given](std::string_view stage, size_t done, size_t total) {
      return given.progress(given.progress_context, std::string(stage).c_str(), done, total) == 0;
    };
  return options;
}

Status compile(const kiln_compile_request &request, kiln_bytes *artifact) {
  KILN_ASSIGN(CompileOptions options, convert(*request.options));
  std::vector<CompileInput> inputs;
  for (const kiln_compile_model &model : std::span(request.models, request.model_count)) {
    CompileInput &input = inputs.emplace_back();
    input.entry = model.entry ? model.entry : "";
    if (model.reserved[0] || model.reserved[1] || model.reserved[2])
      return makeError(ErrorCode::E0704, "a model has a reserved field that is not null");
    if (model.path) {
      input.path = model.path;
      continue;
    }
    if (!model.data)
      return makeError(ErrorCode::E0704, "neither a path nor the bytes of a model are given");
    input.path = input.entry.empty() ? "model" : input.entry;
    input.bytes = std::span(static_cast<const std::byte *>(model.data), model.data_size);
    input.directory = model.base_dir ? model.base_dir : "";
  }
  CompileOutput output;
  output.path = request.output_path ? request.output_path : "";
  auto memory = std::make_unique<AlignedBytes>();
  if (output.path.empty())
    output.bytes = memory.get();
  KILN_TRY(compileModels(std::move(inputs), options, output));
  if (output.path.empty() && artifact) {
    *artifact = {memory->data(), memory->size(), [](void *owner) { delete static_cast<AlignedBytes *>(owner); },
                 memory.get()};
    memory.release();
  }
  return Status::success();
}

} // namespace

extern "C" KILN_API int kiln_compiler_compile_v2(const kiln_compile_request *request, kiln_bytes *artifact,
                                                 kiln_status *status) {
  Status result = noThrow([&] { return compile(*request, artifact); });
  if (status) {
    status->code = errorNumber(result.code());
    status->message = result.ok() ? nullptr : strdup(formatError(result).c_str()); // freed by libkiln with free
  }
  return errorNumber(result.code());
}
