// The CPU as a device: its memory is the host's, and a launch is done when it returns.
#pragma once

#include "runtime/device/Device.h"

namespace kiln {

Device &cpuDevice();

} // namespace kiln
