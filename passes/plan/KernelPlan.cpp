#include "passes/plan/KernelPlan.h"

#include "dialects/kiln/SizeTable.h"
#include "mlir/IR/Builders.h"

#include <map>

using namespace mlir;

namespace kiln {
namespace {

constexpr StringLiteral bufferKinds[] = {"in", "packed", "out", "workspace"};

std::string printBuffer(const KernelPlan::Buffer &buffer) {
  std::string text = bufferKinds[static_cast<int>(buffer.kind)].str();
  return buffer.kind == KernelPlan::Buffer::Kind::Workspace ? text : text + std::to_string(buffer.index);
}

bool parseBuffer(StringRef text, KernelPlan::Buffer &buffer) {
  for (int kind = 0; kind < 4; ++kind) {
    StringRef rest = text;
    if (!rest.consume_front(bufferKinds[kind]))
      continue;
    buffer = {static_cast<KernelPlan::Buffer::Kind>(kind), 0};
    return kind == 3 ? rest.empty() : !rest.getAsInteger(10, buffer.index) && buffer.index >= 0;
  }
  return false;
}

/// Reads the attributes of one kernel; the first problem is kept and everything after it yields
/// defaults.
class Reader {
public:
  Reader(KernelOp op) : op(op) {}

  StringRef text(DictionaryAttr in, StringRef name) {
    if (auto attr = in.getAs<StringAttr>(name))
      return attr.getValue();
    fail(name);
    return "";
  }
  int64_t number(DictionaryAttr in, StringRef name) {
    if (auto attr = in.getAs<IntegerAttr>(name))
      return attr.getInt();
    fail(name);
    return 0;
  }
  ArrayRef<mlir::Attribute> list(DictionaryAttr in, StringRef name) {
    if (auto attr = in.getAs<ArrayAttr>(name))
      return attr.getValue();
    fail(name);
    return {};
  }
  SizeExpr size(StringRef name, StringRef text) {
    Result<SizeExpr> expr = SizeExpr::parse(std::string_view(text));
    if (expr.ok())
      return expr->substitute(symbols);
    fail(name);
    return 0;
  }
  SizeExpr size(DictionaryAttr in, StringRef name) { return size(name, text(in, name)); }
  std::vector<SizeExpr> sizes(StringRef name, ArrayRef<mlir::Attribute> texts) {
    std::vector<SizeExpr> result;
    for (mlir::Attribute text : texts)
      result.push_back(size(name, isa<StringAttr>(text) ? cast<StringAttr>(text).getValue() : StringRef("?")));
    return result;
  }
  void fail(StringRef name) {
    if (status.ok())
      status = makeError(ErrorCode::E0313, "a kernel has no implementation yet, or a damaged one: attribute ",
                         name.str(), "; stage `configured` is needed here");
  }

  KernelOp op;
  std::map<std::string, SizeExpr> symbols;
  Status status;
};

} // namespace

void KernelPlan::write(KernelOp op) const {
  Builder b(op.getContext());
  auto text = [&](const SizeExpr &size) { return b.getStringAttr(size.print()); };
  auto entry = [&](StringRef name, mlir::Attribute value) { return b.getNamedAttr(name, value); };
  auto texts = [&](ArrayRef<SizeExpr> sizes) {
    return b.getArrayAttr(llvm::map_to_vector(sizes, [&](const SizeExpr &s) -> mlir::Attribute { return text(s); }));
  };
  SmallVector<mlir::Attribute> launchList, packedList, inPlaceList, dimsList;
  for (const Launch &launch : launches) {
    SmallVector<mlir::Attribute> buffers;
    for (const Buffer &buffer : launch.buffers)
      buffers.push_back(b.getStringAttr(printBuffer(buffer)));
    launchList.push_back(
        b.getDictionaryAttr({entry("buffers", b.getArrayAttr(buffers)), entry("sizes", texts(launch.sizes)),
                             entry("grid", text(launch.grid)), entry("scratch", text(launch.scratch))}));
  }
  for (const Packed &part : packed)
    packedList.push_back(b.getDictionaryAttr({entry("input", b.getI64IntegerAttr(part.input)),
                                              entry("recipe", b.getStringAttr(part.recipe)),
                                              entry("type", b.getStringAttr(part.type))}));
  for (const InPlace &pair : inPlace)
    inPlaceList.push_back(b.getDictionaryAttr(
        {entry("output", b.getI64IntegerAttr(pair.output)), entry("input", b.getI64IntegerAttr(pair.input))}));
  for (const std::vector<SizeExpr> &value : dims)
    dimsList.push_back(texts(value));
  op->setAttr("packed", b.getArrayAttr(packedList));
  op->setAttr("plan", b.getDictionaryAttr(
                          {entry("launches", b.getArrayAttr(launchList)), entry("dims", b.getArrayAttr(dimsList)),
                           entry("in_place", b.getArrayAttr(inPlaceList)), entry("workspace", text(workspace)),
                           entry("flops", text(flops)), entry("bytes", text(bytes))}));
}

Result<KernelPlan> KernelPlan::read(KernelOp op) {
  Reader reader(op);
  auto plan = op->getAttrOfType<DictionaryAttr>("plan");
  auto packedList = op->getAttrOfType<ArrayAttr>("packed");
  if (!plan || !packedList) {
    reader.fail("plan");
    return reader.status;
  }
  KernelPlan result;
  int operands = static_cast<int>(op->getNumOperands()), results = static_cast<int>(op->getNumResults());
  std::map<std::string, SizeExpr> symbols;
  for (auto [i, symbol] : llvm::enumerate(reader.list(op->getAttrDictionary(), "sizes"))) {
    auto value = dyn_cast<StringAttr>(symbol);
    Result<SizeExpr> size = value ? SizeExpr::parse(std::string_view(value.getValue())) : Result<SizeExpr>(0);
    if (!value || !size.ok())
      reader.fail("sizes");
    else
      symbols["d" + std::to_string(i)] = *size;
  }
  reader.symbols = std::move(symbols);
  for (mlir::Attribute element : packedList) {
    auto part = dyn_cast<DictionaryAttr>(element);
    if (!part) {
      reader.fail("packed");
      continue;
    }
    result.packed.push_back({static_cast<int>(reader.number(part, "input")), reader.text(part, "recipe").str(),
                             reader.text(part, "type").str()});
    if (result.packed.back().input < 0 || result.packed.back().input >= operands)
      reader.fail("packed");
  }
  for (mlir::Attribute element : reader.list(plan, "in_place")) {
    auto pair = dyn_cast<DictionaryAttr>(element);
    if (!pair) {
      reader.fail("in_place");
      continue;
    }
    result.inPlace.push_back(
        {static_cast<int>(reader.number(pair, "output")), static_cast<int>(reader.number(pair, "input"))});
    if (result.inPlace.back().output < 0 || result.inPlace.back().output >= results ||
        result.inPlace.back().input < 0 || result.inPlace.back().input >= operands)
      reader.fail("in_place");
  }
  for (mlir::Attribute element : reader.list(plan, "launches")) {
    auto dict = dyn_cast<DictionaryAttr>(element);
    if (!dict) {
      reader.fail("launches");
      continue;
    }
    Launch launch;
    for (mlir::Attribute text : reader.list(dict, "buffers")) {
      Buffer buffer{};
      auto string = dyn_cast<StringAttr>(text);
      int limit[] = {operands, static_cast<int>(result.packed.size()), results, 1};
      if (!string || !parseBuffer(string.getValue(), buffer) || buffer.index >= limit[static_cast<int>(buffer.kind)])
        reader.fail("buffers");
      launch.buffers.push_back(buffer);
    }
    launch.sizes = reader.sizes("sizes", reader.list(dict, "sizes"));
    launch.grid = reader.size(dict, "grid");
    launch.scratch = reader.size(dict, "scratch");
    result.launches.push_back(std::move(launch));
  }
  SmallVector<Value> values(op->getOperands());
  llvm::append_range(values, op->getResults());
  ArrayRef<mlir::Attribute> dims = reader.list(plan, "dims");
  if (dims.size() != values.size())
    reader.fail("dims");
  for (auto [value, texts] : llvm::zip(values, dims)) {
    auto list = dyn_cast<ArrayAttr>(texts);
    if (list && int64_t(list.size()) == getRank(value.getType()))
      result.dims.push_back(reader.sizes("dims", list.getValue()));
    else
      reader.fail("dims");
  }
  result.workspace = reader.size(plan, "workspace");
  result.flops = reader.size(plan, "flops");
  result.bytes = reader.size(plan, "bytes");
  if (!reader.status.ok())
    return reader.status;
  return result;
}

void writeWork(Operation *op, const SizeExpr &flops, const SizeExpr &bytes) {
  Builder b(op->getContext());
  op->setAttr("kiln.flops", b.getStringAttr(flops.print()));
  op->setAttr("kiln.bytes", b.getStringAttr(bytes.print()));
}

SizeExpr readWork(Operation *op, StringRef name) {
  auto text = op->getAttrOfType<StringAttr>(name);
  if (!text)
    return 0;
  Result<SizeExpr> size = SizeExpr::parse(std::string_view(text.getValue()));
  return size.ok() ? *size : SizeExpr(0);
}

} // namespace kiln
