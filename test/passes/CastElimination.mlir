// RUN: kiln-opt %s --kiln-cast-elimination | FileCheck %s

// CHECK-LABEL: @there_and_back
// CHECK-NEXT: return %arg0
func.func @there_and_back(%x: tensor<4xf32>) -> tensor<4xf32> {
  %a = kiln.cast %x {to = "f64"} : (tensor<4xf32>) -> tensor<4xf64>
  %b = kiln.cast %a {to = "f32"} : (tensor<4xf64>) -> tensor<4xf32>
  return %b : tensor<4xf32>
}

// CHECK-LABEL: @merged
// CHECK-NEXT: kiln.cast %arg0 {to = "f64"} : (tensor<4xi32>) -> tensor<4xf64>
// CHECK-NEXT: return
func.func @merged(%x: tensor<4xi32>) -> tensor<4xf64> {
  %a = kiln.cast %x {to = "i64"} : (tensor<4xi32>) -> tensor<4xi64>
  %b = kiln.cast %a {to = "f64"} : (tensor<4xi64>) -> tensor<4xf64>
  return %b : tensor<4xf64>
}

// Must not fire: a pair that narrows first rounds.
// CHECK-LABEL: @narrowing
// CHECK: to = "f16"
// CHECK: to = "f32"
// CHECK: to = "f32"
// CHECK: to = "i64"
func.func @narrowing(%x: tensor<4xf32>, %i: tensor<4xi64>) -> (tensor<4xf32>, tensor<4xi64>) {
  %a = kiln.cast %x {to = "f16"} : (tensor<4xf32>) -> tensor<4xf16>
  %b = kiln.cast %a {to = "f32"} : (tensor<4xf16>) -> tensor<4xf32>
  %c = kiln.cast %i {to = "f32"} : (tensor<4xi64>) -> tensor<4xf32>
  %d = kiln.cast %c {to = "i64"} : (tensor<4xf32>) -> tensor<4xi64>
  return %b, %d : tensor<4xf32>, tensor<4xi64>
}
