// RUN: kiln-opt %s --kiln-quantized-movement --kiln-dead-code | FileCheck %s

// CHECK-LABEL: @pool
// CHECK-SAME: %[[X:.+]]: tensor<1x2x4x4xui8>
// CHECK-NEXT: %[[Y:.+]] = kiln.max_pool %[[X]] {{.*}} -> tensor<1x2x3x3xui8>
// CHECK-NEXT: return %[[Y]]
func.func @pool(%x: tensor<1x2x4x4xui8>) -> tensor<1x2x3x3xui8> {
  %z = kiln.constant {value = dense<3> : tensor<i32>} : () -> tensor<i32>
  %f = kiln.constant {value = dense<3.0> : tensor<f32>} : () -> tensor<f32>
  %s = kiln.constant {value = dense<0.1> : tensor<f32>} : () -> tensor<f32>
  %0 = kiln.cast %x {to = "i32"} : (tensor<1x2x4x4xui8>) -> tensor<1x2x4x4xi32>
  %1 = kiln.sub %0, %z : (tensor<1x2x4x4xi32>, tensor<i32>) -> tensor<1x2x4x4xi32>
  %2 = kiln.cast %1 {to = "f32"} : (tensor<1x2x4x4xi32>) -> tensor<1x2x4x4xf32>
  %3 = kiln.mul %2, %s : (tensor<1x2x4x4xf32>, tensor<f32>) -> tensor<1x2x4x4xf32>
  %4 = kiln.max_pool %3 {dilations = array<i64: 1, 1>, kernel = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>, strides = array<i64: 1, 1>} : (tensor<1x2x4x4xf32>) -> tensor<1x2x3x3xf32>
  %5 = kiln.div %4, %s : (tensor<1x2x3x3xf32>, tensor<f32>) -> tensor<1x2x3x3xf32>
  %6 = kiln.round %5 : (tensor<1x2x3x3xf32>) -> tensor<1x2x3x3xf32>
  %7 = kiln.add %6, %f : (tensor<1x2x3x3xf32>, tensor<f32>) -> tensor<1x2x3x3xf32>
  %8 = kiln.cast %7 {to = "u8"} : (tensor<1x2x3x3xf32>) -> tensor<1x2x3x3xui8>
  return %8 : tensor<1x2x3x3xui8>
}

// CHECK-LABEL: @concat
// CHECK: kiln.concat %arg0, %arg1 {{.*}} -> tensor<8xi8>
// CHECK-NEXT: return
func.func @concat(%x: tensor<4xi8>, %y: tensor<4xi8>) -> tensor<8xi8> {
  %s = kiln.constant {value = dense<0.1> : tensor<f32>} : () -> tensor<f32>
  %0 = kiln.cast %x {to = "f32"} : (tensor<4xi8>) -> tensor<4xf32>
  %1 = kiln.mul %0, %s : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %2 = kiln.cast %y {to = "f32"} : (tensor<4xi8>) -> tensor<4xf32>
  %3 = kiln.mul %2, %s : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %4 = kiln.concat %1, %3 {axis = 0 : i64} : (tensor<4xf32>, tensor<4xf32>) -> tensor<8xf32>
  %5 = kiln.div %4, %s : (tensor<8xf32>, tensor<f32>) -> tensor<8xf32>
  %6 = kiln.round %5 : (tensor<8xf32>) -> tensor<8xf32>
  %7 = kiln.cast %6 {to = "i8"} : (tensor<8xf32>) -> tensor<8xi8>
  return %7 : tensor<8xi8>
}

// Another scale; another type; an op that computes.
// CHECK-LABEL: @others
// CHECK-COUNT-3: kiln.round
func.func @others(%x: tensor<4xi8>) -> (tensor<4xi8>, tensor<4xui8>, tensor<4xi8>) {
  %s = kiln.constant {value = dense<0.1> : tensor<f32>} : () -> tensor<f32>
  %t = kiln.constant {value = dense<0.2> : tensor<f32>} : () -> tensor<f32>
  %0 = kiln.cast %x {to = "f32"} : (tensor<4xi8>) -> tensor<4xf32>
  %1 = kiln.mul %0, %s : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %2 = kiln.div %1, %t : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %3 = kiln.round %2 : (tensor<4xf32>) -> tensor<4xf32>
  %4 = kiln.cast %3 {to = "i8"} : (tensor<4xf32>) -> tensor<4xi8>
  %5 = kiln.div %1, %s : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %6 = kiln.round %5 : (tensor<4xf32>) -> tensor<4xf32>
  %7 = kiln.cast %6 {to = "u8"} : (tensor<4xf32>) -> tensor<4xui8>
  %8 = kiln.tanh %1 : (tensor<4xf32>) -> tensor<4xf32>
  %9 = kiln.div %8, %s : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %10 = kiln.round %9 : (tensor<4xf32>) -> tensor<4xf32>
  %11 = kiln.cast %10 {to = "i8"} : (tensor<4xf32>) -> tensor<4xi8>
  return %4, %7, %11 : tensor<4xi8>, tensor<4xui8>, tensor<4xi8>
}
