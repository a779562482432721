// RUN: kiln-opt --kiln-families=test --kiln-layout --split-input-file %s | FileCheck %s
// RUN: kiln-opt --kiln-families=none --kiln-layout --split-input-file %s | FileCheck %s --check-prefix=NONE
// RUN: kiln-opt --kiln-families=cpu --kiln-layout --split-input-file %s | FileCheck %s --check-prefix=CPU

// NONE-NOT: nhwc

// A residual block with a global pool at the end: one transpose, at the input.
// CHECK-LABEL: func.func @residual
// CHECK-SAME: %[[X:.+]]: tensor<?x3x8x8xf32
// CHECK: %[[T:.+]] = kiln.transpose %[[X]] {perm = array<i64: 0, 2, 3, 1>}
// CHECK: %[[A:.+]] = kiln.conv %[[T]], %{{.+}} layout = "nhwc"
// CHECK-SAME: -> tensor<?x8x8x4xf32, #kiln.dims<[N, 8, 8, 4]>>
// CHECK: %[[R:.+]] = kiln.relu %[[A]]
// CHECK: %[[B:.+]] = kiln.conv %[[R]]
// CHECK: %[[S:.+]] = kiln.add %[[B]], %[[R]]
// CHECK: %[[BIAS:.+]] = kiln.constant {value = dense<{{.+}}> : tensor<1x1x1x4xf32>}
// CHECK: %[[P:.+]] = kiln.add %[[S]], %[[BIAS]]
// CHECK: %[[M:.+]] = kiln.reduce %[[P]] {axes = array<i64: 1, 2>
// CHECK: %[[F:.+]] = kiln.reshape %[[M]] : {{.*}} -> tensor<?x4xf32
// CHECK-NOT: kiln.transpose
// CHECK: return %[[F]]
func.func @residual(%x: tensor<?x3x8x8xf32, #kiln.dims<[N, 3, 8, 8]>>, %w: tensor<4x3x1x1xf32>, %v: tensor<4x4x1x1xf32>) -> tensor<?x4xf32, #kiln.dims<[N, 4]>> attributes {kiln.sizes = ["N"]} {
  %bias = kiln.constant {value = dense<[[[1.0]], [[2.0]], [[3.0]], [[4.0]]]> : tensor<4x1x1xf32>} : () -> tensor<4x1x1xf32>
  %0 = kiln.conv %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<?x3x8x8xf32, #kiln.dims<[N, 3, 8, 8]>>, tensor<4x3x1x1xf32>) -> tensor<?x4x8x8xf32, #kiln.dims<[N, 4, 8, 8]>>
  %1 = kiln.relu %0 : (tensor<?x4x8x8xf32, #kiln.dims<[N, 4, 8, 8]>>) -> tensor<?x4x8x8xf32, #kiln.dims<[N, 4, 8, 8]>>
  %2 = kiln.conv %1, %v {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<?x4x8x8xf32, #kiln.dims<[N, 4, 8, 8]>>, tensor<4x4x1x1xf32>) -> tensor<?x4x8x8xf32, #kiln.dims<[N, 4, 8, 8]>>
  %3 = kiln.add %2, %1 : (tensor<?x4x8x8xf32, #kiln.dims<[N, 4, 8, 8]>>, tensor<?x4x8x8xf32, #kiln.dims<[N, 4, 8, 8]>>) -> tensor<?x4x8x8xf32, #kiln.dims<[N, 4, 8, 8]>>
  %4 = kiln.add %3, %bias : (tensor<?x4x8x8xf32, #kiln.dims<[N, 4, 8, 8]>>, tensor<4x1x1xf32>) -> tensor<?x4x8x8xf32, #kiln.dims<[N, 4, 8, 8]>>
  %5 = kiln.reduce %4 {kind = "mean", axes = array<i64: 2, 3>} : (tensor<?x4x8x8xf32, #kiln.dims<[N, 4, 8, 8]>>) -> tensor<?x4x1x1xf32, #kiln.dims<[N, 4, 1, 1]>>
  %6 = kiln.reshape %5 : (tensor<?x4x1x1xf32, #kiln.dims<[N, 4, 1, 1]>>) -> tensor<?x4xf32, #kiln.dims<[N, 4]>>
  return %6 : tensor<?x4xf32, #kiln.dims<[N, 4]>>
}

// -----

// Axes are remapped; the gate of a squeeze-and-excite is a reshape away; the output is transposed once.
// CHECK-LABEL: func.func @axes
// CHECK: kiln.conv {{.*}} layout = "nhwc"
// CHECK: kiln.concat {{.*}} {axis = 3 : i64}
// CHECK: kiln.pad {{.*}}pads = array<i64: 0, 1, 2, 0, 0, 3, 4, 0>
// CHECK: kiln.slice {{.*}}axes = array<i64: 2, 3>
// CHECK: kiln.softmax {{.*}} {axis = 3 : i64}
// CHECK: %[[G:.+]] = kiln.reduce
// CHECK-NOT: kiln.transpose
// CHECK: %[[M:.+]] = kiln.mul %{{.+}}, %[[G]]
// CHECK: %[[OUT:.+]] = kiln.transpose %[[M]] {perm = array<i64: 0, 3, 1, 2>}
// CHECK-NEXT: return %[[OUT]]
func.func @axes(%x: tensor<1x4x8x8xf32>, %w: tensor<4x4x1x1xf32>) -> tensor<1x7x12x12xf32> {
  %0 = kiln.conv %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x4x8x8xf32>, tensor<4x4x1x1xf32>) -> tensor<1x4x8x8xf32>
  %1 = kiln.concat %0, %0 {axis = 1 : i64} : (tensor<1x4x8x8xf32>, tensor<1x4x8x8xf32>) -> tensor<1x8x8x8xf32>
  %2 = kiln.pad %1 {pads = array<i64: 0, 0, 1, 2, 0, 0, 3, 4>} : (tensor<1x8x8x8xf32>) -> tensor<1x8x12x14xf32>
  %3 = kiln.slice %2 {starts = array<i64: 1, 0>, ends = array<i64: 13, 7>, axes = array<i64: 3, 1>, steps = array<i64: 1, 1>} : (tensor<1x8x12x14xf32>) -> tensor<1x7x12x12xf32>
  %4 = kiln.softmax %3 {axis = 1 : i64} : (tensor<1x7x12x12xf32>) -> tensor<1x7x12x12xf32>
  %5 = kiln.reduce %4 {kind = "mean", axes = array<i64: 2, 3>} : (tensor<1x7x12x12xf32>) -> tensor<1x7x1x1xf32>
  %6 = kiln.mul %4, %5 : (tensor<1x7x12x12xf32>, tensor<1x7x1x1xf32>) -> tensor<1x7x12x12xf32>
  return %6 : tensor<1x7x12x12xf32>
}

// -----

// Flattening to tokens: the transpose that follows is what the data looks like already.
// CHECK-LABEL: func.func @patches
// CHECK: %[[C:.+]] = kiln.conv
// CHECK: %[[R:.+]] = kiln.reshape %[[C]] : (tensor<1x4x4x8xf32>) -> tensor<1x16x8xf32>
// CHECK-NEXT: return %[[R]]
func.func @patches(%x: tensor<1x3x8x8xf32>, %w: tensor<8x3x2x2xf32>) -> tensor<1x16x8xf32> {
  %0 = kiln.conv %x, %w {strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x3x8x8xf32>, tensor<8x3x2x2xf32>) -> tensor<1x8x4x4xf32>
  %1 = kiln.reshape %0 : (tensor<1x8x4x4xf32>) -> tensor<1x8x16xf32>
  %2 = kiln.transpose %1 {perm = array<i64: 0, 2, 1>} : (tensor<1x8x16xf32>) -> tensor<1x16x8xf32>
  return %2 : tensor<1x16x8xf32>
}

// -----

// Nothing to gain: transposes of a model without convolutions stay.
// CHECK-LABEL: func.func @none
// CHECK: kiln.transpose
// CHECK: kiln.relu
// CHECK: kiln.softmax {{.*}} {axis = 1 : i64}
func.func @none(%x: tensor<1x3x8x8xf32>) -> tensor<1x8x8x3xf32> {
  %0 = kiln.transpose %x {perm = array<i64: 0, 2, 3, 1>} : (tensor<1x3x8x8xf32>) -> tensor<1x8x8x3xf32>
  %1 = kiln.relu %0 : (tensor<1x8x8x3xf32>) -> tensor<1x8x8x3xf32>
  %2 = kiln.softmax %1 {axis = 1 : i64} : (tensor<1x8x8x3xf32>) -> tensor<1x8x8x3xf32>
  return %2 : tensor<1x8x8x3xf32>
}

// -----

// A channels-last input, and an op that must see channels-first: reduce without keepdims over the batch.
// CHECK-LABEL: func.func @last_input
// CHECK-NOT: kiln.transpose
// CHECK: %[[C:.+]] = kiln.conv %arg0
// CHECK: %[[T:.+]] = kiln.transpose %[[C]] {perm = array<i64: 0, 3, 1, 2>}
// CHECK: kiln.reduce %[[T]] {axes = array<i64: 0>
func.func @last_input(%x: tensor<2x8x8x3xf32>, %w: tensor<8x3x1x1xf32>) -> tensor<8x8x8xf32> {
  %0 = kiln.transpose %x {perm = array<i64: 0, 3, 1, 2>} : (tensor<2x8x8x3xf32>) -> tensor<2x3x8x8xf32>
  %1 = kiln.conv %0, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<2x3x8x8xf32>, tensor<8x3x1x1xf32>) -> tensor<2x8x8x8xf32>
  %2 = kiln.reduce %1 {kind = "sum", axes = array<i64: 0>, keepdims = 0 : i64} : (tensor<2x8x8x8xf32>) -> tensor<8x8x8xf32>
  return %2 : tensor<8x8x8xf32>
}

// -----

// No family of the CPU has a convolution of this type: on its reference kernel it runs as it stands, and so do its
// neighbours.
// CPU-LABEL: func.func @integers
// CPU-NOT: kiln.transpose
// CPU-NOT: nhwc
// CPU-LABEL: func.func @single
// CPU: kiln.conv {{.*}} layout = "nhwc"
func.func @integers(%x: tensor<1x3x8x8xi16>, %w: tensor<8x3x1x1xi16>) -> tensor<1x8x8x8xi16> {
  %0 = kiln.conv %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x3x8x8xi16>, tensor<8x3x1x1xi16>) -> tensor<1x8x8x8xi16>
  %1 = kiln.relu %0 : (tensor<1x8x8x8xi16>) -> tensor<1x8x8x8xi16>
  return %1 : tensor<1x8x8x8xi16>
}

func.func @single(%x: tensor<1x3x8x8xf32>, %w: tensor<8x3x1x1xf32>) -> tensor<1x8x8x8xf32> {
  %0 = kiln.conv %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x3x8x8xf32>, tensor<8x3x1x1xf32>) -> tensor<1x8x8x8xf32>
  return %0 : tensor<1x8x8x8xf32>
}

// -----

// A resize between convolutions has its axes remapped; one that only makes a larger result comes after the transpose back.
// CHECK-LABEL: func.func @resize
// CHECK: %[[A:.+]] = kiln.conv
// CHECK: %[[B:.+]] = kiln.resize %[[A]] {axes = array<i64: 0, 3, 1, 2>
// CHECK-SAME: -> tensor<1x8x8x4xf32>
// CHECK: %[[C:.+]] = kiln.conv %[[B]]
// CHECK: %[[T:.+]] = kiln.transpose %[[C]] {perm = array<i64: 0, 3, 1, 2>}
// CHECK: kiln.resize %[[T]] {mode
func.func @resize(%x: tensor<1x4x4x4xf32>, %w: tensor<4x4x1x1xf32>) -> tensor<1x4x16x16xf32> {
  %0 = kiln.conv %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x4x4x4xf32>, tensor<4x4x1x1xf32>) -> tensor<1x4x4x4xf32>
  %1 = kiln.resize %0 {mode = "linear", scales = array<f64: 1.0, 1.0, 2.0, 2.0>} : (tensor<1x4x4x4xf32>) -> tensor<1x4x8x8xf32>
  %2 = kiln.conv %1, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x4x8x8xf32>, tensor<4x4x1x1xf32>) -> tensor<1x4x8x8xf32>
  %3 = kiln.resize %2 {mode = "linear", scales = array<f64: 1.0, 1.0, 2.0, 2.0>} : (tensor<1x4x8x8xf32>) -> tensor<1x4x16x16xf32>
  return %3 : tensor<1x4x16x16xf32>
}
