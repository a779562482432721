// Reference kernels get whatever a model says: every case is run many times with something about it
// changed (dims, types, attributes, index values, operand counts, the result asked for). A kernel
// may refuse or compute; it must not crash, read or write out of bounds (run under the sanitizers,
// this shows), or loop.
#include "runtime/reference/Reference.h"
#include "test/ops/Cases.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <filesystem>
#include <random>

namespace kiln::test {
namespace {

using Random = std::mt19937_64;

int64_t pick(Random &random, std::initializer_list<int64_t> values) { return values.begin()[random() % values.size()]; }

int64_t strangeNumber(Random &random) {
  return pick(random, {-1, 0, 1, 2, 3, 4, 7, -2, -5, 100, INT64_MAX, INT64_MIN, INT64_MIN + 1, int64_t{1} << 40,
                       int64_t{1} << 62, -(int64_t{1} << 62)});
}

struct Shape {
  DType dtype;
  std::vector<int64_t> dims;
};

void mutate(Random &random, Shape &shape) {
  switch (random() % 5) {
  case 0: shape.dtype = allDTypes[random() % std::size(allDTypes)]; break;
  case 1:
    if (!shape.dims.empty())
      shape.dims.erase(shape.dims.begin() + random() % shape.dims.size());
    break;
  case 2:
    if (shape.dims.size() < 7)
      shape.dims.insert(shape.dims.begin() + random() % (shape.dims.size() + 1), pick(random, {0, 1, 1, 2, 3}));
    break;
  default:
    if (!shape.dims.empty())
      shape.dims[random() % shape.dims.size()] = pick(random, {0, 1, 2, 3, 4, 5, 7});
  }
}

void mutate(Random &random, Attributes &attributes) {
  if (attributes.empty())
    return;
  const auto &entry = *(attributes.begin() + random() % attributes.size());
  const std::string name = entry.name;
  Attribute value = entry.value;
  if (random() % 8 == 0) {
    attributes.erase(name);
    return;
  }
  if (random() % 12 == 0)
    value = std::string("strange");
  else if (auto *number = std::get_if<int64_t>(&value))
    *number = strangeNumber(random);
  else if (auto *list = std::get_if<std::vector<int64_t>>(&value)) {
    if (list->empty() || random() % 4 == 0)
      list->push_back(strangeNumber(random));
    else if (random() % 4 == 0)
      list->pop_back();
    else
      (*list)[random() % list->size()] = strangeNumber(random);
  }
  attributes.set(name, value);
}

/// Some elements of an integer tensor become extreme.
void mutateValues(Random &random, const Tensor &tensor) {
  if (isFloat(tensor.dtype()) || tensor.size() == 0)
    return;
  const int64_t value = strangeNumber(random);
  const int64_t width = dtypeBytes(tensor.dtype());
  std::memcpy(tensor.as<char>() + random() % tensor.size() * width, &value, width);
}

int runMutants(const Case &c, std::span<const Expected> expected, Random &random, int count) {
  int accepted = 0;
  const ref::Kernel kernel = ref::find(c.op);
  for (int trial = 0; trial < count; ++trial) {
    std::vector<Shape> shapes;
    for (const OperandSpec &spec : c.operands) {
      Result<std::vector<int64_t>> dims = dimsOf(spec, c.rounds.back());
      REQUIRE(dims.ok());
      shapes.push_back({spec.dtype, spec.absent ? std::vector<int64_t>{} : *dims});
    }
    std::vector<Shape> results;
    for (const Expected &want : expected)
      results.push_back({want.dtype, want.dims});
    if (results.empty())
      results.push_back(shapes.at(0));
    Shape &result = results[random() % results.size()]; // the one that changes
    Attributes attributes = c.attributes;
    for (int changes = static_cast<int>(random() % 3) + 1; changes > 0; --changes)
      switch (random() % 6) {
      case 0: mutate(random, attributes); break;
      case 1: mutate(random, result); break;
      case 2:
        if (random() % 2)
          shapes.pop_back();
        else
          shapes.push_back(shapes[random() % shapes.size()]);
        if (shapes.empty())
          shapes.push_back(result);
        break;
      case 3: // operand and result alike
        if (!result.dims.empty()) {
          const size_t axis = random() % result.dims.size();
          const int64_t size = pick(random, {0, 1, 2, 5});
          for (Shape &shape : shapes)
            if (shape.dims.size() == result.dims.size())
              shape.dims[axis] = size;
          result.dims[axis] = size;
        }
        break;
      default: mutate(random, shapes[random() % shapes.size()]);
      }
    std::vector<Tensor> tensors;
    for (const Shape &shape : shapes) {
      const auto bytes = byteCount(shape.dtype, shape.dims);
      if (!bytes || *bytes > (1 << 22))
        break;
      Result<Tensor> tensor = Tensor::zeros(shape.dtype, shape.dims);
      REQUIRE(tensor.ok());
      tensors.push_back(*std::move(tensor));
      for (int64_t i = 0; i < tensors.back().bytes(); ++i)
        tensors.back().as<uint8_t>()[i] = static_cast<uint8_t>(random() % 3);
      mutateValues(random, tensors.back());
    }
    std::vector<Tensor> outputs;
    for (const Shape &shape : results)
      if (Result<Tensor> output = Tensor::zeros(shape.dtype, shape.dims); output.ok() && output->bytes() <= 1 << 22)
        outputs.push_back(*std::move(output));
    if (tensors.size() != shapes.size() || outputs.size() != results.size())
      continue;
    std::vector<TensorView> inputs = viewsOf(tensors);
    for (size_t i = 0; i < inputs.size() && i < c.operands.size(); ++i)
      if (c.operands[i].absent && random() % 8)
        inputs[i] = {};
    std::vector<TensorView> views = viewsOf(outputs);
    const auto accumulate = random() % 2 ? ref::Accumulate::Wide : ref::Accumulate::Own;
    const Status status = kernel({attributes, inputs, views, accumulate});
    accepted += status.ok();
    if (!status.ok()) // errors name the op
      CHECK(status.message().find(c.op) != std::string::npos);
  }
  return accepted;
}

TEST_CASE("reference kernels survive changed cases") {
  Random random(20240611);
  const std::string folder = std::string(KILN_TEST_DATA) + "/ops";
  int accepted = 0, total = 0;
  for (const std::string &path : caseFiles(folder)) {
    const Result<std::vector<Case>> cases = readCases(path);
    REQUIRE(cases.ok());
    const auto expected = readExpected(folder + "/expected/" + std::filesystem::path(path).stem().string() + ".txt");
    REQUIRE(expected.ok());
    const int each = std::max<int>(2, 400 / static_cast<int>(cases->size()));
    for (const Case &c : *cases) {
      INFO(c.text);
      const auto it = expected->find(expectedKey(c, c.rounds.back()));
      accepted += runMutants(c, it == expected->end() ? std::vector<Expected>() : it->second, random, each);
      total += each;
    }
  }
  INFO(accepted << " of " << total);
  CHECK(accepted > total / 20); // else the changes are so wild that nothing is tested
}

} // namespace
} // namespace kiln::test
