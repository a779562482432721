// What converters of several files emit.
#pragma once

#include "compiler/import/onnx/NodeImport.h"

namespace kiln::onnx {

/// numpy's matmul: a vector on either side is a row or a column whose dim vanishes again.
Result<Value> emitMatMul(NodeImport &node, Value a, Value b);

/// A convolution with the node's attributes (Conv's); `bias` may be null.
Result<Value> emitConv(NodeImport &node, Value x, Value w, Value bias);

} // namespace kiln::onnx
