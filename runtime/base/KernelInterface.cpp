#include "runtime/base/KernelInterface.h"

#include "runtime/base/TextScanner.h"

#include <algorithm>
#include <set>
#include <utility>

namespace kiln {
namespace {

constexpr std::pair<std::string_view, KernelOperand::Kind> operandKinds[] = {
    {"in", KernelOperand::Kind::Input},
    {"packed", KernelOperand::Kind::Packed},
    {"out", KernelOperand::Kind::Output},
    {"workspace", KernelOperand::Kind::Workspace}};

Status malformed(const TextScanner &scanner, std::string_view what) {
  return scanner.fail(ErrorCode::E0805, "kernel interface: expected " + std::string(what));
}

/// Reads the text form. The first error ends it.
class Parser {
public:
  explicit Parser(std::string_view text) : s(text) {}

  Result<KernelInterface> run() {
    do {
      KILN_TRY(statement());
    } while (s.consume(';'));
    if (!s.atEnd())
      return malformed(s, "; or the end");
    KILN_TRY(k.verify());
    return std::move(k);
  }

private:
  Status statement() {
    std::string_view keyword = s.identifier();
    if (keyword == "sizes")
      return symbols();
    if (keyword == "in" || keyword == "out")
      return port(keyword == "in" ? k.inputs : k.outputs);
    if (keyword == "in_place") {
      KernelOperand out, in;
      KILN_TRY(operand(out));
      KILN_TRY(operand(in));
      if (out.kind != KernelOperand::Kind::Output || in.kind != KernelOperand::Kind::Input)
        return malformed(s, "an output and an input before this");
      k.inPlace.push_back({out.index, in.index});
      return Status();
    }
    if (keyword == "packed") {
      KernelOperand in;
      std::string recipe;
      KILN_TRY(operand(in));
      if (in.kind != KernelOperand::Kind::Input)
        return malformed(s, "an input before this");
      KILN_TRY(bracketed('"', '"', recipe));
      KILN_ASSIGN(Recipe parsed, Recipe::parse(recipe));
      k.packed.push_back({in.index, std::move(parsed)});
      return Status();
    }
    if (keyword == "workspace")
      return size(k.workspaceBytes);
    if (keyword == "launch")
      return launch();
    return malformed(s, "sizes, in, out, in_place, packed, workspace or launch");
  }

  /// The text between two characters, which it cannot hold.
  Status bracketed(char open, char close, std::string &text) {
    size_t end = s.consume(open) ? s.remaining().find(close) : std::string_view::npos;
    if (end == std::string_view::npos)
      return malformed(s, std::string(1, open) + " ... " + close);
    text = s.take(end);
    s.consume(close);
    return Status();
  }
  Status symbols() {
    if (!s.consume('['))
      return malformed(s, "[");
    if (s.consume(']'))
      return Status();
    do
      k.symbols.emplace_back(s.identifier());
    while (s.consume(','));
    return s.consume(']') ? Status() : malformed(s, "]");
  }
  Status port(std::vector<KernelInterface::Port> &ports) {
    KernelInterface::Port port;
    std::optional<DType> dtype = dtypeFromName(s.identifier());
    if (!dtype)
      return malformed(s, "an element type before this");
    port.dtype = *dtype;
    std::string dims;
    KILN_TRY(bracketed('[', ']', dims));
    KILN_ASSIGN(port.dims, parseSizes(dims));
    ports.push_back(std::move(port));
    return Status();
  }
  Status operand(KernelOperand &operand) {
    std::string_view text = s.identifier();
    for (auto [name, kind] : operandKinds) {
      if (!text.starts_with(name))
        continue;
      std::string_view digits = text.substr(name.size());
      uint32_t index = 0;
      auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
      bool indexed = error == std::errc() && end == digits.data() + digits.size();
      if (kind == KernelOperand::Kind::Workspace ? digits.empty() : indexed) {
        operand = {kind, index};
        return Status();
      }
    }
    return malformed(s, "in<i>, packed<i>, out<i> or workspace before this");
  }
  Status size(SizeExpr &size) {
    std::string text;
    KILN_TRY(bracketed('[', ']', text));
    KILN_ASSIGN(size, SizeExpr::parse(text));
    return Status();
  }
  Status launch() {
    KernelInterface::Launch launch;
    launch.name = s.identifier();
    if (launch.name.empty() || !s.consume('('))
      return malformed(s, "a name and (");
    if (!s.consume(')')) {
      do
        KILN_TRY(operand(launch.operands.emplace_back()));
      while (s.consume(','));
      if (!s.consume(')'))
        return malformed(s, ")");
    }
    for (auto [name, field] : {std::pair("grid", &launch.grid), std::pair("scratch", &launch.scratchBytes),
                               std::pair("flops", &launch.flops), std::pair("bytes", &launch.bytes)}) {
      if (s.identifier() != name)
        return malformed(s, std::string(name) + " before this");
      KILN_TRY(size(*field));
    }
    k.launches.push_back(std::move(launch));
    return Status();
  }

  TextScanner s;
  KernelInterface k;
};

} // namespace

std::string KernelOperand::print() const {
  std::string text(operandKinds[size_t(kind)].first);
  return kind == Kind::Workspace ? text : text + std::to_string(index);
}

std::vector<KernelOperand> KernelInterface::operands() const {
  std::set<KernelOperand> taken;
  for (const Launch &launch : launches)
    taken.insert(launch.operands.begin(), launch.operands.end());
  if (!workspaceBytes.isConstant(0))
    taken.insert(KernelOperand::workspace());
  return {taken.begin(), taken.end()};
}

const KernelInterface::Port &KernelInterface::port(const KernelOperand &operand) const {
  return operand.kind == KernelOperand::Kind::Input ? inputs[operand.index] : outputs[operand.index];
}

Result<RecipeType> KernelInterface::packedType(size_t index) const {
  const Port &from = inputs[packed[index].input];
  std::vector<int64_t> dims;
  for (const SizeExpr &dim : from.dims)
    dims.push_back(dim.asConstant().value_or(-1));
  return recipeType(from.dtype, dims, packed[index].recipe);
}

SizeExpr KernelInterface::flops() const {
  SizeExpr sum = 0;
  for (const Launch &launch : launches)
    sum = sum + launch.flops;
  return sum;
}

SizeExpr KernelInterface::bytes() const {
  SizeExpr sum = 0;
  for (const Launch &launch : launches)
    sum = sum + launch.bytes;
  return sum;
}

std::string KernelInterface::print() const {
  std::string text = "sizes [";
  for (size_t i = 0; i < symbols.size(); ++i)
    text += (i ? "," : "") + symbols[i];
  text += "]";
  for (auto [keyword, ports] : {std::pair("; in ", &inputs), std::pair("; out ", &outputs)})
    for (const Port &port : *ports)
      text += keyword + std::string(dtypeName(port.dtype)) + printSizes(port.dims);
  for (const InPlace &pair : inPlace)
    text += "; in_place out" + std::to_string(pair.output) + " in" + std::to_string(pair.input);
  for (const Packed &part : packed)
    text += "; packed in" + std::to_string(part.input) + " \"" + part.recipe.print() + "\"";
  if (!workspaceBytes.isConstant(0))
    text += "; workspace [" + workspaceBytes.print() + "]";
  for (const Launch &launch : launches) {
    text += "; launch " + launch.name + "(";
    for (const KernelOperand &operand : launch.operands)
      text += (&operand == launch.operands.data() ? "" : ",") + operand.print();
    text += ") grid [" + launch.grid.print() + "] scratch [" + launch.scratchBytes.print() + "] flops [" +
            launch.flops.print() + "] bytes [" + launch.bytes.print() + "]";
  }
  return text;
}

Result<KernelInterface> KernelInterface::parse(std::string_view text) { return Parser(text).run(); }

Status KernelInterface::verify() const {
  auto wrong = [](const auto &...what) { return makeError(ErrorCode::E0805, "kernel interface: ", what...); };
  std::set<std::string> known;
  for (const std::string &symbol : symbols)
    if (symbol.empty() || !known.insert(symbol).second)
      return wrong("size '", symbol, "' is malformed or named twice");
  auto check = [&](const SizeExpr &size) {
    std::set<std::string> used;
    size.collectSymbols(used);
    for (const std::string &name : used)
      if (!known.count(name))
        return wrong("size ", size.print(), " uses ", name, ", which is none of its sizes");
    return size.isInvalid() || (size.isConstant() && size.constant() < 0) ? wrong("a size is negative or overflows")
                                                                          : Status();
  };
  for (const auto *ports : {&inputs, &outputs})
    for (const Port &port : *ports)
      for (const SizeExpr &dim : port.dims)
        KILN_TRY(check(dim));
  for (const InPlace &pair : inPlace)
    if (pair.output >= outputs.size() || pair.input >= inputs.size())
      return wrong("an in-place pair names no output or input");
  for (size_t i = 0; i < packed.size(); ++i) {
    if (packed[i].input >= inputs.size())
      return wrong("packed", i, " names no input");
    KILN_TRY(packedType(i).status());
  }
  KILN_TRY(check(workspaceBytes));
  size_t limits[] = {inputs.size(), packed.size(), outputs.size(), !workspaceBytes.isConstant(0)};
  for (const Launch &launch : launches) {
    for (const KernelOperand &operand : launch.operands)
      if (operand.index >= limits[size_t(operand.kind)])
        return wrong("launch ", launch.name, " takes ", operand.print(), ", which does not exist");
    for (const SizeExpr &size : {launch.grid, launch.scratchBytes, launch.flops, launch.bytes})
      KILN_TRY(check(size));
  }
  return Status();
}

} // namespace kiln
