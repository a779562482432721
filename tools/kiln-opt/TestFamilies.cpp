#include "TestFamilies.h"

#include "codegen/Emission.h"
#include "dialects/kiln/OpTable.h"

#include <algorithm>
#include <initializer_list>

namespace kiln {
namespace {

bool isOneOf(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}
bool isPointwise(const Problem::Op &op) {
  const OpInfo *info = findOp(op.mnemonic);
  return info && info->elementwise;
}

class TestFamily : public KernelFamily {
public:
  int version() const override { return 1; }
  std::vector<Config> candidates(const Problem &problem, const TargetInfo &target) const override {
    return {defaultConfig(problem, target), Config{{"tile", int64_t(2)}}};
  }
  Config defaultConfig(const Problem &, const TargetInfo &) const override { return {{"tile", int64_t(1)}}; }
  Result<KernelInterface> describeLaunches(const Problem &, const Config &, const TargetInfo &) const override {
    return KernelInterface();
  }
  void emitLaunches(const Problem &, const Config &, const TargetInfo &, const KernelInterface &,
                    emit::Emitter &) const override {}
  Exactness exactness(const Problem &, const Config &) const override { return {}; }
  double cycles(const Problem &, const Config &, const TargetInfo &, const SymbolValues &) const override { return 0; }

protected:
  /// The one op among `anchors`, when every other op is elementwise or (before it) among `prologue`.
  const Problem::Op *anchor(const Problem &problem, std::initializer_list<std::string_view> anchors,
                            std::initializer_list<std::string_view> prologue) const {
    const Problem::Op *found = nullptr;
    for (const Problem::Op &op : problem.ops) {
      if (isOneOf(op.mnemonic, anchors)) {
        if (found)
          return nullptr;
        found = &op;
      } else if (!isPointwise(op) && (found || !isOneOf(op.mnemonic, prologue))) {
        return nullptr;
      }
    }
    return found;
  }
};

struct ContractionFamily : TestFamily {
  std::string_view name() const override { return "test.contraction"; }
  bool claims(const Problem &problem) const override {
    const Problem::Op *op = anchor(problem, {"matmul", "conv", "attention"}, {"transpose", "slice", "reshape"});
    if (!op)
      return false;
    // Elementwise ops come after it, at its dims; transposes and slices before it, two transposes only beside a
    // reshape.
    int transposes = 0, reshapes = 0;
    for (const Problem::Op &other : problem.ops) {
      transposes += other.mnemonic == "transpose";
      reshapes += other.mnemonic == "reshape";
      if (isPointwise(other) &&
          (other.result() < op->result() || !(problem.value(other.result()).dims == problem.value(op->result()).dims)))
        return false;
    }
    return transposes < 2 || reshapes > 0;
  }
  std::optional<std::string> layoutPreference(const Problem &problem) const override {
    return isOneOf(problem.ops[0].mnemonic, {"conv", "max_pool", "avg_pool"}) ? std::optional<std::string>("nhwc")
                                                                              : std::nullopt;
  }
};

struct SweepFamily : TestFamily {
  std::string_view name() const override { return "test.sweep"; }
  bool claims(const Problem &problem) const override {
    return anchor(problem,
                  {"softmax", "log_softmax", "layer_norm", "rms_norm", "group_norm", "reduce", "max_pool", "avg_pool"},
                  {});
  }
};

struct PointwiseFamily : TestFamily {
  std::string_view name() const override { return "test.pointwise"; }
  bool claims(const Problem &problem) const override {
    return std::all_of(problem.ops.begin(), problem.ops.end(), isPointwise);
  }
};

struct MovementFamily : TestFamily {
  std::string_view name() const override { return "test.movement"; }
  bool claims(const Problem &problem) const override {
    return problem.ops.size() == 1 &&
           isOneOf(problem.ops[0].mnemonic, {"transpose", "gather", "concat", "slice", "pad"});
  }
};

} // namespace

std::span<const KernelFamily *const> testFamilies() {
  static const ContractionFamily contraction;
  static const SweepFamily sweep;
  static const PointwiseFamily pointwise;
  static const MovementFamily movement;
  static const KernelFamily *const all[] = {&contraction, &sweep, &pointwise, &movement};
  return all;
}

} // namespace kiln
