// RUN: kiln-opt --kiln-bufferize --split-input-file %s | FileCheck %s

// A reshape aliases; the returned value is computed where the output is bound; sizes are bound and defined once.
// CHECK-LABEL: plan.program @main
// CHECK-DAG: %[[X:.+]] = plan.input "x" : !plan.view<"f32[N,4]">
// CHECK-DAG: %[[Y:.+]] = plan.output "y" : !plan.view<"f32[d0]">
// CHECK: plan.bind_shape "N" = %[[X]][0] low 1 high 8 divisor 1
// CHECK: plan.define "d0" = "{{.+}}"
// CHECK-NOT: plan.alloc
// CHECK: %[[V:.+]] = plan.alias %[[Y]]["0"] : !plan.view<"f32[d0]"> -> !plan.view<"f32[N,4]">
// CHECK: plan.host_call "neg"(%[[X]]) into(%[[V]])
// CHECK-NOT: plan.copy
func.func @main(%x: tensor<?x4xf32, #kiln.dims<[N, 4]>> {kiln.name = "x"}) -> (tensor<?xf32, #kiln.dims<[d0]>> {kiln.name = "y"})
    attributes {kiln.sizes = ["N in 1..8", "d0 = N*4"]} {
  %a = kiln.neg %x : (tensor<?x4xf32, #kiln.dims<[N, 4]>>) -> tensor<?x4xf32, #kiln.dims<[N, 4]>>
  %b = kiln.reshape %a : (tensor<?x4xf32, #kiln.dims<[N, 4]>>) -> tensor<?xf32, #kiln.dims<[d0]>>
  return %b : tensor<?xf32, #kiln.dims<[d0]>>
}

// -----

// The range and divisor of a size that follows from others are checked like those of one that is bound.
// CHECK-LABEL: plan.program @defined_range
// CHECK: plan.bind_shape "A" = %{{.+}}[0] low 0 divisor 1
// CHECK: plan.define "N" = "{{.+}}" low 1 high 8 divisor 4
func.func @defined_range(%x: tensor<?x2xf32, #kiln.dims<[A, 2]>>, %z: tensor<?xf32, #kiln.dims<[N]>>) -> tensor<?xf32, #kiln.dims<[N]>>
    attributes {kiln.sizes = ["A", "N in 1..8 % 4 = A*2"]} {
  %a = kiln.reshape %x : (tensor<?x2xf32, #kiln.dims<[A, 2]>>) -> tensor<?xf32, #kiln.dims<[N]>>
  %b = kiln.add %a, %z : (tensor<?xf32, #kiln.dims<[N]>>, tensor<?xf32, #kiln.dims<[N]>>) -> tensor<?xf32, #kiln.dims<[N]>>
  return %b : tensor<?xf32, #kiln.dims<[N]>>
}

// -----

// An input, a constant and a value returned twice are copied.
// CHECK-LABEL: plan.program @copies
// CHECK-DAG: %[[X:.+]] = plan.input "input0"
// CHECK-DAG: %[[A:.+]] = plan.output "output0"
// CHECK-DAG: %[[B:.+]] = plan.output "output1"
// CHECK-DAG: %[[C:.+]] = plan.output "output2"
// CHECK-DAG: %[[D:.+]] = plan.output "output3"
// CHECK: plan.host_call "neg"(%[[X]]) into(%[[C]])
// CHECK: plan.copy %[[X]] to %[[A]]
// CHECK: plan.copy %{{.+}} to %[[B]]
// CHECK-NOT: plan.copy %{{.+}} to %[[C]]
// CHECK: plan.copy %[[C]] to %[[D]]
func.func @copies(%x: tensor<2xf32>) -> (tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) {
  %c = kiln.constant {value = dense<[1.0, 2.0]> : tensor<2xf32>} : () -> tensor<2xf32>
  %n = kiln.neg %x : (tensor<2xf32>) -> tensor<2xf32>
  return %x, %c, %n, %n : tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>
}

// -----

// A kernel's result takes over an operand that ends there. Equal kernels are one; a packed constant is stored once.
// CHECK-LABEL: module
// CHECK: plan.kernel @k0 family "f" config "{}" problem "p" interface "sizes []; in f32[4]; {{.+}}"
// CHECK-NOT: plan.kernel
// CHECK: plan.program @in_place
// CHECK: %[[W:.+]] = plan.constant {{.+}} recipe "reshape[1,4]" : !plan.view<"f32[1,4]">
// CHECK-NOT: plan.constant
// CHECK: %[[A:.+]] = plan.alloc "arena" : !plan.view<"f32[4]">
// CHECK: %[[WS:.+]] = plan.alloc "workspace" : !plan.view<"u8[64]">
// CHECK: plan.launch @k0(%{{.+}}, %[[W]], %[[A]], %[[WS]]) sizes []
// CHECK-NOT: plan.alloc "arena"
// CHECK: plan.launch @k0(%[[A]], %[[W]], %[[A]], %{{.+}})
// CHECK-NOT: plan.alloc "arena"
// CHECK: plan.host_call "neg"(%[[A]])
func.func @in_place(%x: tensor<4xf32>) -> tensor<4xf32> {
  %w = kiln.constant {value = dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>} : () -> tensor<4xf32>
  %0 = kiln.kernel %x, %w attributes {family = "f", problem = "p", config = "{}",
    interface = "sizes []; in f32[4]; in f32[4]; out f32[4]; in_place out0 in0; packed in1 \22reshape[1,4]\22; workspace [64]; launch prepare(in0,workspace) grid [1] scratch [0] flops [0] bytes [80]; launch main(in0,packed0,out0) grid [4] scratch [0] flops [8] bytes [16]", sizes = []} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%a: tensor<4xf32>, %b: tensor<4xf32>):
    %s = kiln.add %a, %b : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    kiln.yield %s : tensor<4xf32>
  }
  %1 = kiln.kernel %0, %w attributes {family = "f", problem = "p", config = "{}",
    interface = "sizes []; in f32[4]; in f32[4]; out f32[4]; in_place out0 in0; packed in1 \22reshape[1,4]\22; workspace [64]; launch prepare(in0,workspace) grid [1] scratch [0] flops [0] bytes [80]; launch main(in0,packed0,out0) grid [4] scratch [0] flops [8] bytes [16]", sizes = []} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%a: tensor<4xf32>, %b: tensor<4xf32>):
    %s = kiln.add %a, %b : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    kiln.yield %s : tensor<4xf32>
  }
  %2 = kiln.neg %1 : (tensor<4xf32>) -> tensor<4xf32>
  return %2 : tensor<4xf32>
}

// -----

// Not in place: the operand is read later, or again by the same kernel, or is an input.
// CHECK-LABEL: plan.program @not_in_place
// CHECK: plan.host_call "neg"(%{{.+}}) into(%[[A:.+]]) present
// CHECK: %[[B:.+]] = plan.alloc "arena" : !plan.view<"f32[4]">
// CHECK: plan.launch @k0(%[[A]], %[[B]])
// CHECK: %[[C:.+]] = plan.alloc "arena" : !plan.view<"f32[4]">
// CHECK: plan.launch @k1(%[[A]], %[[C]])
// CHECK: plan.host_call "add"(%[[B]], %[[C]])
func.func @not_in_place(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = kiln.neg %x : (tensor<4xf32>) -> tensor<4xf32>
  %1 = kiln.kernel %0 attributes {family = "f", problem = "p", config = "{}",
    interface = "sizes []; in f32[4]; out f32[4]; in_place out0 in0; launch main(in0,out0) grid [1] scratch [0] flops [8] bytes [16]", sizes = []} : (tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%a: tensor<4xf32>):
    %s = kiln.exp %a : (tensor<4xf32>) -> tensor<4xf32>
    kiln.yield %s : tensor<4xf32>
  }
  %2 = kiln.kernel %0, %0 attributes {family = "f", problem = "p2", config = "{}",
    interface = "sizes []; in f32[4]; in f32[4]; out f32[4]; in_place out0 in0; launch main(in0,out0) grid [1] scratch [0] flops [8] bytes [16]", sizes = []} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%a: tensor<4xf32>, %b: tensor<4xf32>):
    %s = kiln.add %a, %b : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    kiln.yield %s : tensor<4xf32>
  }
  %3 = kiln.add %1, %2 : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  return %3 : tensor<4xf32>
}

// -----

// What a kernel's problem says of a size and the table does not prove is checked, once; what it proves is not.
// CHECK-LABEL: plan.program @sizes_of_kernels
// CHECK-NOT: plan.check
// CHECK: plan.check "equal" "d$_0", "N"
// CHECK-NOT: plan.check
func.func @sizes_of_kernels(%x: tensor<?x4xf32, #kiln.dims<[N, 4]>>) -> tensor<?xf32, #kiln.dims<[d$_0]>>
    attributes {kiln.sizes = ["N", "d$_0 = (N+1) floordiv 2"]} {
  %0 = kiln.kernel %x attributes {family = "f", problem = "p", config = "{}",
    interface = "sizes [d0]; in f32[d0,4]; out f32[(d0+1) floordiv 2]; launch main(in0,out0) grid [1] scratch [0] flops [8] bytes [16]", sizes = ["N"]} : (tensor<?x4xf32, #kiln.dims<[N, 4]>>) -> tensor<?xf32, #kiln.dims<[d$_0]>> {
  ^bb0(%a: tensor<?x4xf32, #kiln.dims<[N, 4]>>):
    %s = kiln.reshape %a : (tensor<?x4xf32, #kiln.dims<[N, 4]>>) -> tensor<?xf32, #kiln.dims<[d$_0]>>
    kiln.yield %s : tensor<?xf32, #kiln.dims<[d$_0]>>
  }
  %1 = kiln.kernel %0 attributes {family = "f", problem = "p2", config = "{}",
    interface = "sizes [d0]; in f32[d0]; out f32[d0]; launch main(in0,out0) grid [1] scratch [0] flops [8] bytes [16]", sizes = ["N"]} : (tensor<?xf32, #kiln.dims<[d$_0]>>) -> tensor<?xf32, #kiln.dims<[d$_0]>> {
  ^bb0(%a: tensor<?xf32, #kiln.dims<[d$_0]>>):
    %s = kiln.neg %a : (tensor<?xf32, #kiln.dims<[d$_0]>>) -> tensor<?xf32, #kiln.dims<[d$_0]>>
    kiln.yield %s : tensor<?xf32, #kiln.dims<[d$_0]>>
  }
  return %1 : tensor<?xf32, #kiln.dims<[d$_0]>>
}

// -----

// What the table requires of sizes is checked when they are bound.
// CHECK-LABEL: plan.program @checks
// CHECK: plan.check "at_most" "0", "K*-1+N"
// CHECK: plan.check "broadcast" "N", "K"
func.func @checks(%x: tensor<?xf32, #kiln.dims<[N]>>, %y: tensor<?xf32, #kiln.dims<[K]>>) -> tensor<?xf32, #kiln.dims<[N]>>
    attributes {kiln.sizes = ["N", "K", "check 0 <= N-K", "check N ~ K"]} {
  %a = kiln.neg %x : (tensor<?xf32, #kiln.dims<[N]>>) -> tensor<?xf32, #kiln.dims<[N]>>
  return %a : tensor<?xf32, #kiln.dims<[N]>>
}

// -----

// Neither inputs nor outputs.
// CHECK-LABEL: plan.program @nothing
// CHECK: %[[C:.+]] = plan.constant
// CHECK: plan.host_call "neg"(%[[C]])
func.func @nothing() {
  %c = kiln.constant {value = dense<[1.0, 2.0]> : tensor<2xf32>} : () -> tensor<2xf32>
  %n = kiln.neg %c : (tensor<2xf32>) -> tensor<2xf32>
  return
}

// -----

// A state is neither input nor output. A scatter changes it where it lies, as does one after the other; who reads the new
// value reads it there.
// CHECK-LABEL: plan.program @cache
// CHECK-DAG: %[[I:.+]] = plan.input "i"
// CHECK-DAG: %[[U:.+]] = plan.input "u"
// CHECK-DAG: %[[S:.+]] = plan.state "past" reads writes : !plan.view<"f32[8]">
// CHECK-DAG: %[[Y:.+]] = plan.output "y"
// CHECK-NOT: plan.alloc
// CHECK: plan.host_call "scatter_elements"(%[[S]], %[[I]], %[[U]]) into(%[[S]])
// CHECK: plan.host_call "scatter_elements"(%[[S]], %[[I]], %[[U]]) into(%[[S]])
// CHECK: plan.host_call "neg"(%[[S]]) into(%[[Y]])
// CHECK-NOT: plan.copy
func.func @cache(%i: tensor<2xi64> {kiln.name = "i"}, %u: tensor<2xf32> {kiln.name = "u"}, %past: tensor<8xf32> {kiln.name = "past", kiln.state = "past"})
    -> (tensor<8xf32> {kiln.name = "y"}, tensor<8xf32> {kiln.name = "present", kiln.state = "past"}) {
  %0 = kiln.scatter_elements %past, %i, %u : (tensor<8xf32>, tensor<2xi64>, tensor<2xf32>) -> tensor<8xf32>
  %1 = kiln.scatter_elements %0, %i, %u : (tensor<8xf32>, tensor<2xi64>, tensor<2xf32>) -> tensor<8xf32>
  %2 = kiln.neg %1 : (tensor<8xf32>) -> tensor<8xf32>
  return %2, %1 : tensor<8xf32>, tensor<8xf32>
}

// -----

// The old value is read after the scatter: the new one is made elsewhere and copied in at the end.
// CHECK-LABEL: plan.program @old_value_is_read_later
// CHECK: %[[S:.+]] = plan.state "past" reads writes
// CHECK: %[[Y:.+]] = plan.output "output0"
// CHECK: %[[A:.+]] = plan.alloc "arena"
// CHECK: plan.host_call "scatter_elements"(%[[S]], %{{.+}}, %{{.+}}) into(%[[A]])
// CHECK: plan.host_call "neg"(%[[S]]) into(%[[Y]])
// CHECK: plan.copy %[[A]] to %[[S]]
func.func @old_value_is_read_later(%i: tensor<2xi64>, %u: tensor<2xf32>, %past: tensor<8xf32> {kiln.state = "past"})
    -> (tensor<8xf32>, tensor<8xf32> {kiln.state = "past"}) {
  %0 = kiln.scatter_elements %past, %i, %u : (tensor<8xf32>, tensor<2xi64>, tensor<2xf32>) -> tensor<8xf32>
  %1 = kiln.neg %past : (tensor<8xf32>) -> tensor<8xf32>
  return %1, %0 : tensor<8xf32>, tensor<8xf32>
}

// -----

// What a scatter changes is not what becomes the state: the state stays as it is until the end of the other chain.
// CHECK-LABEL: plan.program @another_value
// CHECK: %[[S:.+]] = plan.state "past" reads writes
// CHECK: %[[Y:.+]] = plan.output "output0"
// CHECK: plan.host_call "scatter_elements"(%[[S]], %{{.+}}, %{{.+}}) into(%[[Y]])
// CHECK: plan.host_call "neg"(%[[Y]]) into(%[[S]])
// CHECK-NOT: plan.copy
func.func @another_value(%i: tensor<2xi64>, %u: tensor<2xf32>, %past: tensor<8xf32> {kiln.state = "past"})
    -> (tensor<8xf32>, tensor<8xf32> {kiln.state = "past"}) {
  %0 = kiln.scatter_elements %past, %i, %u : (tensor<8xf32>, tensor<2xi64>, tensor<2xf32>) -> tensor<8xf32>
  %1 = kiln.neg %0 : (tensor<8xf32>) -> tensor<8xf32>
  return %0, %1 : tensor<8xf32>, tensor<8xf32>
}

// -----

// An op that may not overwrite its operand never does, even where the old value ends there. A kernel that may, does.
// CHECK-LABEL: plan.program @statistics
// CHECK: %[[M:.+]] = plan.state "mean" reads writes
// CHECK: %[[V:.+]] = plan.state "var" reads writes
// CHECK: plan.launch @k0(%[[M]], %{{.+}}, %[[M]])
// CHECK: %[[A:.+]] = plan.alloc "arena"
// CHECK: plan.host_call "neg"(%[[V]]) into(%[[A]])
// CHECK: plan.copy %[[A]] to %[[V]]
func.func @statistics(%x: tensor<4xf32>, %mean: tensor<4xf32> {kiln.state = "mean"}, %var: tensor<4xf32> {kiln.state = "var"})
    -> (tensor<4xf32> {kiln.state = "mean"}, tensor<4xf32> {kiln.state = "var"}) {
  %0 = kiln.kernel %mean, %x attributes {family = "f", problem = "p", config = "{}",
    interface = "sizes []; in f32[4]; in f32[4]; out f32[4]; in_place out0 in0; launch main(in0,in1,out0) grid [1] scratch [0] flops [8] bytes [16]", sizes = []} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%a: tensor<4xf32>, %b: tensor<4xf32>):
    %s = kiln.add %a, %b : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    kiln.yield %s : tensor<4xf32>
  }
  %1 = kiln.neg %var : (tensor<4xf32>) -> tensor<4xf32>
  return %0, %1 : tensor<4xf32>, tensor<4xf32>
}

// -----

// A state that only ends in an entry is computed there; one that is only read is no memory to write to.
// CHECK-LABEL: plan.program @written_and_read
// CHECK-DAG: %[[R:.+]] = plan.state "scale" reads :
// CHECK-DAG: %[[W:.+]] = plan.state "cache" writes :
// CHECK: plan.host_call "neg"(%[[R]]) into(%[[W]])
// CHECK-NOT: plan.copy
func.func @written_and_read(%scale: tensor<4xf32> {kiln.state = "scale"}) -> (tensor<4xf32> {kiln.state = "cache"}) {
  %0 = kiln.neg %scale : (tensor<4xf32>) -> tensor<4xf32>
  return %0 : tensor<4xf32>
}

// -----

// States that change places go through memory of their own.
// CHECK-LABEL: plan.program @swap
// CHECK: %[[A:.+]] = plan.state "a" reads writes
// CHECK: %[[B:.+]] = plan.state "b" reads writes
// CHECK: %[[T:.+]] = plan.alloc "arena"
// CHECK: plan.copy %[[B]] to %[[T]]
// CHECK: %[[U:.+]] = plan.alloc "arena"
// CHECK: plan.copy %[[A]] to %[[U]]
// CHECK: plan.copy %[[T]] to %[[A]]
// CHECK: plan.copy %[[U]] to %[[B]]
func.func @swap(%a: tensor<4xf32> {kiln.state = "a"}, %b: tensor<4xf32> {kiln.state = "b"})
    -> (tensor<4xf32> {kiln.state = "a"}, tensor<4xf32> {kiln.state = "b"}) {
  return %b, %a : tensor<4xf32>, tensor<4xf32>
}

// -----

// A state keeps its dims: what the table does not prove is checked.
// CHECK-LABEL: plan.program @dims
// CHECK: plan.bind_shape "N" = %[[S:.+]][0]
// CHECK: plan.check "equal" "N", "M"
func.func @dims(%a: tensor<?xf32, #kiln.dims<[N]>> {kiln.state = "a"}, %b: tensor<?xf32, #kiln.dims<[M]>>)
    -> (tensor<?xf32, #kiln.dims<[M]>> {kiln.state = "a"}) attributes {kiln.sizes = ["N", "M"]} {
  %0 = kiln.neg %b : (tensor<?xf32, #kiln.dims<[M]>>) -> tensor<?xf32, #kiln.dims<[M]>>
  return %0 : tensor<?xf32, #kiln.dims<[M]>>
}

// -----

// An op of several results; operands that are absent.
// CHECK-LABEL: plan.program @several_results
// CHECK: plan.host_call "lstm"(%{{.+}}, %{{.+}}, %{{.+}}, %{{.+}}) into(%{{.+}}, %{{.+}}, %{{.+}}) present "111001"
func.func @several_results(%x: tensor<1x1x1xf32>, %w: tensor<1x4x1xf32>, %s: tensor<1x1x1xf32>) -> (tensor<1x1x1x1xf32>, tensor<1x1x1xf32>) {
  %a, %b, %c = kiln.lstm %x, %w, %w, %s {operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 1, 0, 0>} :
      (tensor<1x1x1xf32>, tensor<1x4x1xf32>, tensor<1x4x1xf32>, tensor<1x1x1xf32>) -> (tensor<1x1x1x1xf32>, tensor<1x1x1xf32>, tensor<1x1x1xf32>)
  return %a, %c : tensor<1x1x1x1xf32>, tensor<1x1x1xf32>
}

// -----

// A slice that is marked as a part is a window of its operand's memory: nothing may be computed in that memory while it is read, and as an output it is
// copied.
// CHECK-LABEL: plan.program @parts
// CHECK: plan.host_call "matmul"({{.*}}) into(%[[T:[0-9]+]])
// CHECK: %[[P:[0-9]+]] = plan.alias %[[T]]["32"] : !plan.view<"f32[4,4]"> -> !plan.view<"f32[2,4]">
// CHECK: plan.host_call "neg"(%[[T]]) into(%[[N:[0-9]+]])
// CHECK: plan.host_call "add"(%{{.+}}, %[[N]])
// CHECK: plan.copy %[[P]] to
func.func @parts(%x: tensor<4x4xf32>) -> (tensor<2x4xf32>, tensor<4x4xf32>) {
  %t = kiln.matmul %x, %x : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  %p = kiln.slice %t {axes = array<i64: 0>, ends = array<i64: 4>, kiln.part, starts = array<i64: -2>, steps = array<i64: 1>} : (tensor<4x4xf32>) -> tensor<2x4xf32>
  %n = kiln.neg %t : (tensor<4x4xf32>) -> tensor<4x4xf32>
  %a = kiln.add %t, %n : (tensor<4x4xf32>, tensor<4x4xf32>) -> tensor<4x4xf32>
  return %p, %a : tensor<2x4xf32>, tensor<4x4xf32>
}

// -----

// What is added to a state that grows is made behind what was there, or copied there; who reads the old value meanwhile may.
// CHECK-LABEL: plan.program @append
// CHECK-DAG: %[[X:.+]] = plan.input "x" : !plan.view<"f32[2,3]">
// CHECK-DAG: %[[Y:.+]] = plan.output "y"
// CHECK-DAG: %[[S:.+]] = plan.state "past" reads writes along 1 to !plan.view<"f32[d$_0,3]"> : !plan.view<"f32[P,3]">
// CHECK-NOT: plan.alloc
// CHECK: %[[NEW:.+]] = plan.alias %[[S]]["P*12"] : !plan.view<"f32[P,3]"> -> !plan.view<"f32[2,3]">
// CHECK: plan.host_call "neg"(%[[X]]) into(%[[NEW]])
// CHECK: %[[GIVEN:.+]] = plan.alias %[[S]]["P*12+24"] : !plan.view<"f32[P,3]"> -> !plan.view<"f32[2,3]">
// CHECK: plan.copy %[[X]] to %[[GIVEN]]
// CHECK: %[[ALL:.+]] = plan.alias %[[S]]["0"] : !plan.view<"f32[P,3]"> -> !plan.view<"f32[d$_0,3]">
// CHECK: plan.host_call "neg"(%[[S]]) into(%[[Y]])
// CHECK: plan.host_call "neg"(%[[ALL]])
// CHECK-NOT: plan.copy
func.func @append(%x: tensor<2x3xf32> {kiln.name = "x"}, %past: tensor<?x3xf32, #kiln.dims<[P, 3]>> {kiln.growing = 1 : i64, kiln.state = "past"})
    -> (tensor<?x3xf32, #kiln.dims<[P, 3]>> {kiln.name = "y"}, tensor<?x3xf32, #kiln.dims<[d$_0, 3]>>, tensor<?x3xf32, #kiln.dims<[d$_0, 3]>> {kiln.growing = 1 : i64, kiln.state = "past"})
    attributes {kiln.sizes = ["P", "d$_0 = P+4"]} {
  %new = kiln.neg %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %0 = kiln.concat %past, %new, %x {axis = 0 : i64} : (tensor<?x3xf32, #kiln.dims<[P, 3]>>, tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<?x3xf32, #kiln.dims<[d$_0, 3]>>
  %1 = kiln.neg %past : (tensor<?x3xf32, #kiln.dims<[P, 3]>>) -> tensor<?x3xf32, #kiln.dims<[P, 3]>>
  %2 = kiln.neg %0 : (tensor<?x3xf32, #kiln.dims<[d$_0, 3]>>) -> tensor<?x3xf32, #kiln.dims<[d$_0, 3]>>
  return %1, %2, %0 : tensor<?x3xf32, #kiln.dims<[P, 3]>>, tensor<?x3xf32, #kiln.dims<[d$_0, 3]>>, tensor<?x3xf32, #kiln.dims<[d$_0, 3]>>
}

// -----

// A new value that is not the old one and more is made elsewhere; one that is only written is made in place, whatever was there.
// CHECK-LABEL: plan.program @replaced
// CHECK: %[[S:.+]] = plan.state "past" reads writes along 0 to !plan.view<"f32[d$_0]"> : !plan.view<"f32[P]">
// CHECK: %[[T:.+]] = plan.state "other" writes along 0 to !plan.view<"f32[P]"> : !plan.view<"f32[0]">
// CHECK: %[[A:.+]] = plan.alloc "arena" : !plan.view<"f32[d$_0]">
// CHECK: plan.host_call "concat"(%{{.+}}, %[[S]]) into(%[[A]])
// CHECK: %[[B:.+]] = plan.alias %[[T]]["0"] : !plan.view<"f32[0]"> -> !plan.view<"f32[P]">
// CHECK: plan.host_call "neg"(%[[S]]) into(%[[B]])
// CHECK: %[[C:.+]] = plan.alias %[[S]]["0"] : !plan.view<"f32[P]"> -> !plan.view<"f32[d$_0]">
// CHECK: plan.copy %[[A]] to %[[C]]
func.func @replaced(%x: tensor<1xf32>, %past: tensor<?xf32, #kiln.dims<[P]>> {kiln.growing = 0 : i64, kiln.state = "past"})
    -> (tensor<?xf32, #kiln.dims<[d$_0]>> {kiln.growing = 0 : i64, kiln.state = "past"}, tensor<?xf32, #kiln.dims<[P]>> {kiln.growing = 0, kiln.state = "other"})
    attributes {kiln.sizes = ["P", "d$_0 = P+1"]} {
  %0 = kiln.concat %x, %past {axis = 0 : i64} : (tensor<1xf32>, tensor<?xf32, #kiln.dims<[P]>>) -> tensor<?xf32, #kiln.dims<[d$_0]>>
  %1 = kiln.neg %past : (tensor<?xf32, #kiln.dims<[P]>>) -> tensor<?xf32, #kiln.dims<[P]>>
  return %0, %1 : tensor<?xf32, #kiln.dims<[d$_0]>>, tensor<?xf32, #kiln.dims<[P]>>
}
