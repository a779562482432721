// Einsum: a fold of matrix products over pairs of operands, with sums and transposes around them.
#include "compiler/import/onnx/OpTable.h"

#include <algorithm>

namespace kiln::onnx {
namespace {

/// One label per dim: the letter of the equation, or a number from 256 on for the dims of an
/// ellipsis (counted from the end, as they broadcast).
using Labels = std::vector<int>;

bool contains(const Labels &labels, int label) {
  return std::find(labels.begin(), labels.end(), label) != labels.end();
}

struct Equation {
  std::vector<Labels> operands;
  Labels output;
};

struct Term {
  Value value;
  Labels labels;
};

size_t positionOf(const Term &term, int label) {
  return size_t(std::find(term.labels.begin(), term.labels.end(), label) - term.labels.begin());
}

Status expectOneEllipsis(std::string_view term) {
  size_t first = term.find("...");
  if (first == std::string_view::npos || term.find("...", first + 3) == std::string_view::npos)
    return Status();
  return makeError(ErrorCode::E0411, "term \"", term, "\" has two ellipses");
}

Result<Labels> parseTerm(std::string_view text, size_t ellipsisRank) {
  Labels labels;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
      labels.push_back(c);
    } else if (text.substr(i, 3) == "...") {
      for (size_t k = ellipsisRank; k > 0; --k)
        labels.push_back(int(255 + k));
      i += 2;
    } else {
      return makeError(ErrorCode::E0411, "the equation holds \"", text, "\"");
    }
  }
  return labels;
}

Result<Equation> parse(NodeImport &node, const std::vector<Value> &values) {
  KILN_TRY(node.requireAttribute("equation"));
  KILN_ASSIGN(std::string text, node.textAttribute("equation", ""));
  std::erase(text, ' ');
  size_t arrow = text.find("->");
  std::string_view inputs = std::string_view(text).substr(0, arrow);
  std::vector<std::string_view> terms;
  for (size_t at = 0; at <= inputs.size();) {
    size_t comma = std::min(inputs.find(',', at), inputs.size());
    terms.push_back(inputs.substr(at, comma - at));
    at = comma + 1;
  }
  if (terms.size() != values.size())
    return makeError(ErrorCode::E0306, "the equation has ", terms.size(), " terms for ", values.size(), " inputs");
  Equation equation;
  size_t ellipsisRank = 0;
  for (size_t i = 0; i < terms.size(); ++i) {
    KILN_TRY(expectOneEllipsis(terms[i]));
    size_t rank = size_t(node.rank(values[i])), own = 0;
    if (terms[i].find("...") != std::string_view::npos) {
      if (rank + 3 < terms[i].size())
        return makeError(ErrorCode::E0304, "term \"", terms[i], "\" does not fit an operand of rank ", rank);
      own = rank + 3 - terms[i].size();
    }
    ellipsisRank = std::max(ellipsisRank, own);
    KILN_ASSIGN(Labels labels, parseTerm(terms[i], own));
    if (labels.size() != rank)
      return makeError(ErrorCode::E0304, "term \"", terms[i], "\" does not fit an operand of rank ", rank);
    Labels sorted = labels;
    std::sort(sorted.begin(), sorted.end());
    if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
      return makeError(ErrorCode::E0205, "term \"", terms[i], "\" takes a diagonal, which is not supported");
    equation.operands.push_back(labels);
  }
  if (arrow != std::string::npos) {
    std::string_view output = std::string_view(text).substr(arrow + 2);
    KILN_TRY(expectOneEllipsis(output));
    KILN_ASSIGN(equation.output, parseTerm(output, ellipsisRank));
  } else { // the ellipsis, then every label that occurs once, in alphabetical order
    Labels all;
    for (const Labels &labels : equation.operands)
      all.insert(all.end(), labels.begin(), labels.end());
    KILN_ASSIGN(equation.output, parseTerm("...", ellipsisRank));
    for (int label = 0; label < 128; ++label)
      if (std::count(all.begin(), all.end(), label) == 1)
        equation.output.push_back(label);
  }
  for (size_t i = 0; i < equation.output.size(); ++i) {
    bool known = false;
    for (const Labels &labels : equation.operands)
      known |= contains(labels, equation.output[i]);
    if (!known || std::count(equation.output.begin(), equation.output.end(), equation.output[i]) > 1)
      return makeError(ErrorCode::E0411, "the equation's output does not follow from its inputs");
  }
  return equation;
}

/// The term with its dims in the order of `labels`, which are the same ones.
Result<Term> arrange(NodeImport &node, const Term &term, const Labels &labels) {
  Ints perm;
  for (int label : labels)
    perm.push_back(int64_t(positionOf(term, label)));
  if (std::is_sorted(perm.begin(), perm.end()))
    return term;
  KILN_ASSIGN(Value moved, node.transpose(term.value, perm));
  return Term{moved, labels};
}

/// Sums over the labels that nothing needs any more.
Result<Term> sumAway(NodeImport &node, const Term &term, const Labels &needed) {
  Ints axes;
  Labels kept;
  for (size_t i = 0; i < term.labels.size(); ++i) {
    if (contains(needed, term.labels[i]))
      kept.push_back(term.labels[i]);
    else
      axes.push_back(int64_t(i));
  }
  if (axes.empty())
    return term;
  Attributes attributes;
  attributes.set("kind", "sum");
  attributes.set("axes", axes);
  attributes.set("keepdims", 0);
  KILN_ASSIGN(Value sum, node.emit("reduce", {term.value}, attributes));
  return Term{sum, kept};
}

/// The term as [batch.., rows, columns], each of the last two taken as one dim.
Result<Value> asMatrix(NodeImport &node, const Term &term, size_t batch, size_t rows) {
  Dims dims = node.dims(term.value);
  Dims matrix(dims.begin(), dims.begin() + batch);
  matrix.push_back(SizeExpr::product(std::span<const SizeExpr>(dims.begin() + batch, rows)));
  matrix.push_back(SizeExpr::product(std::span<const SizeExpr>(dims.begin() + batch + rows, dims.end())));
  return node.reshape(term.value, matrix);
}

/// Takes the dims of 1 out of `term` that are larger in `other`: they broadcast.
Result<Term> withoutOnes(NodeImport &node, const Term &term, const Term &other) {
  Dims dims = node.dims(term.value), othersDims = node.dims(other.value), keptDims;
  Labels kept;
  for (size_t i = 0; i < dims.size(); ++i) {
    int label = term.labels[i];
    if (dims[i].isConstant(1) && contains(other.labels, label) && !othersDims[positionOf(other, label)].isConstant(1))
      continue;
    keptDims.push_back(dims[i]);
    kept.push_back(label);
  }
  KILN_ASSIGN(Value value, node.reshape(term.value, keptDims));
  return Term{value, kept};
}

/// Sizes of which only a run tells whether they are equal, or which of them is 1, are expanded to what they broadcast
/// to.
Status meet(NodeImport &node, Term &a, Term &b, const Labels &labels) {
  Dims dimsOfA = node.dims(a.value), dimsOfB = node.dims(b.value);
  for (int label : labels) {
    SizeExpr &inA = dimsOfA[positionOf(a, label)], &inB = dimsOfB[positionOf(b, label)];
    KILN_ASSIGN(inA, node.broadcast(inA, inB));
    inB = inA;
  }
  KILN_ASSIGN(a.value, node.stretch(a.value, dimsOfA));
  KILN_ASSIGN(b.value, node.stretch(b.value, dimsOfB));
  return Status();
}

/// The product of two terms, summed over what both have and nothing else needs.
Result<Term> contract(NodeImport &node, Term a, Term b, const Labels &needed) {
  KILN_ASSIGN(a, withoutOnes(node, a, b));
  KILN_ASSIGN(b, withoutOnes(node, b, a));
  Labels wantedOfA = needed, wantedOfB = needed;
  wantedOfA.insert(wantedOfA.end(), b.labels.begin(), b.labels.end());
  wantedOfB.insert(wantedOfB.end(), a.labels.begin(), a.labels.end());
  KILN_ASSIGN(a, sumAway(node, a, wantedOfA));
  KILN_ASSIGN(b, sumAway(node, b, wantedOfB));
  Labels batch, inner, left, right;
  for (int label : a.labels)
    (!contains(b.labels, label) ? left : contains(needed, label) ? batch : inner).push_back(label);
  for (int label : b.labels)
    if (!contains(a.labels, label))
      right.push_back(label);
  auto joined = [](Labels first, const Labels &second, const Labels &third) {
    first.insert(first.end(), second.begin(), second.end());
    first.insert(first.end(), third.begin(), third.end());
    return first;
  };
  KILN_TRY(meet(node, a, b, inner));
  KILN_ASSIGN(a, arrange(node, a, joined(batch, left, inner)));
  KILN_ASSIGN(b, arrange(node, b, joined(batch, inner, right)));
  Dims dimsOfA = node.dims(a.value), dimsOfB = node.dims(b.value);
  KILN_ASSIGN(Value matrixA, asMatrix(node, a, batch.size(), left.size()));
  KILN_ASSIGN(Value matrixB, asMatrix(node, b, batch.size(), inner.size()));
  KILN_ASSIGN(Value product, node.emit("matmul", {matrixA, matrixB}));
  Dims dims = node.dims(product);
  Dims result(dims.begin(), dims.begin() + batch.size());
  result.append(dimsOfA.begin() + batch.size(), dimsOfA.begin() + batch.size() + left.size());
  result.append(dimsOfB.begin() + batch.size() + inner.size(), dimsOfB.end());
  KILN_ASSIGN(product, node.reshape(product, result));
  return Term{product, joined(batch, left, right)};
}

Status einsum(NodeImport &node) {
  KILN_ASSIGN(std::vector<Value> values, node.allOperands());
  KILN_ASSIGN(Equation equation, parse(node, values));
  Term result{values[0], equation.operands[0]};
  for (size_t i = 1; i < values.size(); ++i) {
    Labels needed = equation.output;
    for (size_t later = i + 1; later < values.size(); ++later)
      needed.insert(needed.end(), equation.operands[later].begin(), equation.operands[later].end());
    KILN_ASSIGN(result, contract(node, result, {values[i], equation.operands[i]}, needed));
  }
  KILN_ASSIGN(result, sumAway(node, result, equation.output));
  KILN_ASSIGN(result, arrange(node, result, equation.output));
  return node.setResult(result.value);
}

constexpr OpEntry table[] = {
    {"Einsum", 12, einsum},
};

} // namespace

std::span<const OpEntry> einsumOps() { return table; }

} // namespace kiln::onnx
