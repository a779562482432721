#include "codegen/problem/TargetInfo.h"

#include "runtime/device/HostCpu.h"

namespace kiln {

namespace {

struct Level {
  std::string_view name;
  int vectorBits, vectorRegisters;
};
constexpr Level levels[] = {{"x86-64-v3", 256, 16}, {"x86-64-v4", 512, 32}};

/// Cache sizes that tile choices go by. Rows are named, never measured: "generic" fits every server core of the last
/// years.
struct Profile {
  std::string_view name;
  int64_t l1Bytes, l2Bytes, l3Bytes;
};
constexpr Profile profiles[] = {{"generic", 32 << 10, 512 << 10, 4 << 20}, {"large-l2", 48 << 10, 2 << 20, 4 << 20}};

constexpr std::string_view knownFeatures[] = {"amx", "bf16", "vnni"};

template <typename Row, size_t n> const Row *findRow(const Row (&table)[n], std::string_view name) {
  for (const Row &row : table)
    if (row.name == name)
      return &row;
  return nullptr;
}

bool isKnownFeature(std::string_view name) {
  for (std::string_view f : knownFeatures)
    if (f == name)
      return true;
  return false;
}

/// Fills what follows from level and profile.
Status derive(TargetInfo &target) {
  const Level *level = findRow(levels, target.level);
  if (!level)
    return makeError(
        ErrorCode::E0206, "target level \"", target.level,
        "\" is not known; expected host, x86-64-v3, x86-64-v4 (also with +amx, +bf16, +vnni) or interpreter");
  const Profile *profile = findRow(profiles, target.profile);
  if (!profile)
    return makeError(ErrorCode::E0206, "target profile \"", target.profile,
                     "\" is not known; expected generic or large-l2");
  for (const std::string &feature : target.features)
    if (!isKnownFeature(feature))
      return makeError(ErrorCode::E0206, "target feature \"", feature, "\" is not known; expected amx, bf16 or vnni");
  if (!target.features.empty() && level->vectorBits < 512)
    return makeError(ErrorCode::E0206, "target features need level x86-64-v4");
  target.vectorBits = level->vectorBits;
  target.vectorRegisters = level->vectorRegisters;
  target.l1Bytes = profile->l1Bytes;
  target.l2Bytes = profile->l2Bytes;
  target.l3Bytes = profile->l3Bytes;
  return Status();
}

} // namespace

std::string TargetInfo::print() const {
  std::string text = level;
  for (const std::string &feature : features)
    text += "+" + feature;
  if (profile != "generic")
    text += "@" + profile;
  return text;
}

Result<TargetInfo> TargetInfo::parse(std::string_view text) {
  TargetInfo target;
  if (size_t at = text.find('@'); at != std::string_view::npos) {
    target.profile = text.substr(at + 1);
    text = text.substr(0, at);
  }
  size_t plus = text.find('+');
  target.level = text.substr(0, plus);
  while (plus != std::string_view::npos) {
    text.remove_prefix(plus + 1);
    plus = text.find('+');
    target.features.emplace(text.substr(0, plus));
  }
  KILN_TRY(derive(target));
  return target;
}

std::string TargetInfo::llvmFeatures() const {
  std::string text;
  for (const std::string &feature : features)
    text += (text.empty() ? "" : ",") + (feature == "amx" ? std::string("+amx-tile,+amx-int8") : "+avx512" + feature);
  return text;
}

bool TargetInfo::runsHere() const { return checkHostRuns(print()).ok(); }

Result<TargetInfo> hostTarget() {
  TargetInfo target;
  if (!hostHas(target.level))
    return makeError(ErrorCode::E0206, "this machine is below ", target.level, " (AVX2, FMA and BMI2 are needed)");
  if (hostHas("x86-64-v4"))
    target.level = "x86-64-v4";
  for (const char *feature : {"amx", "vnni"})
    if (target.level == "x86-64-v4" && hostHas(feature))
      target.features.emplace(feature);
  KILN_TRY(derive(target));
  return target;
}

} // namespace kiln
