// RUN: kiln-opt --kiln-sink-reshapes --split-input-file %s | FileCheck %s

// Bias along the last dim, scalar, residual of full dims: all go before the reshape.
// CHECK-LABEL: func.func @epilogue
// CHECK: %[[M:.+]] = kiln.matmul
// CHECK-NEXT: %[[A:.+]] = kiln.add %[[M]], %{{.+}} : (tensor<6x4xf32>, tensor<4xf32>) -> tensor<6x4xf32>
// CHECK-NEXT: %[[B:.+]] = kiln.mul %[[A]]
// CHECK-NEXT: %[[R:.+]] = kiln.reshape %arg3 : (tensor<2x3x4xf32>) -> tensor<6x4xf32>
// CHECK-NEXT: %[[C:.+]] = kiln.add %[[B]], %[[R]]
// CHECK-NEXT: kiln.reshape %[[C]] : (tensor<6x4xf32>) -> tensor<2x3x4xf32>
// CHECK-NEXT: return
func.func @epilogue(%x: tensor<6x5xf32>, %w: tensor<5x4xf32>, %unused: tensor<1x1x4xf32>, %res: tensor<2x3x4xf32>) -> tensor<2x3x4xf32> {
  %s = kiln.constant {value = dense<0.5> : tensor<f32>} : () -> tensor<f32>
  %b = kiln.constant {value = dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>} : () -> tensor<4xf32>
  %0 = kiln.matmul %x, %w : (tensor<6x5xf32>, tensor<5x4xf32>) -> tensor<6x4xf32>
  %1 = kiln.reshape %0 : (tensor<6x4xf32>) -> tensor<2x3x4xf32>
  %2 = kiln.add %1, %b : (tensor<2x3x4xf32>, tensor<4xf32>) -> tensor<2x3x4xf32>
  %3 = kiln.mul %2, %s : (tensor<2x3x4xf32>, tensor<f32>) -> tensor<2x3x4xf32>
  %4 = kiln.add %3, %res : (tensor<2x3x4xf32>, tensor<2x3x4xf32>) -> tensor<2x3x4xf32>
  return %4 : tensor<2x3x4xf32>
}

// -----

// A bias with more dims than the matrix loses its leading ones.
// CHECK-LABEL: func.func @leading_ones
// CHECK: kiln.matmul
// CHECK: kiln.reshape %arg2 : (tensor<1x1x4xf32>) -> tensor<1x4xf32>
// CHECK: kiln.add {{.*}} -> tensor<6x4xf32>
func.func @leading_ones(%x: tensor<6x5xf32>, %w: tensor<5x4xf32>, %bias: tensor<1x1x4xf32>) -> tensor<2x3x4xf32> {
  %0 = kiln.matmul %x, %w : (tensor<6x5xf32>, tensor<5x4xf32>) -> tensor<6x4xf32>
  %1 = kiln.reshape %0 : (tensor<6x4xf32>) -> tensor<2x3x4xf32>
  %2 = kiln.add %1, %bias : (tensor<2x3x4xf32>, tensor<1x1x4xf32>) -> tensor<2x3x4xf32>
  return %2 : tensor<2x3x4xf32>
}

// -----

// Must stay: an operand that varies along a dim the reshape made, a reshape with another user, a reshape of an input.
// CHECK-LABEL: func.func @stays
// CHECK: %[[M:.+]] = kiln.matmul
// CHECK-NEXT: %[[R:.+]] = kiln.reshape %[[M]]
// CHECK-NEXT: kiln.add %[[R]], %arg2
// CHECK-NEXT: %[[S:.+]] = kiln.reshape %arg0
// CHECK-NEXT: kiln.relu %[[S]]
// CHECK-NEXT: %[[N:.+]] = kiln.relu %[[M]]
// CHECK-NEXT: %[[U:.+]] = kiln.reshape %[[N]]
// CHECK-NEXT: kiln.relu %[[U]]
// CHECK-NEXT: return
func.func @stays(%x: tensor<6x5xf32>, %w: tensor<5x4xf32>, %y: tensor<3x1xf32>) -> (tensor<2x3x4xf32>, tensor<30xf32>, tensor<24xf32>, tensor<24xf32>) {
  %0 = kiln.matmul %x, %w : (tensor<6x5xf32>, tensor<5x4xf32>) -> tensor<6x4xf32>
  %1 = kiln.reshape %0 : (tensor<6x4xf32>) -> tensor<2x3x4xf32>
  %2 = kiln.add %1, %y : (tensor<2x3x4xf32>, tensor<3x1xf32>) -> tensor<2x3x4xf32>
  %3 = kiln.reshape %x : (tensor<6x5xf32>) -> tensor<30xf32>
  %4 = kiln.relu %3 : (tensor<30xf32>) -> tensor<30xf32>
  %5 = kiln.relu %0 : (tensor<6x4xf32>) -> tensor<6x4xf32>
  %6 = kiln.reshape %5 : (tensor<6x4xf32>) -> tensor<24xf32>
  %7 = kiln.relu %6 : (tensor<24xf32>) -> tensor<24xf32>
  return %2, %4, %6, %7 : tensor<2x3x4xf32>, tensor<30xf32>, tensor<24xf32>, tensor<24xf32>
}
