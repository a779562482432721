// Tensors of the host with strides, which runs see dense.
#pragma once

#include "kiln/runtime.h"
#include "runtime/base/Tensor.h"

namespace kiln::api {

/// Whether its elements lie one after the other, whatever strides say along dims of size 1.
bool isDense(const kiln_tensor &tensor);

/// E0704 where the addresses of its elements would overflow, or dims are negative; `what` names it.
Status checkStrides(const kiln_tensor &tensor, const std::string &what);

/// Copies all elements, of `bytes` each, into dense memory or from there.
void toDense(const kiln_tensor &from, int64_t bytes, void *to);
void fromDense(const void *from, int64_t bytes, const kiln_tensor &to);

} // namespace kiln::api
