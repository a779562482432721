// RUN: kiln-opt --kiln-schedule %s | FileCheck %s

// Both large tensors are alive at once as written; one after the other they are not.
// CHECK-LABEL: func.func @depth_first
func.func @depth_first(%x: tensor<1xf32>, %y: tensor<1xf32>) -> tensor<1xf32> {
  // CHECK: %[[A:.+]] = kiln.expand %arg0
  // CHECK: %[[SA:.+]] = kiln.reduce %[[A]]
  // CHECK: %[[B:.+]] = kiln.expand %arg1
  // CHECK: %[[SB:.+]] = kiln.reduce %[[B]]
  %a = kiln.expand %x : (tensor<1xf32>) -> tensor<1000xf32>
  %b = kiln.expand %y : (tensor<1xf32>) -> tensor<1000xf32>
  %sa = kiln.reduce %a {kind = "sum", axes = array<i64: 0>, keepdims = 1 : i64} : (tensor<1000xf32>) -> tensor<1xf32>
  %sb = kiln.reduce %b {kind = "sum", axes = array<i64: 0>, keepdims = 1 : i64} : (tensor<1000xf32>) -> tensor<1xf32>
  %r = kiln.add %sa, %sb : (tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
  return %r : tensor<1xf32>
}

// The model's own order stays where no other needs less memory, even if steps could be taken earlier.
// CHECK-LABEL: func.func @as_written
func.func @as_written(%x: tensor<1000xf32>) -> (tensor<1000xf32>, tensor<1000xf32>) {
  // CHECK: kiln.exp
  // CHECK: kiln.neg
  // CHECK: kiln.tanh
  %a = kiln.exp %x : (tensor<1000xf32>) -> tensor<1000xf32>
  %b = kiln.neg %x : (tensor<1000xf32>) -> tensor<1000xf32>
  %c = kiln.tanh %a : (tensor<1000xf32>) -> tensor<1000xf32>
  return %b, %c : tensor<1000xf32>, tensor<1000xf32>
}

// A view is a step of its own: who reads it comes after it, not only after the memory is written.
// CHECK-LABEL: func.func @views
func.func @views(%x: tensor<1xf32>, %y: tensor<1xf32>) -> tensor<1x1xf32> {
  // CHECK: %[[A:.+]] = kiln.expand %arg0
  // CHECK: %[[VA:.+]] = kiln.reshape %[[A]]
  // CHECK: kiln.reduce %[[VA]]
  // CHECK: %[[B:.+]] = kiln.expand %arg1
  // CHECK: %[[VB:.+]] = kiln.reshape %[[B]]
  // CHECK: kiln.reduce %[[VB]]
  %a = kiln.expand %x : (tensor<1xf32>) -> tensor<1000xf32>
  %b = kiln.expand %y : (tensor<1xf32>) -> tensor<1000xf32>
  %va = kiln.reshape %a : (tensor<1000xf32>) -> tensor<10x100xf32>
  %vb = kiln.reshape %b : (tensor<1000xf32>) -> tensor<10x100xf32>
  %sa = kiln.reduce %va {kind = "sum", axes = array<i64: 0, 1>, keepdims = 1 : i64} : (tensor<10x100xf32>) -> tensor<1x1xf32>
  %sb = kiln.reduce %vb {kind = "sum", axes = array<i64: 0, 1>, keepdims = 1 : i64} : (tensor<10x100xf32>) -> tensor<1x1xf32>
  %r = kiln.add %sa, %sb : (tensor<1x1xf32>, tensor<1x1xf32>) -> tensor<1x1xf32>
  return %r : tensor<1x1xf32>
}

// A size that is known to be small makes small tensors, one that may be anything makes middling ones.
// CHECK-LABEL: func.func @small_size
func.func @small_size(%x: tensor<?xf32, #kiln.dims<[N]>>, %y: tensor<100xf32>) -> tensor<1xf32>
    attributes {kiln.sizes = ["N in 1..2"]} {
  // CHECK: kiln.exp %arg0
  // CHECK: kiln.exp %arg1
  %b = kiln.exp %y : (tensor<100xf32>) -> tensor<100xf32>
  %a = kiln.exp %x : (tensor<?xf32, #kiln.dims<[N]>>) -> tensor<?xf32, #kiln.dims<[N]>>
  %sb = kiln.reduce %b {kind = "sum", axes = array<i64: 0>, keepdims = 1 : i64} : (tensor<100xf32>) -> tensor<1xf32>
  %sa = kiln.reduce %a {kind = "sum", axes = array<i64: 0>, keepdims = 1 : i64} : (tensor<?xf32, #kiln.dims<[N]>>) -> tensor<1xf32>
  %r = kiln.add %sa, %sb : (tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
  return %r : tensor<1xf32>
}

// CHECK-LABEL: func.func @any_size
func.func @any_size(%x: tensor<?xf32, #kiln.dims<[N]>>, %y: tensor<100xf32>) -> tensor<1xf32>
    attributes {kiln.sizes = ["N"]} {
  // CHECK: kiln.exp %arg1
  // CHECK: kiln.exp %arg0
  %b = kiln.exp %y : (tensor<100xf32>) -> tensor<100xf32>
  %a = kiln.exp %x : (tensor<?xf32, #kiln.dims<[N]>>) -> tensor<?xf32, #kiln.dims<[N]>>
  %sb = kiln.reduce %b {kind = "sum", axes = array<i64: 0>, keepdims = 1 : i64} : (tensor<100xf32>) -> tensor<1xf32>
  %sa = kiln.reduce %a {kind = "sum", axes = array<i64: 0>, keepdims = 1 : i64} : (tensor<?xf32, #kiln.dims<[N]>>) -> tensor<1xf32>
  %r = kiln.add %sa, %sb : (tensor<1xf32>, tensor<1xf32>) -> tensor<1xf32>
  return %r : tensor<1xf32>
}
