// What a kernel is compiled for, as data: instruction-set level, feature flags and a named cache profile. Code depends
// on these alone, never on the machine that compiles, so that an artifact is the same wherever it is built.
//
// Text form: "x86-64-v4+bf16+vnni", with "@profile" at the end when it is not the default one.
#pragma once

#include "runtime/base/Status.h"

#include <cstdint>
#include <set>
#include <string>
#include <string_view>

namespace kiln {

struct TargetInfo {
  std::string level = "x86-64-v3"; ///< "x86-64-v3" (AVX2, FMA) or "x86-64-v4" (AVX-512 F, BW, CD, DQ, VL)
  std::set<std::string> features;  ///< "bf16", "vnni": beyond what the level has
  std::string profile = "generic"; ///< row of the cache table in TargetInfo.cpp

  // Derived from the three above by makeTarget / parse.
  int vectorBits = 256;
  int vectorRegisters = 16;
  int64_t l1Bytes = 32 << 10;
  int64_t l2Bytes = 512 << 10;
  int64_t l3Bytes = 16 << 20; ///< share of one core

  int lanes(int elementBits) const { return vectorBits / elementBits; }
  bool has(std::string_view feature) const { return features.count(std::string(feature)) != 0; }

  std::string print() const;
  static Result<TargetInfo> parse(std::string_view text);

  /// LLVM's names for the same: -mcpu and -mattr.
  std::string llvmCpu() const { return level; }
  std::string llvmFeatures() const;

  /// Whether code for this target runs on this machine.
  bool runsHere() const;
};

/// The best level that this machine has, with vnni where it has that: products of bytes take half the time. An error
/// below x86-64-v3. It does not name bf16, which no kernel is faster with.
Result<TargetInfo> hostTarget();

} // namespace kiln
