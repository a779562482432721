// Programs that tests build, as loaded models.
#pragma once

#include "test/runtime/TestProgram.h"

#include "runtime/exec/LoadedModel.h"

#include <catch2/catch.hpp>

namespace kiln::test {

inline std::shared_ptr<const LoadedModel> load(ProgramBuilder &b) {
  std::vector<std::byte> bytes = b.bytes();
  INFO(b.failure);
  REQUIRE(b.failure == "");
  auto artifact = Artifact::fromBytes(bytes);
  REQUIRE(artifact.ok());
  auto model = LoadedModel::create(*artifact);
  INFO(formatError(model.status()));
  REQUIRE(model.ok());
  return *model;
}

} // namespace kiln::test
