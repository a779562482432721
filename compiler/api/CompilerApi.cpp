// kiln/compiler.h over the compiler's C++ interface. Nothing throws past this file; what is
// allocated here is freed here.

#include "compiler/session/Compiler.h"
#include "kiln/compiler.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstring>
#include <memory>
#include <mutex>

using namespace kiln;

namespace {

/// One dim: "224", "N" or "1..64".
Result<DimOverride> readDim(std::string_view text) {
  auto number = [](std::string_view digits, int64_t &value) {
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return error == std::errc() && end == digits.data() + digits.size() && value >= 0;
  };
  int64_t low, high;
  if (number(text, low))
    return DimOverride(low);
  if (size_t dots = text.find(".."); dots != std::string_view::npos) {
    if (!number(text.substr(0, dots), low) || !number(text.substr(dots + 2), high) || low > high)
      return makeError(ErrorCode::E0701, "\"", text, "\" is no range of sizes such as 1..64");
    return DimOverride(SizeRange{low, high});
  }
  auto letter = [](char c) { return std::isalpha(static_cast<unsigned char>(c)) || c == '_'; };
  if (text.empty() || !letter(text[0]) ||
      !std::ranges::all_of(text, [&](char c) { return letter(c) || std::isdigit(static_cast<unsigned char>(c)); }))
    return makeError(ErrorCode::E0701, "\"", text, "\" is no size; use a number, a name, or a range such as 1..64");
  return DimOverride(std::string(text));
}

/// "x=1x3xHx1..64"; dims are separated by 'x', or by ',' so that a name may contain an x. Nothing
/// after '=' is a scalar.
Status readShape(std::string_view text, std::map<std::string, std::vector<DimOverride>> &shapes) {
  size_t equals = text.rfind('=');
  if (equals == std::string_view::npos || equals == 0)
    return makeError(ErrorCode::E0701, "shape \"", text, "\" is not of the form NAME=1x3x224x224");
  std::string name(text.substr(0, equals));
  std::string_view rest = text.substr(equals + 1);
  char separator = rest.find(',') != std::string_view::npos ? ',' : 'x';
  std::vector<DimOverride> dims;
  while (!rest.empty()) {
    size_t end = std::min(rest.find(separator), rest.size());
    Result<DimOverride> dim = readDim(rest.substr(0, end));
    if (!dim.ok())
      return dim.status().withContext("shape \"" + std::string(text) + "\": ");
    dims.push_back(*dim);
    if (end == rest.size())
      break;
    rest.remove_prefix(end + 1);
    if (rest.empty())
      return makeError(ErrorCode::E0701, "shape \"", text, "\" ends in a separator");
  }
  if (!shapes.emplace(name, std::move(dims)).second)
    return makeError(ErrorCode::E0703, "two shapes for the input \"", name, "\"");
  return Status::success();
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
  if (given.diagnostic)
    options.message = [given](Severity severity, const std::string &message) {
      given.diagnostic(given.diagnostic_context, severity == Severity::Warning ? KILN_WARNING : KILN_NOTE,
                       message.c_str());
    };
  if (given.progress)
    options.progress = [given, mutex = std::make_shared<std::mutex>()](std::string_view stage, size_t done,
                                                                       size_t total) {
      std::lock_guard lock(*mutex);
      return given.progress(given.progress_context, std::string(stage).c_str(), done, total) == 0;
    };
  return options;
}

Status compile(const kiln_compile_request &request, kiln_bytes *artifact) {
  KILN_ASSIGN(CompileOptions options, convert(*request.options));
  CompileInput input;
  if (request.model_path) {
    input.path = request.model_path;
  } else {
    if (!request.model)
      return makeError(ErrorCode::E0704, "neither a path nor the bytes of a model are given");
    input.path = "model";
    input.bytes = std::span(static_cast<const std::byte *>(request.model), request.model_size);
    input.directory = request.base_dir ? request.base_dir : "";
  }
  CompileOutput output;
  output.path = request.output_path ? request.output_path : "";
  auto memory = std::make_unique<AlignedBytes>();
  if (output.path.empty())
    output.bytes = memory.get();
  KILN_TRY(compileModel(input, options, output));
  if (output.path.empty() && artifact) {
    *artifact = {memory->data(), memory->size(), [](void *owner) { delete static_cast<AlignedBytes *>(owner); },
                 memory.get()};
    memory.release();
  }
  return Status::success();
}

} // namespace

extern "C" KILN_API int kiln_compiler_compile_v1(const kiln_compile_request *request, kiln_bytes *artifact,
                                                 kiln_status *status) {
  Status result;
  try {
    result = compile(*request, artifact);
  } catch (const std::bad_alloc &) {
    result = makeError(ErrorCode::E0510, "out of memory while compiling");
  } catch (const std::exception &error) {
    result = makeError(ErrorCode::E0901, error.what());
  }
  if (status) {
    status->code = errorNumber(result.code());
    status->message = result.ok() ? nullptr : strdup(formatError(result).c_str()); // freed by libkiln with free
  }
  return errorNumber(result.code());
}
