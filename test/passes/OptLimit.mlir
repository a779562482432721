// RUN: kiln-opt %s --split-input-file --kiln-families=test --pass-pipeline="builtin.module(kiln-opt-limit{limit=2},func.func(kiln-form-kernels))" | FileCheck %s --check-prefix=FORM
// RUN: kiln-opt %s --split-input-file --kiln-families=test --pass-pipeline="builtin.module(kiln-opt-limit{limit=1},func.func(kiln-sink-reshapes))" | FileCheck %s --check-prefix=SINK
// RUN: kiln-opt %s --split-input-file --kiln-families=test --pass-pipeline="builtin.module(kiln-opt-limit{limit=1},func.func(kiln-layout))" | FileCheck %s --check-prefix=LAYOUT

// Each kernel and each op that joins one is a rewrite: the third op stays outside, and is no kernel either.
// FORM-LABEL: func.func @kernel
// FORM: %[[K:.+]] = kiln.kernel
// FORM: kiln.matmul
// FORM-NEXT: kiln.add
// FORM-NEXT: kiln.yield
// FORM: %[[R:.+]] = kiln.relu %[[K]]
// FORM-NEXT: return %[[R]]
func.func @kernel(%x: tensor<2x3xf32>, %w: tensor<3x4xf32>, %b: tensor<4xf32>) -> tensor<2x4xf32> {
  %0 = kiln.matmul %x, %w : (tensor<2x3xf32>, tensor<3x4xf32>) -> tensor<2x4xf32>
  %1 = kiln.add %0, %b : (tensor<2x4xf32>, tensor<4xf32>) -> tensor<2x4xf32>
  %2 = kiln.relu %1 : (tensor<2x4xf32>) -> tensor<2x4xf32>
  return %2 : tensor<2x4xf32>
}

// -----

// The reshape sinks below one op.
// SINK-LABEL: func.func @sink
// SINK: kiln.matmul
// SINK-NEXT: kiln.add
// SINK-NEXT: kiln.reshape
// SINK-NEXT: kiln.relu
func.func @sink(%x: tensor<2x3xf32>, %w: tensor<3x4xf32>, %b: tensor<4xf32>) -> tensor<1x2x4xf32> {
  %0 = kiln.matmul %x, %w : (tensor<2x3xf32>, tensor<3x4xf32>) -> tensor<2x4xf32>
  %1 = kiln.reshape %0 : (tensor<2x4xf32>) -> tensor<1x2x4xf32>
  %2 = kiln.add %1, %b : (tensor<1x2x4xf32>, tensor<4xf32>) -> tensor<1x2x4xf32>
  %3 = kiln.relu %2 : (tensor<1x2x4xf32>) -> tensor<1x2x4xf32>
  return %3 : tensor<1x2x4xf32>
}

// -----

// One convolution runs channels-last, what follows it stays as it was.
// LAYOUT-LABEL: func.func @layout
// LAYOUT: kiln.transpose
// LAYOUT-NEXT: kiln.conv {{.*}}layout = "nhwc"
// LAYOUT-NEXT: kiln.transpose
// LAYOUT-NEXT: kiln.relu
// LAYOUT-NEXT: kiln.conv
// LAYOUT-NOT: nhwc
// LAYOUT: return
func.func @layout(%x: tensor<1x4x8x8xf32>, %w: tensor<4x4x1x1xf32>) -> tensor<1x4x8x8xf32> {
  %0 = kiln.conv %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x4x8x8xf32>, tensor<4x4x1x1xf32>) -> tensor<1x4x8x8xf32>
  %1 = kiln.relu %0 : (tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32>
  %2 = kiln.conv %1, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x4x8x8xf32>, tensor<4x4x1x1xf32>) -> tensor<1x4x8x8xf32>
  return %2 : tensor<1x4x8x8xf32>
}
