// RUN: kiln-opt %s --kiln-lower-resize | FileCheck %s

// CHECK-LABEL: @scales
// CHECK: kiln.reshape %arg0 {{.*}} -> tensor<1x2x?x1x5x1xf32, #kiln.dims<[1, 2, H, 1, 5, 1]>>
// CHECK: kiln.expand {{.*}} -> tensor<1x2x?x2x5x3xf32, #kiln.dims<[1, 2, H, 2, 5, 3]>>
// CHECK: kiln.reshape {{.*}} -> tensor<1x2x?x15xf32, #kiln.dims<[1, 2, D, 15]>>
func.func @scales(%x: tensor<1x2x?x5xf32, #kiln.dims<[1, 2, H, 5]>>) -> tensor<1x2x?x15xf32, #kiln.dims<[1, 2, D, 15]>> attributes {kiln.sizes = ["H", "D = 2*H"]} {
  %0 = kiln.resize %x {scales = array<f64: 1.0, 1.0, 2.0, 3.0>} : (tensor<1x2x?x5xf32, #kiln.dims<[1, 2, H, 5]>>) -> tensor<1x2x?x15xf32, #kiln.dims<[1, 2, D, 15]>>
  return %0 : tensor<1x2x?x15xf32, #kiln.dims<[1, 2, D, 15]>>
}

// CHECK-LABEL: @sizes
// CHECK: kiln.expand {{.*}} -> tensor<4x2xf32>
func.func @sizes(%x: tensor<4xf32>) -> tensor<8xf32> {
  %s = kiln.constant {value = dense<8> : tensor<1xi64>} : () -> tensor<1xi64>
  %0 = kiln.resize %x, %s {coordinates = "asymmetric", nearest = "floor"} : (tensor<4xf32>, tensor<1xi64>) -> tensor<8xf32>
  return %0 : tensor<8xf32>
}

// Must not fire: other modes, parts of elements, fewer elements, and ways of rounding that come to something else.
// CHECK-LABEL: @stays
// CHECK-COUNT-6: kiln.resize
// CHECK-NOT: kiln.expand
func.func @stays(%x: tensor<4xf32>) -> (tensor<8xf32>, tensor<6xf32>, tensor<2xf32>, tensor<8xf32>, tensor<12xf32>, tensor<8xf32>) {
  %0 = kiln.resize %x {mode = "linear", scales = array<f64: 2.0>} : (tensor<4xf32>) -> tensor<8xf32>
  %1 = kiln.resize %x {scales = array<f64: 1.5>} : (tensor<4xf32>) -> tensor<6xf32>
  %2 = kiln.resize %x {scales = array<f64: 0.5>} : (tensor<4xf32>) -> tensor<2xf32>
  %3 = kiln.resize %x {nearest = "floor", scales = array<f64: 2.0>} : (tensor<4xf32>) -> tensor<8xf32>
  %4 = kiln.resize %x {coordinates = "asymmetric", scales = array<f64: 3.0>} : (tensor<4xf32>) -> tensor<12xf32>
  %5 = kiln.resize %x {coordinates = "align_corners", scales = array<f64: 2.0>} : (tensor<4xf32>) -> tensor<8xf32>
  return %0, %1, %2, %3, %4, %5 : tensor<8xf32>, tensor<6xf32>, tensor<2xf32>, tensor<8xf32>, tensor<12xf32>, tensor<8xf32>
}
