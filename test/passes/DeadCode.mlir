// RUN: kiln-opt %s --kiln-dead-code | FileCheck %s
// RUN: kiln-opt %s --pass-pipeline="builtin.module(kiln-opt-limit{limit=1},func.func(kiln-dead-code))" | FileCheck %s --check-prefix=LIMIT

// CHECK-LABEL: @chain
// CHECK-NEXT: return
// With fuel for one rewrite only the last op of the chain goes.
// LIMIT-LABEL: @chain
// LIMIT-NEXT: kiln.exp
// LIMIT-NEXT: return
func.func @chain(%x: tensor<4xf32>) -> tensor<4xf32> {
  %a = kiln.exp %x : (tensor<4xf32>) -> tensor<4xf32>
  %b = kiln.log %a : (tensor<4xf32>) -> tensor<4xf32>
  return %x : tensor<4xf32>
}

// Must not fire: a used op.
// CHECK-LABEL: @used
// CHECK-NEXT: kiln.exp
func.func @used(%x: tensor<4xf32>) -> tensor<4xf32> {
  %a = kiln.exp %x : (tensor<4xf32>) -> tensor<4xf32>
  return %a : tensor<4xf32>
}
