// RUN: kiln-opt %s --kiln-families=test --kiln-form-kernels=fuse=false | FileCheck %s --check-prefix=ALONE
// RUN: kiln-opt %s --kiln-families=test --kiln-form-kernels=keep-out=sum,other | FileCheck %s --check-prefix=KEPT

// Without fusion each op is a kernel of its own.
// ALONE: %[[M:.+]] = kiln.kernel
// ALONE-NEXT: ^bb0
// ALONE-NEXT: kiln.matmul
// ALONE-NEXT: kiln.yield
// ALONE: %[[A:.+]] = kiln.kernel %[[M]]
// ALONE-NEXT: ^bb0
// ALONE-NEXT: kiln.add
// ALONE-NEXT: kiln.yield
// ALONE: %[[R:.+]] = kiln.kernel %[[A]]
// ALONE: return %[[R]]

// The op of a node that is kept out is a host step, and nothing grows through it.
// KEPT: %[[M:.+]] = kiln.kernel
// KEPT-NEXT: ^bb0
// KEPT-NEXT: kiln.matmul
// KEPT-NEXT: kiln.yield
// KEPT: %[[A:.+]] = kiln.add %[[M]]
// KEPT: %[[R:.+]] = kiln.kernel %[[A]]
// KEPT: return %[[R]]
func.func @f(%x: tensor<2x3xf32>, %w: tensor<3x4xf32>, %b: tensor<4xf32>) -> tensor<2x4xf32> {
  %0 = kiln.matmul %x, %w : (tensor<2x3xf32>, tensor<3x4xf32>) -> tensor<2x4xf32> loc("product")
  %1 = kiln.add %0, %b : (tensor<2x4xf32>, tensor<4xf32>) -> tensor<2x4xf32> loc("sum")
  %2 = kiln.relu %1 : (tensor<2x4xf32>) -> tensor<2x4xf32> loc("positive")
  return %2 : tensor<2x4xf32>
}
