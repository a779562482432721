// kiln/compiler.h over the compiler's C++ interface. Nothing throws past this file; what is allocated here is freed here.

#include "compiler/session/Compiler.h"
#include "kiln/compiler.h"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>

using namespace kiln;

namespace {

/// The caller's options, those of an older header filled up with defaults.
Status readOptions(const kiln_compile_options *given, kiln_compile_options &options) {
  options = KILN_COMPILE_OPTIONS_INIT;
  if (!given)
    return Status::success();
  if (given->size < offsetof(kiln_compile_options, precision) || given->size > 4096)
    return makeError(ErrorCode::E0706, "kiln_compile_options has the unknown size ", given->size);
  size_t known = std::min(given->size, sizeof options);
  std::memcpy(&options, given, known);
  auto *bytes = reinterpret_cast<const unsigned char *>(given);
  for (size_t i = known; i < given->size; ++i)
    if (bytes[i])
      return makeError(ErrorCode::E0706, "kiln_compile_options holds fields that this version does not know");
  return Status::success();
}

Result<DimOverride> readSize(const kiln_input_size &size) {
  switch (size.kind) {
  case KILN_SIZE_FIXED:
    if (size.low < 0)
      return makeError(ErrorCode::E0701, "a size of ", size.low, " is not possible");
    return DimOverride(size.low);
  case KILN_SIZE_SYMBOL:
    if (!size.symbol || !*size.symbol)
      return makeError(ErrorCode::E0701, "a symbolic size needs a name");
    return DimOverride(std::string(size.symbol));
  case KILN_SIZE_RANGE:
    if (size.low < 0 || size.high < size.low)
      return makeError(ErrorCode::E0701, "the range of sizes ", size.low, "..", size.high, " is empty");
    return DimOverride(SizeRange{size.low, size.high});
  }
  return makeError(ErrorCode::E0704, "kind ", size.kind, " of a size is unknown");
}

Result<CompileOptions> convert(const kiln_compile_options &given) {
  CompileOptions options;
  auto text = [](const char *value, const char *fallback) { return std::string(value ? value : fallback); };
  options.target = text(given.target, "host");
  options.precision = text(given.precision, "default");
  options.cache = text(given.cache, "");
  if (given.shape_count && !given.shapes)
    return makeError(ErrorCode::E0704, "shapes are missing");
  for (size_t i = 0; i < given.shape_count; ++i) {
    const kiln_input_shape &shape = given.shapes[i];
    if (!shape.input || (shape.rank && !shape.sizes))
      return makeError(ErrorCode::E0704, "a shape has no input or no sizes");
    std::vector<DimOverride> &dims = options.shapes[shape.input];
    if (!dims.empty())
      return makeError(ErrorCode::E0703, "two shapes for the input \"", shape.input, "\"");
    for (size_t k = 0; k < shape.rank; ++k) {
      KILN_ASSIGN(DimOverride dim, readSize(shape.sizes[k]));
      dims.push_back(std::move(dim));
    }
  }
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
  options.dumpDirectory = text(given.dump, "");
  options.rewriteLimit = given.rewrite_limit;
  if (given.message)
    options.message = [given](Severity severity, const std::string &message) {
      given.message(given.user, severity == Severity::Warning ? KILN_WARNING : KILN_NOTE, message.c_str());
    };
  if (given.progress)
    options.progress = [given, mutex = std::make_shared<std::mutex>()](std::string_view stage, size_t done, size_t total) {
      std::lock_guard lock(*mutex);
      return given.progress(given.user, std::string(stage).c_str(), done, total) == 0;
    };
  return options;
}

Status compile(const char *path, const void *bytes, size_t count, const kiln_compile_options *given, kiln_bytes *result) {
  kiln_compile_options raw;
  KILN_TRY(readOptions(given, raw));
  KILN_ASSIGN(CompileOptions options, convert(raw));
  CompileInput input;
  if (path) {
    if (bytes)
      return makeError(ErrorCode::E0704, "a path and bytes are given; one is wanted");
    input.path = path;
  } else {
    if (!bytes)
      return makeError(ErrorCode::E0704, "neither a path nor bytes are given");
    input.path = raw.name ? raw.name : "model.onnx";
    input.bytes = std::span(static_cast<const std::byte *>(bytes), count);
  }
  CompileOutput output;
  output.path = raw.output ? raw.output : "";
  auto memory = std::make_unique<std::vector<std::byte>>();
  if (result)
    output.bytes = memory.get();
  KILN_TRY(compileModel(input, options, output));
  if (result) {
    *result = {memory->data(), memory->size(), [](void *owner) { delete static_cast<std::vector<std::byte> *>(owner); }, memory.get()};
    memory.release();
  }
  return Status::success();
}

} // namespace

// Called by libkiln's kiln_compile with arguments of kiln/compiler.h; `status` takes a message from malloc.
extern "C" KILN_API int kiln_compiler_compile_v1(const char *path, const void *bytes, size_t count, const kiln_compile_options *options,
                                                 kiln_bytes *result, int32_t *code, char **message) {
  if (result)
    *result = KILN_BYTES_INIT;
  Status status;
  try {
    status = compile(path, bytes, count, options, result);
  } catch (const std::bad_alloc &) {
    status = makeError(ErrorCode::E0510, "out of memory while compiling");
  } catch (const std::exception &error) {
    status = makeError(ErrorCode::E0901, error.what());
  }
  *code = errorNumber(status.code());
  *message = status.ok() ? nullptr : strdup(formatError(status).c_str());
  return *code;
}

extern "C" KILN_API const char *kiln_compiler_stages_v1(void) {
  static const std::string text = [] {
    std::string list;
    for (const StageInfo &stage : allStages())
      list += std::string(stage.name) + "\t" + std::string(stage.truth) + "\n";
    return list;
  }();
  return text.c_str();
}
