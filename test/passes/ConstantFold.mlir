// RUN: kiln-opt %s --kiln-constant-fold --kiln-dead-code | FileCheck %s

// CHECK-LABEL: @sum
// CHECK-NEXT: kiln.constant {value = dense<[4.000000e+00, 6.000000e+00]> : tensor<2xf32>}
// CHECK-NEXT: return
func.func @sum() -> tensor<2xf32> {
  %a = kiln.constant {value = dense<[1.0, 2.0]> : tensor<2xf32>} : () -> tensor<2xf32>
  %b = kiln.constant {value = dense<[3.0, 4.0]> : tensor<2xf32>} : () -> tensor<2xf32>
  %c = kiln.add %a, %b : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  return %c : tensor<2xf32>
}

// Sizes are constants where they are integers, whatever the data is.
// CHECK-LABEL: @shape
// CHECK-NEXT: kiln.constant {value = dense<3> : tensor<1xi64>}
// CHECK-NEXT: return
func.func @shape(%x: tensor<?x3xf32, #kiln.dims<[N, 3]>>) -> tensor<1xi64> {
  %s = kiln.shape %x {start = 1 : i64} : (tensor<?x3xf32, #kiln.dims<[N, 3]>>) -> tensor<1xi64>
  return %s : tensor<1xi64>
}

// A large result goes to the derived file, never into an attribute.
// CHECK-LABEL: @large
// CHECK: kiln.constant {value = #kiln.weight<"derived", 0, "{{[0-9a-f]+}}"> : tensor<512xf32>}
func.func @large() -> tensor<512xf32> {
  %start = kiln.constant {value = dense<0.0> : tensor<512xf32>} : () -> tensor<512xf32>
  %r = kiln.exp %start : (tensor<512xf32>) -> tensor<512xf32>
  return %r : tensor<512xf32>
}

// So do weights whose elements become wider: what is dequantised is as many as before.
// CHECK-LABEL: @wider
// CHECK: kiln.constant {value = #kiln.weight<"derived", {{[0-9]+}}, "{{[0-9a-f]+}}"> : tensor<64x32xf32>}
// CHECK-NEXT: kiln.matmul
func.func @wider(%x: tensor<4x64xf32>) -> tensor<4x32xf32> {
  %q = kiln.constant {value = dense<3> : tensor<64x32xi8>} : () -> tensor<64x32xi8>
  %s = kiln.constant {value = dense<0.5> : tensor<f32>} : () -> tensor<f32>
  %c = kiln.cast %q {to = "f32"} : (tensor<64x32xi8>) -> tensor<64x32xf32>
  %w = kiln.mul %c, %s : (tensor<64x32xf32>, tensor<f32>) -> tensor<64x32xf32>
  %r = kiln.matmul %x, %w : (tensor<4x64xf32>, tensor<64x32xf32>) -> tensor<4x32xf32>
  return %r : tensor<4x32xf32>
}

// Must not fire: bytes that a product of integers packs as bytes, and wider elements that no product reads.
// CHECK-LABEL: @bytes_stay
// CHECK: %[[B:.+]] = kiln.cast {{.*}} -> tensor<64x32xi32>
// CHECK: %[[T:.+]] = kiln.cast {{.*}} -> tensor<64x32xf32>
// CHECK: kiln.matmul %arg0, %[[B]]
// CHECK: kiln.gather %[[T]]
func.func @bytes_stay(%x: tensor<4x64xi32>, %i: tensor<4xi64>) -> (tensor<4x32xi32>, tensor<4x32xf32>) {
  %q = kiln.constant {value = dense<3> : tensor<64x32xi8>} : () -> tensor<64x32xi8>
  %w = kiln.cast %q {to = "i32"} : (tensor<64x32xi8>) -> tensor<64x32xi32>
  %t = kiln.cast %q {to = "f32"} : (tensor<64x32xi8>) -> tensor<64x32xf32>
  %r = kiln.matmul %x, %w : (tensor<4x64xi32>, tensor<64x32xi32>) -> tensor<4x32xi32>
  %g = kiln.gather %t, %i {axis = 0 : i64} : (tensor<64x32xf32>, tensor<4xi64>) -> tensor<4x32xf32>
  return %r, %g : tensor<4x32xi32>, tensor<4x32xf32>
}

// A weight under other dims is the same span; its bytes are not even looked for.
// CHECK-LABEL: @reshaped
// CHECK-NEXT: kiln.constant {value = #kiln.weight<"model.onnx", 64, "00000000000000ff"> : tensor<16x32xf32>}
// CHECK-NEXT: return
func.func @reshaped() -> tensor<16x32xf32> {
  %a = kiln.constant {value = #kiln.weight<"model.onnx", 64, "00000000000000ff"> : tensor<512xf32>} : () -> tensor<512xf32>
  %b = kiln.reshape %a : (tensor<512xf32>) -> tensor<16x32xf32>
  return %b : tensor<16x32xf32>
}

// Must not fire: what depends on data or unknown sizes, and results much larger than their operands.
// CHECK-LABEL: @stays
// CHECK: kiln.shape
// CHECK: kiln.expand
func.func @stays(%x: tensor<?x3xf32, #kiln.dims<[N, 3]>>) -> (tensor<2xi64>, tensor<1000x1000xf32>) {
  %s = kiln.shape %x : (tensor<?x3xf32, #kiln.dims<[N, 3]>>) -> tensor<2xi64>
  %c = kiln.constant {value = dense<1.0> : tensor<f32>} : () -> tensor<f32>
  %e = kiln.expand %c : (tensor<f32>) -> tensor<1000x1000xf32>
  return %s, %e : tensor<2xi64>, tensor<1000x1000xf32>
}

// What moves elements about sees through a small expansion of a constant; what computes does not, since kernels broadcast.
// CHECK-LABEL: @mask
// CHECK-DAG: %[[M:.+]] = kiln.constant {value = #kiln.weight<"derived", {{.*}}> : tensor<16x32xf32>}
// CHECK-DAG: %[[E:.+]] = kiln.expand
// CHECK-NOT: kiln.scatter_nd
// CHECK: %[[Y:.+]] = kiln.add %arg0, %[[E]]
// CHECK: return %[[M]], %[[Y]]
func.func @mask(%x: tensor<16x32xf32>) -> (tensor<16x32xf32>, tensor<16x32xf32>) {
  %zero = kiln.constant {value = dense<0.0> : tensor<f32>} : () -> tensor<f32>
  %five = kiln.constant {value = dense<5.0> : tensor<f32>} : () -> tensor<f32>
  %at = kiln.constant {value = dense<[[0, 1], [1, 1]]> : tensor<2x2xi64>} : () -> tensor<2x2xi64>
  %e = kiln.expand %zero : (tensor<f32>) -> tensor<16x32xf32>
  %u = kiln.expand %five : (tensor<f32>) -> tensor<2xf32>
  %m = kiln.scatter_nd %e, %at, %u : (tensor<16x32xf32>, tensor<2x2xi64>, tensor<2xf32>) -> tensor<16x32xf32>
  %y = kiln.add %x, %e : (tensor<16x32xf32>, tensor<16x32xf32>) -> tensor<16x32xf32>
  return %m, %y : tensor<16x32xf32>, tensor<16x32xf32>
}

// Every result of an op.
// CHECK-LABEL: @several_results
// CHECK-DAG: %[[V:.+]] = kiln.constant {value = dense<[3.000000e+00, 2.000000e+00]> : tensor<2xf32>}
// CHECK-DAG: %[[I:.+]] = kiln.constant {value = dense<[2, 1]> : tensor<2xi64>}
// CHECK: return %[[V]], %[[I]]
func.func @several_results() -> (tensor<2xf32>, tensor<2xi64>) {
  %x = kiln.constant {value = dense<[1.0, 2.0, 3.0]> : tensor<3xf32>} : () -> tensor<3xf32>
  %v, %i = kiln.topk %x {axis = 0 : i64, k = 2 : i64} : (tensor<3xf32>) -> (tensor<2xf32>, tensor<2xi64>)
  return %v, %i : tensor<2xf32>, tensor<2xi64>
}
