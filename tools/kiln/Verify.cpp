// kiln verify: whether an artifact is as it was written; one for another machine, too.

#include "runtime/plan/Artifact.h"
#include "tools/kiln/Cli.h"

#include <cstdio>

namespace kiln::tools {

int verifyCommand(const std::string &path) {
  Result<std::shared_ptr<const Artifact>> artifact = Artifact::open(path);
  Status status = artifact.ok() ? (*artifact)->verifyWeights() : artifact.status();
  if (!status.ok())
    fail(Failed, formatError(status));
  printf("%s is intact: plan, %s of code, %s of weights in %s\n", path.c_str(),
         printBytes(static_cast<double>((*artifact)->code().size())).c_str(),
         printBytes(static_cast<double>((*artifact)->weights().size())).c_str(),
         counted((*artifact)->program().constants.size(), "constant").c_str());
  return Success;
}

} // namespace kiln::tools
