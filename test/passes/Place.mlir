// RUN: kiln-opt --kiln-place %s | FileCheck %s

// CHECK-LABEL: func.func @host_values
func.func @host_values(%x: tensor<2x3xf32>, %i: tensor<i64>) -> (tensor<2xi64>, tensor<i64>) {
  // CHECK: kiln.shape %{{.+}} {kiln.place = "host"}
  %s = kiln.shape %x : (tensor<2x3xf32>) -> tensor<2xi64>
  // CHECK: kiln.add %{{.+}}, %{{.+}} {kiln.place = "host"}
  %a = kiln.add %i, %i : (tensor<i64>, tensor<i64>) -> tensor<i64>
  return %s, %a : tensor<2xi64>, tensor<i64>
}

// Floats, results of kernels and large integer tensors stay beside the tensors.
// CHECK-LABEL: func.func @not_placed
// CHECK-NOT: kiln.place
func.func @not_placed(%x: tensor<f32>, %ids: tensor<65xi64>, %i: tensor<i64>) -> (tensor<f32>, tensor<65xi64>, tensor<i64>) {
  %a = kiln.neg %x : (tensor<f32>) -> tensor<f32>
  %b = kiln.add %ids, %i : (tensor<65xi64>, tensor<i64>) -> tensor<65xi64>
  %c = kiln.kernel %i : (tensor<i64>) -> tensor<i64> {
  ^bb0(%arg: tensor<i64>):
    %n = kiln.neg %arg : (tensor<i64>) -> tensor<i64>
    kiln.yield %n : tensor<i64>
  }
  return %a, %b, %c : tensor<f32>, tensor<65xi64>, tensor<i64>
}
