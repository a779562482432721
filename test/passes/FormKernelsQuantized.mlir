// RUN: kiln-opt --kiln-families=cpu --kiln-form-kernels --split-input-file %s | FileCheck %s

// Bytes go from product to product: the first kernel ends where they are made, the second widens them itself, together
// with its weights and the zero point, which is a number of the model and no size.
// CHECK-LABEL: func.func @chain
// CHECK: %[[A:.+]] = kiln.kernel {{.*}} -> tensor<8x16xui8>
// CHECK: kiln.matmul
// CHECK: kiln.cast {{.*}} -> tensor<8x16xui8>
// CHECK: %[[B:.+]] = kiln.kernel %[[A]]
// CHECK: kiln.cast {{.*}} -> tensor<8x16xi32>
// CHECK: kiln.matmul
// CHECK: return %[[B]]
func.func @chain(%x: tensor<8x32xui8>, %z: tensor<ui8>, %v: tensor<32x16xi8>, %w: tensor<16x24xi8>, %s: tensor<f32>) -> tensor<8x24xi32> {
  %ten = kiln.constant {value = dense<10> : tensor<i32>} : () -> tensor<i32>
  %0 = kiln.cast %x {to = "i32"} : (tensor<8x32xui8>) -> tensor<8x32xi32>
  %1 = kiln.cast %z {to = "i32"} : (tensor<ui8>) -> tensor<i32>
  %2 = kiln.sub %0, %1 : (tensor<8x32xi32>, tensor<i32>) -> tensor<8x32xi32>
  %3 = kiln.cast %v {to = "i32"} : (tensor<32x16xi8>) -> tensor<32x16xi32>
  %4 = kiln.matmul %2, %3 : (tensor<8x32xi32>, tensor<32x16xi32>) -> tensor<8x16xi32>
  %5 = kiln.cast %4 {to = "f32"} : (tensor<8x16xi32>) -> tensor<8x16xf32>
  %6 = kiln.mul %5, %s : (tensor<8x16xf32>, tensor<f32>) -> tensor<8x16xf32>
  %7 = kiln.cast %6 {to = "u8"} : (tensor<8x16xf32>) -> tensor<8x16xui8>
  %8 = kiln.cast %7 {to = "i32"} : (tensor<8x16xui8>) -> tensor<8x16xi32>
  %9 = kiln.sub %8, %ten : (tensor<8x16xi32>, tensor<i32>) -> tensor<8x16xi32>
  %10 = kiln.cast %w {to = "i32"} : (tensor<16x24xi8>) -> tensor<16x24xi32>
  %11 = kiln.matmul %9, %10 : (tensor<8x16xi32>, tensor<16x24xi32>) -> tensor<8x24xi32>
  return %11 : tensor<8x24xi32>
}

// -----

// Where the product's result is computed with as floating point again, one kernel does it all.
// CHECK-LABEL: func.func @dequantized
// CHECK: kiln.kernel {{.*}} -> tensor<8x16xf32>
// CHECK-NOT: kiln.kernel
func.func @dequantized(%x: tensor<8x32xi8>, %w: tensor<32x16xi8>, %s: tensor<f32>) -> tensor<8x16xf32> {
  %0 = kiln.cast %x {to = "i32"} : (tensor<8x32xi8>) -> tensor<8x32xi32>
  %1 = kiln.cast %w {to = "i32"} : (tensor<32x16xi8>) -> tensor<32x16xi32>
  %2 = kiln.matmul %0, %1 : (tensor<8x32xi32>, tensor<32x16xi32>) -> tensor<8x16xi32>
  %3 = kiln.cast %2 {to = "f32"} : (tensor<8x16xi32>) -> tensor<8x16xf32>
  %4 = kiln.mul %3, %s : (tensor<8x16xf32>, tensor<f32>) -> tensor<8x16xf32>
  %5 = kiln.cast %4 {to = "u8"} : (tensor<8x16xf32>) -> tensor<8x16xui8>
  %6 = kiln.cast %5 {to = "i32"} : (tensor<8x16xui8>) -> tensor<8x16xi32>
  %7 = kiln.cast %6 {to = "f32"} : (tensor<8x16xi32>) -> tensor<8x16xf32>
  return %7 : tensor<8x16xf32>
}

// -----

// So are those less a zero point that a run tells.
// CHECK-LABEL: func.func @two_products
// CHECK: %[[A:.+]] = kiln.kernel {{.*}}(tensor<8x16xui8>, tensor<ui8>, tensor<16x16xi8>) -> tensor<8x16xi32> {
// CHECK: %[[B:.+]] = kiln.kernel {{.*}}(tensor<8x16xui8>, tensor<ui8>, tensor<16x24xi8>) -> tensor<8x24xi32> {
// CHECK-NOT: kiln.kernel
func.func @two_products(%x: tensor<8x16xui8>, %z: tensor<ui8>, %v: tensor<16x16xi8>, %w: tensor<16x24xi8>) -> (tensor<8x16xi32>, tensor<8x24xi32>) {
  %0 = kiln.cast %x {to = "i32"} : (tensor<8x16xui8>) -> tensor<8x16xi32>
  %1 = kiln.cast %z {to = "i32"} : (tensor<ui8>) -> tensor<i32>
  %2 = kiln.sub %0, %1 : (tensor<8x16xi32>, tensor<i32>) -> tensor<8x16xi32>
  %3 = kiln.cast %v {to = "i32"} : (tensor<16x16xi8>) -> tensor<16x16xi32>
  %4 = kiln.matmul %2, %3 : (tensor<8x16xi32>, tensor<16x16xi32>) -> tensor<8x16xi32>
  %5 = kiln.cast %w {to = "i32"} : (tensor<16x24xi8>) -> tensor<16x24xi32>
  %6 = kiln.matmul %2, %5 : (tensor<8x16xi32>, tensor<16x24xi32>) -> tensor<8x24xi32>
  return %4, %6 : tensor<8x16xi32>, tensor<8x24xi32>
}

// -----

// Bytes that two kernels read are widened by both, and by none for the other: no tensor of wider numbers is made of them.
// CHECK-LABEL: func.func @two_readers
// CHECK: %[[A:.+]] = kiln.kernel %arg0{{.*}} -> tensor<8x16xui8>
// CHECK-NOT: -> tensor<8x16xi32> {
// CHECK: kiln.kernel {{.*}}%[[A]]{{.*}} -> tensor<8x16xi32> {
// CHECK: kiln.matmul
// CHECK: %[[C:.+]] = kiln.kernel %[[A]]{{.*}} : (tensor<8x16xui8>) -> tensor<8x16xf32> {
// CHECK: kiln.tanh
// CHECK-NOT: kiln.kernel
func.func @two_readers(%x: tensor<8x16xf32>, %w: tensor<16x16xi8>) -> (tensor<8x16xi32>, tensor<8x16xf32>) {
  %ten = kiln.constant {value = dense<10> : tensor<i32>} : () -> tensor<i32>
  %s = kiln.constant {value = dense<0.1> : tensor<f32>} : () -> tensor<f32>
  %0 = kiln.cast %x {to = "u8"} : (tensor<8x16xf32>) -> tensor<8x16xui8>
  %1 = kiln.cast %0 {to = "i32"} : (tensor<8x16xui8>) -> tensor<8x16xi32>
  %2 = kiln.sub %1, %ten : (tensor<8x16xi32>, tensor<i32>) -> tensor<8x16xi32>
  %3 = kiln.cast %w {to = "i32"} : (tensor<16x16xi8>) -> tensor<16x16xi32>
  %4 = kiln.matmul %2, %3 : (tensor<8x16xi32>, tensor<16x16xi32>) -> tensor<8x16xi32>
  %5 = kiln.cast %2 {to = "f32"} : (tensor<8x16xi32>) -> tensor<8x16xf32>
  %6 = kiln.mul %5, %s : (tensor<8x16xf32>, tensor<f32>) -> tensor<8x16xf32>
  %7 = kiln.tanh %6 : (tensor<8x16xf32>) -> tensor<8x16xf32>
  return %4, %7 : tensor<8x16xi32>, tensor<8x16xf32>
}

// -----

// A kernel's widening may be copied into another that reads it, which then reads what the first one stores, and no more of it: the
// bytes are not stored as well.
// CHECK-LABEL: func.func @copied
// CHECK: %[[A:.+]]:2 = kiln.kernel %arg0 {{.*}} -> (tensor<4x8xi32>, tensor<4x8xf32>)
// CHECK: %[[B:.+]] = kiln.argmin %[[A]]#0
// CHECK: %[[C:.+]] = kiln.kernel %[[A]]#0, %[[B]] {{.*}} : (tensor<4x8xi32>, tensor<1x8xi64>) -> tensor<4x8xf32>
// CHECK: kiln.cast {{.*}} {to = "f32"} : (tensor<4x8xi32>)
// CHECK: return %[[A]]#1, %[[C]]
func.func @copied(%x: tensor<4x8xf32>) -> (tensor<4x8xf32>, tensor<4x8xf32>) {
  %four = kiln.constant {value = dense<4.0> : tensor<f32>} : () -> tensor<f32>
  %0 = kiln.cast %x {to = "u8"} : (tensor<4x8xf32>) -> tensor<4x8xui8>
  %1 = kiln.cast %0 {to = "i32"} : (tensor<4x8xui8>) -> tensor<4x8xi32>
  %2 = kiln.cast %1 {to = "f32"} : (tensor<4x8xi32>) -> tensor<4x8xf32>
  %3 = kiln.mul %2, %four : (tensor<4x8xf32>, tensor<f32>) -> tensor<4x8xf32>
  %4 = kiln.argmin %1 {axis = 0 : i64, keepdims = 1 : i64} : (tensor<4x8xi32>) -> tensor<1x8xi64>
  %5 = kiln.cast %4 {to = "f32"} : (tensor<1x8xi64>) -> tensor<1x8xf32>
  %6 = kiln.add %5, %2 : (tensor<1x8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
  return %3, %6 : tensor<4x8xf32>, tensor<4x8xf32>
}

// -----

// A kernel that was formed first, and all of whose readers have copies of what it does, is none.
// CHECK-LABEL: func.func @unread
// CHECK-NOT: -> () {
// CHECK: kiln.kernel %arg0, %arg1, %arg2
// CHECK: kiln.kernel %arg1
// CHECK-NOT: kiln.kernel
// CHECK: return
func.func @unread(%x: tensor<640xi8>, %z: tensor<i8>, %s: tensor<f32>) -> (tensor<640xf32>, tensor<1x640xf32>) {
  %1 = kiln.cast %x {to = "i32"} : (tensor<640xi8>) -> tensor<640xi32>
  %0 = kiln.cast %z {to = "i32"} : (tensor<i8>) -> tensor<i32>
  %2 = kiln.sub %1, %0 : (tensor<640xi32>, tensor<i32>) -> tensor<640xi32>
  %3 = kiln.cast %2 {to = "f32"} : (tensor<640xi32>) -> tensor<640xf32>
  %4 = kiln.max %3, %s : (tensor<640xf32>, tensor<f32>) -> tensor<640xf32>
  %5 = kiln.reshape %x : (tensor<640xi8>) -> tensor<1x640xi8>
  %6 = kiln.cast %5 {to = "i32"} : (tensor<1x640xi8>) -> tensor<1x640xi32>
  %7 = kiln.sub %6, %0 : (tensor<1x640xi32>, tensor<i32>) -> tensor<1x640xi32>
  %8 = kiln.cast %7 {to = "f32"} : (tensor<1x640xi32>) -> tensor<1x640xf32>
  return %4, %8 : tensor<640xf32>, tensor<1x640xf32>
}
