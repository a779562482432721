// What `kiln reduce` hands to kiln-reduce: the model, how it is compiled and run, and when it counts as failing.

#pragma once

#include "compiler/session/Options.h"

#include <string>
#include <vector>

namespace kiln::reduce {

struct Request {
  std::string model;  ///< absolute path
  std::string output; ///< of the reduced model
  std::string check;  ///< shell command that decides; empty: the interpreter does
  CompileOptions compile;
  std::vector<std::string> shapes;                             ///< as given, for compile.shapes
  std::vector<std::pair<std::string, std::string>> inputFiles; ///< name and .npy file of each input
  std::vector<std::string> runFlags;                           ///< the options of kiln run that repeat the failure
  int threads = 1;
  bool guardPages = false;
  double rtol = -1; ///< of the largest element of an output; negative: by its element type
  double atol = 0;
  double timeout = 60; ///< seconds of one try
  int tries = 5000;

  static Result<Request> read(const std::string &jsonFile);
};

} // namespace kiln::reduce
