// Where a program's memory lies when launches run on a device with memory of its own, and the copies between there and
// the host.
#pragma once

#include "runtime/plan/Program.h"

namespace kiln {

/// Makes a program for the CPU one for a device:
///
///   launch @0(in0=in:x, out0=%1)              copy in:x -> %3@device
///   call argmax(%1) -> (%2)            ->     launch @0(in0=%3@device, out0=%1@device)
///   launch @1(in0=%1, out0=out:y)             copy %1@device -> %4
///                                             call argmax(%4) -> (%2)
///                                             launch @1(in0=%1@device, out0=%5@device)
///                                             copy %5@device -> out:y
///
/// Launches work in device memory, everything else in the host's. A buffer that both use is one in each; it is copied
/// when one reads what the other wrote last, so a value crosses at most once each way. Constants need no copies: those
/// that launches read are put on the device when the model is loaded. A function takes and gives values in host memory,
/// whoever calls it.
void moveToDevice(Program &program, const std::string &device);

/// Which way a copy goes.
enum class Direction : uint8_t { OnHost, ToDevice, ToHost, OnDevice };
Direction directionOf(const Function &function, const CopyStep &copy);

/// Bytes that a call of a function copies between the memories, over its symbols; without what functions do that it
/// calls.
struct TransferBytes {
  SizeExpr toDevice, toHost;
};
TransferBytes transfersOf(const Function &function);

/// The constants that launches on a device read. Those of the weights section lie in one piece of device memory; others
/// come and go, each in memory of its own.
struct DeviceConstants {
  std::vector<bool> used;
  std::vector<int64_t> offsets; ///< of each constant of the section; -1: not there
  int64_t bytes = 0;
};
DeviceConstants deviceConstants(const Program &program);

} // namespace kiln
