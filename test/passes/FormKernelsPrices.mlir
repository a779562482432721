// What is computed once stays so where a kernel would compute it many times over: prices decide.
// RUN: kiln-opt --kiln-families=cpu --kiln-form-kernels --split-input-file %s | FileCheck %s

// A table of cosines that 64 heads share is a kernel of its own ...
// CHECK-LABEL: func.func @shared_table
// CHECK: kiln.kernel %arg0
// CHECK: kiln.cos
// CHECK: kiln.yield
// CHECK: kiln.kernel
// CHECK-NOT: kiln.cos
// CHECK: kiln.mul
func.func @shared_table(%angles: tensor<1x128x64xf32>, %x: tensor<64x128x64xf32>) -> tensor<64x128x64xf32> {
  %0 = kiln.cos %angles : (tensor<1x128x64xf32>) -> tensor<1x128x64xf32>
  %1 = kiln.mul %x, %0 : (tensor<64x128x64xf32>, tensor<1x128x64xf32>) -> tensor<64x128x64xf32>
  return %1 : tensor<64x128x64xf32>
}

// -----

// ... as many cosines as products are not, nor is what costs next to nothing.
// CHECK-LABEL: func.func @own_cosines
// CHECK: kiln.kernel
// CHECK: kiln.cos
// CHECK-NEXT: kiln.mul
// CHECK-NEXT: kiln.yield
// CHECK-NOT: kiln.kernel
func.func @own_cosines(%angles: tensor<64x128x64xf32>, %x: tensor<64x128x64xf32>) -> tensor<64x128x64xf32> {
  %0 = kiln.cos %angles : (tensor<64x128x64xf32>) -> tensor<64x128x64xf32>
  %1 = kiln.mul %x, %0 : (tensor<64x128x64xf32>, tensor<64x128x64xf32>) -> tensor<64x128x64xf32>
  return %1 : tensor<64x128x64xf32>
}

// -----

// CHECK-LABEL: func.func @cheap_table
// CHECK: kiln.kernel
// CHECK: kiln.neg
// CHECK-NEXT: kiln.mul
// CHECK-NEXT: kiln.yield
// CHECK-NOT: kiln.kernel
func.func @cheap_table(%angles: tensor<1x128x64xf32>, %x: tensor<64x128x64xf32>) -> tensor<64x128x64xf32> {
  %0 = kiln.neg %angles : (tensor<1x128x64xf32>) -> tensor<1x128x64xf32>
  %1 = kiln.mul %x, %0 : (tensor<64x128x64xf32>, tensor<1x128x64xf32>) -> tensor<64x128x64xf32>
  return %1 : tensor<64x128x64xf32>
}
