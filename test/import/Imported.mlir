// RUN: kiln compile %S/../models/mnist_8/model.onnx --stop-after=imported | FileCheck %s

// An IR version 3 model: its initializers are listed as inputs and stay constants, large ones as references into the file.
// CHECK: module attributes {kiln.stage = "imported"}
// CHECK-LABEL: func.func @main(%arg0: tensor<1x1x28x28xf32> {kiln.name = "Input3"}
// CHECK-SAME: -> (tensor<1x10xf32> {kiln.name = "Plus214_Output_0"})
// CHECK: #kiln.weight<"{{.*}}model.onnx", 1364, "{{[0-9a-f]+}}"> : tensor<16x4x4x10xf32>

// auto_pad SAME_UPPER is resolved, since the sizes are known.
// CHECK: kiln.conv %arg0, %{{.+}} pads = array<i64: 2, 2, 2, 2>
// CHECK-SAME: loc(#[[CONV:.+]])
// CHECK: kiln.max_pool
// CHECK-NOT: auto_pad
// CHECK: return

// Every op carries its node's name.
// CHECK: #[[CONV]] = loc("Convolution28")
