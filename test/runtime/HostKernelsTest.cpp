// Host kernels against the reference, on operands large enough for their fast ways.
#include <catch2/catch.hpp>

#include <cstring>
#include <random>

#include "runtime/host/HostKernels.h"

using namespace kiln;

namespace {

std::mt19937 generator(7);

int64_t upTo(int64_t n) { return std::uniform_int_distribution<int64_t>(0, n - 1)(generator); }

template <typename T, typename F> Tensor made(DType dtype, std::vector<int64_t> dims, F &&element) {
  Tensor t = *Tensor::create(dtype, dims);
  for (int64_t i = 0; i < t.size(); ++i)
    t.as<T>()[i] = static_cast<T>(element());
  return t;
}
/// Few distinct values, zeros of both signs and NaN.
Tensor numbers(std::vector<int64_t> dims) {
  return made<float>(DType::F32, std::move(dims), [] {
    const int64_t k = upTo(41);
    return k == 0 ? NAN : k == 1 ? -0.0f : static_cast<float>(k - 20) / 4;
  });
}
Tensor positions(std::vector<int64_t> dims, int64_t size) {
  return made<int64_t>(DType::I64, std::move(dims), [&] { return upTo(2 * size) - size; });
}

/// Makes outputs whose dims the kernel finds.
struct Maker final : ref::OutputMaker {
  std::vector<Tensor> made{4};
  Result<TensorView> make(size_t index, std::span<const int64_t> dims) override {
    made[index] = *Tensor::create(index == 0 ? dtype : DType::I64, dims);
    return made[index].view();
  }
  DType dtype = DType::F32;
};

Status run(ref::Kernel kernel, const Attributes &attributes, const std::vector<Tensor> &inputs, Maker &maker,
           size_t results, int threads) {
  std::vector<TensorView> in, out(results, TensorView{nullptr, DType::I64, {}});
  for (const Tensor &t : inputs)
    in.push_back(t.view());
  out[0].dtype = maker.dtype;
  return kernel({attributes, in, out, ref::Accumulate::Wide, &maker, threads});
}

/// Both kernels give the same bits, at any number of threads, or the same error.
void same(std::string_view op, const Attributes &attributes, const std::vector<Tensor> &inputs,
          DType dtype = DType::F32, size_t results = 1) {
  INFO(op << " " << attributes.print());
  REQUIRE(host::find(op));
  Maker want;
  want.dtype = dtype;
  Status expected = run(ref::find(op), attributes, inputs, want, results, 1);
  for (int threads : {1, 3}) {
    Maker got;
    got.dtype = dtype;
    Status status = run(host::find(op), attributes, inputs, got, results, threads);
    REQUIRE(status.message() == expected.message());
    for (size_t i = 0; i < results && status.ok(); ++i) {
      REQUIRE(std::ranges::equal(got.made[i].dims(), want.made[i].dims()));
      CHECK(std::memcmp(got.made[i].data(), want.made[i].data(), static_cast<size_t>(want.made[i].bytes())) == 0);
    }
  }
}

/// As same, but for rounding.
void near(std::string_view op, const Attributes &attributes, const std::vector<Tensor> &inputs) {
  INFO(op << " " << attributes.print());
  for (int threads : {1, 3}) {
    Maker want, got;
    REQUIRE(run(ref::find(op), attributes, inputs, want, 1, 1).ok());
    REQUIRE(run(host::find(op), attributes, inputs, got, 1, threads).ok());
    REQUIRE(got.made[0].size() == want.made[0].size());
    for (int64_t i = 0; i < want.made[0].size(); ++i)
      REQUIRE(got.made[0].as<float>()[i] == Approx(want.made[0].as<float>()[i]).margin(1e-5));
  }
}

template <typename... T> std::vector<Tensor> list(T &&...tensors) {
  std::vector<Tensor> all;
  (all.push_back(std::move(tensors)), ...);
  return all;
}

} // namespace

TEST_CASE("host kernels: topk") {
  for (int64_t k : {1, 5, 63, 400, 1000})
    for (int64_t largest : {0, 1})
      for (int64_t axis : {1, 0}) {
        Tensor x = numbers(axis ? std::vector<int64_t>{20, 1000} : std::vector<int64_t>{1000, 20});
        same("topk", {{"axis", axis}, {"k", k}, {"largest", largest}}, list(std::move(x)), DType::F32, 2);
      }
  same("topk", {{"axis", 0}, {"k", 30}},
       list(made<int64_t>(DType::I64, {500}, [] { return (upTo(9) - 4) << upTo(62); })), DType::I64, 2);
  same("topk", {{"axis", 0}, {"k", 30}}, list(made<uint8_t>(DType::U8, {500}, [] { return upTo(256); })), DType::U8, 2);
  same("topk", {{"axis", 0}, {"k", 501}}, list(numbers({500})), DType::F32, 2);
}

TEST_CASE("host kernels: gathers") {
  for (int64_t width : {1, 2, 7, 600}) {
    same("gather", {{"axis", 1}}, list(numbers({3, 50, width}), positions({40, 20}, 50)));
    same("gather_nd", {{"batch_dims", 1}}, list(numbers({4, 9, 8, width}), positions({4, 300, 1}, 9)));
    same("gather_nd", {}, list(numbers({9, 9, width}), positions({700, 2}, 9)));
  }
  same("gather_elements", {{"axis", 1}}, list(numbers({30, 50, 4}), positions({30, 90, 4}, 50)));
  same("gather", {{"axis", 0}}, list(numbers({9}), positions({4000}, 10)));
  same("gather_nd", {}, list(numbers({9, 7}), positions({4000, 2}, 8)));
  same("gather_elements", {{"axis", 0}}, list(numbers({9}), positions({4000}, 10)));
}

TEST_CASE("host kernels: scatters") {
  for (const char *reduction : {"none", "min", "max"}) {
    same("scatter_elements", {{"axis", 1}, {"reduction", std::string(reduction)}},
         list(numbers({30, 50}), positions({30, 200}, 50), numbers({30, 200})));
    same("scatter_nd", {{"reduction", std::string(reduction)}},
         list(numbers({20, 30, 6}), positions({500, 2}, 20), numbers({500, 6})));
  }
  auto integers = [](std::vector<int64_t> dims) {
    return made<int32_t>(DType::I32, std::move(dims), [] { return upTo(1 << 30); });
  };
  for (const char *reduction : {"add", "mul"})
    same("scatter_nd", {{"reduction", std::string(reduction)}},
         list(integers({9, 5}), positions({80, 1}, 9), integers({80, 5})), DType::I32);
  Tensor range = made<int64_t>(DType::I64, {8, 1}, [next = int64_t{2}]() mutable { return next++; });
  same("scatter_nd", {}, list(numbers({20, 30}), std::move(range), numbers({8, 30})));
  same("scatter_nd", {}, list(numbers({20}), positions({50, 1}, 21), numbers({50})));
}

TEST_CASE("host kernels: selections") {
  auto flags = [](std::vector<int64_t> dims) {
    return made<uint8_t>(DType::Bool, std::move(dims), [] { return upTo(3) == 0 ? 2 : 0; });
  };
  same("nonzero", {}, list(numbers({7, 11, 13})), DType::I64);
  same("nonzero", {}, list(flags({5000})), DType::I64);
  same("nonzero", {}, list(flags({0, 4})), DType::I64);
  same("nonzero", {}, list(made<uint16_t>(DType::F16, {50}, [] { return upTo(2) << 15; })), DType::I64);
  for (int64_t axis : {0, 1, 2})
    same("compress", {{"axis", axis}}, list(numbers({9, 9, 9}), flags({8})));
}

TEST_CASE("host kernels: cumulative sums") {
  auto integers = [](DType dtype) { return made<int64_t>(dtype, {5, 60, 70}, [] { return upTo(1 << 20); }); };
  for (int64_t axis : {0, 1, 2})
    for (int64_t way : {0, 1, 2, 3}) {
      Attributes attributes{{"axis", axis}, {"exclusive", way & 1}, {"reverse", way >> 1}};
      same("cumsum", attributes, list(numbers({5, 60, 70})));
      same("cumprod", attributes, list(integers(DType::I64)), DType::I64);
    }
}

TEST_CASE("host kernels: slices") {
  auto ints = [](std::vector<int64_t> values) {
    return *Tensor::of<int64_t>(DType::I64, {int64_t(values.size())}, std::span<const int64_t>(values));
  };
  for (int64_t step : {1, 3, -1, -2})
    for (int64_t start : {0, 5, -2, -90, 90})
      same("slice", {},
           list(numbers({20, 5, 30}), ints({start, 1}), ints({step > 0 ? INT64_MAX : INT64_MIN, 4}), ints({2, 1}),
                ints({step, 1})));
  same("slice", {}, list(numbers({20}), ints({0}), ints({5}), ints({0}), ints({0})));
}

TEST_CASE("host kernels: non-maximum suppression") {
  for (int64_t center : {0, 1}) {
    Tensor boxes = made<float>(DType::F32, {2, 900, 4}, [] { return static_cast<float>(upTo(1000)) / 10; });
    for (int64_t i = 0; i < 40; ++i)
      boxes.as<float>()[upTo(boxes.size())] = i % 3 ? NAN : INFINITY;
    Tensor scores = numbers({2, 3, 900});
    same("non_max_suppression", {{"center", center}},
         list(std::move(boxes), std::move(scores), made<int64_t>(DType::I64, {}, [] { return 150; }),
              made<float>(DType::F32, {}, [] { return 0.3f; }), made<float>(DType::F32, {}, [] { return -2.0f; })),
         DType::I64);
  }
}

TEST_CASE("host kernels: argmax and argmin") {
  for (const char *op : {"argmax", "argmin"})
    for (int64_t axis : {0, 1, 2})
      for (int64_t last : {0, 1}) {
        const Attributes attributes{{"axis", axis}, {"keepdims", last}, {"select_last", last}};
        same(op, attributes, list(numbers({9, 300, 70})), DType::I64);
        same(op, attributes, list(made<float>(DType::F32, {9, 7, 700}, [] { return upTo(1000); })), DType::I64);
        same(op, attributes, list(made<int8_t>(DType::I8, {9, 7, 700}, [] { return upTo(9) - 5; })), DType::I64);
        same(op, attributes, list(made<uint16_t>(DType::F16, {9, 7, 70}, [] { return upTo(1 << 16); })), DType::I64);
      }
}

TEST_CASE("host kernels: pad") {
  auto ints = [](std::vector<int64_t> values) {
    return *Tensor::of<int64_t>(DType::I64, {int64_t(values.size())}, std::span<const int64_t>(values));
  };
  for (const char *mode : {"constant", "edge", "reflect", "wrap"}) {
    const Attributes attributes{{"mode", std::string(mode)}};
    same("pad", attributes, list(numbers({3, 20, 30}), ints({1, 2, 3, 0, 25, 4})));
    same("pad", attributes, list(numbers({3, 20, 30}), ints({0, -2, 0, 0, 1, 0})));
    same("pad", attributes, list(numbers({3, 20, 30}), ints({2, 0, -40, 0, 0, 70})));
    same("pad", attributes, list(numbers({1, 1, 3000}), ints({0, 0, 200, 0, 0, 200}), numbers({})));
    same("pad", attributes, list(numbers({4, 1}), ints({0, 3, 0, 3})));
    same("pad", attributes, list(numbers({4}), ints({-3, -3})));
    same("pad", {{"mode", std::string(mode)}, {"pads", std::vector<int64_t>{1, 1}}, {"value", 2.5}},
         list(numbers({40})));
  }
}

TEST_CASE("host kernels: max_pool_indices") {
  for (int64_t pad : {0, 1})
    same("max_pool_indices",
         {{"dilations", std::vector<int64_t>{1, 2}},
          {"kernel", std::vector<int64_t>{3, 2}},
          {"pads", std::vector<int64_t>{pad, pad, 0, pad}},
          {"strides", std::vector<int64_t>{2, 1}}},
         list(numbers({2, 9, 30, 20})), DType::F32, 2);
}

TEST_CASE("host kernels: concat, expand and reverse_sequence") {
  for (std::vector<int64_t> dims : {std::vector<int64_t>{5, 1, 7}, {5, 6, 1}, {1}, {}, {6, 7}})
    same("expand", {}, list(numbers(dims), made<int64_t>(DType::I64, {3}, [k = 5]() mutable { return k++; })));
  same("expand", {}, list(numbers({4}), made<int64_t>(DType::I64, {3}, [] { return 5; })));

  same("concat", {{"axis", 1}}, list(numbers({3, 5, 7}), numbers({3, 0, 7}), numbers({3, 11, 7})));
  for (int64_t time : {0, 1}) {
    const Attributes attributes{{"batch_axis", 1 - time}, {"time_axis", time}};
    auto lengths = [](int64_t most) { return made<int64_t>(DType::I64, {9}, [&] { return upTo(most); }); };
    same("reverse_sequence", attributes,
         list(numbers(time ? std::vector<int64_t>{9, 20, 3} : std::vector<int64_t>{20, 9, 3}), lengths(21)));
    same("reverse_sequence", attributes,
         list(numbers(time ? std::vector<int64_t>{9, 20} : std::vector<int64_t>{20, 9}), lengths(90)));
  }
}

TEST_CASE("host kernels: samples between elements") {
  auto real = [](std::vector<int64_t> dims, double low, double high) {
    return made<float>(DType::F32, std::move(dims),
                       [=] { return low + (high - low) * double(upTo(1 << 20)) / (1 << 20); });
  };
  for (const char *padding : {"zeros", "border", "reflection"})
    for (const char *mode : {"nearest", "linear", "cubic"})
      near("grid_sample", {{"mode", std::string(mode)}, {"padding", std::string(padding)}},
           list(real({2, 5, 9, 8}, -1, 1), real({2, 30, 40, 2}, -1.5, 1.5)));
  near("grid_sample", {}, list(real({1, 3, 4, 5, 6}, -1, 1), real({1, 5, 6, 7, 3}, -1.2, 1.2)));
  for (const char *mode : {"avg", "max"})
    for (int64_t ratio : {0, 2})
      near("roi_align", {{"height", 7}, {"mode", std::string(mode)}, {"sampling_ratio", ratio}, {"width", 5}},
           list(real({2, 6, 20, 30}, -1, 1), real({40, 4}, -3, 33),
                made<int64_t>(DType::I64, {40}, [] { return upTo(2); })));
}

TEST_CASE("host kernels on nothing") {
  for (int64_t axis : {0, 1, 2}) {
    same("argmax", {{"axis", axis}}, list(numbers({8, 8, 0})), DType::I64);
    same("cumsum", {{"axis", axis}}, list(numbers({8, 0, 8})));
    same("topk", {{"axis", axis}, {"k", 0}}, list(numbers({8, 8, 0})), DType::F32, 2);
    same("gather", {{"axis", axis}}, list(numbers({8, 8, 0}), positions({0}, 8)));
    same("compress", {{"axis", axis}}, list(numbers({8, 8, 0}), made<uint8_t>(DType::Bool, {0}, [] { return 1; })));
    same("concat", {{"axis", axis}}, list(numbers({8, 8, 0}), numbers({8, 8, 0})));
    same("scatter_elements", {{"axis", axis}}, list(numbers({8, 8, 0}), positions({8, 8, 0}, 8), numbers({8, 8, 0})));
  }
  same("gather_nd", {}, list(numbers({8, 0}), positions({5, 1}, 8)));
  same("gather_nd", {}, list(numbers({8, 3}), positions({0, 1}, 8)));
  same("scatter_nd", {}, list(numbers({8, 0}), positions({5, 1}, 8), numbers({5, 0})));
  same("max_pool_indices", {{"kernel", std::vector<int64_t>{2}}}, list(numbers({0, 3, 4})), DType::F32, 2);
  same("grid_sample", {}, list(numbers({1, 0, 4, 4}), numbers({1, 3, 3, 2})));
  same("roi_align", {}, list(numbers({1, 0, 4, 4}), numbers({0, 4}), positions({0}, 1)));
  same("reverse_sequence", {}, list(numbers({4, 0}), positions({0}, 1)));
  same("expand", {},
       list(numbers({0}), made<int64_t>(DType::I64, {2}, [k = 3]() mutable { return k--, k > 1 ? 3 : 0; })));
}

TEST_CASE("ops without a host kernel") { CHECK(host::find("conv") == nullptr); }
