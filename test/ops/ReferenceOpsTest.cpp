// Every op case: the reference kernel, accumulating in f64 and in its own type, against results
// that an independent implementation (make_expected.py) has stored.
#include "runtime/reference/Reference.h"
#include "test/ops/Cases.h"

#include <catch2/catch.hpp>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <set>

namespace kiln::test {
namespace {

const std::string folder = std::string(KILN_TEST_DATA) + "/ops";

/// Runs a case that must be refused. Empty when it is, with the right code.
std::string runError(const Case &c, ref::Kernel kernel, std::span<const TensorView> inputs,
                     ref::Accumulate accumulate) {
  std::vector<Tensor> results;
  for (const OperandSpec &spec : c.results) {
    Result<std::vector<int64_t>> dims = dimsOf(spec, c.rounds[0]);
    if (!dims.ok())
      return formatError(dims.status());
    Result<Tensor> result = Tensor::create(spec.dtype, *dims);
    if (!result.ok())
      return formatError(result.status());
    results.push_back(*std::move(result));
  }
  std::vector<TensorView> outputs = viewsOf(results);
  const Status status = kernel({c.attributes, inputs, outputs, accumulate});
  if (!status.ok() && errorCodeName(status.code()) == c.error)
    return "";
  return "want " + c.error + ", got " + (status.ok() ? "no error" : formatError(status));
}

/// Makes outputs of these types.
struct Maker final : ref::OutputMaker {
  std::vector<DType> dtypes;
  std::vector<Tensor> made;

  explicit Maker(std::span<const TensorView> like) : made(like.size()) {
    for (const TensorView &view : like)
      dtypes.push_back(view.dtype);
  }
  Result<TensorView> make(size_t index, std::span<const int64_t> dims) override {
    if (index >= made.size() || made[index].valid())
      return makeError(ErrorCode::E0901, "output ", index, " is made twice or does not exist");
    KILN_ASSIGN(made[index], Tensor::create(dtypes[index], dims));
    return made[index].view();
  }
};

/// Once more with the dims left to the kernel: the same results, to the bit.
std::string runMaking(const Case &c, ref::Kernel kernel, std::span<const TensorView> inputs,
                      std::span<const TensorView> wanted, ref::Accumulate accumulate) {
  if ((c.op == "reshape" || c.op == "expand" || c.op == "tile") && inputs.size() == 1)
    return ""; // only the result says its dims
  Maker maker(wanted);
  std::vector<TensorView> outputs;
  for (const TensorView &want : wanted)
    outputs.push_back({nullptr, want.dtype, {}});
  const Status status = kernel({c.attributes, inputs, outputs, accumulate, &maker});
  if (!status.ok())
    return "making its result: " + formatError(status);
  for (size_t i = 0; i < wanted.size(); ++i) {
    const TensorView &want = wanted[i], got = maker.made[i].view();
    if (!std::ranges::equal(got.dims, want.dims) ||
        std::memcmp(got.data, want.data, static_cast<size_t>(want.bytes())) != 0)
      return "makes another result: " + printTensorType(got.dtype, got.dims);
  }
  return "";
}

/// Empty when the round is right; else what is wrong.
std::string runRound(const Case &c, const Sizes &sizes, ref::Accumulate accumulate, const ExpectedTable &expectations) {
  const ref::Kernel kernel = ref::find(c.op);
  if (!kernel)
    return "there is no such op";
  Result<std::vector<Tensor>> operands = makeOperands(c, sizes);
  if (!operands.ok())
    return formatError(operands.status());
  const std::vector<TensorView> inputs = viewsOf(*operands);
  if (!c.error.empty())
    return runError(c, kernel, inputs, accumulate);
  const auto expected = expectations.find(expectedKey(c, sizes));
  if (expected == expectations.end())
    return "no stored result; run test/ops/make_expected.py";
  std::vector<Tensor> results;
  for (const Expected &want : expected->second) {
    Result<Tensor> result = Tensor::create(want.dtype, want.dims);
    if (!result.ok())
      return formatError(result.status());
    std::fill_n(result->as<char>(), result->bytes(), char(0xa5)); // so that what is not written shows
    results.push_back(*std::move(result));
  }
  std::vector<TensorView> outputs = viewsOf(results);
  const Status status = kernel({c.attributes, inputs, outputs, accumulate});
  if (!status.ok())
    return formatError(status);
  if (std::string problem = runMaking(c, kernel, inputs, outputs, accumulate); !problem.empty())
    return problem;
  const Runner runner = accumulate == ref::Accumulate::Wide ? Runner::ReferenceWide : Runner::ReferenceOwn;
  for (size_t i = 0; i < results.size(); ++i) {
    const std::string problem =
        compare(results[i].view(), expected->second[i], boundOf(c.op, results[i].dtype(), runner));
    if (!problem.empty())
      return (results.size() > 1 ? "result " + std::to_string(i) + ": " : "") + problem;
  }
  return "";
}

TEST_CASE("reference kernels agree with the stored results") {
  int total = 0;
  for (const std::string &path : caseFiles(folder)) {
    const std::string op = std::filesystem::path(path).stem();
    const Result<std::vector<Case>> cases = readCases(path);
    INFO(path);
    REQUIRE(formatError(cases.status()) == "");
    const Result<ExpectedTable> expected = readExpected(folder + "/expected/" + op + ".txt");
    REQUIRE(formatError(expected.status()) == "");
    int rounds = 0, failures = 0;
    for (const Case &c : *cases)
      for (const Sizes &sizes : c.rounds)
        for (auto accumulate : {ref::Accumulate::Wide, ref::Accumulate::Own}) {
          ++rounds;
          const std::string problem = runRound(c, sizes, accumulate, *expected);
          if (problem.empty())
            continue;
          ++failures;
          FAIL_CHECK(c.where() << ": " << c.text << "\n  sizes: " << printSizes(sizes) << "\n  accumulate: "
                               << (accumulate == ref::Accumulate::Wide ? "wide" : "own") << "\n  " << problem);
        }
    std::printf("%-18s %4zu cases, %4d runs, %d failed\n", op.c_str(), cases->size(), rounds, failures);
    total += rounds;
  }
  CHECK(total > 0);
}

TEST_CASE("every op has cases") {
  std::set<std::string> files;
  for (const std::string &path : caseFiles(folder))
    files.insert(std::filesystem::path(path).stem());
  for (std::string_view op : ref::names())
    CHECK(files.count(std::string(op)) == 1);
  for (const std::string &file : files) {
    INFO(file);
    CHECK(ref::find(file) != nullptr);
  }
}

TEST_CASE("malformed cases are refused") {
  for (const char *line : {"add x=f32[2", "add x=q7[2]", "add x=f32[2]:sometimes", "add x f32[2]",
                           "add x=f32[2] sizes=(N)", "add x=f32[2] {alpha", "add x=f32[2]:range(1)"}) {
    INFO(line);
    CHECK(!parseCase(line).ok());
  }
  const Result<Case> c = parseCase("add x=f32[N,2]:[1,2] y=f32[2]");
  REQUIRE(c.ok());
  CHECK(!makeOperands(*c, {}).ok());         // N has no size
  CHECK(!makeOperands(*c, {{"N", 3}}).ok()); // the list has another length
  CHECK(makeOperands(*c, {{"N", 1}}).ok());
}

} // namespace
} // namespace kiln::test
