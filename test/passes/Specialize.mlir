// RUN: kiln-opt --kiln-specialize --split-input-file %s | FileCheck %s

// Constants are made in the function that uses them, and what a function does not use is not handed over; carried values stay.
// CHECK-LABEL: func.func @main
// CHECK: kiln.loop @body count %arg0 carry(%arg1) with(%arg2)
// CHECK-LABEL: func.func private @body
// CHECK-SAME: %arg3: tensor<4xf32>{{[^,]*}})
// CHECK: %[[W:.+]] = kiln.constant
// CHECK: kiln.add %arg2, %[[W]]
func.func @main(%n: tensor<i64>, %x: tensor<4xf32>, %y: tensor<4xf32>) -> tensor<4xf32> {
  %w = kiln.constant {value = dense<1.0> : tensor<f32>} : () -> tensor<f32>
  %0 = kiln.loop @body count %n carry(%x) with(%w, %x, %y) : (tensor<i64>, tensor<4xf32>, tensor<f32>, tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}
func.func private @body(%i: tensor<i64>, %c: tensor<i1>, %s: tensor<4xf32>, %w: tensor<f32>, %unused: tensor<4xf32>, %y: tensor<4xf32>) -> (tensor<i1>, tensor<4xf32>) {
  %0 = kiln.add %s, %w : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  %1 = kiln.mul %0, %y : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %c, %1 : tensor<i1>, tensor<4xf32>
}

// -----

// A constant condition leaves what its branch does, over the sizes of the function around it.
// CHECK-LABEL: func.func @constant
// CHECK: %[[R:.+]] = kiln.reshape %arg0 : (tensor<?xf32, #kiln.dims<[N]>>) -> tensor<1x?xf32, #kiln.dims<[1, N]>>
// CHECK: return %[[R]]
// CHECK-NOT: func.func
func.func @constant(%x: tensor<?xf32, #kiln.dims<[N]>>) -> tensor<?x?xf32, #kiln.dims<[u$_0, N]>> attributes {kiln.sizes = ["N", "u$_0 <= ?"]} {
  %c = kiln.constant {value = dense<false> : tensor<i1>} : () -> tensor<i1>
  %0 = kiln.if %c then @f(%x) else @g(%x) : (tensor<i1>, tensor<?xf32, #kiln.dims<[N]>>, tensor<?xf32, #kiln.dims<[N]>>) -> tensor<?x?xf32, #kiln.dims<[u$_0, N]>>
  return %0 : tensor<?x?xf32, #kiln.dims<[u$_0, N]>>
}
func.func private @f(%x: tensor<?xf32, #kiln.dims<[a$_0_0]>>) -> tensor<2x?xf32, #kiln.dims<[2, a$_0_0]>> attributes {kiln.sizes = ["a$_0_0"]} {
  %0 = kiln.expand %x : (tensor<?xf32, #kiln.dims<[a$_0_0]>>) -> tensor<2x?xf32, #kiln.dims<[2, a$_0_0]>>
  return %0 : tensor<2x?xf32, #kiln.dims<[2, a$_0_0]>>
}
func.func private @g(%x: tensor<?xf32, #kiln.dims<[a$_0_0]>>) -> tensor<1x?xf32, #kiln.dims<[1, a$_0_0]>> attributes {kiln.sizes = ["a$_0_0"]} {
  %0 = kiln.reshape %x : (tensor<?xf32, #kiln.dims<[a$_0_0]>>) -> tensor<1x?xf32, #kiln.dims<[1, a$_0_0]>>
  return %0 : tensor<1x?xf32, #kiln.dims<[1, a$_0_0]>>
}

// -----

// Must not fire: what nothing reads still tells the size that a check is about. The other unused one goes.
// CHECK-LABEL: func.func @checked
// CHECK: kiln.if %arg0 then @f(%arg1, %arg2) else @g(%arg1)
// CHECK: func.func private @f(%arg0: tensor<?xf32, #kiln.dims<[a$_0]>>{{[^,]*}}, %arg1: tensor<?xf32, #kiln.dims<[a$_1]>>
func.func @checked(%c: tensor<i1>, %x: tensor<?xf32, #kiln.dims<[N]>>, %y: tensor<?xf32, #kiln.dims<[M]>>, %z: tensor<?xf32, #kiln.dims<[K]>>) -> tensor<?xf32, #kiln.dims<[N]>> attributes {kiln.sizes = ["N", "M", "K"]} {
  %0 = kiln.if %c then @f(%x, %y, %z) else @g(%x) : (tensor<i1>, tensor<?xf32, #kiln.dims<[N]>>, tensor<?xf32, #kiln.dims<[M]>>, tensor<?xf32, #kiln.dims<[K]>>, tensor<?xf32, #kiln.dims<[N]>>) -> tensor<?xf32, #kiln.dims<[N]>>
  return %0 : tensor<?xf32, #kiln.dims<[N]>>
}
func.func private @f(%x: tensor<?xf32, #kiln.dims<[a$_0]>>, %y: tensor<?xf32, #kiln.dims<[a$_1]>>, %z: tensor<?xf32, #kiln.dims<[a$_2]>>) -> tensor<?xf32, #kiln.dims<[a$_0]>> attributes {kiln.sizes = ["a$_0", "a$_1", "a$_2", "check a$_1*10 ~ a$_0"]} {
  %0 = kiln.exp %x : (tensor<?xf32, #kiln.dims<[a$_0]>>) -> tensor<?xf32, #kiln.dims<[a$_0]>>
  return %0 : tensor<?xf32, #kiln.dims<[a$_0]>>
}
func.func private @g(%x: tensor<?xf32, #kiln.dims<[a$_0]>>) -> tensor<?xf32, #kiln.dims<[a$_0]>> attributes {kiln.sizes = ["a$_0"]} {
  return %x : tensor<?xf32, #kiln.dims<[a$_0]>>
}

// -----

// So it does where a type is about the size: the result of a tile, say, which nothing but its type tells.
// CHECK-LABEL: func.func @typed
// CHECK: kiln.if %arg0 then @f(%arg1, %arg2) else @g(%arg2)
func.func @typed(%c: tensor<i1>, %x: tensor<?xf32, #kiln.dims<[N]>>, %y: tensor<?xf32, #kiln.dims<[M]>>) -> tensor<?xf32, #kiln.dims<[M]>> attributes {kiln.sizes = ["N", "M"]} {
  %0 = kiln.if %c then @f(%x, %y) else @g(%y) : (tensor<i1>, tensor<?xf32, #kiln.dims<[N]>>, tensor<?xf32, #kiln.dims<[M]>>, tensor<?xf32, #kiln.dims<[M]>>) -> tensor<?xf32, #kiln.dims<[M]>>
  return %0 : tensor<?xf32, #kiln.dims<[M]>>
}
func.func private @f(%x: tensor<?xf32, #kiln.dims<[a$_0]>>, %y: tensor<?xf32, #kiln.dims<[a$_1]>>) -> tensor<?xf32, #kiln.dims<[d$_0]>> attributes {kiln.sizes = ["a$_0", "a$_1", "d$_0 = 2*a$_0"]} {
  %0 = kiln.tile %y : (tensor<?xf32, #kiln.dims<[a$_1]>>) -> tensor<?xf32, #kiln.dims<[d$_0]>>
  return %0 : tensor<?xf32, #kiln.dims<[d$_0]>>
}
func.func private @g(%x: tensor<?xf32, #kiln.dims<[a$_0]>>) -> tensor<?xf32, #kiln.dims<[a$_0]>> attributes {kiln.sizes = ["a$_0"]} {
  return %x : tensor<?xf32, #kiln.dims<[a$_0]>>
}

// -----

// A condition that only a run tells leaves both.
// CHECK-LABEL: func.func @unknown
// CHECK: kiln.if %arg0 then @f(%arg1) else @g(%arg1)
// CHECK: func.func private @f
// CHECK: func.func private @g
func.func @unknown(%c: tensor<i1>, %x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = kiln.if %c then @f(%x) else @g(%x) : (tensor<i1>, tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}
func.func private @f(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = kiln.exp %x : (tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}
func.func private @g(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = kiln.neg %x : (tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

// A loop in the branch that is left hands over no constants either.
// CHECK-LABEL: func.func @nested
// CHECK: kiln.loop @b count %{{.+}} carry(%arg0) with() 
// CHECK-LABEL: func.func private @b
// CHECK-SAME: %arg2: tensor<4xf32>{{[^,]*}})
// CHECK-NOT: func.func
func.func @nested(%x: tensor<4xf32>) -> tensor<4xf32> {
  %c = kiln.constant {value = dense<true> : tensor<i1>} : () -> tensor<i1>
  %0 = kiln.if %c then @f(%x) else @g(%x) : (tensor<i1>, tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}
func.func private @f(%x: tensor<4xf32>) -> tensor<4xf32> {
  %n = kiln.constant {value = dense<3> : tensor<i64>} : () -> tensor<i64>
  %w = kiln.constant {value = dense<1.0> : tensor<f32>} : () -> tensor<f32>
  %0 = kiln.loop @b count %n carry(%x) with(%w) {counted} : (tensor<i64>, tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}
func.func private @b(%i: tensor<i64>, %c: tensor<i1>, %s: tensor<4xf32>, %w: tensor<f32>) -> (tensor<i1>, tensor<4xf32>) {
  %0 = kiln.add %s, %w : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32>
  return %c, %0 : tensor<i1>, tensor<4xf32>
}
func.func private @g(%x: tensor<4xf32>) -> tensor<4xf32> {
  return %x : tensor<4xf32>
}

// -----

// What both branches are handed and give back is no result of the if.
// CHECK-LABEL: func.func @passed
// CHECK: %[[R:.+]] = kiln.if %arg0 then @p_then(%arg1) else @p_else(%arg1)
// CHECK: return %arg2, %[[R]], %arg2
func.func @passed(%c: tensor<i1>, %x: tensor<2xf32>, %s: tensor<3xf32>) -> (tensor<3xf32>, tensor<2xf32>, tensor<3xf32>) {
  %0:3 = kiln.if %c then @p_then(%s, %x) else @p_else(%x, %s) : (tensor<i1>, tensor<3xf32>, tensor<2xf32>, tensor<2xf32>, tensor<3xf32>) -> (tensor<3xf32>, tensor<2xf32>, tensor<3xf32>)
  return %0#0, %0#1, %0#2 : tensor<3xf32>, tensor<2xf32>, tensor<3xf32>
}
func.func private @p_then(%s: tensor<3xf32>, %x: tensor<2xf32>) -> (tensor<3xf32>, tensor<2xf32>, tensor<3xf32>) {
  %0 = kiln.exp %x : (tensor<2xf32>) -> tensor<2xf32>
  return %s, %0, %s : tensor<3xf32>, tensor<2xf32>, tensor<3xf32>
}
func.func private @p_else(%x: tensor<2xf32>, %s: tensor<3xf32>) -> (tensor<3xf32>, tensor<2xf32>, tensor<3xf32>) {
  return %s, %x, %s : tensor<3xf32>, tensor<2xf32>, tensor<3xf32>
}

// -----

// A size of the branch that is computed from those that only data tells is computed from the same outside.
// CHECK-LABEL: func.func @computed
// CHECK-SAME: "[[D:d\$_[0-9]+]] = [[A:u\$_[0-9]+]]*[[B:u\$_[0-9]+]]"
// CHECK: %[[R:.+]] = kiln.resize {{.*}} #kiln.dims<{{\[}}[[A]], [[B]]]>
// CHECK: kiln.reshape %[[R]] : {{.*}} #kiln.dims<{{\[}}[[D]]]>
func.func @computed(%x: tensor<1x2xf32>, %s: tensor<2xi64>) -> tensor<?xf32, #kiln.dims<[u$_0]>> attributes {kiln.sizes = ["u$_0 <= ?"]} {
  %c = kiln.constant {value = dense<true> : tensor<i1>} : () -> tensor<i1>
  %0 = kiln.if %c then @c_then(%x, %s) else @c_then(%x, %s) : (tensor<i1>, tensor<1x2xf32>, tensor<2xi64>, tensor<1x2xf32>, tensor<2xi64>) -> tensor<?xf32, #kiln.dims<[u$_0]>>
  return %0 : tensor<?xf32, #kiln.dims<[u$_0]>>
}
func.func private @c_then(%x: tensor<1x2xf32>, %s: tensor<2xi64>) -> tensor<?xf32, #kiln.dims<[d$_2]>> attributes {kiln.sizes = ["u$_0 <= ?", "u$_1 <= ?", "d$_2 = u$_0*u$_1"]} {
  %0 = kiln.resize %x, %s {coordinates = "pytorch_half_pixel", mode = "linear"} : (tensor<1x2xf32>, tensor<2xi64>) -> tensor<?x?xf32, #kiln.dims<[u$_0, u$_1]>>
  %1 = kiln.reshape %0 : (tensor<?x?xf32, #kiln.dims<[u$_0, u$_1]>>) -> tensor<?xf32, #kiln.dims<[d$_2]>>
  return %1 : tensor<?xf32, #kiln.dims<[d$_2]>>
}
