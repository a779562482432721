// RUN: kiln-opt %s --kiln-quantized-products --kiln-constant-fold --kiln-dead-code | FileCheck %s

// A convolution of u8 and i8 with a scale for each filter, a bias, relu, and a result of u8: nothing but the product, its
// factor and its bias is left, for a u8 whose zero point is 0 saturates where relu bounds.
// CHECK-LABEL: @conv
// CHECK-SAME: %[[X:.+]]: tensor<1x8x5x5xui8>
// CHECK-DAG: %[[WIDE:.+]] = kiln.cast %[[X]] {to = "i32"}
// CHECK-DAG: %[[A:.+]] = kiln.sub %[[WIDE]]
// CHECK: %[[P:.+]] = kiln.conv %[[A]], {{.*}} -> tensor<1x2x3x3xi32>
// CHECK-NEXT: %[[F:.+]] = kiln.cast %[[P]] {to = "f32"}
// CHECK-NEXT: %[[FACTOR:.+]] = kiln.constant {{.*}}3.125000e-02{{.*}}1.562500e-02
// CHECK-NEXT: %[[S:.+]] = kiln.mul %[[F]], %[[FACTOR]]
// CHECK-NEXT: %[[BIAS:.+]] = kiln.constant {{.*}}2.500000e-01{{.*}}5.000000e-01
// CHECK-NEXT: %[[B:.+]] = kiln.add %[[S]], %[[BIAS]]
// CHECK-NEXT: %[[R:.+]] = kiln.round %[[B]]
// CHECK-NEXT: kiln.cast %[[R]] {to = "u8"}
func.func @conv(%x: tensor<1x8x5x5xui8>) -> tensor<1x2x3x3xui8> {
  %w = kiln.constant {value = dense<3> : tensor<2x8x3x3xi8>} : () -> tensor<2x8x3x3xi8>
  %zx = kiln.constant {value = dense<7> : tensor<i32>} : () -> tensor<i32>
  %sx = kiln.constant {value = dense<0.5> : tensor<f32>} : () -> tensor<f32>
  %sw = kiln.constant {value = dense<[[[[0.25]]], [[[0.125]]]]> : tensor<2x1x1x1xf32>} : () -> tensor<2x1x1x1xf32>
  %b = kiln.constant {value = dense<[1.0, 2.0]> : tensor<2xf32>} : () -> tensor<2xf32>
  %sy = kiln.constant {value = dense<4.0> : tensor<f32>} : () -> tensor<f32>
  %0 = kiln.cast %x {to = "i32"} : (tensor<1x8x5x5xui8>) -> tensor<1x8x5x5xi32>
  %1 = kiln.sub %0, %zx : (tensor<1x8x5x5xi32>, tensor<i32>) -> tensor<1x8x5x5xi32>
  %2 = kiln.cast %1 {to = "f32"} : (tensor<1x8x5x5xi32>) -> tensor<1x8x5x5xf32>
  %3 = kiln.mul %2, %sx : (tensor<1x8x5x5xf32>, tensor<f32>) -> tensor<1x8x5x5xf32>
  %4 = kiln.cast %w {to = "f32"} : (tensor<2x8x3x3xi8>) -> tensor<2x8x3x3xf32>
  %5 = kiln.mul %4, %sw : (tensor<2x8x3x3xf32>, tensor<2x1x1x1xf32>) -> tensor<2x8x3x3xf32>
  %6 = kiln.conv %3, %5, %b {dilations = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, strides = array<i64: 1, 1>} : (tensor<1x8x5x5xf32>, tensor<2x8x3x3xf32>, tensor<2xf32>) -> tensor<1x2x3x3xf32>
  %7 = kiln.relu %6 : (tensor<1x2x3x3xf32>) -> tensor<1x2x3x3xf32>
  %8 = kiln.div %7, %sy : (tensor<1x2x3x3xf32>, tensor<f32>) -> tensor<1x2x3x3xf32>
  %9 = kiln.round %8 : (tensor<1x2x3x3xf32>) -> tensor<1x2x3x3xf32>
  %10 = kiln.cast %9 {to = "u8"} : (tensor<1x2x3x3xf32>) -> tensor<1x2x3x3xui8>
  return %10 : tensor<1x2x3x3xui8>
}

// Weights that are transposed after they were dequantised; relu stays where bytes go below it.
// CHECK-LABEL: @matmul
// CHECK: kiln.matmul {{.*}}transpose_b = 1{{.*}} -> tensor<4x3xi32>
// CHECK: kiln.relu
// CHECK: kiln.round
func.func @matmul(%x: tensor<4x8xi8>) -> tensor<4x3xi8> {
  %w = kiln.constant {value = dense<2> : tensor<3x8xi8>} : () -> tensor<3x8xi8>
  %s = kiln.constant {value = dense<0.5> : tensor<f32>} : () -> tensor<f32>
  %0 = kiln.cast %x {to = "f32"} : (tensor<4x8xi8>) -> tensor<4x8xf32>
  %1 = kiln.mul %0, %s : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %2 = kiln.cast %w {to = "f32"} : (tensor<3x8xi8>) -> tensor<3x8xf32>
  %3 = kiln.mul %2, %s : (tensor<3x8xf32>, tensor<f32>) -> tensor<3x8xf32>
  %4 = kiln.transpose %3 {perm = array<i64: 1, 0>} : (tensor<3x8xf32>) -> tensor<8x3xf32>
  %5 = kiln.matmul %1, %4 : (tensor<4x8xf32>, tensor<8x3xf32>) -> tensor<4x3xf32>
  %6 = kiln.relu %5 : (tensor<4x3xf32>) -> tensor<4x3xf32>
  %7 = kiln.div %6, %s : (tensor<4x3xf32>, tensor<f32>) -> tensor<4x3xf32>
  %8 = kiln.round %7 : (tensor<4x3xf32>) -> tensor<4x3xf32>
  %9 = kiln.cast %8 {to = "i8"} : (tensor<4x3xf32>) -> tensor<4x3xi8>
  return %9 : tensor<4x3xi8>
}

// An operand that is none of bytes: floating point it is. A scale that overflows: the same.
// CHECK-LABEL: @not_both
// CHECK: kiln.matmul {{.*}} -> tensor<4x3xf32>
// CHECK: kiln.matmul {{.*}} -> tensor<4x3xf32>
func.func @not_both(%x: tensor<4x8xf32>, %y: tensor<4x8xi8>) -> (tensor<4x3xf32>, tensor<4x3xf32>) {
  %w = kiln.constant {value = dense<2> : tensor<8x3xi8>} : () -> tensor<8x3xi8>
  %s = kiln.constant {value = dense<0.5> : tensor<f32>} : () -> tensor<f32>
  %large = kiln.constant {value = dense<1.0e30> : tensor<f32>} : () -> tensor<f32>
  %0 = kiln.cast %w {to = "f32"} : (tensor<8x3xi8>) -> tensor<8x3xf32>
  %1 = kiln.mul %0, %s : (tensor<8x3xf32>, tensor<f32>) -> tensor<8x3xf32>
  %2 = kiln.matmul %x, %1 : (tensor<4x8xf32>, tensor<8x3xf32>) -> tensor<4x3xf32>
  %3 = kiln.cast %y {to = "f32"} : (tensor<4x8xi8>) -> tensor<4x8xf32>
  %4 = kiln.mul %3, %large : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %5 = kiln.matmul %4, %1 : (tensor<4x8xf32>, tensor<8x3xf32>) -> tensor<4x3xf32>
  return %2, %5 : tensor<4x3xf32>, tensor<4x3xf32>
}

// One filter for each channel and more: no kernels for bytes. Zero points that are all the same are a number.
// CHECK-LABEL: @others
// CHECK: kiln.conv {{.*}} -> tensor<1x4x3x3xf32>
// CHECK: kiln.sub {{.*}} : (tensor<4x2xi32>, tensor<i32>)
func.func @others(%x: tensor<1x2x3x3xui8>, %y: tensor<4x2xui8>) -> (tensor<1x4x3x3xf32>, tensor<4x2xi32>) {
  %w = kiln.constant {value = dense<2> : tensor<4x1x1x1xi8>} : () -> tensor<4x1x1x1xi8>
  %s = kiln.constant {value = dense<0.5> : tensor<f32>} : () -> tensor<f32>
  %z = kiln.constant {value = dense<5> : tensor<2xi32>} : () -> tensor<2xi32>
  %0 = kiln.cast %x {to = "f32"} : (tensor<1x2x3x3xui8>) -> tensor<1x2x3x3xf32>
  %1 = kiln.mul %0, %s : (tensor<1x2x3x3xf32>, tensor<f32>) -> tensor<1x2x3x3xf32>
  %2 = kiln.cast %w {to = "f32"} : (tensor<4x1x1x1xi8>) -> tensor<4x1x1x1xf32>
  %3 = kiln.mul %2, %s : (tensor<4x1x1x1xf32>, tensor<f32>) -> tensor<4x1x1x1xf32>
  %4 = kiln.conv %1, %3 {dilations = array<i64: 1, 1>, groups = 2 : i64, pads = array<i64: 0, 0, 0, 0>, strides = array<i64: 1, 1>} : (tensor<1x2x3x3xf32>, tensor<4x1x1x1xf32>) -> tensor<1x4x3x3xf32>
  %5 = kiln.cast %y {to = "i32"} : (tensor<4x2xui8>) -> tensor<4x2xi32>
  %6 = kiln.sub %5, %z : (tensor<4x2xi32>, tensor<2xi32>) -> tensor<4x2xi32>
  return %4, %6 : tensor<1x4x3x3xf32>, tensor<4x2xi32>
}

// Zero points of a product's columns leave it: what is multiplied are bytes. Not where A is no bytes, or the zero points
// are of steps of the depth.
// CHECK-LABEL: @columns
// CHECK: %[[P:.+]] = kiln.matmul {{.*}} -> tensor<4x2xi32>
// CHECK: %[[S:.+]] = kiln.reduce {{.*}}kind = "sum"{{.*}} -> tensor<4x1xi32>
// CHECK: %[[E:.+]] = kiln.mul %[[S]], {{.*}} : (tensor<4x1xi32>, tensor<2xi32>)
// CHECK: kiln.sub %[[P]], %[[E]]
// CHECK-NOT: kiln.reduce
func.func @columns(%x: tensor<4x3xui8>, %y: tensor<4x3xi32>) -> (tensor<4x2xi32>, tensor<4x2xi32>, tensor<4x2xi32>) {
  %w = kiln.constant {value = dense<[[1, 2], [3, 4], [5, 6]]> : tensor<3x2xi8>} : () -> tensor<3x2xi8>
  %z = kiln.constant {value = dense<[[3, 4]]> : tensor<1x2xi8>} : () -> tensor<1x2xi8>
  %steps = kiln.constant {value = dense<[[3], [4], [5]]> : tensor<3x1xi32>} : () -> tensor<3x1xi32>
  %0 = kiln.cast %x {to = "i32"} : (tensor<4x3xui8>) -> tensor<4x3xi32>
  %1 = kiln.cast %w {to = "i32"} : (tensor<3x2xi8>) -> tensor<3x2xi32>
  %2 = kiln.cast %z {to = "i32"} : (tensor<1x2xi8>) -> tensor<1x2xi32>
  %3 = kiln.sub %1, %2 : (tensor<3x2xi32>, tensor<1x2xi32>) -> tensor<3x2xi32>
  %4 = kiln.matmul %0, %3 : (tensor<4x3xi32>, tensor<3x2xi32>) -> tensor<4x2xi32>
  %5 = kiln.matmul %y, %3 : (tensor<4x3xi32>, tensor<3x2xi32>) -> tensor<4x2xi32>
  %6 = kiln.sub %1, %steps : (tensor<3x2xi32>, tensor<3x1xi32>) -> tensor<3x2xi32>
  %7 = kiln.matmul %0, %6 : (tensor<4x3xi32>, tensor<3x2xi32>) -> tensor<4x2xi32>
  return %4, %5, %7 : tensor<4x2xi32>, tensor<4x2xi32>, tensor<4x2xi32>
}
