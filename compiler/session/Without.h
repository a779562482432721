// The parts of the compiler that one compilation leaves out, to find what miscompiles (WithoutTable.h).
#pragma once

#include "passes/Stages.h"
#include "runtime/base/Status.h"

#include <set>
#include <span>
#include <string>
#include <vector>

namespace kiln {

class Without {
public:
  /// Reads switches by their names; an unknown one is an error that lists them all (E0701).
  static Result<Without> parse(std::span<const std::string> names);

  bool operator()(std::string_view name) const { return names.count(name) > 0; }
  /// The nodes of kernel:NODE.
  const std::vector<std::string> &keptOut() const { return nodes; }
  /// Refuses switches that cannot act on IR which is past their stage already (E0703).
  Status checkStage(Stage reached) const;

private:
  std::set<std::string, std::less<>> names;
  std::vector<std::string> nodes;
};

} // namespace kiln
