// Op cases: one line of test/ops/<op>.cases each, run by every backend.
//
//   conv x=f32[N,8,H,W] w=f32[4,8,3,3] bias=f32[4] {pads=[1,1,1,1], strides=[2,2]} seed=3
//   sizes=(N=1,H=7,W=5)(N=3,H=9,W=11)
//
// operand:    name=type[dims], then optionally `:` and where the values come from; `_` is an absent operand. A dim is
//             a number or a letter that `sizes` gives values, one round of the case each.
// values:     nothing (small values of both signs) | positive | wide | special (a fixed list, in order: NaN,
//             infinities, extremes ...) | range(low,high) | [v,v,...] with letters allowed. All are made by a
//             counter-based generator from the seed, here and in make_expected.py alike, and are exactly
//             representable.
// attributes: as runtime/base/Attributes.h prints them.
// seed=N      default 0.
// error=E0513 the kernel must refuse the operands with this code when asked for a result out=type[dims], once for each
//             result; error=E0513/E0311 where the compiler finds it under another code.
// only=reference  the case is not for generated code; a comment says why.
//
// Text from `#` to the end of the line is a comment. What the results must be is stored in
// expected/<op>.txt.
#pragma once

#include "runtime/base/Attributes.h"
#include "runtime/base/Tensor.h"

#include <map>
#include <string>
#include <vector>

namespace kiln::test {

struct OperandSpec {
  enum class Values { Small, Positive, Wide, Special, Range, List };
  std::string name;
  bool absent = false;
  DType dtype = DType::F32;
  std::vector<std::string> dims;
  Values values = Values::Small;
  double low = 0, high = 0;      ///< Range
  std::vector<std::string> list; ///< List
};

using Sizes = std::map<std::string, int64_t>;

struct Case {
  std::string text; ///< the line without comment, blanks collapsed: the key of its stored results
  std::string file;
  int line = 0;
  std::string op;
  std::vector<OperandSpec> operands;
  Attributes attributes;
  uint64_t seed = 0;
  std::string error;        ///< "E0513", or empty
  std::string compileError; ///< the same, or what was given behind a slash
  bool referenceOnly = false;
  std::vector<OperandSpec> results; ///< types and dims of the results, given for error cases only
  std::vector<Sizes> rounds; ///< at least one; empty sizes where the case has no letters

  std::string where() const { return file + ":" + std::to_string(line); }
};

/// "N=1,H=7", in the order of names.
std::string printSizes(const Sizes &sizes);

Result<Case> parseCase(std::string_view line);
/// All cases of one file.
Result<std::vector<Case>> readCases(const std::string &path);
/// The .cases files of a folder, sorted.
std::vector<std::string> caseFiles(const std::string &folder);

/// An operand's dims with the letters replaced.
Result<std::vector<int64_t>> dimsOf(const OperandSpec &spec, const Sizes &sizes);
/// The operands of one round; absent ones are not valid().
Result<std::vector<Tensor>> makeOperands(const Case &c, const Sizes &sizes);
/// Makes subnormal elements 0, as generated code takes them: with that done, results can be
/// compared.
void flushSubnormals(const Tensor &tensor);
/// Views of them as a kernel takes them.
std::vector<TensorView> viewsOf(const std::vector<Tensor> &tensors);

/// One stored result: type, dims, some elements and a weighted sum over all but huge ones.
struct Expected {
  DType dtype = DType::F32;
  std::vector<int64_t> dims;
  std::vector<std::string> samples; ///< elements i * count / samples.size()
  double checksum = 0;
};
using ExpectedTable = std::map<std::string, std::vector<Expected>>; ///< the op's results by expectedKey
std::string expectedKey(const Case &c, const Sizes &sizes);
Result<ExpectedTable> readExpected(const std::string &path);

/// How far a result may be from what it should be: |got - want| <= absolute + relative * |want|.
struct Bound {
  double relative = 0, absolute = 0;
};
enum class Runner {
  ReferenceWide, ///< reference kernel accumulating in f64, against the stored result
  ReferenceOwn,  ///< accumulating in the op's own type
  Compiled,      ///< generated code, against the wide reference kernel
};
/// The one table of bounds.
Bound boundOf(std::string_view op, DType result, Runner runner);

/// Empty when they agree; else what differs first: index, got, want.
std::string compare(const TensorView &got, const TensorView &want, Bound bound);
std::string compare(const TensorView &got, const Expected &want, Bound bound);

} // namespace kiln::test
