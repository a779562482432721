// RUN: kiln-opt %s | kiln-opt | FileCheck %s
// RUN: kiln-opt --split-input-file --verify-diagnostics %S/Inputs/plan-invalid.mlir

// A printed plan reads back as itself.

// CHECK: plan.kernel @k0 family "elementwise" config "{tile=16}" problem "v1 default;{{.+}}" interface "sizes [d0];{{.+}}"
plan.kernel @k0 family "elementwise" config "{tile=16}" problem "v1 default; %0 = in f32[d0,4]; %1 = neg(%0) f32[d0,4]; out %1"
    interface "sizes [d0]; in f32[d0,4]; out f32[d0,4]; workspace [d0*64]; launch neg(in0,out0) grid [d0] scratch [0] flops [d0*4] bytes [d0*32]"

// CHECK: plan.program @main
plan.program @main {
  // CHECK: %[[X:.+]] = plan.input "x" : !plan.view<"f32[N,4]">
  %x = plan.input "x" : !plan.view<"f32[N,4]">
  %y = plan.output "y" : !plan.view<"f32[2*N,2]">
  // CHECK: plan.bind_shape "N" = %[[X]][0] low 1 high 64 divisor 2
  plan.bind_shape "N" = %x[0] low 1 high 64 divisor 2 : !plan.view<"f32[N,4]">
  // CHECK: plan.define "M" = "N*2"{{$}}
  plan.define "M" = "N*2"
  // CHECK: plan.define "K" = "N*3" low 1 high 8 divisor 4
  plan.define "K" = "N*3" low 1 high 8 divisor 4
  plan.check "equal" "M", "2*N"
  %c = plan.constant dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32> recipe "reshape[1,4]" : !plan.view<"f32[1,4]">
  // CHECK: plan.alloc "arena" : !plan.view<"f32[N,4]">
  %b = plan.alloc "arena" : !plan.view<"f32[N,4]">
  %w = plan.alloc "workspace" : !plan.view<"u8[N*64]">
  // CHECK: plan.launch @k0(%[[X]], %{{.+}}, %{{.+}}) sizes ["N"]
  plan.launch @k0(%x, %b, %w) sizes ["N"] : (!plan.view<"f32[N,4]">, !plan.view<"f32[N,4]">, !plan.view<"u8[N*64]">)
  %r = plan.alias %b["0"] : !plan.view<"f32[N,4]"> -> !plan.view<"f32[2*N,2]">
  // CHECK: plan.host_call "neg"
  plan.host_call "neg"(%r) into (%r) present "1" with "{}" flops "0" bytes "0" : (!plan.view<"f32[2*N,2]">) into (!plan.view<"f32[2*N,2]">)
  // CHECK: plan.call @rest(%{{.+}}) into(%{{.+}}) sizes ["N"]
  %o = plan.alloc "returned" : !plan.view<"f32[u$_0]">
  plan.call @rest(%r) into (%o) sizes ["N"] : (!plan.view<"f32[2*N,2]">, !plan.view<"f32[u$_0]">) -> ()
  // CHECK: plan.if %{{.+}} then @rest() else @rest(%{{.+}}) into(%{{.+}})
  %flag = plan.alloc "arena" : !plan.view<"bool[]">
  plan.if %flag then @rest() else @rest(%r) into (%o) : (!plan.view<"bool[]">, !plan.view<"f32[2*N,2]">, !plan.view<"f32[u$_0]">) -> ()
  // CHECK: plan.loop @rest while %{{.+}} carry(%{{.+}}) with() into(%{{.+}})
  plan.loop @rest while %flag carry (%r) with () into (%o) : (!plan.view<"bool[]">, !plan.view<"f32[2*N,2]">, !plan.view<"f32[u$_0]">) -> ()
  // CHECK: plan.copy
  plan.copy %r to %y : !plan.view<"f32[2*N,2]"> to !plan.view<"f32[2*N,2]">
}

// CHECK: plan.program @rest attributes {sym_visibility = "private"}
plan.program @rest attributes {sym_visibility = "private"} {
  // CHECK: plan.parameter "K" = 0 low 1 high 8 divisor 2
  plan.parameter "K" = 0 low 1 high 8 divisor 2
}
