// RUN: kiln-opt --kiln-families=test --kiln-form-kernels --split-input-file %s | FileCheck %s

// Epilogue with a second output; the literal moves in, weights stay operands.
// CHECK-LABEL: func.func @epilogue
// CHECK-NOT: kiln.constant {value = dense<6.0
// CHECK: %[[K:.+]]:2 = kiln.kernel %arg0, %arg1, %arg2 attributes {family = "test.contraction"}
// CHECK: kiln.constant
// CHECK: %[[M:.+]] = kiln.matmul
// CHECK: %[[A:.+]] = kiln.add %[[M]]
// CHECK: %[[R:.+]] = kiln.min %[[A]]
// CHECK: kiln.yield %[[A]], %[[R]]
// CHECK: return %[[K]]#0, %[[K]]#1
func.func @epilogue(%x: tensor<2x3xf32>, %w: tensor<3x4xf32>, %b: tensor<4xf32>) -> (tensor<2x4xf32>, tensor<2x4xf32>) {
  %six = kiln.constant {value = dense<6.0> : tensor<f32>} : () -> tensor<f32>
  %0 = kiln.matmul %x, %w : (tensor<2x3xf32>, tensor<3x4xf32>) -> tensor<2x4xf32>
  %1 = kiln.add %0, %b : (tensor<2x4xf32>, tensor<4xf32>) -> tensor<2x4xf32>
  %2 = kiln.min %1, %six : (tensor<2x4xf32>, tensor<f32>) -> tensor<2x4xf32>
  return %1, %2 : tensor<2x4xf32>, tensor<2x4xf32>
}

// -----

// Two contractions and the sum of them: the sum joins the first, the second is scheduled before it. The transpose is read through by one
// and stays for the other user.
// CHECK-LABEL: func.func @residual
// CHECK: %[[T:.+]] = kiln.kernel %arg1 attributes {family = "test.movement"}
// CHECK: %[[B:.+]] = kiln.kernel %arg0, %arg2
// CHECK-NEXT: ^bb0
// CHECK-NEXT: kiln.matmul
// CHECK-NEXT: kiln.yield
// CHECK: %[[A:.+]] = kiln.kernel
// CHECK-DAG: kiln.transpose
// CHECK: kiln.matmul
// CHECK: kiln.add
// CHECK: kiln.relu
// CHECK: return %[[A]], %[[T]]
func.func @residual(%x: tensor<2x3xf32>, %w: tensor<4x3xf32>, %v: tensor<3x4xf32>) -> (tensor<2x4xf32>, tensor<3x4xf32>) {
  %t = kiln.transpose %w {perm = array<i64: 1, 0>} : (tensor<4x3xf32>) -> tensor<3x4xf32>
  %0 = kiln.matmul %x, %t : (tensor<2x3xf32>, tensor<3x4xf32>) -> tensor<2x4xf32>
  %1 = kiln.matmul %x, %v : (tensor<2x3xf32>, tensor<3x4xf32>) -> tensor<2x4xf32>
  %2 = kiln.add %0, %1 : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  %3 = kiln.relu %2 : (tensor<2x4xf32>) -> tensor<2x4xf32>
  return %3, %t : tensor<2x4xf32>, tensor<3x4xf32>
}

// -----

// Must not fire: add would make the kernel depend on itself through the softmax outside.
// CHECK-LABEL: func.func @cycle
// CHECK: %[[M:.+]] = kiln.kernel
// CHECK-NEXT: ^bb0
// CHECK-NEXT: kiln.matmul
// CHECK-NEXT: kiln.yield
// CHECK: %[[S:.+]] = kiln.kernel %[[M]] attributes {family = "test.sweep"}
// CHECK: kiln.softmax
// CHECK: kiln.add
func.func @cycle(%x: tensor<2x3xf32>, %w: tensor<3x4xf32>) -> tensor<2x4xf32> {
  %0 = kiln.matmul %x, %w : (tensor<2x3xf32>, tensor<3x4xf32>) -> tensor<2x4xf32>
  %1 = kiln.softmax %0 {axis = 1 : i64} : (tensor<2x4xf32>) -> tensor<2x4xf32>
  %2 = kiln.add %0, %1 : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  return %2 : tensor<2x4xf32>
}

// -----

// Elementwise chains with a shared value become one kernel; shape arithmetic and reshapes stay with the host.
// CHECK-LABEL: func.func @pointwise
// CHECK: %[[K:.+]] = kiln.kernel %arg0 attributes {family = "test.pointwise"}
// CHECK: kiln.sigmoid
// CHECK: kiln.mul
// CHECK: kiln.exp
// CHECK: kiln.add
// CHECK: kiln.yield
// CHECK: kiln.reshape %[[K]]
// CHECK: kiln.add {{.*}} : (tensor<2xi64>, tensor<2xi64>) -> tensor<2xi64>
// CHECK-NOT: kiln.kernel
func.func @pointwise(%x: tensor<6x4xf32>, %n: tensor<2xi64>) -> (tensor<24xf32>, tensor<2xi64>) {
  %0 = kiln.sigmoid %x : (tensor<6x4xf32>) -> tensor<6x4xf32>
  %1 = kiln.mul %x, %0 : (tensor<6x4xf32>, tensor<6x4xf32>) -> tensor<6x4xf32>
  %2 = kiln.exp %0 : (tensor<6x4xf32>) -> tensor<6x4xf32>
  %3 = kiln.add %1, %2 : (tensor<6x4xf32>, tensor<6x4xf32>) -> tensor<6x4xf32>
  %4 = kiln.reshape %3 : (tensor<6x4xf32>) -> tensor<24xf32>
  %5 = kiln.add %n, %n : (tensor<2xi64>, tensor<2xi64>) -> tensor<2xi64>
  return %4, %5 : tensor<24xf32>, tensor<2xi64>
}

// -----

// Prologue and epilogue of a sweep; what no family claims stays outside.
// CHECK-LABEL: func.func @sweep
// CHECK: %[[K:.+]] = kiln.kernel %arg0, %arg1, %arg2 attributes {family = "test.sweep"}
// CHECK: kiln.add
// CHECK: kiln.layer_norm
// CHECK: kiln.relu
// CHECK: kiln.yield
// CHECK: kiln.tile %[[K]]
func.func @sweep(%x: tensor<2x4xf32>, %y: tensor<2x4xf32>, %s: tensor<4xf32>, %r: tensor<2xi64>) -> tensor<4x4xf32> {
  %0 = kiln.add %x, %y : (tensor<2x4xf32>, tensor<2x4xf32>) -> tensor<2x4xf32>
  %1 = kiln.layer_norm %0, %s : (tensor<2x4xf32>, tensor<4xf32>) -> tensor<2x4xf32>
  %2 = kiln.relu %1 : (tensor<2x4xf32>) -> tensor<2x4xf32>
  %3 = kiln.tile %2 : (tensor<2x4xf32>) -> tensor<4x4xf32>
  return %3 : tensor<4x4xf32>
}

// -----

// Views of an operand are read through, a reshape between them too; one at the border is an alias, not part of the kernel.
// CHECK-LABEL: func.func @views
// CHECK: %[[R:.+]] = kiln.reshape %arg0 : (tensor<4x3x8xf32>) -> tensor<12x8xf32>
// CHECK: kiln.kernel %[[R]], %arg1
// CHECK: kiln.slice
// CHECK: kiln.reshape
// CHECK: kiln.transpose
// CHECK: kiln.matmul
// CHECK: kiln.yield
func.func @views(%x: tensor<4x3x8xf32>, %w: tensor<2x2x5xf32>) -> tensor<2x12x5xf32> {
  %0 = kiln.reshape %x : (tensor<4x3x8xf32>) -> tensor<12x8xf32>
  %1 = kiln.slice %0 {starts = array<i64: 4>, ends = array<i64: 8>, axes = array<i64: 1>, steps = array<i64: 1>} : (tensor<12x8xf32>) -> tensor<12x4xf32>
  %2 = kiln.reshape %1 : (tensor<12x4xf32>) -> tensor<12x2x2xf32>
  %3 = kiln.transpose %2 {perm = array<i64: 1, 0, 2>} : (tensor<12x2x2xf32>) -> tensor<2x12x2xf32>
  %4 = kiln.matmul %3, %w : (tensor<2x12x2xf32>, tensor<2x2x5xf32>) -> tensor<2x12x5xf32>
  return %4 : tensor<2x12x5xf32>
}

// -----

// The bias of a convolution with one output is a weight, not a literal.
// CHECK-LABEL: func.func @one_output
// CHECK: %[[B:.+]] = kiln.constant
// CHECK: kiln.kernel %arg0, %arg1, %[[B]]
// CHECK-NOT: kiln.constant
func.func @one_output(%x: tensor<1x8x8x4xf32>, %w: tensor<1x4x1x1xf32>) -> tensor<1x8x8x1xf32> {
  %b = kiln.constant {value = dense<0.5> : tensor<1xf32>} : () -> tensor<1xf32>
  %0 = kiln.conv %x, %w, %b {layout = "nhwc", strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x8x8x4xf32>, tensor<1x4x1x1xf32>, tensor<1xf32>) -> tensor<1x8x8x1xf32>
  return %0 : tensor<1x8x8x1xf32>
}

// -----

// A reshape at the border stays in the kernel where the family does not claim it without (this one: two transposes only beside a reshape).
// CHECK-LABEL: func.func @needed_border
// CHECK: kiln.kernel %arg1, %arg0
// CHECK: kiln.transpose
// CHECK: kiln.reshape
// CHECK: kiln.transpose
// CHECK: kiln.matmul
// CHECK: kiln.yield
func.func @needed_border(%x: tensor<6x2x2xf32>, %w: tensor<5x6xf32>) -> tensor<4x5xf32> {
  %0 = kiln.transpose %w {perm = array<i64: 1, 0>} : (tensor<5x6xf32>) -> tensor<6x5xf32>
  %1 = kiln.reshape %x : (tensor<6x2x2xf32>) -> tensor<6x4xf32>
  %2 = kiln.transpose %1 {perm = array<i64: 1, 0>} : (tensor<6x4xf32>) -> tensor<4x6xf32>
  %3 = kiln.matmul %2, %0 : (tensor<4x6xf32>, tensor<6x5xf32>) -> tensor<4x5xf32>
  return %3 : tensor<4x5xf32>
}

// -----

// An op of several results is no kernel's unless a family takes such ops: this one takes none.
// CHECK-LABEL: func.func @several_results
// CHECK-NOT: kiln.kernel
// CHECK: kiln.topk
func.func @several_results(%x: tensor<8xf32>) -> (tensor<2xf32>, tensor<2xi64>) {
  %v, %i = kiln.topk %x {axis = 0 : i64, k = 2 : i64} : (tensor<8xf32>) -> (tensor<2xf32>, tensor<2xi64>)
  return %v, %i : tensor<2xf32>, tensor<2xi64>
}

// -----

// A few integers or booleans that elementwise work reads one by one are an operand, not a literal.
// CHECK-LABEL: func.func @few_elements
// CHECK: %[[M:.+]] = kiln.constant
// CHECK: kiln.kernel %[[M]], %arg0
func.func @few_elements(%x: tensor<2x2x2xf32>) -> tensor<2x2x2xf32> {
  %m = kiln.constant {value = dense<[[true, false], [true, true]]> : tensor<2x2xi1>} : () -> tensor<2x2xi1>
  %z = kiln.constant {value = dense<0.0> : tensor<f32>} : () -> tensor<f32>
  %0 = kiln.where %m, %x, %z : (tensor<2x2xi1>, tensor<2x2x2xf32>, tensor<f32>) -> tensor<2x2x2xf32>
  return %0 : tensor<2x2x2xf32>
}

// -----

// A slice that lies in one piece of its operand's memory is no kernel, and its readers are not made for where it lies; one that does not lie so is copied.
// CHECK-LABEL: func.func @parts
// CHECK: kiln.slice %arg0 {{.*}}kiln.part
// CHECK: kiln.slice %arg0 {{.*}}kiln.part
// CHECK: kiln.kernel
// CHECK-NOT: kiln.part
// CHECK: kiln.slice
func.func @parts(%x: tensor<1x6x4xf32>) -> (tensor<1x2x4xf32>, tensor<1x1x2xf32>, tensor<1x6x2xf32>) {
  %0 = kiln.slice %x {starts = array<i64: 4>, ends = array<i64: 6>, axes = array<i64: 1>, steps = array<i64: 1>} : (tensor<1x6x4xf32>) -> tensor<1x2x4xf32>
  %1 = kiln.slice %x {starts = array<i64: -1, 1>, ends = array<i64: 6, 3>, axes = array<i64: 1, 2>, steps = array<i64: 1, 1>} : (tensor<1x6x4xf32>) -> tensor<1x1x2xf32>
  %2 = kiln.slice %x {starts = array<i64: 2>, ends = array<i64: 4>, axes = array<i64: 2>, steps = array<i64: 1>} : (tensor<1x6x4xf32>) -> tensor<1x6x2xf32>
  return %0, %1, %2 : tensor<1x2x4xf32>, tensor<1x1x2xf32>, tensor<1x6x2xf32>
}
