// Nothing that is compiled depends on what a constant that is bound later holds.
// RUN: kiln-opt %s --kiln-constant-fold --kiln-cse --kiln-algebraic-simplify --kiln-dead-code | FileCheck %s

// Ops on it stay: its elements are not known.
// CHECK-LABEL: @not_folded
// CHECK: kiln.exp
func.func @not_folded() -> tensor<2xf32> {
  %w = kiln.constant {value = #kiln.bound<"w", tensor<2xf32>, ""> : tensor<2xf32>} : () -> tensor<2xf32>
  %r = kiln.exp %w : (tensor<2xf32>) -> tensor<2xf32>
  return %r : tensor<2xf32>
}

// A scalar is no splat: x * w may be anything.
// CHECK-LABEL: @no_splat
// CHECK: kiln.mul
func.func @no_splat(%x: tensor<2xf32>) -> tensor<2xf32> {
  %w = kiln.constant {value = #kiln.bound<"one", tensor<f32>, ""> : tensor<f32>} : () -> tensor<f32>
  %r = kiln.mul %x, %w : (tensor<2xf32>, tensor<f32>) -> tensor<2xf32>
  return %r : tensor<2xf32>
}

// Two names are two constants, whatever they hold; one name is one.
// CHECK-LABEL: @not_merged
// CHECK-COUNT-2: kiln.constant
// CHECK-NOT: kiln.constant
// CHECK: kiln.sub
func.func @not_merged() -> tensor<2xf32> {
  %a = kiln.constant {value = #kiln.bound<"a", tensor<2xf32>, ""> : tensor<2xf32>} : () -> tensor<2xf32>
  %b = kiln.constant {value = #kiln.bound<"b", tensor<2xf32>, ""> : tensor<2xf32>} : () -> tensor<2xf32>
  %again = kiln.constant {value = #kiln.bound<"a", tensor<2xf32>, ""> : tensor<2xf32>} : () -> tensor<2xf32>
  %s = kiln.sub %a, %b : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  %r = kiln.sub %s, %again : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  return %r : tensor<2xf32>
}

// A normalisation is not folded into weights that are bound later, nor is what is bound later folded into weights.
// CHECK-LABEL: @into_no_weights
// CHECK: kiln.conv %arg0, %{{[0-9]+}} {
func.func @into_no_weights(%x: tensor<1x1x4x4xf32>) -> tensor<1x2x4x4xf32> {
  %w = kiln.constant {value = dense<2.0> : tensor<2x1x1x1xf32>} : () -> tensor<2x1x1x1xf32>
  %s = kiln.constant {value = #kiln.bound<"s", tensor<2xf32>, ""> : tensor<2xf32>} : () -> tensor<2xf32>
  %o = kiln.constant {value = dense<1.0> : tensor<2xf32>} : () -> tensor<2xf32>
  %c = kiln.conv %x, %w {strides = array<i64: 1, 1>, pads = array<i64: 0, 0, 0, 0>, dilations = array<i64: 1, 1>} : (tensor<1x1x4x4xf32>, tensor<2x1x1x1xf32>) -> tensor<1x2x4x4xf32>
  %r = kiln.batch_norm %c, %s, %o, %o, %o : (tensor<1x2x4x4xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<1x2x4x4xf32>
  return %r : tensor<1x2x4x4xf32>
}

// Casts, too, are steps of its recipe.
// CHECK-LABEL: @cast
// CHECK-NEXT: kiln.constant {value = #kiln.bound<"h", tensor<2xf16>, "cast[f32]"> : tensor<2xf32>
// CHECK-NEXT: return
func.func @cast() -> tensor<2xf32> {
  %h = kiln.constant {value = #kiln.bound<"h", tensor<2xf16>, ""> : tensor<2xf16>} : () -> tensor<2xf16>
  %f = kiln.cast %h {to = "f32"} : (tensor<2xf16>) -> tensor<2xf32>
  return %f : tensor<2xf32>
}

// Reshapes and transposes become steps of its recipe; what comes to nothing is none.
// CHECK-LABEL: @recipe
// CHECK-DAG: value = #kiln.bound<"w", tensor<2x6xf32>, "permute[1,0]; reshape[3,4]"> : tensor<3x4xf32>
// CHECK-DAG: value = #kiln.bound<"w", tensor<2x6xf32>, ""> : tensor<2x6xf32>
func.func @recipe() -> (tensor<3x4xf32>, tensor<2x6xf32>) {
  %w = kiln.constant {value = #kiln.bound<"w", tensor<2x6xf32>, ""> : tensor<2x6xf32>} : () -> tensor<2x6xf32>
  %t = kiln.transpose %w {perm = array<i64: 1, 0>} : (tensor<2x6xf32>) -> tensor<6x2xf32>
  %f = kiln.reshape %t : (tensor<6x2xf32>) -> tensor<12xf32>
  %r = kiln.reshape %f : (tensor<12xf32>) -> tensor<3x4xf32>
  %g = kiln.reshape %w : (tensor<2x6xf32>) -> tensor<12xf32>
  %b = kiln.reshape %g : (tensor<12xf32>) -> tensor<2x6xf32>
  return %r, %b : tensor<3x4xf32>, tensor<2x6xf32>
}
