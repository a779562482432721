// RUN: kiln-opt %s --kiln-cse | FileCheck %s

// CHECK-LABEL: @twice
// CHECK-NEXT: %[[E:.*]] = kiln.exp
// CHECK-NEXT: kiln.add %[[E]], %[[E]]
func.func @twice(%x: tensor<4xf32>) -> tensor<4xf32> {
  %a = kiln.exp %x : (tensor<4xf32>) -> tensor<4xf32>
  %b = kiln.exp %x : (tensor<4xf32>) -> tensor<4xf32>
  %c = kiln.add %a, %b : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %c : tensor<4xf32>
}

// One weight is one constant; the store is not asked for its bytes.
// CHECK-LABEL: @weights
// CHECK-COUNT-1: kiln.constant
// CHECK-NOT: kiln.constant
func.func @weights() -> (tensor<512xf32>, tensor<512xf32>) {
  %a = kiln.constant {value = #kiln.weight<"model.onnx", 64, "00000000000000ff"> : tensor<512xf32>} : () -> tensor<512xf32>
  %b = kiln.constant {value = #kiln.weight<"model.onnx", 64, "00000000000000ff"> : tensor<512xf32>} : () -> tensor<512xf32>
  return %a, %b : tensor<512xf32>, tensor<512xf32>
}

// Must not fire: other attributes.
// CHECK-LABEL: @different
// CHECK: kiln.softmax %arg0 {axis = 0
// CHECK: kiln.softmax %arg0 {axis = 1
func.func @different(%x: tensor<4x4xf32>) -> (tensor<4x4xf32>, tensor<4x4xf32>) {
  %a = kiln.softmax %x {axis = 0 : i64} : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %b = kiln.softmax %x {axis = 1 : i64} : (tensor<4x4xf32>) -> tensor<4x4xf32>
  return %a, %b : tensor<4x4xf32>, tensor<4x4xf32>
}
