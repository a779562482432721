// What the host gives to a run and gets from it, as the tensors that an entry of the program takes and gives: a
// sequence or an optional is carried by the ports that PortValue says.
#pragma once

#include "runtime/api/Handles.h"

#include <deque>

namespace kiln::api {

/// The inputs of a run. The caller's memory is read in place; what has strides, and the items of a sequence that one
/// port takes, are copied, into memory that counts towards the context's limit for as long as this lives.
class RunInputs {
public:
  explicit RunInputs(ExecutionContext &context) : context(context) {}
  ~RunInputs() { (void)context.setCallerBytes(0); }
  RunInputs(const RunInputs &) = delete;

  /// `inputs`: what those of the function are to the host.
  /// `states`: of the run; null where the entry has none.
  Status take(const Function &function, const StateSet *states, std::span<const kiln_model::ValueText> inputs,
              std::span<const kiln_value> values);
  /// One for each input of the function.
  std::span<const TensorView> views() const { return tensors; }

private:
  Result<TensorView> takeTensor(const kiln_value &value, const std::string &what);
  Status takeSequence(const kiln_value &value, const PortValue &as, const View &port);
  Status takeOptional(const kiln_value &value, const PortValue &as, const View &port);
  Status takeNothing(const PortValue &as, const View &port);
  Status stack(std::span<const kiln_value> items, const PortValue &as, const View &port);
  Result<TensorView> copyTo(DType dtype, std::span<const int64_t> dims);
  void sizeUnsized(const Function &function, const StateSet *states);

  ExecutionContext &context;
  std::vector<TensorView> tensors;
  /// Of tensors: those without items, whose further dims nobody says.
  struct Unsized {
    size_t tensor;
    std::vector<int64_t> leading;
  };
  std::vector<Unsized> unsized;
  std::vector<Tensor> copies;
  std::deque<std::vector<int64_t>> stackedDims; // of tensors whose dims are not the caller's
  int64_t bytes = 0;                            // of copies
};

/// The outputs of a run: slots for its ports, and what they make up afterwards.
class RunOutputs {
public:
  /// `outputs`: what those of the function are to the host; they outlive this.
  Status bind(const Function &function, std::span<const kiln_model::ValueText> outputs,
              std::span<const kiln_value> values);
  std::span<OutputSlot> slots() { return ports; }
  /// Hands the results over as the caller asked for them.
  void give(std::span<kiln_value> values);

private:
  std::span<const kiln_model::ValueText> kinds;
  std::vector<OutputSlot> ports;
};

} // namespace kiln::api
