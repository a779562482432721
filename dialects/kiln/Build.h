// Making and reading ops generically: by mnemonic, with runtime Attributes, through the shape rule. The importer, the
// op-case runner and passes build every op this way.
#pragma once

#include "dialects/kiln/OpTable.h"
#include "dialects/kiln/ShapeContext.h"
#include "mlir/IR/Builders.h"
#include "runtime/base/Tensor.h"

namespace kiln {

/// Every attribute of the op, defaults included. Only for ops of the kiln dialect.
Attributes toAttributes(mlir::Operation *op);
/// MLIR attributes of `attributes`, which are checked against the op table first; those equal to their default are left
/// out.
Result<llvm::SmallVector<mlir::NamedAttribute>> fromAttributes(mlir::MLIRContext *context, const OpInfo &op,
                                                               const Attributes &attributes);
/// The mnemonic of a kiln op ("conv"), empty for any other op.
llvm::StringRef mnemonicOf(mlir::Operation *op);

/// Whether the op's result is its one operand's memory under other dims.
bool isView(mlir::Operation *op);
/// Whether the op computes each element from one of each operand, which broadcast as in numpy.
bool isPointwise(mlir::Operation *op);

/// The op's operands by their places in its definition: null for an optional one that is absent, but those at the end
/// are left out.
llvm::SmallVector<mlir::Value> operandsOf(mlir::Operation *op);

/// Makes an op whose result dims its shape rule finds; `sizes` is the table of the function that the op is made in and
/// names them. An optional operand that is absent is null, or left out at the end.
Result<mlir::Operation *> makeOp(mlir::OpBuilder &builder, SizeTable &sizes, mlir::Location loc,
                                 llvm::StringRef mnemonic, mlir::ValueRange operands,
                                 const Attributes &attributes = {});
/// Makes an op of known result types; only attributes and operand count are checked here, the rest by the verifier.
Result<mlir::Operation *> makeOp(mlir::OpBuilder &builder, mlir::TypeRange resultTypes, mlir::Location loc,
                                 llvm::StringRef mnemonic, mlir::ValueRange operands,
                                 const Attributes &attributes = {});
/// The second form for passes that know what they build: an error is a bug of the pass and ends the program with a
/// message.
mlir::Value buildOp(mlir::OpBuilder &builder, mlir::Type resultType, mlir::Location loc, llvm::StringRef mnemonic,
                    mlir::ValueRange operands, const Attributes &attributes = {});
/// `x` under the dims of `type`; `x` itself when they are the same.
mlir::Value buildReshape(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value x, mlir::Type type);

/// The op that holds the size table for code in `op`: the function around it.
mlir::Operation *functionOf(mlir::Operation *op);

/// "message [KILN-Exxxx]" as an error at `loc`.
mlir::InFlightDiagnostic emitError(mlir::Location loc, const Status &status);

// --- element types

std::optional<DType> dtypeOf(mlir::Type elementType);
mlir::Type elementTypeOf(mlir::MLIRContext *context, DType dtype);

// --- constants

/// Whether `value` is a kiln.constant.
bool isConstant(mlir::Value value);
/// Whether `value` is one whose elements are known when compiling; those of a #kiln.bound are not.
bool isKnownConstant(mlir::Value value);
/// Bytes of a static tensor type; nothing for dynamic or foreign types.
std::optional<int64_t> byteSizeOf(mlir::Type type);
/// A copy of a constant's elements.
Result<Tensor> readConstant(mlir::Value value);
/// The elements of a constant without copying, where they lie in memory as such (every weight does); else `storage` is
/// filled.
Result<TensorView> viewConstant(mlir::Value value, Tensor &storage, llvm::SmallVectorImpl<int64_t> &dims);
/// The same for the value of a constant.
Result<TensorView> viewConstant(mlir::TypedAttr value, Tensor &storage, llvm::SmallVectorImpl<int64_t> &dims);
/// The element of a constant all of whose (at most `maxSplat`) elements are equal, as a double; integers above 2^53 are
/// refused.
std::optional<double> splatValue(mlir::Value value);
/// A constant of these elements: inline when it is small (at most 1 KiB) or a scalar, else a derived weight.
mlir::Value makeConstant(mlir::OpBuilder &builder, mlir::Location loc, Tensor tensor);
/// A rank-0 constant of that element type.
mlir::Value makeScalar(mlir::OpBuilder &builder, mlir::Location loc, mlir::Type elementType, double value);
/// A 1-D i64 constant.
mlir::Value makeInts(mlir::OpBuilder &builder, mlir::Location loc, llvm::ArrayRef<int64_t> values);
/// The attribute of an inline constant.
mlir::DenseElementsAttr denseAttr(mlir::MLIRContext *context, const TensorView &tensor);

inline constexpr int64_t inlineConstantBytes = 1024;

} // namespace kiln
