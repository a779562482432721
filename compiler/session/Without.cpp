#include "compiler/session/Without.h"

#include "compiler/session/WithoutTable.h"

#include <algorithm>

namespace kiln {

static constexpr std::string_view kernelPrefix = "kernel:";

Result<Without> Without::parse(std::span<const std::string> given) {
  Without without;
  for (const std::string &name : given) {
    if (name.starts_with(kernelPrefix)) {
      without.nodes.push_back(name.substr(kernelPrefix.size()));
      continue;
    }
    if (!std::ranges::any_of(conservativeSwitches, [&](const ConservativeSwitch &s) { return s.name == name; })) {
      std::string known;
      for (const ConservativeSwitch &s : conservativeSwitches)
        known += (known.empty() ? "" : ", ") + std::string(s.name);
      return makeError(ErrorCode::E0701, "without \"", name, "\": that is nothing to leave out; there are ", known);
    }
    without.names.insert(name);
  }
  return without;
}

Status Without::checkStage(Stage reached) const {
  for (const ConservativeSwitch &s : conservativeSwitches) {
    bool isNode = s.name.starts_with(kernelPrefix);
    if ((isNode ? !nodes.empty() : (*this)(s.name)) && reached >= parseStage(s.stage))
      return makeError(ErrorCode::E0703, "without \"",
                       isNode ? std::string(kernelPrefix) + nodes[0] : std::string(s.name),
                       "\": has no effect on IR at stage ", stageName(reached), "; it acts up to stage ", s.stage);
  }
  return Status::success();
}

} // namespace kiln
