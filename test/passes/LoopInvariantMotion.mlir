// RUN: kiln-opt --kiln-loop-invariant-motion --kiln-specialize --split-input-file %s | FileCheck %s
// RUN: kiln-opt --pass-pipeline="builtin.module(kiln-opt-limit{limit=0},kiln-loop-invariant-motion)" --split-input-file %s | FileCheck %s --check-prefix=LIMIT

// What needs nothing but what the loop hands over is computed before it, with the reshape that serves it; a reshape that serves nothing stays, and so does
// what needs a carried value or the number of the iteration.
// CHECK-LABEL: func.func @main
// CHECK: %[[R:.+]] = kiln.reshape %arg2 {{.*}}[N, 1]
// CHECK: %[[E:.+]] = kiln.exp %[[R]]
// CHECK: kiln.loop @body count %arg0 carry(%arg1) with(%arg2, %[[E]])
// CHECK-LABEL: func.func private @body
// CHECK-NEXT: kiln.mul %arg2, %arg4
// CHECK-NEXT: kiln.reshape %arg3
// LIMIT-LABEL: func.func private @body
// LIMIT: kiln.exp
func.func @main(%n: tensor<i64>, %s: tensor<?x1xf32, #kiln.dims<[N, 1]>>, %w: tensor<?xf32, #kiln.dims<[N]>>) -> tensor<?x1xf32, #kiln.dims<[N, 1]>>
    attributes {kiln.sizes = ["N"]} {
  %0 = kiln.loop @body count %n carry(%s) with(%w) : (tensor<i64>, tensor<?x1xf32, #kiln.dims<[N, 1]>>, tensor<?xf32, #kiln.dims<[N]>>) -> tensor<?x1xf32, #kiln.dims<[N, 1]>>
  return %0 : tensor<?x1xf32, #kiln.dims<[N, 1]>>
}
func.func private @body(%i: tensor<i64>, %c: tensor<i1>, %s: tensor<?x1xf32, #kiln.dims<[a$_0, 1]>>, %w: tensor<?xf32, #kiln.dims<[a$_0]>>)
    -> (tensor<i1>, tensor<?x1xf32, #kiln.dims<[a$_0, 1]>>) attributes {kiln.sizes = ["a$_0"]} {
  %0 = kiln.reshape %w : (tensor<?xf32, #kiln.dims<[a$_0]>>) -> tensor<?x1xf32, #kiln.dims<[a$_0, 1]>>
  %1 = kiln.exp %0 : (tensor<?x1xf32, #kiln.dims<[a$_0, 1]>>) -> tensor<?x1xf32, #kiln.dims<[a$_0, 1]>>
  %2 = kiln.mul %s, %1 : (tensor<?x1xf32, #kiln.dims<[a$_0, 1]>>, tensor<?x1xf32, #kiln.dims<[a$_0, 1]>>) -> tensor<?x1xf32, #kiln.dims<[a$_0, 1]>>
  %3 = kiln.reshape %w : (tensor<?xf32, #kiln.dims<[a$_0]>>) -> tensor<?x1xf32, #kiln.dims<[a$_0, 1]>>
  %4 = kiln.add %2, %3 : (tensor<?x1xf32, #kiln.dims<[a$_0, 1]>>, tensor<?x1xf32, #kiln.dims<[a$_0, 1]>>) -> tensor<?x1xf32, #kiln.dims<[a$_0, 1]>>
  return %c, %4 : tensor<i1>, tensor<?x1xf32, #kiln.dims<[a$_0, 1]>>
}

// -----

// It must not make anything larger than what it reads, and must not ask of sizes what was not asked outside: the loop may have no iteration.
// CHECK-LABEL: func.func @stays
// CHECK-NEXT: kiln.loop
// CHECK-LABEL: func.func private @inside
// CHECK-NEXT: kiln.add %arg3, %arg4
// CHECK-NEXT: kiln.add %arg3, %arg5
func.func @stays(%n: tensor<i64>, %s: tensor<3x4xf32>, %a: tensor<3x1xf32>, %b: tensor<1x4xf32>, %d: tensor<?x1xf32, #kiln.dims<[K, 1]>>) -> tensor<3x4xf32>
    attributes {kiln.sizes = ["K"]} {
  %0 = kiln.loop @inside count %n carry(%s) with(%a, %b, %d) : (tensor<i64>, tensor<3x4xf32>, tensor<3x1xf32>, tensor<1x4xf32>, tensor<?x1xf32, #kiln.dims<[K, 1]>>) -> tensor<3x4xf32>
  return %0 : tensor<3x4xf32>
}
func.func private @inside(%i: tensor<i64>, %c: tensor<i1>, %s: tensor<3x4xf32>, %a: tensor<3x1xf32>, %b: tensor<1x4xf32>, %d: tensor<?x1xf32, #kiln.dims<[a$_0, 1]>>)
    -> (tensor<i1>, tensor<3x4xf32>) attributes {kiln.sizes = ["a$_0", "check 3 ~ a$_0"]} {
  %0 = kiln.add %a, %b : (tensor<3x1xf32>, tensor<1x4xf32>) -> tensor<3x4xf32>
  %1 = kiln.add %a, %d : (tensor<3x1xf32>, tensor<?x1xf32, #kiln.dims<[a$_0, 1]>>) -> tensor<3x1xf32>
  %2 = kiln.mul %0, %s : (tensor<3x4xf32>, tensor<3x4xf32>) -> tensor<3x4xf32>
  %3 = kiln.mul %2, %1 : (tensor<3x4xf32>, tensor<3x1xf32>) -> tensor<3x4xf32>
  return %c, %3 : tensor<i1>, tensor<3x4xf32>
}

// -----

// What the body hands on as it is, is handed over, and serves what can move; places of other carried values follow.
// CHECK-LABEL: func.func @kept
// CHECK: %[[E:.+]] = kiln.exp %arg2
// CHECK: %[[R:.+]] = kiln.loop @keeps count %arg0 carry(%arg1) with(%[[E]]) {varying = array<i64: 0>}
// CHECK: return %arg2, %[[R]]
// CHECK-LABEL: func.func private @keeps
// CHECK-SAME: -> (tensor<i1>, tensor<?xf32{{.*}}>)
func.func @kept(%n: tensor<i64>, %v: tensor<?xf32, #kiln.dims<[N]>>, %k: tensor<2xf32>) -> (tensor<2xf32>, tensor<?xf32, #kiln.dims<[u$_0]>>)
    attributes {kiln.sizes = ["N", "u$_0 <= ?"]} {
  %0:2 = kiln.loop @keeps count %n carry(%k, %v) with() {varying = array<i64: 64>} : (tensor<i64>, tensor<2xf32>, tensor<?xf32, #kiln.dims<[N]>>) -> (tensor<2xf32>, tensor<?xf32, #kiln.dims<[u$_0]>>)
  return %0#0, %0#1 : tensor<2xf32>, tensor<?xf32, #kiln.dims<[u$_0]>>
}
func.func private @keeps(%i: tensor<i64>, %c: tensor<i1>, %k: tensor<2xf32>, %v: tensor<?xf32, #kiln.dims<[a$_0]>>)
    -> (tensor<i1>, tensor<2xf32>, tensor<?xf32, #kiln.dims<[d$_0]>>) attributes {kiln.sizes = ["a$_0", "d$_0 = a$_0+2"]} {
  %0 = kiln.exp %k : (tensor<2xf32>) -> tensor<2xf32>
  %1 = kiln.concat %v, %0 {axis = 0 : i64} : (tensor<?xf32, #kiln.dims<[a$_0]>>, tensor<2xf32>) -> tensor<?xf32, #kiln.dims<[d$_0]>>
  return %c, %k, %1 : tensor<i1>, tensor<2xf32>, tensor<?xf32, #kiln.dims<[d$_0]>>
}
