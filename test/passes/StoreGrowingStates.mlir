// RUN: kiln-opt --kiln-store-growing-states --split-input-file %s | FileCheck %s

// A cache that a concat adds to is stored with that axis first, and so is what is added; readers see it as before. An entry that only reads it, and one that
// writes all of it, have it in the same order.
// CHECK-LABEL: func.func @decode
// CHECK-SAME: %[[PAST:[a-z0-9]+]]: tensor<?x2x8xf32, #kiln.dims<[P, 2, 8]>> {kiln.growing = 1 : i64, kiln.state = "past"}
// CHECK-SAME: -> (tensor<2xi64>, tensor<?x2x8xf32, #kiln.dims<[d$_0, 2, 8]>> {kiln.growing = 1 : i64, kiln.state = "past"})
// CHECK: %[[NEW:.+]] = kiln.transpose %{{.+}} {perm = array<i64: 1, 0, 2>} : (tensor<2x1x8xf32>) -> tensor<1x2x8xf32>
// CHECK: %[[ALL:.+]] = kiln.concat %[[PAST]], %[[NEW]] {axis = 0 : i64}
// CHECK: %[[SEEN:.+]] = kiln.transpose %[[ALL]] {perm = array<i64: 1, 0, 2>}
// CHECK: %[[FLAT:.+]] = kiln.reshape %[[SEEN]]
// CHECK: %[[Y:.+]] = kiln.argmax %[[FLAT]]
// CHECK: return %[[Y]], %[[ALL]]
func.func @decode(%past: tensor<2x?x8xf32, #kiln.dims<[2, P, 8]>> {kiln.state = "past"}, %new: tensor<2x1x8xf32>)
    -> (tensor<2xi64>, tensor<2x?x8xf32, #kiln.dims<[2, d$_0, 8]>> {kiln.state = "past"}) attributes {kiln.sizes = ["P", "d$_0 = P+1", "d$_1 = P*8+8"]} {
  %0 = kiln.concat %past, %new {axis = -2 : i64} : (tensor<2x?x8xf32, #kiln.dims<[2, P, 8]>>, tensor<2x1x8xf32>) -> tensor<2x?x8xf32, #kiln.dims<[2, d$_0, 8]>>
  %1 = kiln.reshape %0 : (tensor<2x?x8xf32, #kiln.dims<[2, d$_0, 8]>>) -> tensor<2x?xf32, #kiln.dims<[2, d$_1]>>
  %2 = kiln.argmax %1 {axis = 1 : i64, keepdims = 0 : i64} : (tensor<2x?xf32, #kiln.dims<[2, d$_1]>>) -> tensor<2xi64>
  return %2, %0 : tensor<2xi64>, tensor<2x?x8xf32, #kiln.dims<[2, d$_0, 8]>>
}
// CHECK-LABEL: func.func @show
// CHECK-SAME: tensor<?x2x8xf32, #kiln.dims<[N, 2, 8]>> {kiln.growing = 1 : i64, kiln.state = "past"}
// CHECK: %[[SEEN:.+]] = kiln.transpose %{{.+}} {perm = array<i64: 1, 0, 2>}
// CHECK: kiln.neg %[[SEEN]]
func.func @show(%past: tensor<2x?x8xf32, #kiln.dims<[2, N, 8]>> {kiln.state = "past"}) -> tensor<2x?x8xf32, #kiln.dims<[2, N, 8]>> attributes {kiln.sizes = ["N"]} {
  %0 = kiln.neg %past : (tensor<2x?x8xf32, #kiln.dims<[2, N, 8]>>) -> tensor<2x?x8xf32, #kiln.dims<[2, N, 8]>>
  return %0 : tensor<2x?x8xf32, #kiln.dims<[2, N, 8]>>
}
// CHECK-LABEL: func.func @prefill
// CHECK-SAME: -> (tensor<5x2x8xf32> {kiln.growing = 1 : i64, kiln.state = "past"})
// CHECK: %[[K:.+]] = kiln.neg
// CHECK: %[[STORED:.+]] = kiln.transpose %[[K]] {perm = array<i64: 1, 0, 2>}
// CHECK: return %[[STORED]]
func.func @prefill(%x: tensor<2x5x8xf32>) -> (tensor<2x5x8xf32> {kiln.state = "past"}) {
  %0 = kiln.neg %x : (tensor<2x5x8xf32>) -> tensor<2x5x8xf32>
  return %0 : tensor<2x5x8xf32>
}

// -----

// One that grows along its first axis, twice, needs no transposes.
// CHECK-LABEL: func.func @first
// CHECK-NOT: kiln.transpose
// CHECK: %[[A:.+]] = kiln.concat %arg0, %arg1 {axis = 0 : i64}
// CHECK: %[[B:.+]] = kiln.concat %[[A]], %arg1 {axis = 0 : i64}
// CHECK: return %[[B]]
func.func @first(%past: tensor<?xf32, #kiln.dims<[P]>> {kiln.state = "past"}, %x: tensor<3xf32>)
    -> (tensor<?xf32, #kiln.dims<[d$_1]>> {kiln.state = "past"}) attributes {kiln.sizes = ["P", "d$_0 = P+3", "d$_1 = P+6"]} {
  %0 = kiln.concat %past, %x {axis = 0 : i64} : (tensor<?xf32, #kiln.dims<[P]>>, tensor<3xf32>) -> tensor<?xf32, #kiln.dims<[d$_0]>>
  %1 = kiln.concat %0, %x {axis = -1 : i64} : (tensor<?xf32, #kiln.dims<[d$_0]>>, tensor<3xf32>) -> tensor<?xf32, #kiln.dims<[d$_1]>>
  return %1 : tensor<?xf32, #kiln.dims<[d$_1]>>
}

// -----

// What is put before the old value does not lie behind it: the new value is transposed as a whole.
// CHECK-LABEL: func.func @before
// CHECK: %[[SEEN:.+]] = kiln.transpose %arg0 {perm = array<i64: 1, 0>}
// CHECK: %[[ALL:.+]] = kiln.concat %arg1, %[[SEEN]] {axis = 1 : i64}
// CHECK: %[[STORED:.+]] = kiln.transpose %[[ALL]] {perm = array<i64: 1, 0>}
// CHECK: return %[[STORED]]
func.func @before(%past: tensor<2x?xf32, #kiln.dims<[2, P]>> {kiln.state = "past"}, %x: tensor<2x1xf32>)
    -> (tensor<2x?xf32, #kiln.dims<[2, d$_0]>> {kiln.state = "past"}) attributes {kiln.sizes = ["P", "d$_0 = P+1"]} {
  %0 = kiln.concat %x, %past {axis = 1 : i64} : (tensor<2x1xf32>, tensor<2x?xf32, #kiln.dims<[2, P]>>) -> tensor<2x?xf32, #kiln.dims<[2, d$_0]>>
  return %0 : tensor<2x?xf32, #kiln.dims<[2, d$_0]>>
}

// -----

// The size after the run is called that of another state, which it must be equal to; the concat tells that it grows.
// CHECK-LABEL: func.func @equal
// CHECK-SAME: -> (tensor<?xf32, #kiln.dims<[d$_0]>> {kiln.growing = 0 : i64, kiln.state = "past"})
// CHECK: %[[ALL:.+]] = kiln.concat %arg1, %arg2 {axis = 0 : i64}
// CHECK: return %[[ALL]]
func.func @equal(%k: tensor<?xf32, #kiln.dims<[P]>>, %past: tensor<?xf32, #kiln.dims<[Q]>> {kiln.state = "past"}, %x: tensor<1xf32>)
    -> (tensor<?xf32, #kiln.dims<[d$_0]>> {kiln.state = "past"}) attributes {kiln.sizes = ["P", "Q", "d$_0 = P+1", "check P+1 == Q+1"]} {
  %0 = kiln.concat %past, %x {axis = 0 : i64} : (tensor<?xf32, #kiln.dims<[Q]>>, tensor<1xf32>) -> tensor<?xf32, #kiln.dims<[d$_0]>>
  return %0 : tensor<?xf32, #kiln.dims<[d$_0]>>
}

// -----

// A state whose dims may be equal, or that has a number for a size, keeps its dims and their order.
// CHECK-LABEL: func.func @kept
// CHECK-NOT: kiln.growing
// CHECK-NOT: kiln.transpose
func.func @kept(%a: tensor<2x?xf32, #kiln.dims<[2, N]>> {kiln.state = "a"}, %b: tensor<2x?xf32, #kiln.dims<[2, M]>>, %c: tensor<2x3xf32> {kiln.state = "c"})
    -> (tensor<2x?xf32, #kiln.dims<[2, M]>> {kiln.state = "a"}, tensor<2x3xf32> {kiln.state = "c"}) attributes {kiln.sizes = ["N", "M"]} {
  %0 = kiln.neg %b : (tensor<2x?xf32, #kiln.dims<[2, M]>>) -> tensor<2x?xf32, #kiln.dims<[2, M]>>
  %1 = kiln.neg %c : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return %0, %1 : tensor<2x?xf32, #kiln.dims<[2, M]>>, tensor<2x3xf32>
}
