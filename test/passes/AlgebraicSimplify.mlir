// RUN: kiln-opt %s --split-input-file --kiln-algebraic-simplify --kiln-constant-fold --kiln-dead-code | FileCheck %s

// CHECK-LABEL: @identities
// CHECK-NEXT: return %arg0
func.func @identities(%x: tensor<4xf32>) -> tensor<4xf32> {
  %zero = kiln.constant {value = dense<0.0> : tensor<f32>} : () -> tensor<f32>
  %minus = kiln.constant {value = dense<-0.0> : tensor<f32>} : () -> tensor<f32>
  %one = kiln.constant {value = dense<1.0> : tensor<4xf32>} : () -> tensor<4xf32>
  %a = kiln.add %minus, %x : (tensor<f32>, tensor<4xf32>) -> tensor<4xf32>
  %s = kiln.sub %a, %zero : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %b = kiln.mul %s, %one : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %c = kiln.slice %b {starts = array<i64: 0>, ends = array<i64: 100>, axes = array<i64: 0>, steps = array<i64: 1>} : (tensor<4xf32>) -> tensor<4xf32>
  %d = kiln.expand %c : (tensor<4xf32>) -> tensor<4xf32>
  return %d : tensor<4xf32>
}

// -----

// Must not fire: a zero that broadcasts x, a reversal, a division that is not exact.
// CHECK-LABEL: @no_identities
// CHECK: kiln.add
// CHECK: kiln.slice
// CHECK: kiln.div
func.func @no_identities(%x: tensor<4xf32>, %z: tensor<1xf32>) -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
  %zeros = kiln.constant {value = dense<0.0> : tensor<4xf32>} : () -> tensor<4xf32>
  %three = kiln.constant {value = dense<3.0> : tensor<f32>} : () -> tensor<f32>
  %a = kiln.add %z, %zeros : (tensor<1xf32>, tensor<4xf32>) -> tensor<4xf32>
  %b = kiln.slice %x {starts = array<i64: -1>, ends = array<i64: -100>, axes = array<i64: 0>, steps = array<i64: -1>} : (tensor<4xf32>) -> tensor<4xf32>
  %c = kiln.div %x, %three : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  return %a, %b, %c : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
}

// -----

// CHECK-LABEL: @cheaper_forms
// CHECK-NEXT: %[[C:.*]] = kiln.constant {value = dense<1.250000e-01>
// CHECK-NEXT: kiln.mul %arg0, %arg0
// CHECK-NEXT: kiln.mul %arg0, %[[C]]
func.func @cheaper_forms(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %two = kiln.constant {value = dense<2.0> : tensor<f32>} : () -> tensor<f32>
  %eight = kiln.constant {value = dense<8.0> : tensor<f32>} : () -> tensor<f32>
  %a = kiln.pow %x, %two : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %b = kiln.div %x, %eight : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  return %a, %b : tensor<4xf32>, tensor<4xf32>
}

// -----

// A reduction of single elements is what it does to each of them; integers take the way of the reduction.
// CHECK-LABEL: @single_elements
// CHECK-NEXT: %[[ABS:.*]] = kiln.abs %arg0
// CHECK-NEXT: %[[SQUARE:.*]] = kiln.mul %arg1, %arg1
// CHECK-NEXT: %[[RESHAPED:.*]] = kiln.reshape %[[SQUARE]]
// CHECK-NEXT: %[[LOG:.*]] = kiln.log %arg0
// CHECK-NEXT: %[[INTS:.*]] = kiln.reduce %arg2 {axes = array<i64>, kind = "l1"}
// CHECK-NEXT: return %[[ABS]], %[[RESHAPED]], %[[LOG]], %arg0, %arg0, %[[INTS]]
func.func @single_elements(%x: tensor<4xf32>, %y: tensor<4x1xf32>, %i: tensor<4xi8>) -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xi8>) {
  %l2 = kiln.reduce %x {kind = "l2", axes = array<i64>} : (tensor<4xf32>) -> tensor<4xf32>
  %square = kiln.reduce %y {kind = "sum_square", axes = array<i64: 1>, keepdims = 0 : i64} : (tensor<4x1xf32>) -> tensor<4xf32>
  %log = kiln.reduce %x {kind = "log_sum", axes = array<i64>} : (tensor<4xf32>) -> tensor<4xf32>
  %same = kiln.reduce %x {kind = "log_sum_exp", axes = array<i64>} : (tensor<4xf32>) -> tensor<4xf32>
  %prod = kiln.reduce %x {kind = "prod", axes = array<i64>} : (tensor<4xf32>) -> tensor<4xf32>
  %l1 = kiln.reduce %i {kind = "l1", axes = array<i64>} : (tensor<4xi8>) -> tensor<4xi8>
  return %l2, %square, %log, %same, %prod, %l1 : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xi8>
}

// -----

// Transposes merge; one that only moves dims of size 1 is a reshape; reshapes merge.
// CHECK-LABEL: @movement
// CHECK-NEXT: kiln.transpose %arg0 {perm = array<i64: 1, 2, 0>} : (tensor<2x3x4xf32>) -> tensor<3x4x2xf32>
// CHECK-NEXT: kiln.reshape %arg1 : (tensor<1x5x7xf32>) -> tensor<35xf32>
// CHECK-NEXT: return
func.func @movement(%x: tensor<2x3x4xf32>, %y: tensor<1x5x7xf32>) -> (tensor<3x4x2xf32>, tensor<35xf32>) {
  %a = kiln.transpose %x {perm = array<i64: 1, 0, 2>} : (tensor<2x3x4xf32>) -> tensor<3x2x4xf32>
  %b = kiln.transpose %a {perm = array<i64: 0, 2, 1>} : (tensor<3x2x4xf32>) -> tensor<3x4x2xf32>
  %c = kiln.transpose %y {perm = array<i64: 1, 0, 2>} : (tensor<1x5x7xf32>) -> tensor<5x1x7xf32>
  %d = kiln.reshape %c : (tensor<5x1x7xf32>) -> tensor<35xf32>
  return %b, %d : tensor<3x4x2xf32>, tensor<35xf32>
}

// -----

// A product with a matrix is flat, and what follows it works flat too: the reshape moves down.
// CHECK-LABEL: @flat
// CHECK-SAME: "d$_0 = N*S"
// CHECK: %[[X:.*]] = kiln.reshape %arg0 {{.*}} -> tensor<?x8xf32, #kiln.dims<[d$_0, 8]>>
// CHECK-NEXT: %[[P:.*]] = kiln.matmul %[[X]], %arg1
// CHECK-NEXT: %[[B:.*]] = kiln.add %[[P]], %arg2
// CHECK-NEXT: %[[G:.*]] = kiln.gelu %[[B]]
// CHECK-NEXT: %[[R:.*]] = kiln.reshape %[[G]] {{.*}} -> tensor<?x?x16xf32, #kiln.dims<[N, S, 16]>>
// CHECK-NEXT: return %[[R]]
func.func @flat(%x: tensor<?x?x8xf32, #kiln.dims<[N, S, 8]>>, %w: tensor<8x16xf32>, %b: tensor<16xf32>) -> tensor<?x?x16xf32, #kiln.dims<[N, S, 16]>> attributes {kiln.sizes = ["N", "S"]} {
  %p = kiln.matmul %x, %w : (tensor<?x?x8xf32, #kiln.dims<[N, S, 8]>>, tensor<8x16xf32>) -> tensor<?x?x16xf32, #kiln.dims<[N, S, 16]>>
  %a = kiln.add %p, %b : (tensor<?x?x16xf32, #kiln.dims<[N, S, 16]>>, tensor<16xf32>) -> tensor<?x?x16xf32, #kiln.dims<[N, S, 16]>>
  %g = kiln.gelu %a : (tensor<?x?x16xf32, #kiln.dims<[N, S, 16]>>) -> tensor<?x?x16xf32, #kiln.dims<[N, S, 16]>>
  return %g : tensor<?x?x16xf32, #kiln.dims<[N, S, 16]>>
}

// -----

// Must not fire: a bias along a dim that the reshape splits.
// CHECK-LABEL: @split_dim
// CHECK: kiln.reshape
// CHECK-NEXT: kiln.add
func.func @split_dim(%x: tensor<6x8xf32>, %b: tensor<3x8xf32>) -> tensor<2x3x8xf32> {
  %r = kiln.reshape %x : (tensor<6x8xf32>) -> tensor<2x3x8xf32>
  %a = kiln.add %r, %b : (tensor<2x3x8xf32>, tensor<3x8xf32>) -> tensor<2x3x8xf32>
  return %a : tensor<2x3x8xf32>
}

// -----

// Scalars and transposes around a product of two values: one factor behind it, the flag.
// CHECK-LABEL: @scores
// CHECK-NEXT: %[[C:.*]] = kiln.constant {value = dense<2.500000e-01>
// CHECK-NEXT: %[[P:.*]] = kiln.matmul %arg0, %arg1 {transpose_b = 1 : i64}
// CHECK-NEXT: kiln.mul %[[P]], %[[C]]
func.func @scores(%q: tensor<2x4x8xf32>, %k: tensor<2x4x8xf32>) -> tensor<2x4x4xf32> {
  %c = kiln.constant {value = dense<0.5> : tensor<f32>} : () -> tensor<f32>
  %a = kiln.mul %q, %c : (tensor<2x4x8xf32>, tensor<f32>) -> tensor<2x4x8xf32>
  %b = kiln.mul %k, %c : (tensor<2x4x8xf32>, tensor<f32>) -> tensor<2x4x8xf32>
  %t = kiln.transpose %b {perm = array<i64: 0, 2, 1>} : (tensor<2x4x8xf32>) -> tensor<2x8x4xf32>
  %p = kiln.matmul %a, %t : (tensor<2x4x8xf32>, tensor<2x8x4xf32>) -> tensor<2x4x4xf32>
  return %p : tensor<2x4x4xf32>
}

// -----

// Normalisation behind a convolution goes into its weights: w * 2 and (0 - 1) * 2 + 3.
// CHECK-LABEL: @batch_norm
// CHECK-DAG: %[[W:.*]] = kiln.constant {value = dense<6.000000e+00> : tensor<1x1x1x1xf32>}
// CHECK-DAG: %[[B:.*]] = kiln.constant {value = dense<1.000000e+00> : tensor<1xf32>}
// CHECK: kiln.conv %arg0, %[[W]], %[[B]]
// CHECK-NEXT: return
func.func @batch_norm(%x: tensor<1x1x4x4xf32>) -> tensor<1x1x4x4xf32> {
  %w = kiln.constant {value = dense<3.0> : tensor<1x1x1x1xf32>} : () -> tensor<1x1x1x1xf32>
  %one = kiln.constant {value = dense<1.0> : tensor<1xf32>} : () -> tensor<1xf32>
  %two = kiln.constant {value = dense<2.0> : tensor<1xf32>} : () -> tensor<1xf32>
  %three = kiln.constant {value = dense<3.0> : tensor<1xf32>} : () -> tensor<1xf32>
  %c = kiln.conv %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x1x4x4xf32>, tensor<1x1x1x1xf32>) -> tensor<1x1x4x4xf32>
  %n = kiln.batch_norm %c, %two, %three, %one, %one {epsilon = 0.0 : f64} : (tensor<1x1x4x4xf32>, tensor<1xf32>, tensor<1xf32>, tensor<1xf32>, tensor<1xf32>) -> tensor<1x1x4x4xf32>
  return %n : tensor<1x1x4x4xf32>
}

// -----

// Must not fire: a convolution that somebody else reads keeps its weights; the normalisation is a product and a sum.
// CHECK-LABEL: @shared_conv
// CHECK: %[[C:.*]] = kiln.conv
// CHECK: kiln.mul %[[C]]
// CHECK: kiln.add
func.func @shared_conv(%x: tensor<1x1x4x4xf32>) -> (tensor<1x1x4x4xf32>, tensor<1x1x4x4xf32>) {
  %w = kiln.constant {value = dense<3.0> : tensor<1x1x1x1xf32>} : () -> tensor<1x1x1x1xf32>
  %two = kiln.constant {value = dense<2.0> : tensor<1xf32>} : () -> tensor<1xf32>
  %c = kiln.conv %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x1x4x4xf32>, tensor<1x1x1x1xf32>) -> tensor<1x1x4x4xf32>
  %n = kiln.batch_norm %c, %two, %two, %two, %two : (tensor<1x1x4x4xf32>, tensor<1xf32>, tensor<1xf32>, tensor<1xf32>, tensor<1xf32>) -> tensor<1x1x4x4xf32>
  return %n, %c : tensor<1x1x4x4xf32>, tensor<1x1x4x4xf32>
}

// -----

// Must not fire: x is -0 and the zero is not, or the other way round: the result is 0.
// CHECK-LABEL: @signed_zeros
// CHECK: kiln.add %arg0
// CHECK: kiln.sub %arg0
func.func @signed_zeros(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %zero = kiln.constant {value = dense<0.0> : tensor<f32>} : () -> tensor<f32>
  %minus = kiln.constant {value = dense<-0.0> : tensor<f32>} : () -> tensor<f32>
  %a = kiln.add %x, %zero : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %b = kiln.sub %x, %minus : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  return %a, %b : tensor<4xf32>, tensor<4xf32>
}

// -----

// CHECK-LABEL: @integers
// CHECK-NEXT: %[[S:.*]] = kiln.mul %arg0, %arg0
// CHECK-NEXT: %[[F:.*]] = kiln.mul %arg1, %arg1
// CHECK-NEXT: return %arg0, %arg0, %[[S]], %[[F]]
func.func @integers(%x: tensor<4xi64>, %f: tensor<4xf32>) -> (tensor<4xi64>, tensor<4xi64>, tensor<4xi64>, tensor<4xf32>) {
  %zero = kiln.constant {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %one = kiln.constant {value = dense<1> : tensor<i64>} : () -> tensor<i64>
  %two = kiln.constant {value = dense<2> : tensor<i64>} : () -> tensor<i64>
  %a = kiln.add %x, %zero : (tensor<4xi64>, tensor<i64>) -> tensor<4xi64>
  %b = kiln.pow %x, %one : (tensor<4xi64>, tensor<i64>) -> tensor<4xi64>
  %c = kiln.pow %x, %two : (tensor<4xi64>, tensor<i64>) -> tensor<4xi64>
  %d = kiln.pow %f, %two : (tensor<4xf32>, tensor<i64>) -> tensor<4xf32>
  return %a, %b, %c, %d : tensor<4xi64>, tensor<4xi64>, tensor<4xi64>, tensor<4xf32>
}

// -----

// Must not fire: a power in floating point rounds and saturates, a product of integers wraps.
// CHECK-LABEL: @integer_powers
// CHECK: kiln.pow
// CHECK: kiln.pow
// CHECK: kiln.pow
func.func @integer_powers(%x: tensor<4xi32>, %y: tensor<4xi64>) -> (tensor<4xi32>, tensor<4xi32>, tensor<4xi64>) {
  %one = kiln.constant {value = dense<1.0> : tensor<f32>} : () -> tensor<f32>
  %two = kiln.constant {value = dense<2.0> : tensor<f32>} : () -> tensor<f32>
  %three = kiln.constant {value = dense<3.0> : tensor<f32>} : () -> tensor<f32>
  %a = kiln.pow %x, %two : (tensor<4xi32>, tensor<f32>) -> tensor<4xi32>
  %b = kiln.pow %x, %three : (tensor<4xi32>, tensor<f32>) -> tensor<4xi32>
  %c = kiln.pow %y, %one : (tensor<4xi64>, tensor<f32>) -> tensor<4xi64>
  return %a, %b, %c : tensor<4xi32>, tensor<4xi32>, tensor<4xi64>
}

// -----

// Must not fire: in f16 the factor before the product keeps it from overflowing. The transpose still becomes a flag.
// CHECK-LABEL: @half_scores
// CHECK: %[[A:.*]] = kiln.mul %arg0
// CHECK: %[[B:.*]] = kiln.mul %arg1
// CHECK: %[[P:.*]] = kiln.matmul %[[A]], %[[B]] {transpose_b = 1 : i64}
// CHECK-NEXT: return %[[P]]
func.func @half_scores(%q: tensor<2x4x8xf16>, %k: tensor<2x4x8xf16>) -> tensor<2x4x4xf16> {
  %c = kiln.constant {value = dense<0.125> : tensor<f16>} : () -> tensor<f16>
  %a = kiln.mul %q, %c : (tensor<2x4x8xf16>, tensor<f16>) -> tensor<2x4x8xf16>
  %b = kiln.mul %k, %c : (tensor<2x4x8xf16>, tensor<f16>) -> tensor<2x4x8xf16>
  %t = kiln.transpose %b {perm = array<i64: 0, 2, 1>} : (tensor<2x4x8xf16>) -> tensor<2x8x4xf16>
  %p = kiln.matmul %a, %t : (tensor<2x4x8xf16>, tensor<2x8x4xf16>) -> tensor<2x4x4xf16>
  return %p : tensor<2x4x4xf16>
}

// -----

// Must not fire: the product of the two factors is 0 in f32.
// CHECK-LABEL: @lost_factor
// CHECK: kiln.mul %arg0
// CHECK: kiln.mul %arg1
// CHECK: kiln.matmul
// CHECK-NEXT: return
func.func @lost_factor(%q: tensor<4x8xf32>, %k: tensor<8x4xf32>) -> tensor<4x4xf32> {
  %c = kiln.constant {value = dense<1.0e-30> : tensor<f32>} : () -> tensor<f32>
  %a = kiln.mul %q, %c : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %b = kiln.mul %k, %c : (tensor<8x4xf32>, tensor<f32>) -> tensor<8x4xf32>
  %p = kiln.matmul %a, %b : (tensor<4x8xf32>, tensor<8x4xf32>) -> tensor<4x4xf32>
  return %p : tensor<4x4xf32>
}

// -----

// Known indices at equal distances are a slice; one alone loses its dim.
// CHECK-LABEL: @gather_of_slice
// CHECK: kiln.slice %arg0 {axes = array<i64: 1>, ends = array<i64: 8>, starts = array<i64: 3>, steps = array<i64: 2>}{{.*}} -> tensor<4x3xf32>
// CHECK: %[[S:.*]] = kiln.slice %arg0 {axes = array<i64: 1>, ends = array<i64: 8>, starts = array<i64: 7>, steps = array<i64: 1>}{{.*}} -> tensor<4x1xf32>
// CHECK: kiln.reshape %[[S]] {{.*}} -> tensor<4xf32>
func.func @gather_of_slice(%x: tensor<4x8xf32>) -> (tensor<4x3xf32>, tensor<4xf32>) {
  %i = kiln.constant {value = dense<[3, 5, -1]> : tensor<3xi64>} : () -> tensor<3xi64>
  %l = kiln.constant {value = dense<-1> : tensor<i64>} : () -> tensor<i64>
  %0 = kiln.gather %x, %i {axis = 1 : i64} : (tensor<4x8xf32>, tensor<3xi64>) -> tensor<4x3xf32>
  %1 = kiln.gather %x, %l {axis = -1 : i64} : (tensor<4x8xf32>, tensor<i64>) -> tensor<4xf32>
  return %0, %1 : tensor<4x3xf32>, tensor<4xf32>
}

// -----

// Must not fire: indices out of range, backwards, or at unequal distances, and sizes of which nothing is known.
// CHECK-LABEL: @gathers_stay
// CHECK-COUNT-4: kiln.gather
// CHECK-NOT: kiln.slice
func.func @gathers_stay(%x: tensor<4x8xf32>, %y: tensor<?xf32, #kiln.dims<[N]>>) -> (tensor<4xf32>, tensor<4x2xf32>, tensor<4x3xf32>, tensor<f32>) attributes {kiln.sizes = ["N"]} {
  %o = kiln.constant {value = dense<8> : tensor<i64>} : () -> tensor<i64>
  %b = kiln.constant {value = dense<[2, 1]> : tensor<2xi64>} : () -> tensor<2xi64>
  %u = kiln.constant {value = dense<[1, 2, 4]> : tensor<3xi64>} : () -> tensor<3xi64>
  %z = kiln.constant {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %0 = kiln.gather %x, %o {axis = 1 : i64} : (tensor<4x8xf32>, tensor<i64>) -> tensor<4xf32>
  %1 = kiln.gather %x, %b {axis = 1 : i64} : (tensor<4x8xf32>, tensor<2xi64>) -> tensor<4x2xf32>
  %2 = kiln.gather %x, %u {axis = 1 : i64} : (tensor<4x8xf32>, tensor<3xi64>) -> tensor<4x3xf32>
  %3 = kiln.gather %y, %z {axis = 0 : i64} : (tensor<?xf32, #kiln.dims<[N]>>, tensor<i64>) -> tensor<f32>
  return %0, %1, %2, %3 : tensor<4xf32>, tensor<4x2xf32>, tensor<4x3xf32>, tensor<f32>
}

// -----

// An expand goes before an op that broadcasts by itself, but not one that gives the result its rank.
// CHECK-LABEL: @expand_before_elementwise
// CHECK: %[[A:.*]] = kiln.mul %arg0, %arg1 : (tensor<3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
// CHECK: %[[E:.*]] = kiln.expand %arg0 : (tensor<3xf32>) -> tensor<1x3xf32>
// CHECK: kiln.mul %[[E]], %arg0 : (tensor<1x3xf32>, tensor<3xf32>) -> tensor<1x3xf32>
func.func @expand_before_elementwise(%x: tensor<3xf32>, %y: tensor<2x3xf32>) -> (tensor<2x3xf32>, tensor<1x3xf32>) {
  %e = kiln.expand %x : (tensor<3xf32>) -> tensor<2x3xf32>
  %a = kiln.mul %e, %y : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  %f = kiln.expand %x : (tensor<3xf32>) -> tensor<1x3xf32>
  %b = kiln.mul %f, %x : (tensor<1x3xf32>, tensor<3xf32>) -> tensor<1x3xf32>
  return %a, %b : tensor<2x3xf32>, tensor<1x3xf32>
}

// A resize to the same size is its operand, in each mode but that which samples a part, and at scales that only round to it.
// CHECK-LABEL: @same_size
// CHECK: %[[PART:.+]] = kiln.resize %arg0 {{.*}}tf_crop_and_resize
// CHECK: %[[ROUNDED:.+]] = kiln.resize %arg0
// CHECK-NOT: kiln.resize
// CHECK: return %arg0, %arg0, %[[PART]], %[[ROUNDED]]
func.func @same_size(%x: tensor<?x4xf32, #kiln.dims<[N, 4]>>) -> (tensor<?x4xf32, #kiln.dims<[N, 4]>>, tensor<?x4xf32, #kiln.dims<[N, 4]>>, tensor<?x4xf32, #kiln.dims<[N, 4]>>, tensor<?x4xf32, #kiln.dims<[N, 4]>>) attributes {kiln.sizes = ["N"]} {
  %s = kiln.constant {value = dense<4> : tensor<1xi64>} : () -> tensor<1xi64>
  %0 = kiln.resize %x, %s {mode = "linear", axes = array<i64: 1>} : (tensor<?x4xf32, #kiln.dims<[N, 4]>>, tensor<1xi64>) -> tensor<?x4xf32, #kiln.dims<[N, 4]>>
  %1 = kiln.resize %x {mode = "cubic", scales = array<f64: 1.0, 1.0>} : (tensor<?x4xf32, #kiln.dims<[N, 4]>>) -> tensor<?x4xf32, #kiln.dims<[N, 4]>>
  %2 = kiln.resize %x {mode = "linear", coordinates = "tf_crop_and_resize", roi = array<f64: 0.0, 0.0, 1.0, 0.5>, scales = array<f64: 1.0, 1.0>} : (tensor<?x4xf32, #kiln.dims<[N, 4]>>) -> tensor<?x4xf32, #kiln.dims<[N, 4]>>
  %3 = kiln.resize %x {mode = "linear", axes = array<i64: 1>, scales = array<f64: 1.125>} : (tensor<?x4xf32, #kiln.dims<[N, 4]>>) -> tensor<?x4xf32, #kiln.dims<[N, 4]>>
  return %0, %1, %2, %3 : tensor<?x4xf32, #kiln.dims<[N, 4]>>, tensor<?x4xf32, #kiln.dims<[N, 4]>>, tensor<?x4xf32, #kiln.dims<[N, 4]>>, tensor<?x4xf32, #kiln.dims<[N, 4]>>
}

// Taps that far dilations put outside the image do not count: of the first dim the middle one is left, of the second the last two.
// CHECK-LABEL: @taps_outside
// CHECK-DAG: %[[W:.+]] = kiln.constant {value = dense<{{\[\[\[\[}}5.000000e+00, 6.000000e+00]]]]> : tensor<1x1x1x2xf32>}
// CHECK-DAG: %[[K:.+]] = kiln.constant {{.*}} : tensor<1x1x3x3xf32>}
// CHECK: kiln.conv %arg0, %[[W]] {dilations = array<i64: 6, 6>, pads = array<i64: 0, 0, 0, 0>, strides = array<i64: 1, 1>} : (tensor<1x1x4x8xf32>, tensor<1x1x1x2xf32>) -> tensor<1x1x4x2xf32>
// CHECK: kiln.conv %arg0, %[[K]]
// CHECK: kiln.conv %arg1, %[[K]]
func.func @taps_outside(%x: tensor<1x1x4x8xf32>, %any: tensor<1x1x?x8xf32, #kiln.dims<[1, 1, H, 8]>>) -> (tensor<1x1x4x2xf32>, tensor<1x1x4x8xf32>, tensor<1x1x?x8xf32, #kiln.dims<[1, 1, H, 8]>>) attributes {kiln.sizes = ["H"]} {
  %w = kiln.constant {value = dense<[[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]]]> : tensor<1x1x3x3xf32>} : () -> tensor<1x1x3x3xf32>
  %0 = kiln.conv %x, %w {dilations = array<i64: 6, 6>, pads = array<i64: 6, 6, 6, 0>, strides = array<i64: 1, 1>} : (tensor<1x1x4x8xf32>, tensor<1x1x3x3xf32>) -> tensor<1x1x4x2xf32>
  %1 = kiln.conv %x, %w {dilations = array<i64: 3, 3>, pads = array<i64: 3, 3, 3, 3>, strides = array<i64: 1, 1>} : (tensor<1x1x4x8xf32>, tensor<1x1x3x3xf32>) -> tensor<1x1x4x8xf32>
  %2 = kiln.conv %any, %w {dilations = array<i64: 9, 1>, pads = array<i64: 9, 1, 9, 1>, strides = array<i64: 1, 1>} : (tensor<1x1x?x8xf32, #kiln.dims<[1, 1, H, 8]>>, tensor<1x1x3x3xf32>) -> tensor<1x1x?x8xf32, #kiln.dims<[1, 1, H, 8]>>
  return %0, %1, %2 : tensor<1x1x4x2xf32>, tensor<1x1x4x8xf32>, tensor<1x1x?x8xf32, #kiln.dims<[1, 1, H, 8]>>
}
