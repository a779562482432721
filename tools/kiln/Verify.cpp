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
  size_t stored = 0, inFiles = 0;
  for (const Constant &constant : (*artifact)->program().constants) {
    stored += constant.inSection();
    inFiles += std::holds_alternative<FileSource>(constant.source);
  }
  std::string files = inFiles > 0 ? ", and " + counted(inFiles, "constant") + " in " +
                                        counted((*artifact)->program().files.size(), "file")
                                  : "";
  printf("%s is intact: plan, %s of code, %s of weights in %s%s\n", path.c_str(),
         printBytes(static_cast<double>((*artifact)->code().size())).c_str(),
         printBytes(static_cast<double>((*artifact)->weights().size())).c_str(), counted(stored, "constant").c_str(),
         files.c_str());
  return Success;
}

} // namespace kiln::tools
