#include "codegen/families/conv/Convolution.h"

#include "codegen/families/gemm/IntegerOperands.h"

#include <algorithm>

namespace kiln {

namespace {

/// Reads a list attribute of `count` integers; false where it has another length or a value below `least`.
bool readInts(const Attributes &attributes, std::string_view name, size_t count, int64_t fallback, int64_t least,
              std::vector<int64_t> &into) {
  into = attributes.getInts(name, std::vector<int64_t>(count, fallback));
  return into.size() == count && std::all_of(into.begin(), into.end(), [&](int64_t v) { return v >= least; });
}

} // namespace

bool Convolution::padded() const {
  auto positive = [](int64_t pad) { return pad > 0; };
  return std::any_of(padsBegin.begin(), padsBegin.end(), positive) ||
         std::any_of(padsEnd.begin(), padsEnd.end(), positive);
}

std::optional<Convolution> Convolution::of(const Problem &problem) {
  const Problem::Op *op = nullptr;
  for (const Problem::Op &candidate : problem.ops)
    if (candidate.mnemonic == "conv") {
      if (op)
        return std::nullopt;
      op = &candidate;
    }
  if (!op || op->operands.size() < 2 || op->attributes.getString("layout") != "nhwc" ||
      !op->attributes.getString("auto_pad").empty())
    return std::nullopt;
  Convolution c;
  c.input = op->operands[0];
  c.bias = op->operands.size() > 2 ? op->operands[2] : Problem::absent;
  c.result = op->result();
  DType dtype = problem.value(c.result).dtype;
  auto operands = gemm::productOperands(problem, dtype, c.input, op->operands[1]);
  if (!operands || (c.bias != Problem::absent && !problem.isBufferOf(dtype, c.bias)))
    return std::nullopt;
  c.types = operands->types;
  c.filter = operands->b;
  const Problem::Value &x = problem.value(c.input), &w = problem.value(c.filter), &y = problem.value(c.result);
  if (x.rank() < 3 || x.rank() > 5 || w.rank() != x.rank() || y.rank() != x.rank())
    return std::nullopt;
  size_t spatial = static_cast<size_t>(x.rank()) - 2;
  std::vector<int64_t> pads;
  if (!readInts(op->attributes, "strides", spatial, 1, 1, c.strides) ||
      !readInts(op->attributes, "dilations", spatial, 1, 1, c.dilations) ||
      !readInts(op->attributes, "pads", 2 * spatial, 0, 0, pads))
    return std::nullopt;
  c.padsBegin.assign(pads.begin(), pads.begin() + static_cast<std::ptrdiff_t>(spatial));
  c.padsEnd.assign(pads.begin() + static_cast<std::ptrdiff_t>(spatial), pads.end());
  c.groups = op->attributes.getInt("groups", 1);
  c.batch = x.dims.front();
  c.channels = x.dims.back();
  c.outputs = w.dims[0];
  c.groupChannels = c.filterChannels = w.dims[1];
  c.in.assign(x.dims.begin() + 1, x.dims.end() - 1);
  c.out.assign(y.dims.begin() + 1, y.dims.end() - 1);
  c.kernel.assign(w.dims.begin() + 2, w.dims.end());
  c.constantFilter = w.kind == Problem::Kind::Const;
  if (c.groups < 1 || !(y.dims.back() == c.outputs) || !(y.dims.front() == c.batch))
    return std::nullopt;
  if (c.groups > 1 && (c.outputs.knownDivisor() % c.groups != 0 || !(c.groupChannels * c.groups == c.channels)))
    return std::nullopt;
  bool staticFilter = std::all_of(w.dims.begin(), w.dims.end(), [](const SizeExpr &d) { return d.isConstant(); });
  if (c.constantFilter && !staticFilter)
    return std::nullopt;
  // A constant filter says how many channels there are; the dim of x may be an expression of the model's sizes.
  if (c.constantFilter)
    c.channels = c.groupChannels * c.groups;
  // A filter that also takes part elsewhere would be needed in two layouts.
  if (!gemm::isReadOnce(problem, op->operands[1]))
    return std::nullopt;
  std::vector<Problem::ValueId> read = gemm::buffersBelow(problem, c.input);
  read.insert(read.end(), {c.filter, c.bias});
  for (const Problem::InPlace &pair : problem.inPlace)
    if (std::ranges::find(read, problem.inputs().at(static_cast<size_t>(pair.input))) != read.end())
      return std::nullopt;
  if (c.constantFilter && gemm::isByte(c.types.source) && c.groupChannels.constant() % 2 == 0 &&
      gemm::fitsI16(problem, c.input)) {
    c.types.row = DType::I16;
    c.types.kPack = 2;
  }
  c.copiesInput = c.types.widens() || !problem.value(c.input).isBuffer();
  return c;
}

std::optional<Convolution> Convolution::of(const Problem &problem, const TargetInfo &target) {
  std::optional<Convolution> c = of(problem);
  if (!c || !c->constantFilter)
    return c;
  auto rows = gemm::byteRows(problem, c->types, c->input, target);
  if (!rows || (rows->types.zeroOfRun && c->groupChannels.constant() % 4 != 0))
    return c;
  c->zero = rows->zero;
  c->types = rows->types;
  c->input = rows->a;
  c->copiesInput = false;
  int64_t channels = c->groupChannels.constant(), padded = gemm::PaddedRows::paddedLength(channels);
  if (channels != padded) {
    SizeExpr count = c->batch * SizeExpr::product(c->in) * c->groups;
    c->paddedRows = gemm::PaddedRows{rows->a, count, channels, c->types.rowZero};
    c->groupChannels = padded;
    c->channels = padded * c->groups;
  }
  return c;
}

} // namespace kiln
