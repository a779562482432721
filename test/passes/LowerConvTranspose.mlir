// RUN: kiln-opt %s --kiln-lower-conv-transpose | FileCheck %s

// As many taps as strides: a 1x1 convolution whose channels move between the elements.
// CHECK-LABEL: @upsample
// CHECK: %[[W:.+]] = kiln.constant {value = dense<{{\[\[\[\[}}1.000000e+00]]], {{\[\[\[}}2.000000e+00]]], {{\[\[\[}}3.000000e+00]]], {{\[\[\[}}4.000000e+00]]]]> : tensor<4x1x1x1xf32>}
// CHECK: %[[Y:.+]] = kiln.conv %arg0, %[[W]] {{.*}} -> tensor<?x4x?x5xf32, #kiln.dims<[N, 4, H, 5]>>
// CHECK: kiln.reshape %[[Y]] {{.*}} -> tensor<?x1x2x2x?x5xf32, #kiln.dims<[N, 1, 2, 2, H, 5]>>
// CHECK: kiln.transpose {{.*}}perm = array<i64: 0, 1, 4, 2, 5, 3>
// CHECK: kiln.reshape {{.*}} -> tensor<?x1x?x10xf32, #kiln.dims<[N, 1, D, 10]>>
// CHECK-NOT: kiln.slice
func.func @upsample(%x: tensor<?x1x?x5xf32, #kiln.dims<[N, 1, H, 5]>>) -> tensor<?x1x?x10xf32, #kiln.dims<[N, 1, D, 10]>> attributes {kiln.sizes = ["N", "H", "D = 2*H"]} {
  %w = kiln.constant {value = dense<[[[[1.0, 2.0], [3.0, 4.0]]]]> : tensor<1x1x2x2xf32>} : () -> tensor<1x1x2x2xf32>
  %0 = kiln.conv_transpose %x, %w {strides = array<i64: 2, 2>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<?x1x?x5xf32, #kiln.dims<[N, 1, H, 5]>>, tensor<1x1x2x2xf32>) -> tensor<?x1x?x10xf32, #kiln.dims<[N, 1, D, 10]>>
  return %0 : tensor<?x1x?x10xf32, #kiln.dims<[N, 1, D, 10]>>
}

// The window is turned round, a missing tap is 0, the bias stands for each phase, and pads are cut off in the end.
// CHECK-LABEL: @overlapping
// CHECK-DAG: kiln.constant {value = dense<{{\[\[\[}}3.000000e+00, 1.000000e+00]], {{\[\[}}0.000000e+00, 2.000000e+00]]]> : tensor<2x1x2xf32>}
// CHECK-DAG: kiln.constant {value = dense<5.000000e-01> : tensor<2xf32>}
// CHECK: kiln.conv {{.*}}pads = array<i64: 1, 1>{{.*}} -> tensor<1x2x5xf32>
// CHECK: kiln.reshape {{.*}} -> tensor<1x1x10xf32>
// CHECK: kiln.slice {{.*}}ends = array<i64: 9>{{.*}}starts = array<i64: 1>{{.*}} -> tensor<1x1x8xf32>
func.func @overlapping(%x: tensor<1x1x4xf32>) -> tensor<1x1x8xf32> {
  %w = kiln.constant {value = dense<[[[1.0, 2.0, 3.0]]]> : tensor<1x1x3xf32>} : () -> tensor<1x1x3xf32>
  %b = kiln.constant {value = dense<0.5> : tensor<1xf32>} : () -> tensor<1xf32>
  %0 = kiln.conv_transpose %x, %w, %b {strides = array<i64: 2>, pads = array<i64: 1, 0>, dilations = array<i64: 1>, output_padding = array<i64: 0>} : (tensor<1x1x4xf32>, tensor<1x1x3xf32>, tensor<1xf32>) -> tensor<1x1x8xf32>
  return %0 : tensor<1x1x8xf32>
}

// Without strides the convolution has the pads that the op leaves over, and its dilations.
// CHECK-LABEL: @dilated
// CHECK: kiln.conv {{.*}}dilations = array<i64: 2>, pads = array<i64: 1, 2>{{.*}} -> tensor<1x1x3xf32>
// CHECK-NOT: kiln.slice
func.func @dilated(%x: tensor<1x1x4xf32>) -> tensor<1x1x3xf32> {
  %w = kiln.constant {value = dense<[[[1.0, 2.0, 3.0]]]> : tensor<1x1x3xf32>} : () -> tensor<1x1x3xf32>
  %0 = kiln.conv_transpose %x, %w {strides = array<i64: 1>, pads = array<i64: 3, 2>, dilations = array<i64: 2>} : (tensor<1x1x4xf32>, tensor<1x1x3xf32>) -> tensor<1x1x3xf32>
  return %0 : tensor<1x1x3xf32>
}

// Of an unknown size too: the sizes in between get names, and what is cut off counts from the end.
// CHECK-LABEL: @dynamic
// CHECK-SAME: kiln.sizes = ["T", "D = T*2", "[[A:[^ ]+]] = T+1", "[[B:[^ ]+]] = T*2+2"]
// CHECK: kiln.conv {{.*}} -> tensor<1x2x?xf32, #kiln.dims<[1, 2, [[A]]]>>
// CHECK: kiln.reshape {{.*}} -> tensor<1x1x?xf32, #kiln.dims<[1, 1, [[B]]]>>
// CHECK: kiln.slice {{.*}}ends = array<i64: -1>{{.*}}starts = array<i64: 1>{{.*}} -> tensor<1x1x?xf32, #kiln.dims<[1, 1, D]>>
func.func @dynamic(%x: tensor<1x1x?xf32, #kiln.dims<[1, 1, T]>>) -> tensor<1x1x?xf32, #kiln.dims<[1, 1, D]>> attributes {kiln.sizes = ["T", "D = 2*T"]} {
  %w = kiln.constant {value = dense<[[[1.0, 2.0, 3.0, 4.0]]]> : tensor<1x1x4xf32>} : () -> tensor<1x1x4xf32>
  %0 = kiln.conv_transpose %x, %w {strides = array<i64: 2>, pads = array<i64: 1, 1>, dilations = array<i64: 1>, output_padding = array<i64: 0>} : (tensor<1x1x?xf32, #kiln.dims<[1, 1, T]>>, tensor<1x1x4xf32>) -> tensor<1x1x?xf32, #kiln.dims<[1, 1, D]>>
  return %0 : tensor<1x1x?xf32, #kiln.dims<[1, 1, D]>>
}

// Must not fire: weights that a run tells, dilations with strides, and windows that would be mostly zeros.
// CHECK-LABEL: @stays
// CHECK-COUNT-3: kiln.conv_transpose
// CHECK-NOT: kiln.conv %
func.func @stays(%x: tensor<1x1x4xf32>, %w: tensor<1x1x3xf32>) -> (tensor<1x1x6xf32>, tensor<1x1x11xf32>, tensor<1x1x10xf32>) {
  %k = kiln.constant {value = dense<[[[1.0, 2.0, 3.0]]]> : tensor<1x1x3xf32>} : () -> tensor<1x1x3xf32>
  %one = kiln.constant {value = dense<[[[1.0]]]> : tensor<1x1x1xf32>} : () -> tensor<1x1x1xf32>
  %0 = kiln.conv_transpose %x, %w {strides = array<i64: 1>, pads = array<i64: 0, 0>, dilations = array<i64: 1>} : (tensor<1x1x4xf32>, tensor<1x1x3xf32>) -> tensor<1x1x6xf32>
  %1 = kiln.conv_transpose %x, %k {strides = array<i64: 2>, pads = array<i64: 0, 0>, dilations = array<i64: 2>} : (tensor<1x1x4xf32>, tensor<1x1x3xf32>) -> tensor<1x1x11xf32>
  %2 = kiln.conv_transpose %x, %one {strides = array<i64: 3>, pads = array<i64: 0, 0>, dilations = array<i64: 1>} : (tensor<1x1x4xf32>, tensor<1x1x1xf32>) -> tensor<1x1x10xf32>
  return %0, %1, %2 : tensor<1x1x6xf32>, tensor<1x1x11xf32>, tensor<1x1x10xf32>
}
