// RUN: kiln-opt --kiln-split-at-data --split-input-file %s | FileCheck %s

// What needs the size that the branch tells goes on in a function, which gets the sizes that its arguments do not show. Constants are made there again;
// what does not need it stays.
// CHECK-LABEL: func.func @main
// CHECK-SAME: kiln.sizes = ["M", "N in 1..8", "u$_0 <= ?"]
// CHECK: %[[IF:.+]] = kiln.if
// CHECK: %[[NEG:.+]] = kiln.neg %arg1
// CHECK: %[[REST:.+]]:2 = kiln.call @main..1(%[[IF]], %[[NEG]]) sizes ["M"]
// CHECK: return %[[REST]]#0, %[[NEG]], %[[REST]]#1
// CHECK-LABEL: func.func private @main..1(
// CHECK-SAME: kiln.parameters = ["M"]
// CHECK-SAME: kiln.sizes = ["M", "N in 1..8", "u$_0", "check u$_0 <= N"]
// CHECK: kiln.constant
// CHECK: kiln.exp
// CHECK: kiln.expand
func.func @main(%c: tensor<i1>, %x: tensor<?xf32, #kiln.dims<[N]>>, %z: tensor<?xf32, #kiln.dims<[M]>>)
    -> (tensor<?xf32, #kiln.dims<[u$_0]>>, tensor<?xf32, #kiln.dims<[N]>>, tensor<?x?xf32, #kiln.dims<[M, u$_0]>>)
    attributes {kiln.sizes = ["M", "N in 1..8", "u$_0 <= ?", "check u$_0 <= N"]} {
  %w = kiln.constant {value = dense<1.0> : tensor<f32>} : () -> tensor<f32>
  %0 = kiln.if %c then @f(%x) else @g(%x) : (tensor<i1>, tensor<?xf32, #kiln.dims<[N]>>, tensor<?xf32, #kiln.dims<[N]>>) -> tensor<?xf32, #kiln.dims<[u$_0]>>
  %1 = kiln.exp %0 : (tensor<?xf32, #kiln.dims<[u$_0]>>) -> tensor<?xf32, #kiln.dims<[u$_0]>>
  %2 = kiln.add %1, %w : (tensor<?xf32, #kiln.dims<[u$_0]>>, tensor<f32>) -> tensor<?xf32, #kiln.dims<[u$_0]>>
  %3 = kiln.neg %x : (tensor<?xf32, #kiln.dims<[N]>>) -> tensor<?xf32, #kiln.dims<[N]>>
  %4 = kiln.expand %0 : (tensor<?xf32, #kiln.dims<[u$_0]>>) -> tensor<?x?xf32, #kiln.dims<[M, u$_0]>>
  %5 = kiln.add %4, %3 : (tensor<?x?xf32, #kiln.dims<[M, u$_0]>>, tensor<?xf32, #kiln.dims<[N]>>) -> tensor<?x?xf32, #kiln.dims<[M, u$_0]>>
  return %2, %3, %5 : tensor<?xf32, #kiln.dims<[u$_0]>>, tensor<?xf32, #kiln.dims<[N]>>, tensor<?x?xf32, #kiln.dims<[M, u$_0]>>
}
func.func private @f(%x: tensor<?xf32, #kiln.dims<[a$_0_0]>>) -> tensor<?xf32, #kiln.dims<[a$_0_0]>> attributes {kiln.sizes = ["a$_0_0"]} {
  return %x : tensor<?xf32, #kiln.dims<[a$_0_0]>>
}
func.func private @g(%x: tensor<?xf32, #kiln.dims<[a$_0_0]>>) -> tensor<?xf32, #kiln.dims<[d$_0]>> attributes {kiln.sizes = ["a$_0_0", "d$_0 = a$_0_0*2"]} {
  %0 = kiln.concat %x, %x {axis = 0 : i64} : (tensor<?xf32, #kiln.dims<[a$_0_0]>>, tensor<?xf32, #kiln.dims<[a$_0_0]>>) -> tensor<?xf32, #kiln.dims<[d$_0]>>
  return %0 : tensor<?xf32, #kiln.dims<[d$_0]>>
}

// -----

// A value of such a size that is returned twice is copied once it is known. Nothing else has to wait: control flow takes it as it is.
// CHECK-LABEL: func.func @twice
// CHECK: %[[IF:.+]] = kiln.if
// CHECK: %[[AGAIN:.+]] = kiln.if %arg0 then @f(%[[IF]])
// CHECK: %[[REST:.+]] = kiln.call @twice..1(%[[AGAIN]])
// CHECK: return %[[AGAIN]], %[[REST]]
func.func @twice(%c: tensor<i1>, %x: tensor<?xf32, #kiln.dims<[N]>>) -> (tensor<?xf32, #kiln.dims<[u$_1]>>, tensor<?xf32, #kiln.dims<[u$_1]>>)
    attributes {kiln.sizes = ["N", "u$_0 <= ?", "u$_1 <= ?"]} {
  %0 = kiln.if %c then @f(%x) else @f(%x) : (tensor<i1>, tensor<?xf32, #kiln.dims<[N]>>, tensor<?xf32, #kiln.dims<[N]>>) -> tensor<?xf32, #kiln.dims<[u$_0]>>
  %1 = kiln.if %c then @f(%0) else @f(%0) : (tensor<i1>, tensor<?xf32, #kiln.dims<[u$_0]>>, tensor<?xf32, #kiln.dims<[u$_0]>>) -> tensor<?xf32, #kiln.dims<[u$_1]>>
  return %1, %1 : tensor<?xf32, #kiln.dims<[u$_1]>>, tensor<?xf32, #kiln.dims<[u$_1]>>
}
func.func private @f(%x: tensor<?xf32, #kiln.dims<[a$_0_0]>>) -> tensor<?xf32, #kiln.dims<[a$_0_0]>> attributes {kiln.sizes = ["a$_0_0"]} {
  return %x : tensor<?xf32, #kiln.dims<[a$_0_0]>>
}

// -----

// Nothing to do where all sizes are known.
// CHECK-LABEL: func.func @known
// CHECK: kiln.if
// CHECK-NEXT: kiln.exp
// CHECK-NOT: kiln.call
func.func @known(%c: tensor<i1>, %x: tensor<?xf32, #kiln.dims<[N]>>) -> tensor<?xf32, #kiln.dims<[N]>> attributes {kiln.sizes = ["N"]} {
  %0 = kiln.if %c then @f(%x) else @f(%x) : (tensor<i1>, tensor<?xf32, #kiln.dims<[N]>>, tensor<?xf32, #kiln.dims<[N]>>) -> tensor<?xf32, #kiln.dims<[N]>>
  %1 = kiln.exp %0 : (tensor<?xf32, #kiln.dims<[N]>>) -> tensor<?xf32, #kiln.dims<[N]>>
  return %1 : tensor<?xf32, #kiln.dims<[N]>>
}
func.func private @f(%x: tensor<?xf32, #kiln.dims<[a$_0_0]>>) -> tensor<?xf32, #kiln.dims<[a$_0_0]>> attributes {kiln.sizes = ["a$_0_0"]} {
  return %x : tensor<?xf32, #kiln.dims<[a$_0_0]>>
}

// -----

// An op whose reference kernel finds the size tells it; so does a reshape to dims that another step computed. A kernel that uses such a size in its body
// alone gets a value that shows it.
// CHECK-LABEL: func.func @told
// CHECK: %[[FOUND:.+]] = kiln.nonzero %arg0
// CHECK: %[[RESHAPED:.+]] = kiln.reshape %arg0, %arg1
// CHECK-NOT: kiln.neg
// CHECK: %[[REST:.+]]:3 = kiln.call @told..1(%[[FOUND]], %[[RESHAPED]], %arg0) :
// CHECK: return %[[REST]]#0, %[[REST]]#1, %[[REST]]#2
// CHECK-LABEL: func.func private @told..1
// CHECK: kiln.neg
// CHECK: kiln.exp
// CHECK: kiln.kernel
func.func @told(%x: tensor<?xf32, #kiln.dims<[N]>>, %shape: tensor<2xi64>)
    -> (tensor<1x?xi64, #kiln.dims<[1, u$_0]>>, tensor<?x?xf32, #kiln.dims<[u$_1, u$_2]>>, tensor<?xf32, #kiln.dims<[N]>>)
    attributes {kiln.sizes = ["N", "u$_0 <= N", "u$_1 <= ?", "u$_2 <= ?", "check u$_1*u$_2 == N"]} {
  %0 = kiln.nonzero %x : (tensor<?xf32, #kiln.dims<[N]>>) -> tensor<1x?xi64, #kiln.dims<[1, u$_0]>>
  %1 = kiln.neg %0 : (tensor<1x?xi64, #kiln.dims<[1, u$_0]>>) -> tensor<1x?xi64, #kiln.dims<[1, u$_0]>>
  %2 = kiln.reshape %x, %shape : (tensor<?xf32, #kiln.dims<[N]>>, tensor<2xi64>) -> tensor<?x?xf32, #kiln.dims<[u$_1, u$_2]>>
  %3 = kiln.exp %2 : (tensor<?x?xf32, #kiln.dims<[u$_1, u$_2]>>) -> tensor<?x?xf32, #kiln.dims<[u$_1, u$_2]>>
  %4 = kiln.kernel %x attributes {family = "f", sizes = ["u$_0"]} : (tensor<?xf32, #kiln.dims<[N]>>) -> tensor<?xf32, #kiln.dims<[N]>> {
  ^bb0(%a: tensor<?xf32, #kiln.dims<[N]>>):
    %5 = kiln.abs %a : (tensor<?xf32, #kiln.dims<[N]>>) -> tensor<?xf32, #kiln.dims<[N]>>
    kiln.yield %5 : tensor<?xf32, #kiln.dims<[N]>>
  }
  return %1, %3, %4 : tensor<1x?xi64, #kiln.dims<[1, u$_0]>>, tensor<?x?xf32, #kiln.dims<[u$_1, u$_2]>>, tensor<?xf32, #kiln.dims<[N]>>
}

// -----

// Nor where a reshape's dims are known when inputs are bound: its shape operand tells nothing.
// CHECK-LABEL: func.func @view
// CHECK-NOT: kiln.call
// CHECK: return
func.func @view(%x: tensor<?xf32, #kiln.dims<[N]>>) -> tensor<1x?xf32, #kiln.dims<[1, N]>> attributes {kiln.sizes = ["N", "u$_0 <= N"]} {
  %0 = kiln.reshape %x : (tensor<?xf32, #kiln.dims<[N]>>) -> tensor<1x?xf32, #kiln.dims<[1, N]>>
  %1 = kiln.neg %0 : (tensor<1x?xf32, #kiln.dims<[1, N]>>) -> tensor<1x?xf32, #kiln.dims<[1, N]>>
  return %1 : tensor<1x?xf32, #kiln.dims<[1, N]>>
}

// -----

// A relation of a size that nothing needs any more is not checked.
// CHECK-LABEL: func.func @gone
// CHECK-NOT: check
// CHECK: kiln.unique
func.func @gone(%x: tensor<?xf32, #kiln.dims<[N]>>) -> tensor<?xi64, #kiln.dims<[N]>> attributes {kiln.sizes = ["N", "u$_0 <= N", "u$_1 <= N", "u$_2 <= N", "check u$_0 ~ N"]} {
  %s, %f, %i, %c = kiln.unique %x : (tensor<?xf32, #kiln.dims<[N]>>) -> (tensor<?xf32, #kiln.dims<[u$_0]>>, tensor<?xi64, #kiln.dims<[u$_1]>>, tensor<?xi64, #kiln.dims<[N]>>, tensor<?xi64, #kiln.dims<[u$_2]>>)
  return %i : tensor<?xi64, #kiln.dims<[N]>>
}

// -----

// A dim that is computed from a size that another step tells: the rest is given that size too.
// CHECK-LABEL: func.func @computed
// CHECK: %[[LIST:.+]] = kiln.nonzero
// CHECK: %[[IF:.+]] = kiln.if
// CHECK: kiln.call @computed..1(%[[IF]], %[[LIST]])
// CHECK-LABEL: func.func private @computed..1(
// CHECK-SAME: kiln.sizes = ["u$_0", "d$_1 = u$_0*2"]
// CHECK-NOT: @computed..2
func.func @computed(%c: tensor<i1>, %x: tensor<?xf32, #kiln.dims<[N]>>) -> tensor<f32> attributes {kiln.sizes = ["N", "u$_0 <= N", "d$_1 = u$_0*2"]} {
  %0 = kiln.nonzero %x : (tensor<?xf32, #kiln.dims<[N]>>) -> tensor<1x?xi64, #kiln.dims<[1, u$_0]>>
  %1 = kiln.if %c then @f(%0) else @f(%0) : (tensor<i1>, tensor<1x?xi64, #kiln.dims<[1, u$_0]>>, tensor<1x?xi64, #kiln.dims<[1, u$_0]>>) -> tensor<1x?xi64, #kiln.dims<[1, d$_1]>>
  %2 = kiln.cast %1 {to = "f32"} : (tensor<1x?xi64, #kiln.dims<[1, d$_1]>>) -> tensor<1x?xf32, #kiln.dims<[1, d$_1]>>
  %3 = kiln.reduce %2 {axes = array<i64: 0, 1>, keepdims = 0 : i64, kind = "sum"} : (tensor<1x?xf32, #kiln.dims<[1, d$_1]>>) -> tensor<f32>
  return %3 : tensor<f32>
}
func.func private @f(%x: tensor<1x?xi64, #kiln.dims<[1, a$_0]>>) -> tensor<1x?xi64, #kiln.dims<[1, d$_0]>> attributes {kiln.sizes = ["a$_0", "d$_0 = a$_0*2"]} {
  %0 = kiln.concat %x, %x {axis = 1 : i64} : (tensor<1x?xi64, #kiln.dims<[1, a$_0]>>, tensor<1x?xi64, #kiln.dims<[1, a$_0]>>) -> tensor<1x?xi64, #kiln.dims<[1, d$_0]>>
  return %0 : tensor<1x?xi64, #kiln.dims<[1, d$_0]>>
}

// -----

// What has to be checked of sizes that data tells is checked in the rest, which gets a value that shows each of them.
// CHECK-LABEL: func.func @checked
// CHECK: %[[A:.+]] = kiln.nonzero %arg0
// CHECK: %[[B:.+]] = kiln.nonzero %arg1
// CHECK: kiln.call @checked..1(%[[B]], %[[A]])
// CHECK-LABEL: func.func private @checked..1(
// CHECK-SAME: "check u$_0 ~ u$_1"
func.func @checked(%x: tensor<?xf32, #kiln.dims<[N]>>, %y: tensor<?xf32, #kiln.dims<[M]>>) -> tensor<1x?xf32, #kiln.dims<[1, u$_1]>>
    attributes {kiln.sizes = ["N", "M", "u$_0 <= N", "u$_1 <= M", "check u$_0 ~ u$_1"]} {
  %0 = kiln.nonzero %x : (tensor<?xf32, #kiln.dims<[N]>>) -> tensor<1x?xi64, #kiln.dims<[1, u$_0]>>
  %1 = kiln.nonzero %y : (tensor<?xf32, #kiln.dims<[M]>>) -> tensor<1x?xi64, #kiln.dims<[1, u$_1]>>
  %2 = kiln.cast %1 {to = "f32"} : (tensor<1x?xi64, #kiln.dims<[1, u$_1]>>) -> tensor<1x?xf32, #kiln.dims<[1, u$_1]>>
  return %2 : tensor<1x?xf32, #kiln.dims<[1, u$_1]>>
}
