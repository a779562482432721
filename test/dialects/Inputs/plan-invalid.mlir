plan.program @main {
  // expected-error @+1 {{"f32[N" is not an element type with dims}}
  %x = plan.input "x" : !plan.view<"f32[N">
}

// -----

plan.program @main {
  %x = plan.input "x" : !plan.view<"f32[N]">
  // expected-error @+1 {{dim 1 is out of range for rank 1}}
  plan.bind_shape "N" = %x[1] low 0 divisor 1 : !plan.view<"f32[N]">
}

// -----

plan.program @main {
  %x = plan.input "x" : !plan.view<"f32[4]">
  %y = plan.output "y" : !plan.view<"f32[4]">
  %v = plan.alias %x["0"] : !plan.view<"f32[4]"> -> !plan.view<"f32[2,2]">
  // expected-error @+1 {{writes an input or a constant}}
  plan.host_call "neg"(%y) into (%v) present "1" with "{}" flops "0" bytes "0" : (!plan.view<"f32[4]">) into (!plan.view<"f32[2,2]">)
}

// -----

plan.program @main {
  %x = plan.input "x" : !plan.view<"f32[4]">
  %y = plan.output "y" : !plan.view<"f32[5]">
  // expected-error @+1 {{source and target differ in bytes}}
  plan.copy %x to %y : !plan.view<"f32[4]"> to !plan.view<"f32[5]">
}

// -----

plan.program @main {
  // expected-error @+1 {{"N+" is not a size expression}}
  plan.define "M" = "N+"
}
