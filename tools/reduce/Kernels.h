// The kernels of a compiled model, and whether one computes its problem right by itself.

#pragma once

#include "tools/reduce/OtherCompilers.h"
#include "tools/reduce/Trial.h"

namespace kiln::reduce {

struct SuspectKernel {
  std::vector<std::string> nodes; ///< of the ops in it, the main one first
  std::string family, config, problem;
  std::vector<int64_t> sizes; ///< of the problem's symbols in this run
};

/// The kernels that `subject` gets, in order; none where it does not compile so far.
std::vector<SuspectKernel> kernelsOf(const Subject &subject, const CompileOptions &options, double timeout);

/// "right", or how the kernel differs from the interpreter when it is run alone, between guard pages.
std::string checkAlone(const SuspectKernel &kernel, const std::string &target, double timeout,
                       const CodeMaker &makeCode = {});

} // namespace kiln::reduce
