// What stands behind the opaque types of kiln/runtime.h, and the helpers that every entry point
// goes through.
#pragma once

#include "kiln/runtime.h"

#include "runtime/base/NoThrow.h"
#include "runtime/exec/ExecutionContext.h"

#include <atomic>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

struct kiln_model {
  std::atomic<int64_t> references{1};
  std::shared_ptr<const kiln::LoadedModel> model;

  // Texts and tables that the introspection functions point into.
  struct PortText {
    std::vector<std::string> texts;
    std::vector<kiln_dim> dims;
  };
  /// An input or output of an entry.
  struct ValueText {
    kiln::PortValue value;
    size_t firstPort = 0;
    kiln::DType dtype = kiln::DType::F32;
    bool hasRank = true;
    PortText text;
  };
  struct EntryText {
    std::vector<ValueText> inputs, outputs;
    std::vector<PortText> states;
    std::vector<std::string> symbolExpressions;
  };
  std::vector<EntryText> entries;
  std::vector<PortText> states;
  std::once_flag programTextOnce; // long, and seldom asked for
  std::string programText;
};

struct kiln_context {
  kiln_model *model = nullptr;
  std::unique_ptr<kiln::ExecutionContext> context;
};

struct kiln_state {
  std::shared_ptr<kiln::StateSet> set;
};

namespace kiln::api {

/// The view of a value that must be a tensor; `what` names it in errors.
Result<TensorView> viewOf(const kiln_value &value, const std::string &what);
/// The same of one that must be dense and of no capacity.
Result<TensorView> denseViewOf(const kiln_value &value, const std::string &what);
/// A value that owns the tensor.
kiln_value giveTensor(Tensor tensor);
/// One that is the only row of the tensor.
kiln_value giveItem(Tensor stacked);
/// Sequences that own the tensors; the items of a stacked one are its rows, in place, along the last leading dim.
kiln_value giveSequence(std::vector<Tensor> items);
kiln_value giveStacked(Tensor stacked, size_t leadingDims);

/// Stores the outcome of an entry point and gives its number.
int report(kiln_status *status, const Status &result);

/// Runs the body of an entry point; no exception may leave the library.
template <typename F> int guarded(kiln_status *status, F &&body) { return report(status, noThrow(body)); }

/// Copies what the caller's version of a sized structure holds; `firstSize` is the structure's size
/// in API version 1.
template <typename T> Status giveSized(T *to, T value, size_t firstSize) {
  if (!to)
    return makeError(ErrorCode::E0704, "a result pointer is null");
  size_t size = to->size;
  if (size < firstSize)
    return makeError(ErrorCode::E0706, "a structure's size field is not set");
  value.size = size;
  std::memcpy(static_cast<void *>(to), &value, std::min(size, sizeof(T)));
  return Status();
}

/// Reads a sized structure of an older or newer caller into this version's defaults.
template <typename T> Status takeSized(const T *from, T &value, size_t firstSize) {
  if (!from)
    return Status();
  if (from->size < firstSize)
    return makeError(ErrorCode::E0706, "a structure's size field is not set");
  auto *bytes = reinterpret_cast<const unsigned char *>(from);
  for (size_t i = sizeof(T); i < from->size; ++i)
    if (bytes[i] != 0)
      return makeError(ErrorCode::E0706, "a structure sets fields that this version of the library does not have");
  std::memcpy(static_cast<void *>(&value), from, std::min(from->size, sizeof(T)));
  value.size = sizeof(T);
  return Status();
}

inline Status checkEntry(const Program &program, size_t entry) {
  return entry < program.entries.size() ? Status()
                                        : makeError(ErrorCode::E0704, "there is no entry number ", entry,
                                                    "; the model has ", program.entries.size());
}

inline Status nullArgument(const char *name) { return makeError(ErrorCode::E0704, "argument '", name, "' is null"); }

} // namespace kiln::api
