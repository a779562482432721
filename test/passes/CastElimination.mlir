// RUN: kiln-opt %s --kiln-cast-elimination | FileCheck %s

// CHECK-LABEL: @there_and_back
// CHECK-NEXT: return %arg0
func.func @there_and_back(%x: tensor<4xf32>) -> tensor<4xf32> {
  %a = kiln.cast %x {to = "f64"} : (tensor<4xf32>) -> tensor<4xf64>
  %b = kiln.cast %a {to = "f32"} : (tensor<4xf64>) -> tensor<4xf32>
  return %b : tensor<4xf32>
}

// CHECK-LABEL: @merged
// CHECK-NEXT: kiln.cast %arg0 {to = "f64"} : (tensor<4xi32>) -> tensor<4xf64>
// CHECK-NEXT: return
func.func @merged(%x: tensor<4xi32>) -> tensor<4xf64> {
  %a = kiln.cast %x {to = "i64"} : (tensor<4xi32>) -> tensor<4xi64>
  %b = kiln.cast %a {to = "f64"} : (tensor<4xi64>) -> tensor<4xf64>
  return %b : tensor<4xf64>
}

// Must not fire: a pair that narrows first rounds.
// CHECK-LABEL: @narrowing
// CHECK: to = "f16"
// CHECK: to = "f32"
// CHECK: to = "f32"
// CHECK: to = "i64"
func.func @narrowing(%x: tensor<4xf32>, %i: tensor<4xi64>) -> (tensor<4xf32>, tensor<4xi64>) {
  %a = kiln.cast %x {to = "f16"} : (tensor<4xf32>) -> tensor<4xf16>
  %b = kiln.cast %a {to = "f32"} : (tensor<4xf16>) -> tensor<4xf32>
  %c = kiln.cast %i {to = "f32"} : (tensor<4xi64>) -> tensor<4xf32>
  %d = kiln.cast %c {to = "i64"} : (tensor<4xf32>) -> tensor<4xi64>
  return %b, %d : tensor<4xf32>, tensor<4xi64>
}

// What is out of range wraps, or saturates, as before: from an integer that the last type holds, from one float by way of another, and by way
// of integers.
// CHECK-LABEL: @same_rule
// CHECK-DAG: kiln.cast %arg0 {to = "i16"} : (tensor<4xi8>) -> tensor<4xi16>
// CHECK-DAG: kiln.cast %arg1 {to = "i8"} : (tensor<4xf32>) -> tensor<4xi8>
// CHECK-DAG: kiln.cast %arg2 {to = "i8"} : (tensor<4xi16>) -> tensor<4xi8>
// CHECK-DAG: kiln.cast %arg3 {to = "i32"} : (tensor<4xi1>) -> tensor<4xi32>
// CHECK-NOT: kiln.cast
func.func @same_rule(%a: tensor<4xi8>, %b: tensor<4xf32>, %c: tensor<4xi16>, %d: tensor<4xi1>) -> (tensor<4xi16>, tensor<4xi8>, tensor<4xi8>, tensor<4xi32>) {
  %0 = kiln.cast %a {to = "f32"} : (tensor<4xi8>) -> tensor<4xf32>
  %1 = kiln.cast %0 {to = "i16"} : (tensor<4xf32>) -> tensor<4xi16>
  %2 = kiln.cast %b {to = "f64"} : (tensor<4xf32>) -> tensor<4xf64>
  %3 = kiln.cast %2 {to = "i8"} : (tensor<4xf64>) -> tensor<4xi8>
  %4 = kiln.cast %c {to = "i64"} : (tensor<4xi16>) -> tensor<4xi64>
  %5 = kiln.cast %4 {to = "i8"} : (tensor<4xi64>) -> tensor<4xi8>
  %6 = kiln.cast %d {to = "f32"} : (tensor<4xi1>) -> tensor<4xf32>
  %7 = kiln.cast %6 {to = "i32"} : (tensor<4xf32>) -> tensor<4xi32>
  return %1, %3, %5, %7 : tensor<4xi16>, tensor<4xi8>, tensor<4xi8>, tensor<4xi32>
}

// Must not fire: 300 as a float saturates to 127, as an integer it wraps to 44; -1 gives 0 or 255.
// CHECK-LABEL: @other_rule
// CHECK-NEXT: kiln.cast %arg0 {to = "f32"}
// CHECK-NEXT: to = "i8"
// CHECK-NEXT: kiln.cast %arg1 {to = "f32"}
// CHECK-NEXT: to = "u8"
// CHECK-NEXT: kiln.cast %arg2 {to = "f64"}
// CHECK-NEXT: to = "i32"
func.func @other_rule(%a: tensor<4xi16>, %b: tensor<4xi8>, %c: tensor<4xui32>) -> (tensor<4xi8>, tensor<4xui8>, tensor<4xi32>) {
  %0 = kiln.cast %a {to = "f32"} : (tensor<4xi16>) -> tensor<4xf32>
  %1 = kiln.cast %0 {to = "i8"} : (tensor<4xf32>) -> tensor<4xi8>
  %2 = kiln.cast %b {to = "f32"} : (tensor<4xi8>) -> tensor<4xf32>
  %3 = kiln.cast %2 {to = "u8"} : (tensor<4xf32>) -> tensor<4xui8>
  %4 = kiln.cast %c {to = "f64"} : (tensor<4xui32>) -> tensor<4xf64>
  %5 = kiln.cast %4 {to = "i32"} : (tensor<4xf64>) -> tensor<4xi32>
  return %1, %3, %5 : tensor<4xi8>, tensor<4xui8>, tensor<4xi32>
}
