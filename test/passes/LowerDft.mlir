// RUN: kiln-opt %s --kiln-lower-dft | FileCheck %s

// CHECK-LABEL: @frames
// CHECK: kiln.reshape %arg0 {{.*}} -> tensor<?x7x8xf32, #kiln.dims<[N, 7, 8]>>
// CHECK: kiln.matmul {{.*}} -> tensor<?x7x10xf32, #kiln.dims<[N, 7, 10]>>
// CHECK: kiln.reshape {{.*}} -> tensor<?x7x5x2xf32, #kiln.dims<[N, 7, 5, 2]>>
func.func @frames(%x: tensor<?x7x8x1xf32, #kiln.dims<[N, 7, 8, 1]>>) -> tensor<?x7x5x2xf32, #kiln.dims<[N, 7, 5, 2]>> attributes {kiln.sizes = ["N"]} {
  %0 = kiln.dft %x {operandSegmentSizes = array<i32: 1, 0, 0>, onesided = 1 : i64} : (tensor<?x7x8x1xf32, #kiln.dims<[N, 7, 8, 1]>>) -> tensor<?x7x5x2xf32, #kiln.dims<[N, 7, 5, 2]>>
  return %0 : tensor<?x7x5x2xf32, #kiln.dims<[N, 7, 5, 2]>>
}

// CHECK-LABEL: @axis
// CHECK: kiln.transpose %arg0 {{.*}} -> tensor<4x3x6x2xf32>
// CHECK: kiln.matmul {{.*}} -> tensor<4x3x12xf32>
// CHECK: kiln.transpose {{.*}} -> tensor<6x4x3x2xf32>
func.func @axis(%x: tensor<6x4x3x2xf32>) -> tensor<6x4x3x2xf32> {
  %0 = kiln.dft %x {operandSegmentSizes = array<i32: 1, 0, 0>, axis = 0 : i64, inverse = 1 : i64} : (tensor<6x4x3x2xf32>) -> tensor<6x4x3x2xf32>
  return %0 : tensor<6x4x3x2xf32>
}

// Must not fire: a signal that is cut, one of unknown length, a matrix that is too large, and 16-bit numbers.
// CHECK-LABEL: @stays
// CHECK-NOT: kiln.matmul
// CHECK-COUNT-4: kiln.dft
func.func @stays(%a: tensor<1x8x1xf32>, %b: tensor<1x?x1xf32, #kiln.dims<[1, L, 1]>>, %c: tensor<1x4096x2xf32>, %d: tensor<1x8x1xf16>) -> (tensor<1x6x2xf32>, tensor<1x?x2xf32, #kiln.dims<[1, L, 2]>>, tensor<1x4096x2xf32>, tensor<1x8x2xf16>) attributes {kiln.sizes = ["L"]} {
  %0 = kiln.dft %a {operandSegmentSizes = array<i32: 1, 0, 0>, length = 6 : i64} : (tensor<1x8x1xf32>) -> tensor<1x6x2xf32>
  %1 = kiln.dft %b {operandSegmentSizes = array<i32: 1, 0, 0>} : (tensor<1x?x1xf32, #kiln.dims<[1, L, 1]>>) -> tensor<1x?x2xf32, #kiln.dims<[1, L, 2]>>
  %2 = kiln.dft %c {operandSegmentSizes = array<i32: 1, 0, 0>} : (tensor<1x4096x2xf32>) -> tensor<1x4096x2xf32>
  %3 = kiln.dft %d {operandSegmentSizes = array<i32: 1, 0, 0>} : (tensor<1x8x1xf16>) -> tensor<1x8x2xf16>
  return %0, %1, %2, %3 : tensor<1x6x2xf32>, tensor<1x?x2xf32, #kiln.dims<[1, L, 2]>>, tensor<1x4096x2xf32>, tensor<1x8x2xf16>
}
