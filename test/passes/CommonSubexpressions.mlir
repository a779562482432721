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

// Results of one op for those of another. The operands' places count: an initial state is no bias.
// CHECK-LABEL: @several_results
// CHECK-NEXT: %[[T:.+]], %[[I:.+]] = kiln.topk
// CHECK-NEXT: return %[[T]], %[[I]]
func.func @several_results(%x: tensor<4xf32>) -> (tensor<2xf32>, tensor<2xi64>) {
  %v, %i = kiln.topk %x {axis = 0 : i64, k = 2 : i64} : (tensor<4xf32>) -> (tensor<2xf32>, tensor<2xi64>)
  %w, %j = kiln.topk %x {axis = 0 : i64, k = 2 : i64} : (tensor<4xf32>) -> (tensor<2xf32>, tensor<2xi64>)
  return %v, %j : tensor<2xf32>, tensor<2xi64>
}

// CHECK-LABEL: @places
// CHECK-COUNT-2: kiln.lstm
func.func @places(%x: tensor<1x1x1xf32>, %w: tensor<1x4x1xf32>, %s: tensor<1x1x1xf32>) -> (tensor<1x1x1x1xf32>, tensor<1x1x1x1xf32>) {
  %a, %b, %c = kiln.lstm %x, %w, %w, %s {operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 1, 0, 0>} :
      (tensor<1x1x1xf32>, tensor<1x4x1xf32>, tensor<1x4x1xf32>, tensor<1x1x1xf32>) -> (tensor<1x1x1x1xf32>, tensor<1x1x1xf32>, tensor<1x1x1xf32>)
  %d, %e, %f = kiln.lstm %x, %w, %w, %s {operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0, 1, 0>} :
      (tensor<1x1x1xf32>, tensor<1x4x1xf32>, tensor<1x4x1xf32>, tensor<1x1x1xf32>) -> (tensor<1x1x1x1xf32>, tensor<1x1x1xf32>, tensor<1x1x1xf32>)
  return %a, %d : tensor<1x1x1x1xf32>, tensor<1x1x1x1xf32>
}
