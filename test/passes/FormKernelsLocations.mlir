// RUN: kiln-opt --kiln-families=test --kiln-form-kernels --mlir-print-debuginfo %s | FileCheck %s

// A kernel is named after its anchor, then after its other nodes in program order.
// CHECK: } loc(#[[KERNEL:.+]])
// CHECK-DAG: #[[T:.+]] = loc("heads")
// CHECK-DAG: #[[M:.+]] = loc("product")
// CHECK-DAG: #[[B:.+]] = loc("bias")
// CHECK: #[[KERNEL]] = loc(fused[#[[M]], #[[T]], #[[B]]])
func.func @names(%x: tensor<3x2xf32>, %w: tensor<3x4xf32>, %b: tensor<4xf32>) -> tensor<2x4xf32> {
  %0 = kiln.transpose %x {perm = array<i64: 1, 0>} : (tensor<3x2xf32>) -> tensor<2x3xf32> loc("heads")
  %1 = kiln.matmul %0, %w : (tensor<2x3xf32>, tensor<3x4xf32>) -> tensor<2x4xf32> loc("product")
  %2 = kiln.add %1, %b : (tensor<2x4xf32>, tensor<4xf32>) -> tensor<2x4xf32> loc("bias")
  return %2 : tensor<2x4xf32>
}
