// The C API as a C caller sees it, through the shared library. Artifacts are made with the static
// layers.
#include "TestProgram.h"

#include "kiln/compiler.h"
#include "runtime/plan/ArtifactHeader.h"

#include <catch2/catch.hpp>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <sys/stat.h>

using namespace kiln;
using namespace kiln::test;

namespace {
struct Model {
  kiln_status status = KILN_STATUS_INIT;
  kiln_model *model = nullptr;
  kiln_context *context = nullptr;

  explicit Model(const std::vector<std::byte> &bytes, int threads = 1) {
    REQUIRE(kiln_model_load_bytes(bytes.data(), bytes.size(), &model, &status) == 0);
    kiln_context_options options = KILN_CONTEXT_OPTIONS_INIT;
    options.threads = threads;
    REQUIRE(kiln_context_create(model, &options, &context, &status) == 0);
  }
  ~Model() {
    kiln_model_release(model); // the context keeps it alive
    kiln_context_release(context);
    kiln_status_clear(&status);
  }
};

kiln_value tensor(void *data, const std::vector<int64_t> &dims, int dtype = KILN_F32) {
  kiln_value v = {};
  v.kind = KILN_TENSOR;
  v.u.tensor = {data, dims.data(), int32_t(dims.size()), dtype, KILN_HOST, 0};
  return v;
}
} // namespace

TEST_CASE("a model's signature") {
  Model m(sampleProgram().bytes());
  kiln_model_info info = KILN_MODEL_INFO_INIT;
  REQUIRE(kiln_model_get_info(m.model, &info, nullptr) == 0);
  CHECK(info.input_count == 2);
  CHECK(info.output_count == 2);
  CHECK(info.step_count == 3);
  CHECK(info.arena_bytes == -1);
  CHECK(std::string(info.target) == "interpreter");
  kiln_port_info port = KILN_PORT_INFO_INIT;
  REQUIRE(kiln_model_get_input(m.model, 1, &port, nullptr) == 0);
  CHECK(std::string(port.name) == "y");
  CHECK(port.dtype == KILN_F32);
  REQUIRE(port.rank == 2);
  CHECK(port.dims[0].value == -1);
  CHECK(std::string(port.dims[0].text) == "N");
  CHECK(port.dims[1].value == 3);
  REQUIRE(kiln_model_get_output(m.model, 1, &port, nullptr) == 0);
  CHECK(std::string(port.dims[0].text) == "N*3");
  CHECK(kiln_model_get_output(m.model, 2, &port, nullptr) == 501);
  kiln_symbol_info symbol = KILN_SYMBOL_INFO_INIT;
  REQUIRE(kiln_model_get_symbol(m.model, 0, &symbol, nullptr) == 0);
  CHECK((symbol.low == 1 && symbol.high == 64 && symbol.input == 0 && symbol.dim == 0 && !symbol.expression));
  REQUIRE(kiln_model_get_symbol(m.model, 1, &symbol, nullptr) == 0);
  CHECK(std::string(symbol.expression) == "N*2");
  kiln_step_info step = KILN_STEP_INFO_INIT;
  REQUIRE(kiln_model_get_step(m.model, 1, &step, nullptr) == 0);
  CHECK(std::string(step.node) == "node_mul_1");
  CHECK(std::string(step.operation) == "mul");
  CHECK(std::string(kiln_model_text(m.model)).find("step 0") != std::string::npos);
  CHECK(kiln_model_verify(m.model, nullptr) == 0);
  CHECK(std::string(kiln_dtype_name(KILN_BF16)) == "bf16");
  CHECK(kiln_dtype_name(99) == nullptr);
  CHECK(kiln_dtype_bytes(KILN_F64) == 8);
}

TEST_CASE("running through the C API") {
  Model m(sampleProgram().bytes(), 2);
  std::vector<float> x{1, 2, 3, 4, 5, 6}, y(6, 10.f), bound(6);
  kiln_value in[2] = {tensor(x.data(), {2, 3}), tensor(y.data(), {2, 3})}, out[2] = {};
  std::vector<int64_t> dims{2, 3};
  for (kiln_value &v : in)
    v.u.tensor.dims = dims.data();
  out[0] = tensor(bound.data(), dims);
  REQUIRE(kiln_context_run(m.context, in, 2, out, 2, nullptr, &m.status) == 0);
  CHECK(bound[5] == 48);
  REQUIRE(out[1].kind == KILN_TENSOR);
  CHECK(out[1].u.tensor.dims[0] == 6);
  CHECK(static_cast<float *>(out[1].u.tensor.data)[5] == 16);
  kiln_value_release(&out[1]);
  CHECK(out[1].kind == KILN_NONE);
  kiln_value_release(&out[1]); // harmless

  REQUIRE(kiln_context_set_profiling(m.context, 1, nullptr) == 0);
  REQUIRE(kiln_context_run(m.context, in, 2, out, 2, nullptr, &m.status) == 0);
  kiln_step_profile profile[3];
  REQUIRE(kiln_context_get_profile(m.context, profile, 3, nullptr) == 0);
  CHECK(profile[0].flops == 6);
  CHECK(kiln_context_get_profile(m.context, profile, 2, nullptr) == 704);
  kiln_context_info info = KILN_CONTEXT_INFO_INIT;
  REQUIRE(kiln_context_get_info(m.context, &info, nullptr) == 0);
  CHECK(info.threads == 2);
  CHECK(info.arena_bytes == 64);
  kiln_value_release(&out[1]);
}

TEST_CASE("errors of the C API carry number and text") {
  Model m(sampleProgram().bytes());
  std::vector<float> x(6);
  std::vector<int64_t> dims{2, 3};
  kiln_value in[2] = {tensor(x.data(), dims), {}}, out[2] = {};
  CHECK(kiln_context_run(m.context, in, 2, out, 2, nullptr, &m.status) == 502);
  CHECK(m.status.code == 502);
  CHECK(std::string(m.status.message) == "input \"y\" is missing [KILN-E0502]");
  in[1].kind = KILN_SEQUENCE;
  CHECK(kiln_context_run(m.context, in, 2, out, 2, nullptr, &m.status) == 511);
  in[1] = tensor(x.data(), dims, 77);
  CHECK(kiln_context_run(m.context, in, 2, out, 2, nullptr, &m.status) == 704);
  in[1] = tensor(x.data(), dims);
  in[1].u.tensor.rank = -1;
  CHECK(kiln_context_run(m.context, in, 2, out, 2, nullptr, &m.status) == 704);
  in[1].u.tensor.rank = 2;
  in[1].u.tensor.space = 1;
  CHECK(kiln_context_run(m.context, in, 2, out, 2, nullptr, &m.status) == 704);
  CHECK(std::string(m.status.message) == "input \"y\" lies in the unknown memory space 1 [KILN-E0704]");
  in[1].u.tensor.space = KILN_HOST;
  in[1].u.tensor.flags = 4;
  CHECK(kiln_context_run(m.context, in, 2, out, 2, nullptr, &m.status) == 704);
  in[1].u.tensor.flags = 0;
  kiln_run_options options = KILN_RUN_OPTIONS_INIT;
  CHECK(kiln_context_run(m.context, in, 2, out, 2, &options, &m.status) == 0);
  for (kiln_value &v : out)
    kiln_value_release(&v);
  options.stream = &options;
  CHECK(kiln_context_run(m.context, in, 2, out, 2, &options, &m.status) == 704);
  options = {};
  CHECK(kiln_context_run(m.context, in, 2, out, 2, &options, &m.status) == 706);
  CHECK(kiln_context_run(nullptr, in, 2, out, 2, nullptr, &m.status) == 704);
  CHECK(kiln_context_run(m.context, in, 1, out, 2, nullptr, &m.status) == 502);
  CHECK(out[0].kind == KILN_NONE);
  kiln_model_info unsized = {};
  CHECK(kiln_model_get_info(m.model, &unsized, &m.status) == 706);
  kiln_model *none = nullptr;
  CHECK(kiln_model_load_file("/no/such/file", &none, &m.status) == 101);
  CHECK(none == nullptr);
  REQUIRE(::mkfifo("api-test.pipe", 0600) == 0);
  CHECK(kiln_model_load_file("api-test.pipe", &none, &m.status) == 101);
  CHECK(std::string(m.status.message) == "api-test.pipe: cannot be opened: it is no regular file [KILN-E0101]");
  std::remove("api-test.pipe");
  CHECK(kiln_model_load_bytes("abc", 3, &none, &m.status) == 601);
  CHECK(kiln_model_load_bytes(nullptr, 0, &none, nullptr) == 601);
}

TEST_CASE("tensors with strides") {
  Model m(sampleProgram().bytes());
  std::vector<int64_t> dims{2, 3}, flat{6};
  // x: every second column of a wider matrix, from the last on; y: one row for both.
  std::vector<float> x{3, 0, 2, 0, 1, 6, 0, 5, 0, 4}, y(3, 10.f), sums(10, -1.f);
  std::vector<int64_t> backwards{5, -2}, repeated{0, 1}, columns{1, 4}, plain{1};
  kiln_value in[2] = {tensor(x.data() + 4, dims), tensor(y.data(), dims)}, out[2] = {tensor(sums.data(), dims), {}};
  in[0].u.tensor.flags = in[1].u.tensor.flags = out[0].u.tensor.flags = KILN_HAS_STRIDES;
  in[0].u.tensor.strides = backwards.data();
  in[1].u.tensor.strides = repeated.data();
  out[0].u.tensor.strides = columns.data();
  REQUIRE(kiln_context_run(m.context, in, 2, out, 2, nullptr, &m.status) == 0);
  CHECK(sums == std::vector<float>{11, 14, -1, -1, 24, 30, -1, -1, 39, 48});
  kiln_value_release(&out[1]);

  out[1] = tensor(x.data(), flat); // dense, also by its strides
  out[1].u.tensor.flags = KILN_HAS_STRIDES;
  out[1].u.tensor.strides = plain.data();
  REQUIRE(kiln_context_run(m.context, in, 2, out, 2, nullptr, &m.status) == 0);
  out[1].u.tensor.strides = nullptr;
  CHECK(kiln_context_run(m.context, in, 2, out, 2, nullptr, &m.status) == 704);
  CHECK(std::string(m.status.message) == "output \"twice\" has no strides [KILN-E0704]");
  out[1] = {};
  backwards[1] = INT64_MAX / 2;
  CHECK(kiln_context_run(m.context, in, 2, out, 2, nullptr, &m.status) == 704);
  CHECK(std::string(m.status.message) == "input \"x\" has strides that no memory can have [KILN-E0704]");
  backwards[1] = -2;
  std::vector<int64_t> fewer{2, 2}, far{INT64_MAX, 2, 1}, single{1, 2, 3};
  out[0].u.tensor.dims = fewer.data();
  CHECK(kiln_context_run(m.context, in, 2, out, 2, nullptr, &m.status) == 509);
  CHECK(std::string(m.status.message) ==
        "output \"out\": the result is f32[2,3], the given buffer f32[2,2] [KILN-E0509]");
  // Where there is one index, no step is taken.
  in[0] = tensor(x.data(), single);
  in[0].u.tensor.flags = KILN_HAS_STRIDES;
  in[0].u.tensor.strides = far.data();
  CHECK(kiln_context_run(m.context, in, 2, out, 2, nullptr, &m.status) == 504);
  single = {int64_t(1) << 40, int64_t(1) << 40, 3};
  CHECK(kiln_context_run(m.context, in, 2, out, 2, nullptr, &m.status) == 704);
}

TEST_CASE("copies of strided inputs count towards the memory limit") {
  Model m(sampleProgram().bytes());
  kiln_context *context = nullptr;
  kiln_context_options options = KILN_CONTEXT_OPTIONS_INIT;
  options.memory_limit = 1 << 20;
  REQUIRE(kiln_context_create(m.model, &options, &context, &m.status) == 0);
  float one = 1;
  std::vector<int64_t> dims{int64_t(1) << 36, 3}, strides{0, 0};
  kiln_value in[2] = {tensor(&one, dims), tensor(&one, dims)}, out[2] = {};
  for (kiln_value &value : in) {
    value.u.tensor.flags = KILN_HAS_STRIDES;
    value.u.tensor.strides = strides.data();
  }
  CHECK(kiln_context_run(context, in, 2, out, 2, nullptr, &m.status) == 510);
  dims[0] = 2; // is forgotten after the run
  CHECK(kiln_context_run(context, in, 2, out, 2, nullptr, &m.status) == 0);
  for (kiln_value &value : out)
    kiln_value_release(&value);
  kiln_context_release(context);
}

TEST_CASE("an output's memory may be larger than the result, whose dims are told") {
  ProgramBuilder b;
  b.symbol("N", 0, 0);
  ViewId x = b.input("x", DType::F32, {"N"});
  ViewId found = b.openOutput("found", DType::I64, {"1", "k"}), negative = b.output("negative", DType::F32, {"N"});
  b.call("nonzero", {x}, {found});
  b.call("neg", {x}, {negative});
  Model m(b.bytes());
  std::vector<float> values{0, 3, 0, 4}, results(8, -1.f);
  std::vector<int64_t> places(3, -1), dims{4}, foundDims{-7, -7}, resultDims{-7};
  kiln_value in = tensor(values.data(), dims),
             out[2] = {tensor(places.data(), foundDims, KILN_I64), tensor(results.data(), resultDims)};
  for (kiln_value &value : out)
    value.u.tensor.flags = KILN_HAS_CAPACITY;
  out[0].u.tensor.capacity = 24;
  out[1].u.tensor.capacity = 32;
  REQUIRE(kiln_context_run(m.context, &in, 1, out, 2, nullptr, &m.status) == 0);
  CHECK(foundDims == std::vector<int64_t>{1, 2});
  CHECK(places == std::vector<int64_t>{1, 3, -1});
  CHECK(resultDims == std::vector<int64_t>{4});
  CHECK(results == std::vector<float>{0, -3, 0, -4, -1, -1, -1, -1});

  out[0].u.tensor.capacity = 15;
  CHECK(kiln_context_run(m.context, &in, 1, out, 2, nullptr, &m.status) == 509);
  CHECK(std::string(m.status.message) ==
        "node \"node_nonzero_0\": output \"found\": the result is i64[1,2] of 16 bytes, "
        "the given buffer holds 15 [KILN-E0509]");
  out[0].u.tensor.rank = 1;
  CHECK(kiln_context_run(m.context, &in, 1, out, 2, nullptr, &m.status) == 509);
  CHECK(std::string(m.status.message) == "node \"node_nonzero_0\": output \"found\": the result is i64[1,2], the given "
                                         "buffer is for i64 of rank 1 [KILN-E0509]");
  in.u.tensor.flags = KILN_HAS_CAPACITY;
  CHECK(kiln_context_run(m.context, &in, 1, out, 2, nullptr, &m.status) == 704);
  CHECK(std::string(m.status.message) == "input \"x\" has a capacity, which is for outputs [KILN-E0704]");
}

TEST_CASE("structures of other versions") {
  Model m(sampleProgram().bytes());
  struct {
    kiln_context_options known;
    int64_t later;
  } newer = {KILN_CONTEXT_OPTIONS_INIT, 0};
  newer.known.size = sizeof newer;
  kiln_context *context = nullptr;
  CHECK(kiln_context_create(m.model, &newer.known, &context, &m.status) == 0);
  kiln_context_release(context);
  newer.later = 1;
  CHECK(kiln_context_create(m.model, &newer.known, &context, &m.status) == 706);

  // Version 1 ended in padding, which holds anything.
  kiln_context_options older = KILN_CONTEXT_OPTIONS_INIT;
  older.size = 16;
  older.unused = older.guard_pages = -1;
  CHECK(kiln_context_create(m.model, &older, &context, &m.status) == 0);
  CHECK(kiln_context_current_step(context) == -1);
  kiln_context_release(context);
  CHECK(kiln_context_current_step(nullptr) == -1);
  kiln_context_cancel(nullptr);
}

TEST_CASE("a run holds no more than its context's limit") {
  Model m(sampleProgram().bytes());
  kiln_context_options options = KILN_CONTEXT_OPTIONS_INIT;
  options.memory_limit = -1;
  kiln_context *context = nullptr;
  CHECK(kiln_context_create(m.model, &options, &context, &m.status) == 704);
  for (int64_t limit : {int64_t(16), int64_t(1) << 20}) {
    options.memory_limit = limit;
    REQUIRE(kiln_context_create(m.model, &options, &context, &m.status) == 0);
    kiln_context_cancel(context); // nothing is under way
    float x[6] = {}, y[6] = {};
    int64_t dims[2] = {2, 3};
    kiln_value inputs[2] = {KILN_TENSOR_INIT(x, dims, 2, KILN_F32), KILN_TENSOR_INIT(y, dims, 2, KILN_F32)};
    kiln_value outputs[2] = {KILN_VALUE_INIT, KILN_VALUE_INIT};
    CHECK(kiln_context_run(context, inputs, 2, outputs, 2, nullptr, &m.status) == (limit == 16 ? 510 : 0));
    for (kiln_value &output : outputs)
      kiln_value_release(&output);
    kiln_context_release(context);
  }
}

TEST_CASE("bytes are taken over, also on failure, and given back for saving") {
  std::vector<std::byte> artifact = sampleProgram().bytes();
  static int released;
  released = 0;
  auto make = [&](size_t n) {
    void *p = std::aligned_alloc(64, (artifact.size() + 63) / 64 * 64);
    std::memcpy(p, artifact.data(), artifact.size());
    return kiln_bytes{p, n, [](void *owner) { std::free(owner), ++released; }, p};
  };
  kiln_bytes good = make(artifact.size()), bad = make(100);
  kiln_model *model = nullptr, *none = nullptr;
  REQUIRE(kiln_model_take_bytes(&good, &model, nullptr) == 0);
  CHECK(good.data == nullptr);
  CHECK(released == 0);
  const void *data = nullptr;
  size_t size = 0;
  REQUIRE(kiln_model_bytes(model, &data, &size, nullptr) == 0);
  CHECK((size == artifact.size() && std::memcmp(data, artifact.data(), size) == 0));
  CHECK(kiln_model_save(model, "/", nullptr) == 106);
  CHECK(kiln_model_save(model, nullptr, nullptr) != 0);
  kiln_model_release(model);
  CHECK(released == 1);
  CHECK(kiln_model_take_bytes(&bad, &none, nullptr) == 603);
  CHECK(released == 2);
}

TEST_CASE("weights are compared with their checksums when asked") {
  std::vector<std::byte> bytes = sampleProgram().bytes();
  Model good(bytes);
  CHECK(kiln_model_verify(good.model, &good.status) == 0);
  ArtifactHeader header;
  std::memcpy(&header, bytes.data(), sizeof header);
  bytes[header.weightsOffset] ^= std::byte(1);
  Model bad(bytes);
  CHECK(kiln_model_verify(bad.model, &bad.status) == 608);
  CHECK(kiln_model_verify(nullptr, nullptr) == 704);
}

TEST_CASE("a host's thread pool is used") {
  static int calls;
  calls = 0;
  kiln_thread_pool pool = {sizeof pool, nullptr,
                           [](void *, int64_t n, int32_t, kiln_parallel_body body, void *argument) {
                             ++calls;
                             body(argument, 0, n, 0);
                           }};
  REQUIRE(kiln_set_thread_pool(&pool, nullptr) == 0);
  CHECK(kiln_set_thread_pool(nullptr, nullptr) == 0);
  pool.parallel_for = nullptr;
  CHECK(kiln_set_thread_pool(&pool, nullptr) == 704);
  CHECK(kiln_available_cpus() >= 1);
}

TEST_CASE("compiling wants exactly one place for the result") {
  kiln_status status = KILN_STATUS_INIT;
  kiln_bytes bytes = KILN_BYTES_INIT;
  CHECK(kiln_compile_file("x.onnx", nullptr, nullptr, nullptr, &status) == 704);
  CHECK(kiln_compile_file("x.onnx", nullptr, "out", &bytes, &status) == 704);
  CHECK(kiln_compile_file(nullptr, nullptr, "out", nullptr, &status) == 704);
  CHECK(kiln_compile_models(nullptr, 1, nullptr, "out", nullptr, &status) == 704);
  CHECK(std::string(status.message) == "argument 'models' is null [KILN-E0704]");
  kiln_status_clear(&status);
}
