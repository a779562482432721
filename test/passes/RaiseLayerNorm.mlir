// RUN: kiln-opt %s --kiln-raise-layer-norm --kiln-dead-code | FileCheck %s

// CHECK-LABEL: @spelled_out
// CHECK: %[[Y:.*]] = kiln.layer_norm %arg0, %arg1, %arg2 {axis = 1 : i64{{.*}}} : (tensor<4x8xf32>, tensor<8xf32>, tensor<8xf32>)
// CHECK-NEXT: return %[[Y]]
func.func @spelled_out(%x: tensor<4x8xf32>, %scale: tensor<8xf32>, %bias: tensor<8xf32>) -> tensor<4x8xf32> {
  %two = kiln.constant {value = dense<2.0> : tensor<f32>} : () -> tensor<f32>
  %eps = kiln.constant {value = dense<1.0e-5> : tensor<f32>} : () -> tensor<f32>
  %mean = kiln.reduce %x {kind = "mean", axes = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4x1xf32>
  %c = kiln.sub %x, %mean : (tensor<4x8xf32>, tensor<4x1xf32>) -> tensor<4x8xf32>
  %sq = kiln.pow %c, %two : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %var = kiln.reduce %sq {kind = "mean", axes = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4x1xf32>
  %ve = kiln.add %var, %eps : (tensor<4x1xf32>, tensor<f32>) -> tensor<4x1xf32>
  %sd = kiln.sqrt %ve : (tensor<4x1xf32>) -> tensor<4x1xf32>
  %n = kiln.div %c, %sd : (tensor<4x8xf32>, tensor<4x1xf32>) -> tensor<4x8xf32>
  %m = kiln.mul %n, %scale : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
  %y = kiln.add %m, %bias : (tensor<4x8xf32>, tensor<8xf32>) -> tensor<4x8xf32>
  return %y : tensor<4x8xf32>
}

// CHECK-LABEL: @rms
// CHECK: kiln.rms_norm %arg0, %arg1
// CHECK-NEXT: return
func.func @rms(%x: tensor<4x8xf32>, %scale: tensor<8xf32>) -> tensor<4x8xf32> {
  %eps = kiln.constant {value = dense<1.0e-5> : tensor<f32>} : () -> tensor<f32>
  %sq = kiln.mul %x, %x : (tensor<4x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  %var = kiln.reduce %sq {kind = "mean", axes = array<i64: 1>} : (tensor<4x8xf32>) -> tensor<4x1xf32>
  %ve = kiln.add %eps, %var : (tensor<f32>, tensor<4x1xf32>) -> tensor<4x1xf32>
  %inv = kiln.rsqrt %ve : (tensor<4x1xf32>) -> tensor<4x1xf32>
  %n = kiln.mul %x, %inv : (tensor<4x8xf32>, tensor<4x1xf32>) -> tensor<4x8xf32>
  %m = kiln.mul %scale, %n : (tensor<8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %m : tensor<4x8xf32>
}

// Must not fire: the mean is of another axis than the variance.
// CHECK-LABEL: @other_axis
// CHECK-NOT: kiln.layer_norm
func.func @other_axis(%x: tensor<8x8xf32>) -> tensor<8x8xf32> {
  %eps = kiln.constant {value = dense<1.0e-5> : tensor<f32>} : () -> tensor<f32>
  %mean = kiln.reduce %x {kind = "mean", axes = array<i64: 0>} : (tensor<8x8xf32>) -> tensor<1x8xf32>
  %c = kiln.sub %x, %mean : (tensor<8x8xf32>, tensor<1x8xf32>) -> tensor<8x8xf32>
  %sq = kiln.mul %c, %c : (tensor<8x8xf32>, tensor<8x8xf32>) -> tensor<8x8xf32>
  %var = kiln.reduce %sq {kind = "mean", axes = array<i64: 1>} : (tensor<8x8xf32>) -> tensor<8x1xf32>
  %ve = kiln.add %var, %eps : (tensor<8x1xf32>, tensor<f32>) -> tensor<8x1xf32>
  %sd = kiln.sqrt %ve : (tensor<8x1xf32>) -> tensor<8x1xf32>
  %n = kiln.div %c, %sd : (tensor<8x8xf32>, tensor<8x1xf32>) -> tensor<8x8xf32>
  return %n : tensor<8x8xf32>
}
