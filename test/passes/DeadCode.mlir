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

// -----

// What tells a size stays as long as another type names it.
// CHECK-LABEL: func.func @told
// CHECK: kiln.nonzero %arg0
// CHECK-NOT: kiln.nonzero
// CHECK: return
func.func @told(%x: tensor<?xf32, #kiln.dims<[N]>>, %z: tensor<?xf32, #kiln.dims<[N]>>, %one: tensor<1x1xf32>) -> tensor<1x?xf32, #kiln.dims<[1, u$_0]>>
    attributes {kiln.sizes = ["N", "u$_0 <= N", "u$_1 <= N"]} {
  %0 = kiln.nonzero %x : (tensor<?xf32, #kiln.dims<[N]>>) -> tensor<1x?xi64, #kiln.dims<[1, u$_0]>>
  %1 = kiln.nonzero %z : (tensor<?xf32, #kiln.dims<[N]>>) -> tensor<1x?xi64, #kiln.dims<[1, u$_1]>>
  %2 = kiln.expand %one : (tensor<1x1xf32>) -> tensor<1x?xf32, #kiln.dims<[1, u$_0]>>
  return %2 : tensor<1x?xf32, #kiln.dims<[1, u$_0]>>
}

// -----

// An op of several results is needed where one of them is.
// CHECK-LABEL: @one_of_two
// CHECK-NEXT: %{{.+}}, %[[I:.+]] = kiln.topk
// CHECK-NEXT: return %[[I]]
func.func @one_of_two(%x: tensor<4xf32>) -> tensor<2xi64> {
  %v, %i = kiln.topk %x {axis = 0 : i64, k = 2 : i64} : (tensor<4xf32>) -> (tensor<2xf32>, tensor<2xi64>)
  %w, %j = kiln.topk %x {axis = 0 : i64, k = 3 : i64} : (tensor<4xf32>) -> (tensor<3xf32>, tensor<3xi64>)
  return %i : tensor<2xi64>
}
