// What a compilation can be told to leave out (`--without`): the parts of the compiler that take no fuel, so that
// --opt-limit does not bisect them. Plain data, for help texts too.
#pragma once

#include <string_view>

namespace kiln {

struct ConservativeSwitch {
  std::string_view name;
  std::string_view effect;
  std::string_view stage; ///< where it acts: IR past this stage is refused
};

inline constexpr ConservativeSwitch conservativeSwitches[] = {
    {"buffer-reuse", "no buffer shares memory with another, and no kernel works in place", "planned"},
    {"fusion", "each kernel computes one op", "kernels"},
    {"kernel:NODE", "ops of that model node run on reference kernels (the rest of the text is its name)", "kernels"},
    {"kernels", "all ops run on reference kernels", "kernels"},
    {"layout", "convolutions and pools stay in the model's layout", "optimized"},
    {"scheduling", "steps run in the model's order", "planned"},
};

} // namespace kiln
