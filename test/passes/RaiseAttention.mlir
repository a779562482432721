// RUN: kiln-opt %s --kiln-raise-attention=assume-claimed | FileCheck %s
// RUN: kiln-opt %s --kiln-families=none --kiln-raise-attention | FileCheck %s --check-prefix=NONE

// Without a family that claims it, nothing is raised.
// NONE-NOT: kiln.attention

// CHECK-LABEL: @masked
// CHECK-NEXT: kiln.constant
// CHECK-NEXT: %[[Y:.*]] = kiln.attention %arg0, %arg1, %arg2, %arg3 {scale = 1.250000e-01 : f64}
// CHECK-NEXT: return %[[Y]]
func.func @masked(%q: tensor<12x128x64xf32>, %k: tensor<12x128x64xf32>, %v: tensor<12x128x64xf32>, %mask: tensor<1x128x128xf32>) -> tensor<12x128x64xf32> {
  %c = kiln.constant {value = dense<0.125> : tensor<f32>} : () -> tensor<f32>
  %s = kiln.matmul %q, %k {transpose_b = 1 : i64} : (tensor<12x128x64xf32>, tensor<12x128x64xf32>) -> tensor<12x128x128xf32>
  %t = kiln.mul %s, %c : (tensor<12x128x128xf32>, tensor<f32>) -> tensor<12x128x128xf32>
  %m = kiln.add %t, %mask : (tensor<12x128x128xf32>, tensor<1x128x128xf32>) -> tensor<12x128x128xf32>
  %p = kiln.softmax %m {axis = 2 : i64} : (tensor<12x128x128xf32>) -> tensor<12x128x128xf32>
  %y = kiln.matmul %p, %v : (tensor<12x128x128xf32>, tensor<12x128x64xf32>) -> tensor<12x128x64xf32>
  return %y : tensor<12x128x64xf32>
}

// A k that was transposed in one go with the heads keeps one transpose.
// CHECK-LABEL: @transposed
// CHECK-NEXT: %[[K:.*]] = kiln.transpose %arg1 {perm = array<i64: 1, 0, 2>}
// CHECK-NEXT: kiln.attention %arg0, %[[K]], %arg2 :
func.func @transposed(%q: tensor<12x128x64xf32>, %k: tensor<128x12x64xf32>, %v: tensor<12x128x64xf32>) -> tensor<12x128x64xf32> {
  %kt = kiln.transpose %k {perm = array<i64: 1, 2, 0>} : (tensor<128x12x64xf32>) -> tensor<12x64x128xf32>
  %s = kiln.matmul %q, %kt : (tensor<12x128x64xf32>, tensor<12x64x128xf32>) -> tensor<12x128x128xf32>
  %p = kiln.softmax %s {axis = 2 : i64} : (tensor<12x128x128xf32>) -> tensor<12x128x128xf32>
  %y = kiln.matmul %p, %v : (tensor<12x128x128xf32>, tensor<12x128x64xf32>) -> tensor<12x128x64xf32>
  return %y : tensor<12x128x64xf32>
}

// Must not fire: softmax along another axis.
// CHECK-LABEL: @other_axis
// CHECK-NOT: kiln.attention
func.func @other_axis(%q: tensor<12x128x64xf32>, %k: tensor<12x128x64xf32>, %v: tensor<12x128x64xf32>) -> tensor<12x128x64xf32> {
  %s = kiln.matmul %q, %k {transpose_b = 1 : i64} : (tensor<12x128x64xf32>, tensor<12x128x64xf32>) -> tensor<12x128x128xf32>
  %p = kiln.softmax %s {axis = 1 : i64} : (tensor<12x128x128xf32>) -> tensor<12x128x128xf32>
  %y = kiln.matmul %p, %v : (tensor<12x128x128xf32>, tensor<12x128x64xf32>) -> tensor<12x128x64xf32>
  return %y : tensor<12x128x64xf32>
}
