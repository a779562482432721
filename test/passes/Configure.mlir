// RUN: kiln-opt --kiln-families=test --kiln-form-kernels --kiln-configure --split-input-file %s | FileCheck %s

// Two equal layers get equal texts; node names do not enter; sizes say what d0 is; the residual's buffer may be the result's.
// CHECK-LABEL: func.func @layers
// CHECK: kiln.kernel
// CHECK-SAME: config = "{tile=1}"
// CHECK-SAME: problem = "v1 default; %0 = in f32[d0,4]; %1 = const f32[4,4]; %2 = matmul(%0,%1){transpose_a=0, transpose_b=0} f32[d0,4]; %3 = in f32[d0,4]; %4 = add(%2,%3) f32[d0,4]; out %4; inplace %4=%3; range d0 1..64"
// CHECK-SAME: sizes = ["N"], source = "default"
// CHECK: kiln.kernel
// CHECK-SAME: problem = "v1 default; %0 = in f32[d0,4]; %1 = const f32[4,4]; %2 = matmul(%0,%1){transpose_a=0, transpose_b=0} f32[d0,4]; %3 = in f32[d0,4]; %4 = add(%2,%3) f32[d0,4]; out %4; inplace %4=%3; range d0 1..64"
func.func @layers(%x: tensor<?x4xf32, #kiln.dims<[N, 4]>>, %y: tensor<?x4xf32, #kiln.dims<[N, 4]>>) -> tensor<?x4xf32, #kiln.dims<[N, 4]>> attributes {kiln.sizes = ["N in 1..64"]} {
  %w = kiln.constant {value = dense<[[1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0]]> : tensor<4x4xf32>} : () -> tensor<4x4xf32>
  %0 = kiln.matmul %x, %w : (tensor<?x4xf32, #kiln.dims<[N, 4]>>, tensor<4x4xf32>) -> tensor<?x4xf32, #kiln.dims<[N, 4]>> loc("first")
  %1 = kiln.add %0, %y : (tensor<?x4xf32, #kiln.dims<[N, 4]>>, tensor<?x4xf32, #kiln.dims<[N, 4]>>) -> tensor<?x4xf32, #kiln.dims<[N, 4]>>
  %2 = kiln.matmul %1, %w : (tensor<?x4xf32, #kiln.dims<[N, 4]>>, tensor<4x4xf32>) -> tensor<?x4xf32, #kiln.dims<[N, 4]>> loc("second")
  %3 = kiln.add %2, %x : (tensor<?x4xf32, #kiln.dims<[N, 4]>>, tensor<?x4xf32, #kiln.dims<[N, 4]>>) -> tensor<?x4xf32, #kiln.dims<[N, 4]>>
  return %3 : tensor<?x4xf32, #kiln.dims<[N, 4]>>
}

// -----

// Operands are put into the order of the problem, which is that of the walk from the result.
// CHECK-LABEL: func.func @order
// CHECK: kiln.kernel %arg1, %arg0
// CHECK-NEXT: ^bb0(%[[A:.+]]: tensor<2x4xf32>, %[[B:.+]]: tensor<4xf32>)
// CHECK-NEXT: %[[N:.+]] = kiln.neg %[[B]]
// CHECK-NEXT: kiln.sub %[[A]], %[[N]]
func.func @order(%x: tensor<4xf32>, %y: tensor<2x4xf32>) -> tensor<2x4xf32> {
  %0 = kiln.neg %x : (tensor<4xf32>) -> tensor<4xf32>
  %1 = kiln.sub %y, %0 : (tensor<2x4xf32>, tensor<4xf32>) -> tensor<2x4xf32>
  return %1 : tensor<2x4xf32>
}

// -----

// Sizes of a convolution's result follow from its operand's: the kernel is told two sizes, not four.
// CHECK-LABEL: func.func @window
// CHECK: problem = "v1 default; %0 = in f32[1,3,d0,d1]; %1 = in f32[8,3,3,3]; %2 = conv(%0,%1)
// CHECK-SAME: f32[1,8,{{\(?}}(d0+1) floordiv 2{{\)?}},{{\(?}}(d1+1) floordiv 2{{\)?}}]; out %2"
// CHECK-SAME: sizes = ["H", "W"]
func.func @window(%x: tensor<1x3x?x?xf32, #kiln.dims<[1, 3, H, W]>>, %w: tensor<8x3x3x3xf32>) -> tensor<1x8x?x?xf32, #kiln.dims<[1, 8, s0, s1]>> attributes {kiln.sizes = ["H", "W", "s0 = ((H-1) floordiv 2)+1", "s1 = ((W-1) floordiv 2)+1"]} {
  %0 = kiln.conv %x, %w {strides = array<i64: 2, 2>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>} : (tensor<1x3x?x?xf32, #kiln.dims<[1, 3, H, W]>>, tensor<8x3x3x3xf32>) -> tensor<1x8x?x?xf32, #kiln.dims<[1, 8, s0, s1]>>
  return %0 : tensor<1x8x?x?xf32, #kiln.dims<[1, 8, s0, s1]>>
}

// -----

// A value that is several operands: arguments go by their places, also where the first is not read.
// CHECK-LABEL: func.func @twice
// CHECK: kiln.kernel %arg0 attributes
// CHECK-NEXT: ^bb0(%[[B:.+]]: tensor<4xf32>):
// CHECK-NEXT: kiln.neg %[[B]]
// CHECK: kiln.kernel %arg0, %arg0 attributes
// CHECK-NEXT: ^bb0(%[[B:.+]]: tensor<4xf32>, %[[A:.+]]: tensor<4xf32>):
// CHECK-NEXT: %[[E:.+]] = kiln.exp %[[A]]
// CHECK-NEXT: kiln.sub %[[B]], %[[E]]
func.func @twice(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %0 = kiln.kernel %x, %x attributes {family = "test.pointwise"} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%a: tensor<4xf32>, %b: tensor<4xf32>):
    %n = kiln.neg %b : (tensor<4xf32>) -> tensor<4xf32>
    kiln.yield %n : tensor<4xf32>
  }
  %1 = kiln.kernel %x, %x attributes {family = "test.pointwise"} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%a: tensor<4xf32>, %b: tensor<4xf32>):
    %e = kiln.exp %a : (tensor<4xf32>) -> tensor<4xf32>
    %s = kiln.sub %b, %e : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    kiln.yield %s : tensor<4xf32>
  }
  return %0, %1 : tensor<4xf32>, tensor<4xf32>
}

// -----

// What no result needs is no part of the kernel.
// CHECK-LABEL: func.func @dead
// CHECK: kiln.kernel %arg1 attributes
// CHECK-NEXT: ^bb0(%[[B:.+]]: tensor<4xf32>):
// CHECK-NEXT: %[[N:.+]] = kiln.neg %[[B]]
// CHECK-NEXT: kiln.yield %[[N]]
func.func @dead(%x: tensor<4xf32>, %y: tensor<4xf32>) -> tensor<4xf32> {
  %0 = kiln.kernel %x, %y attributes {family = "test.pointwise"} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%a: tensor<4xf32>, %b: tensor<4xf32>):
    %e = kiln.exp %a : (tensor<4xf32>) -> tensor<4xf32>
    %s = kiln.add %e, %b : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    %n = kiln.neg %b : (tensor<4xf32>) -> tensor<4xf32>
    kiln.yield %n : tensor<4xf32>
  }
  return %0 : tensor<4xf32>
}
