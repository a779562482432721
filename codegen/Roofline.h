// What bounds code on one core: arithmetic, and bytes from the level of the memory that holds them. The figures are
// those of a class of processors, never of the machine that compiles: prices made of them compare implementations
// (Williams, Waterman, Patterson: Roofline, CACM 52(4), 2009).
#pragma once

#include "codegen/problem/TargetInfo.h"

namespace kiln {

struct Roofline {
  double hertz;           ///< cycles a second of code full of vector instructions
  double launchSeconds;   ///< of starting a launch
  double workgroupCycles; ///< of starting a workgroup

  explicit Roofline(const TargetInfo &target);

  double seconds(double cycles) const { return cycles / hertz; }
  /// To read or write every one of so many bytes once, time and again: what a level of the memory cannot hold lies in
  /// the next one.
  double memoryCycles(double bytes) const;

private:
  double l1, l2, l3, vectorBytes;
};

} // namespace kiln
