// RUN: kiln-opt --kiln-assign-arena --split-input-file %s | FileCheck %s
// RUN: kiln-opt --kiln-assign-arena=share=false --split-input-file %s | FileCheck %s --check-prefix=ALONE

// %a and %c are never alive together; %a stays alive through its alias.
// CHECK-LABEL: plan.program @reuse
// Without sharing each has a place of its own.
// ALONE: plan.program @reuse attributes {plan.no_reuse}
// ALONE-DAG: plan.alloc "arena" offset 0 :
// ALONE-DAG: plan.alloc "arena" offset 64 :
// ALONE-DAG: plan.alloc "arena" offset 128 :
plan.program @reuse {
  %x = plan.input "x" : !plan.view<"f32[16]">
  %y = plan.output "y" : !plan.view<"f32[16]">
  // CHECK: plan.alloc "arena" offset [[FIRST:[0-9]+]] :
  %a = plan.alloc "arena" : !plan.view<"f32[16]">
  // CHECK: plan.alloc "arena" offset [[SECOND:[0-9]+]] :
  %b = plan.alloc "arena" : !plan.view<"f32[16]">
  // CHECK: plan.alloc "arena" offset [[FIRST]] :
  %c = plan.alloc "arena" : !plan.view<"f32[16]">
  %alias = plan.alias %a["0"] : !plan.view<"f32[16]"> -> !plan.view<"f32[4,4]">
  plan.host_call "neg"(%x) into (%a) present "1" with "{}" flops "0" bytes "0" : (!plan.view<"f32[16]">) into (!plan.view<"f32[16]">)
  plan.host_call "neg"(%alias) into (%b) present "1" with "{}" flops "0" bytes "0" : (!plan.view<"f32[4,4]">) into (!plan.view<"f32[16]">)
  plan.host_call "neg"(%b) into (%c) present "1" with "{}" flops "0" bytes "0" : (!plan.view<"f32[16]">) into (!plan.view<"f32[16]">)
  plan.host_call "neg"(%c) into (%y) present "1" with "{}" flops "0" bytes "0" : (!plan.view<"f32[16]">) into (!plan.view<"f32[16]">)
}

// -----

// One unknown size leaves everything to run time.
// CHECK-LABEL: plan.program @symbolic
// ALONE: plan.program @symbolic attributes {plan.no_reuse}
// CHECK-NOT: offset
plan.program @symbolic {
  %x = plan.input "x" : !plan.view<"f32[N]">
  %y = plan.output "y" : !plan.view<"f32[N]">
  plan.bind_shape "N" = %x[0] low 1 divisor 1 : !plan.view<"f32[N]">
  %a = plan.alloc "arena" : !plan.view<"f32[N]">
  %b = plan.alloc "arena" offset 64 : !plan.view<"f32[16]">
  plan.host_call "neg"(%x) into (%a) present "1" with "{}" flops "0" bytes "0" : (!plan.view<"f32[N]">) into (!plan.view<"f32[N]">)
  plan.host_call "neg"(%a) into (%y) present "1" with "{}" flops "0" bytes "0" : (!plan.view<"f32[N]">) into (!plan.view<"f32[N]">)
}
