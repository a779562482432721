// RUN: kiln-opt %s --kiln-raise-gelu --kiln-dead-code | FileCheck %s

// CHECK-LABEL: @erf_form
// CHECK-NEXT: kiln.gelu %arg0 : (tensor<4xf32>)
// CHECK-NEXT: return
func.func @erf_form(%x: tensor<4xf32>) -> tensor<4xf32> {
  %s = kiln.constant {value = dense<1.41421354> : tensor<f32>} : () -> tensor<f32>
  %one = kiln.constant {value = dense<1.0> : tensor<f32>} : () -> tensor<f32>
  %half = kiln.constant {value = dense<0.5> : tensor<f32>} : () -> tensor<f32>
  %d = kiln.div %x, %s : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %e = kiln.erf %d : (tensor<4xf32>) -> tensor<4xf32>
  %a = kiln.add %e, %one : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %m = kiln.mul %x, %a : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %y = kiln.mul %m, %half : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// The constant may stand anywhere, and x may be a product itself.
// CHECK-LABEL: @other_order
// CHECK-NEXT: %[[X:.*]] = kiln.mul %arg0, %arg1
// CHECK-NEXT: kiln.gelu %[[X]]
func.func @other_order(%p: tensor<4xf32>, %q: tensor<4xf32>) -> tensor<4xf32> {
  %s = kiln.constant {value = dense<0.707106769> : tensor<f32>} : () -> tensor<f32>
  %one = kiln.constant {value = dense<1.0> : tensor<f32>} : () -> tensor<f32>
  %half = kiln.constant {value = dense<0.5> : tensor<f32>} : () -> tensor<f32>
  %x = kiln.mul %p, %q : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %d = kiln.mul %s, %x : (tensor<f32>, tensor<4xf32>) -> tensor<4xf32>
  %e = kiln.erf %d : (tensor<4xf32>) -> tensor<4xf32>
  %a = kiln.add %one, %e : (tensor<f32>, tensor<4xf32>) -> tensor<4xf32>
  %h = kiln.mul %half, %a : (tensor<f32>, tensor<4xf32>) -> tensor<4xf32>
  %y = kiln.mul %x, %h : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// CHECK-LABEL: @tanh_form
// CHECK-NEXT: kiln.gelu %arg0 {tanh = 1 : i64}
// CHECK-NEXT: return
func.func @tanh_form(%x: tensor<4xf32>) -> tensor<4xf32> {
  %c = kiln.constant {value = dense<0.044715> : tensor<f32>} : () -> tensor<f32>
  %s = kiln.constant {value = dense<0.797884583> : tensor<f32>} : () -> tensor<f32>
  %three = kiln.constant {value = dense<3.0> : tensor<f32>} : () -> tensor<f32>
  %one = kiln.constant {value = dense<1.0> : tensor<f32>} : () -> tensor<f32>
  %half = kiln.constant {value = dense<0.5> : tensor<f32>} : () -> tensor<f32>
  %h = kiln.mul %x, %half : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %p = kiln.pow %x, %three : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %q = kiln.mul %p, %c : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %r = kiln.add %x, %q : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %u = kiln.mul %r, %s : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %t = kiln.tanh %u : (tensor<4xf32>) -> tensor<4xf32>
  %a = kiln.add %t, %one : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %y = kiln.mul %h, %a : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// CHECK-LABEL: @silu
// CHECK-NEXT: kiln.silu %arg0
func.func @silu(%x: tensor<4xf32>) -> tensor<4xf32> {
  %s = kiln.sigmoid %x : (tensor<4xf32>) -> tensor<4xf32>
  %y = kiln.mul %s, %x : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// CHECK-LABEL: @hard_swish
// CHECK-NEXT: kiln.hard_swish %arg0
func.func @hard_swish(%x: tensor<4xf32>) -> tensor<4xf32> {
  %zero = kiln.constant {value = dense<0.0> : tensor<f32>} : () -> tensor<f32>
  %three = kiln.constant {value = dense<3.0> : tensor<f32>} : () -> tensor<f32>
  %six = kiln.constant {value = dense<6.0> : tensor<f32>} : () -> tensor<f32>
  %a = kiln.add %x, %three : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %b = kiln.max %a, %zero : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %c = kiln.min %b, %six : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %d = kiln.mul %x, %c : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %y = kiln.div %d, %six : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// Must not fire: another scale, and another x under the erf.
// CHECK-LABEL: @not_gelu
// CHECK-NOT: kiln.gelu
func.func @not_gelu(%x: tensor<4xf32>, %z: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %s = kiln.constant {value = dense<1.41421354> : tensor<f32>} : () -> tensor<f32>
  %one = kiln.constant {value = dense<1.0> : tensor<f32>} : () -> tensor<f32>
  %half = kiln.constant {value = dense<0.5> : tensor<f32>} : () -> tensor<f32>
  %e = kiln.erf %x : (tensor<4xf32>) -> tensor<4xf32>
  %a = kiln.add %e, %one : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %m = kiln.mul %x, %a : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %y = kiln.mul %m, %half : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %d = kiln.div %z, %s : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %f = kiln.erf %d : (tensor<4xf32>) -> tensor<4xf32>
  %b = kiln.add %f, %one : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %n = kiln.mul %x, %b : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %w = kiln.mul %n, %half : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  return %y, %w : tensor<4xf32>, tensor<4xf32>
}

// The constants as f16 holds them, and as exporters write them with six digits.
// CHECK-LABEL: @rounded
// CHECK: kiln.gelu %arg0 : (tensor<4xf16>)
// CHECK: kiln.gelu %arg1 : (tensor<4xf32>)
func.func @rounded(%x: tensor<4xf16>, %y: tensor<4xf32>) -> (tensor<4xf16>, tensor<4xf32>) {
  %s = kiln.constant {value = dense<1.4142> : tensor<f16>} : () -> tensor<f16>
  %one = kiln.constant {value = dense<1.0> : tensor<f16>} : () -> tensor<f16>
  %half = kiln.constant {value = dense<0.5> : tensor<f16>} : () -> tensor<f16>
  %d = kiln.div %x, %s : (tensor<4xf16>, tensor<f16>) -> tensor<4xf16>
  %e = kiln.erf %d : (tensor<4xf16>) -> tensor<4xf16>
  %a = kiln.add %e, %one : (tensor<4xf16>, tensor<f16>) -> tensor<4xf16>
  %m = kiln.mul %x, %a : (tensor<4xf16>, tensor<4xf16>) -> tensor<4xf16>
  %r = kiln.mul %m, %half : (tensor<4xf16>, tensor<f16>) -> tensor<4xf16>
  %s2 = kiln.constant {value = dense<0.707107> : tensor<f32>} : () -> tensor<f32>
  %one2 = kiln.constant {value = dense<1.0> : tensor<f32>} : () -> tensor<f32>
  %half2 = kiln.constant {value = dense<0.5> : tensor<f32>} : () -> tensor<f32>
  %d2 = kiln.mul %y, %s2 : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %e2 = kiln.erf %d2 : (tensor<4xf32>) -> tensor<4xf32>
  %a2 = kiln.add %e2, %one2 : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %m2 = kiln.mul %y, %a2 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %r2 = kiln.mul %m2, %half2 : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  return %r, %r2 : tensor<4xf16>, tensor<4xf32>
}

// Must not fire: constants near those of gelu, tanh gelu and hard_swish, but others.
// CHECK-LABEL: @near_gelu
// CHECK-NOT: kiln.gelu
// CHECK-NOT: kiln.hard_swish
func.func @near_gelu(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) {
  %s = kiln.constant {value = dense<1.41421354> : tensor<f32>} : () -> tensor<f32>
  %near = kiln.constant {value = dense<1.4155> : tensor<f32>} : () -> tensor<f32>
  %one = kiln.constant {value = dense<1.0> : tensor<f32>} : () -> tensor<f32>
  %half = kiln.constant {value = dense<0.5> : tensor<f32>} : () -> tensor<f32>
  %nearHalf = kiln.constant {value = dense<0.5004> : tensor<f32>} : () -> tensor<f32>
  %d = kiln.div %x, %near : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %e = kiln.erf %d : (tensor<4xf32>) -> tensor<4xf32>
  %a = kiln.add %e, %one : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %m = kiln.mul %x, %a : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %y1 = kiln.mul %m, %half : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %d2 = kiln.div %x, %s : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %e2 = kiln.erf %d2 : (tensor<4xf32>) -> tensor<4xf32>
  %a2 = kiln.add %e2, %one : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %m2 = kiln.mul %x, %a2 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %y2 = kiln.mul %m2, %nearHalf : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %c = kiln.constant {value = dense<0.0447> : tensor<f32>} : () -> tensor<f32>
  %t = kiln.constant {value = dense<0.797884583> : tensor<f32>} : () -> tensor<f32>
  %three = kiln.constant {value = dense<3.0> : tensor<f32>} : () -> tensor<f32>
  %h = kiln.mul %x, %half : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %p = kiln.pow %x, %three : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %q = kiln.mul %p, %c : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %r = kiln.add %x, %q : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %u = kiln.mul %r, %t : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %v = kiln.tanh %u : (tensor<4xf32>) -> tensor<4xf32>
  %b = kiln.add %v, %one : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %y3 = kiln.mul %h, %b : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %zero = kiln.constant {value = dense<0.0> : tensor<f32>} : () -> tensor<f32>
  %six = kiln.constant {value = dense<6.0> : tensor<f32>} : () -> tensor<f32>
  %sixth = kiln.constant {value = dense<0.1667> : tensor<f32>} : () -> tensor<f32>
  %i = kiln.add %x, %three : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %j = kiln.max %i, %zero : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %k = kiln.min %j, %six : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %l = kiln.mul %x, %k : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  %y4 = kiln.mul %l, %sixth : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  return %y1, %y2, %y3, %y4 : tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>
}

// In f64 the constant must be exact: six digits of it are another function.
// CHECK-LABEL: @double
// CHECK: kiln.gelu %arg0 : (tensor<4xf64>)
// CHECK-NOT: kiln.gelu
// CHECK: return
func.func @double(%x: tensor<4xf64>) -> (tensor<4xf64>, tensor<4xf64>) {
  %s = kiln.constant {value = dense<1.4142135623730951> : tensor<f64>} : () -> tensor<f64>
  %six = kiln.constant {value = dense<1.41421> : tensor<f64>} : () -> tensor<f64>
  %one = kiln.constant {value = dense<1.0> : tensor<f64>} : () -> tensor<f64>
  %half = kiln.constant {value = dense<0.5> : tensor<f64>} : () -> tensor<f64>
  %d = kiln.div %x, %s : (tensor<4xf64>, tensor<f64>) -> tensor<4xf64>
  %e = kiln.erf %d : (tensor<4xf64>) -> tensor<4xf64>
  %a = kiln.add %e, %one : (tensor<4xf64>, tensor<f64>) -> tensor<4xf64>
  %m = kiln.mul %x, %a : (tensor<4xf64>, tensor<4xf64>) -> tensor<4xf64>
  %y = kiln.mul %m, %half : (tensor<4xf64>, tensor<f64>) -> tensor<4xf64>
  %d2 = kiln.div %x, %six : (tensor<4xf64>, tensor<f64>) -> tensor<4xf64>
  %e2 = kiln.erf %d2 : (tensor<4xf64>) -> tensor<4xf64>
  %a2 = kiln.add %e2, %one : (tensor<4xf64>, tensor<f64>) -> tensor<4xf64>
  %m2 = kiln.mul %x, %a2 : (tensor<4xf64>, tensor<4xf64>) -> tensor<4xf64>
  %z = kiln.mul %m2, %half : (tensor<4xf64>, tensor<f64>) -> tensor<4xf64>
  return %y, %z : tensor<4xf64>, tensor<4xf64>
}
