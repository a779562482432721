#include "codegen/problem/InPlace.h"

#include "dialects/kiln/OpTable.h"

#include <algorithm>
#include <optional>

namespace kiln {

/// Whether what is computed from input `id` stays at its position (or row). `infos`: of the problem's ops.
static bool staysInPlace(const Problem &problem, const std::vector<const OpInfo *> &infos, Problem::ValueId id) {
  std::vector<char> derived(problem.values.size(), 0);
  derived[id] = 1;
  int sweeps = 0;
  for (size_t k = 0; k < problem.ops.size(); ++k) {
    const Problem::Op &op = problem.ops[k];
    const OpInfo *info = infos[k];
    bool sweep = info && info->rowwise;
    bool reads = false;
    for (size_t i = 0; i < op.operands.size(); ++i) {
      if (op.operands[i] == Problem::absent || !derived[op.operands[i]])
        continue;
      reads = true;
      if (sweep && i > 0)
        return false;
    }
    if (!reads)
      continue;
    if (!info || (!info->elementwise && !sweep) || op.results.size() != 1)
      return false;
    if (!(problem.value(op.result()).dims == problem.value(id).dims))
      return false;
    for (Problem::ValueId operand : op.operands)
      if (operand != Problem::absent && derived[operand] && !(problem.value(operand).dims == problem.value(id).dims))
        return false;
    sweeps += sweep;
    derived[op.result()] = 1;
  }
  return sweeps == 0 || (sweeps == 1 && problem.outputs.size() == 1);
}

std::vector<Problem::InPlace> inferInPlace(const Problem &problem) {
  std::vector<Problem::InPlace> facts;
  std::vector<Problem::ValueId> inputs = problem.inputs();
  std::vector<const OpInfo *> infos;
  for (const Problem::Op &op : problem.ops)
    infos.push_back(findOp(op.mnemonic));
  std::vector<std::optional<bool>> stays(inputs.size());
  for (size_t k = 0; k < problem.outputs.size(); ++k) {
    const Problem::Value &out = problem.value(problem.outputs[k]);
    for (size_t j = 0; j < inputs.size(); ++j) {
      const Problem::Value &in = problem.value(inputs[j]);
      if (in.kind != Problem::Kind::Input || in.dtype != out.dtype || !(in.dims == out.dims))
        continue;
      if (!stays[j])
        stays[j] = staysInPlace(problem, infos, inputs[j]);
      if (*stays[j])
        facts.push_back({int(k), int(j)});
    }
  }
  return facts;
}

} // namespace kiln
