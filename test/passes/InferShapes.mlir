// RUN: kiln-opt %s --split-input-file --kiln-infer-shapes --kiln-dead-code | FileCheck %s

// A chain of shape arithmetic gives the reshape its dims, under the names of the input's.
// CHECK-LABEL: @chain
// CHECK-SAME: kiln.sizes = ["N", "H", "W", "d$_0 = ((H+1) floordiv 2)", "d$_1 = ((W+1) floordiv 2)"]
// CHECK: kiln.conv {{.*}} -> tensor<?x8x?x?xf32, #kiln.dims<[N, 8, d$_0, d$_1]>>
// CHECK: kiln.reduce {{.*}} -> tensor<?x8x1x1xf32, #kiln.dims<[N, 8, 1, 1]>>
// CHECK-NEXT: kiln.reshape %{{[0-9]+}} : {{.*}} -> tensor<?x8xf32, #kiln.dims<[N, 8]>>
func.func @chain(%x: tensor<?x3x?x?xf32, #kiln.dims<[N, 3, H, W]>>, %w: tensor<8x3x3x3xf32>) -> tensor<?x?xf32> {
  %c = kiln.conv %x, %w {strides = array<i64: 2, 2>, pads = array<i64: 1, 1, 1, 1>, dilations = array<i64: 1, 1>} : (tensor<?x3x?x?xf32, #kiln.dims<[N, 3, H, W]>>, tensor<8x3x3x3xf32>) -> tensor<?x8x?x?xf32>
  %m = kiln.reduce %c {kind = "mean", axes = array<i64: 2, 3>} : (tensor<?x8x?x?xf32>) -> tensor<?x8x1x1xf32>
  %s = kiln.shape %m : (tensor<?x8x1x1xf32>) -> tensor<4xi64>
  %zero = kiln.constant {value = dense<0> : tensor<1xi64>} : () -> tensor<1xi64>
  %n = kiln.gather %s, %zero : (tensor<4xi64>, tensor<1xi64>) -> tensor<1xi64>
  %rest = kiln.constant {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %shape = kiln.concat %n, %rest {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  %r = kiln.reshape %m, %shape : (tensor<?x8x1x1xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  return %r : tensor<?x?xf32>
}

// -----

// Equal expressions are one symbol; sizes that an op joins become one.
// CHECK-LABEL: @joined
// CHECK-SAME: %arg0: tensor<?x4xf32, #kiln.dims<[A, 4]>>, %arg1: tensor<4x?xf32, #kiln.dims<[4, B]>>
// CHECK: kiln.concat {{.*}} -> tensor<?x4xf32, #kiln.dims<[d$_0, 4]>>
// CHECK: kiln.concat {{.*}} -> tensor<?x4xf32, #kiln.dims<[d$_0, 4]>>
// CHECK: kiln.matmul {{.*}} -> tensor<?x?xf32, #kiln.dims<[d$_0, B]>>
func.func @joined(%x: tensor<?x4xf32, #kiln.dims<[A, 4]>>, %w: tensor<?x?xf32, #kiln.dims<[K, B]>>) -> tensor<?x?xf32> {
  %a = kiln.concat %x, %x {axis = 0 : i64} : (tensor<?x4xf32, #kiln.dims<[A, 4]>>, tensor<?x4xf32, #kiln.dims<[A, 4]>>) -> tensor<?x4xf32>
  %b = kiln.concat %x, %x {axis = 0 : i64} : (tensor<?x4xf32, #kiln.dims<[A, 4]>>, tensor<?x4xf32, #kiln.dims<[A, 4]>>) -> tensor<?x4xf32>
  %c = kiln.add %a, %b : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %r = kiln.matmul %c, %w : (tensor<?x4xf32>, tensor<?x?xf32, #kiln.dims<[K, B]>>) -> tensor<?x?xf32>
  return %r : tensor<?x?xf32>
}

// -----

// What is known of two sizes that become one holds of that one; of a size that becomes an expression it stays.
// CHECK-LABEL: @joined_ranges
// CHECK-SAME: kiln.sizes = ["A in 2..8 % 4", "B", "M in 1..10 = B*2"]
func.func @joined_ranges(%x: tensor<3x?xf32, #kiln.dims<[3, A]>>, %w: tensor<?x?xf32, #kiln.dims<[N, B]>>, %z: tensor<?x5xf32, #kiln.dims<[M, 5]>>) -> (tensor<3x?xf32>, tensor<3x5xf32>)
    attributes {kiln.sizes = ["A in 2..", "N in 1..8 % 4", "B", "M in 1..10"]} {
  %r = kiln.matmul %x, %w : (tensor<3x?xf32, #kiln.dims<[3, A]>>, tensor<?x?xf32, #kiln.dims<[N, B]>>) -> tensor<3x?xf32>
  %c = kiln.concat %r, %r {axis = 1 : i64} : (tensor<3x?xf32>, tensor<3x?xf32>) -> tensor<3x?xf32>
  %m = kiln.matmul %c, %z : (tensor<3x?xf32>, tensor<?x5xf32, #kiln.dims<[M, 5]>>) -> tensor<3x5xf32>
  return %r, %m : tensor<3x?xf32>, tensor<3x5xf32>
}

// -----

// Must not fire: a broadcast of two unknown sizes stays ambiguous, with a check; a reshape to sizes from data keeps its operand.
// CHECK-LABEL: @ambiguous
// CHECK-SAME: "check A ~ B"
// CHECK: kiln.add {{.*}} -> tensor<?xf32, #kiln.dims<[d$_0]>>
// CHECK: kiln.reshape %{{.*}}, %arg2 : {{.*}} -> tensor<?x?xf32, #kiln.dims<[u$_1, u$_2]>>
func.func @ambiguous(%x: tensor<?xf32, #kiln.dims<[A]>>, %y: tensor<?xf32, #kiln.dims<[B]>>, %shape: tensor<2xi64>) -> tensor<?x?xf32> {
  %a = kiln.add %x, %y : (tensor<?xf32, #kiln.dims<[A]>>, tensor<?xf32, #kiln.dims<[B]>>) -> tensor<?xf32>
  %r = kiln.reshape %a, %shape : (tensor<?xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  return %r : tensor<?x?xf32>
}

// -----

// Of a single size, too, only its sum, product and extremes are the size: not its square.
// CHECK-LABEL: @one_size
// CHECK: kiln.reduce {{.*}} kind = "sum_square"
// CHECK: kiln.expand {{.*}} -> tensor<?xf32
func.func @one_size(%x: tensor<?xf32, #kiln.dims<[N]>>, %y: tensor<f32>) -> (tensor<?xf32>, tensor<?xf32, #kiln.dims<[N]>>) attributes {kiln.sizes = ["N"]} {
  %s = kiln.shape %x : (tensor<?xf32, #kiln.dims<[N]>>) -> tensor<1xi64>
  %q = kiln.reduce %s {kind = "sum_square", axes = array<i64: 0>, keepdims = 1 : i64} : (tensor<1xi64>) -> tensor<1xi64>
  %e = kiln.expand %y, %q : (tensor<f32>, tensor<1xi64>) -> tensor<?xf32>
  %p = kiln.reduce %s {kind = "prod", axes = array<i64: 0>, keepdims = 1 : i64} : (tensor<1xi64>) -> tensor<1xi64>
  %f = kiln.expand %y, %p : (tensor<f32>, tensor<1xi64>) -> tensor<?xf32, #kiln.dims<[N]>>
  return %e, %f : tensor<?xf32>, tensor<?xf32, #kiln.dims<[N]>>
}

// -----

// What branches agree in is known; what they do not is told by running one. Arguments get the sizes and ranges of what is handed over.
// CHECK-LABEL: func.func @branches
// CHECK: kiln.if {{.+}} -> tensor<?x?xf32, #kiln.dims<[N, u$_0]>>
// CHECK-LABEL: func.func private @then
// CHECK-SAME: tensor<?x2xf32, #kiln.dims<[a$_0, 2]>>
// CHECK-SAME: kiln.sizes = ["a$_0 in 1..8"]
// CHECK-LABEL: func.func private @otherwise
// CHECK: kiln.concat {{.+}} -> tensor<?x4xf32, #kiln.dims<[a$_0, 4]>>
func.func @branches(%c: tensor<i1>, %x: tensor<?x2xf32, #kiln.dims<[N, 2]>>) -> tensor<?x?xf32> attributes {kiln.sizes = ["N in 1..8"]} {
  %0 = kiln.if %c then @then(%x) else @otherwise(%x) : (tensor<i1>, tensor<?x2xf32, #kiln.dims<[N, 2]>>, tensor<?x2xf32, #kiln.dims<[N, 2]>>) -> tensor<?x?xf32>
  return %0 : tensor<?x?xf32>
}
func.func private @then(%x: tensor<?x2xf32>) -> tensor<?x2xf32> {
  %0 = kiln.exp %x : (tensor<?x2xf32>) -> tensor<?x2xf32>
  return %0 : tensor<?x2xf32>
}
func.func private @otherwise(%x: tensor<?x2xf32>) -> tensor<?x?xf32> {
  %0 = kiln.concat %x, %x {axis = 1 : i64} : (tensor<?x2xf32>, tensor<?x2xf32>) -> tensor<?x?xf32>
  return %0 : tensor<?x?xf32>
}

// -----

// A carried dim that varies is the body's own; one that stays is known after the loop, as is the number of iterations that a size counts.
// CHECK-LABEL: func.func @loops
// CHECK: kiln.loop {{.+}} -> (tensor<?x?xf32, #kiln.dims<[u$_{{[0-9]+}}, M]>>, tensor<?x?xf32, #kiln.dims<[N, M]>>)
// CHECK-LABEL: func.func private @body
// CHECK-SAME: %arg2: tensor<?x?xf32, #kiln.dims<[a$_0, a$_1]>>
// CHECK-SAME: %arg3: tensor<?x?xf32, #kiln.dims<[a$_2, a$_1]>>
func.func @loops(%x: tensor<?x?xf32, #kiln.dims<[N, M]>>) -> (tensor<?x?xf32>, tensor<?x?xf32>) attributes {kiln.sizes = ["N", "M"]} {
  %s = kiln.shape %x {start = 0 : i64, end = 1 : i64} : (tensor<?x?xf32, #kiln.dims<[N, M]>>) -> tensor<1xi64>
  %n = kiln.reshape %s : (tensor<1xi64>) -> tensor<i64>
  %0:2 = kiln.loop @body count %n carry(%x) with(%x) {counted, varying = array<i64: 0>} : (tensor<i64>, tensor<?x?xf32, #kiln.dims<[N, M]>>, tensor<?x?xf32, #kiln.dims<[N, M]>>) -> (tensor<?x?xf32>, tensor<?x?xf32>)
  return %0#0, %0#1 : tensor<?x?xf32>, tensor<?x?xf32>
}
func.func private @body(%i: tensor<i64>, %c: tensor<i1>, %s: tensor<?x?xf32>, %x: tensor<?x?xf32>) -> (tensor<i1>, tensor<?x?xf32>, tensor<?xf32>) {
  %0 = kiln.concat %s, %x {axis = 0 : i64} : (tensor<?x?xf32>, tensor<?x?xf32>) -> tensor<?x?xf32>
  %1 = kiln.reduce %0 {axes = array<i64: 0>, keepdims = 0 : i64, kind = "sum"} : (tensor<?x?xf32>) -> tensor<?xf32>
  return %c, %0, %1 : tensor<i1>, tensor<?x?xf32>, tensor<?xf32>
}

// -----

// Pads as exporters spell them: pairs of the last dim first, turned round by rows and columns.
// CHECK-LABEL: @spelled_pads
// CHECK: kiln.pad %arg0 {pads = array<i64: 0, 0, 2, 0, 0, 1>} : (tensor<1x4x?xf32, #kiln.dims<[1, 4, N]>>) -> tensor<1x4x?xf32
func.func @spelled_pads(%x: tensor<1x4x?xf32, #kiln.dims<[1, 4, N]>>) -> tensor<?x?x?xf32> attributes {kiln.sizes = ["N"]} {
  %given = kiln.constant {value = dense<[2, 1]> : tensor<2xi64>} : () -> tensor<2xi64>
  %zero = kiln.constant {value = dense<0> : tensor<4xi64>} : () -> tensor<4xi64>
  %all = kiln.concat %given, %zero {axis = 0 : i64} : (tensor<2xi64>, tensor<4xi64>) -> tensor<6xi64>
  %pairs = kiln.reshape %all : (tensor<6xi64>) -> tensor<3x2xi64>
  %turned = kiln.slice %pairs {starts = array<i64: -1>, ends = array<i64: -9223372036854775807>, axes = array<i64: 0>, steps = array<i64: -1>} : (tensor<3x2xi64>) -> tensor<3x2xi64>
  %columns = kiln.transpose %turned {perm = array<i64: 1, 0>} : (tensor<3x2xi64>) -> tensor<2x3xi64>
  %pads = kiln.reshape %columns : (tensor<2x3xi64>) -> tensor<6xi64>
  %0 = kiln.pad %x, %pads : (tensor<1x4x?xf32, #kiln.dims<[1, 4, N]>>, tensor<6xi64>) -> tensor<?x?x?xf32>
  return %0 : tensor<?x?x?xf32>
}

// -----

// Sizes are followed through matrices of them: rows, columns and parts.
// CHECK-LABEL: @matrix_of_sizes
// CHECK-SAME: -> (tensor<?x?xf32, #kiln.dims<[N, M]>>, tensor<?x?xf32, #kiln.dims<[M, N]>>, tensor<?x?xf32, #kiln.dims<[M, M]>>)
func.func @matrix_of_sizes(%x: tensor<?x?xf32, #kiln.dims<[N, M]>>, %y: tensor<f32>) -> (tensor<?x?xf32>, tensor<?x?xf32>, tensor<?x?xf32>) attributes {kiln.sizes = ["N", "M"]} {
  %s = kiln.shape %x : (tensor<?x?xf32, #kiln.dims<[N, M]>>) -> tensor<2xi64>
  %turned = kiln.slice %s {starts = array<i64: -1>, ends = array<i64: -3>, axes = array<i64: 0>, steps = array<i64: -1>} : (tensor<2xi64>) -> tensor<2xi64>
  %r = kiln.reshape %s : (tensor<2xi64>) -> tensor<1x2xi64>
  %t = kiln.reshape %turned : (tensor<2xi64>) -> tensor<1x2xi64>
  %rows = kiln.concat %r, %t {axis = 0 : i64} : (tensor<1x2xi64>, tensor<1x2xi64>) -> tensor<2x2xi64>
  %i = kiln.constant {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %row = kiln.gather %rows, %i {axis = 0 : i64} : (tensor<2x2xi64>, tensor<i64>) -> tensor<2xi64>
  %part = kiln.slice %rows {starts = array<i64: 1, 0>, ends = array<i64: 2, 2>, axes = array<i64: 0, 1>, steps = array<i64: 1, 1>} : (tensor<2x2xi64>) -> tensor<1x2xi64>
  %flat = kiln.reshape %part : (tensor<1x2xi64>) -> tensor<2xi64>
  %column = kiln.slice %rows {starts = array<i64: 1, 0>, ends = array<i64: 2, 1>, axes = array<i64: 0, 1>, steps = array<i64: 1, 1>} : (tensor<2x2xi64>) -> tensor<1x1xi64>
  %once = kiln.reshape %column : (tensor<1x1xi64>) -> tensor<1xi64>
  %square = kiln.concat %once, %once {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  %0 = kiln.expand %y, %row : (tensor<f32>, tensor<2xi64>) -> tensor<?x?xf32>
  %1 = kiln.expand %y, %flat : (tensor<f32>, tensor<2xi64>) -> tensor<?x?xf32>
  %2 = kiln.expand %y, %square : (tensor<f32>, tensor<2xi64>) -> tensor<?x?xf32>
  return %0, %1, %2 : tensor<?x?xf32>, tensor<?x?xf32>, tensor<?x?xf32>
}

// -----

// Of a shape that joins known sizes and one that data tells, only the latter is unknown.
// CHECK-LABEL: func.func @joined_with_data
// CHECK: kiln.reshape %{{.*}} -> tensor<?x2x?xf32, #kiln.dims<[u$_0, 2, N]>>
// CHECK: kiln.expand %{{.*}} -> tensor<?x3x?xf32, #kiln.dims<[u$_1, 3, N]>>
// CHECK: kiln.tile %{{.*}} -> tensor<?x6xf32, #kiln.dims<[u$_2, 6]>>
// CHECK: kiln.pad %{{.*}} -> tensor<?x2xf32, #kiln.dims<[u$_3, 2]>>
// CHECK: kiln.slice %{{.*}} -> tensor<?x1xf32, #kiln.dims<[u$_4, 1]>>
func.func @joined_with_data(%x: tensor<?x4xf32, #kiln.dims<[N, 4]>>, %y: tensor<1x3x1xf32>, %z: tensor<4x2xf32>, %k: tensor<1xi32>)
    -> (tensor<?x?x?xf32>, tensor<?x?x?xf32>, tensor<?x?xf32>, tensor<?x?xf32>, tensor<?x?xf32>) attributes {kiln.sizes = ["N"]} {
  %one = kiln.constant {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %two = kiln.constant {value = dense<2> : tensor<1xi64>} : () -> tensor<1xi64>
  %three = kiln.constant {value = dense<3> : tensor<1xi64>} : () -> tensor<1xi64>
  %zero = kiln.constant {value = dense<0> : tensor<1xi64>} : () -> tensor<1xi64>
  %zeros = kiln.constant {value = dense<0> : tensor<2xi64>} : () -> tensor<2xi64>
  %s = kiln.shape %x : (tensor<?x4xf32, #kiln.dims<[N, 4]>>) -> tensor<2xi64>
  %n = kiln.slice %s {starts = array<i64: 0>, ends = array<i64: 1>, axes = array<i64: 0>, steps = array<i64: 1>} : (tensor<2xi64>) -> tensor<1xi64>
  %d = kiln.cast %k {to = "i64"} : (tensor<1xi32>) -> tensor<1xi64>
  %s0 = kiln.concat %d, %two, %n {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<3xi64>
  %0 = kiln.reshape %x, %s0 : (tensor<?x4xf32, #kiln.dims<[N, 4]>>, tensor<3xi64>) -> tensor<?x?x?xf32>
  %s1 = kiln.concat %d, %one, %n {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<3xi64>
  %1 = kiln.expand %y, %s1 : (tensor<1x3x1xf32>, tensor<3xi64>) -> tensor<?x?x?xf32>
  %s2 = kiln.concat %d, %three {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  %2 = kiln.tile %z, %s2 : (tensor<4x2xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  %s3 = kiln.concat %zeros, %d, %zero {axis = 0 : i64} : (tensor<2xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<4xi64>
  %3 = kiln.pad %z, %s3 : (tensor<4x2xf32>, tensor<4xi64>) -> tensor<?x?xf32>
  %s4 = kiln.concat %d, %one {axis = 0 : i64} : (tensor<1xi64>, tensor<1xi64>) -> tensor<2xi64>
  %4 = kiln.slice %z, %zeros, %s4 : (tensor<4x2xf32>, tensor<2xi64>, tensor<2xi64>) -> tensor<?x?xf32>
  return %0, %1, %2, %3, %4 : tensor<?x?x?xf32>, tensor<?x?x?xf32>, tensor<?x?xf32>, tensor<?x?xf32>, tensor<?x?xf32>
}
