// Constants that do not lie in the artifact, through the C API: files that they lie in, binding, what is refused.
#include "Checksums.h"
#include "TestProgram.h"

#include "kiln/runtime.h"

#include <atomic>
#include <catch2/catch.hpp>
#include <cstdio>
#include <fstream>
#include <random>
#include <string>
#include <thread>

using namespace kiln;
using namespace kiln::test;

namespace {

Recipe recipeOf(const char *text) { return *Recipe::parse(text); }

/// out[2,3] = x[2,2] * transpose(w[3,2]) + b[3], where `w` and `b` are bound; entry "twice" gives b + b.
ProgramBuilder boundProgram() {
  ProgramBuilder b;
  b.program.entries = {{"main", 0}, {"twice", 1}};
  ViewId x = b.input("x", DType::F32, {"2", "2"}), out = b.output("out", DType::F32, {"2", "3"});
  b.outside(DType::F32, {3, 2}, BoundSource{"w"});
  ViewId packed = b.outside(DType::F32, {2, 3}, DerivedSource{b.lastConstant(), recipeOf("permute[1,0]")});
  ViewId bias = b.outside(DType::F32, {3}, BoundSource{"b"});
  BufferId biasBuffer = b.p.views[bias].buffer;
  ViewId product = b.temp(DType::F32, {"2", "3"});
  b.call("matmul", {x, packed}, {product});
  b.call("add", {product, bias}, {out});
  uint32_t index = b.p.buffers[biasBuffer].index;
  b.function("twice");
  ViewId same = b.view(b.buffer(Buffer::Place::Constant, index), DType::F32, b.dims({"3"}));
  b.call("add", {same, same}, {b.output("out", DType::F32, {"3"})});
  return b;
}

struct Tensor2 {
  std::vector<float> data;
  std::vector<int64_t> dims;
  kiln_value value() { return KILN_TENSOR_INIT(data.data(), dims.data(), int32_t(dims.size()), KILN_F32); }
};

struct Bound {
  kiln_model *model = nullptr;
  kiln_status status = KILN_STATUS_INIT;
  Tensor2 w{{1, 2, 3, 4, 5, 6}, {3, 2}}, b{{10, 20, 30}, {3}};

  explicit Bound(ProgramBuilder builder = boundProgram()) {
    std::vector<std::byte> bytes = builder.bytes();
    INFO(builder.failure);
    REQUIRE(builder.failure.empty());
    REQUIRE(kiln_model_load_bytes(bytes.data(), bytes.size(), &model, &status) == 0);
  }
  ~Bound() {
    kiln_model_release(model);
    kiln_status_clear(&status);
  }
  std::string bind(std::vector<kiln_named_value> values) {
    return kiln_model_bind_constants(model, values.data(), values.size(), &status) ? status.message : "";
  }
  std::string bindBoth() { return bind({{"w", w.value()}, {"b", b.value()}}); }

  kiln_context *context(int guardPages = 0) {
    kiln_context_options options = KILN_CONTEXT_OPTIONS_INIT;
    options.threads = 1;
    options.guard_pages = guardPages;
    kiln_context *made = nullptr;
    REQUIRE(kiln_context_create(model, &options, &made, nullptr) == 0);
    return made;
  }
  /// x * transpose(w) + b for x = 1, or the error.
  std::pair<std::vector<float>, std::string> run(kiln_context *context, size_t entry = 0) {
    float ones[4] = {1, 0, 0, 1};
    int64_t dims[2] = {2, 2};
    kiln_value x = KILN_TENSOR_INIT(ones, dims, 2, KILN_F32), out = KILN_VALUE_INIT;
    kiln_run_options options = KILN_RUN_OPTIONS_INIT;
    options.entry = entry;
    kiln_status failed = KILN_STATUS_INIT;
    std::vector<float> result;
    if (kiln_context_run(context, &x, entry == 0, &out, 1, &options, &failed) == 0)
      result.assign(static_cast<float *>(out.u.tensor.data),
                    static_cast<float *>(out.u.tensor.data) + (entry == 0 ? 6 : 3));
    std::string message = failed.message ? failed.message : "";
    kiln_value_release(&out);
    kiln_status_clear(&failed);
    return {result, message};
  }
  std::pair<std::vector<float>, std::string> runOnce(size_t entry = 0, int guardPages = 0) {
    kiln_context *c = context(guardPages);
    auto result = run(c, entry);
    kiln_context_release(c);
    return result;
  }
};

using Floats = std::vector<float>;

} // namespace

TEST_CASE("bound constants are read in place, packed ones by their recipe") {
  Bound m;
  CHECK(m.runOnce().second == "constants are not bound: \"w\", \"b\" [KILN-E0524]");
  CHECK(m.bind({{"b", m.b.value()}}) == "");
  CHECK(m.runOnce().second == "constants are not bound: \"w\" [KILN-E0524]");
  CHECK(m.bind({{"w", m.w.value()}}) == "");
  for (int guardPages : {0, 1})
    CHECK(m.runOnce(0, guardPages).first == Floats{11, 23, 35, 12, 24, 36});
  CHECK(m.runOnce(1).first == Floats{20, 40, 60});
  // What is in place changes with the memory, what was packed when it is bound again.
  m.b.data[0] = 0;
  m.w.data[0] = 100;
  CHECK(m.runOnce().first == Floats{1, 23, 35, 2, 24, 36});
  CHECK(m.bind({{"b", m.b.value()}}) == "");
  CHECK(m.runOnce().first == Floats{1, 23, 35, 2, 24, 36});
  CHECK(m.bind({{"w", m.w.value()}}) == "");
  CHECK(m.runOnce().first == Floats{100, 23, 35, 2, 24, 36});
  CHECK(m.bind({}) == "");
}

TEST_CASE("what does not fit is refused, and nothing changes") {
  Bound m;
  REQUIRE(m.bindBoth() == "");
  Tensor2 other{{0, 0, 0, 0, 0, 0, 0}, {2, 3}};
  kiln_value wrong = other.value(), ints = m.b.value(), shifted = m.b.value(), nothing = m.b.value();
  ints.u.tensor.dtype = KILN_I32;
  shifted.u.tensor.data = reinterpret_cast<char *>(other.data.data()) + 1;
  nothing.u.tensor.data = nullptr;
  kiln_value fine = other.value();
  int64_t dims[] = {3, 2};
  fine.u.tensor.dims = dims;
  CHECK(m.bind({{"w", wrong}}) == "constant \"w\": expected f32[3,2], got f32[2,3] [KILN-E0525]");
  CHECK(m.bind({{"w", fine}, {"b", ints}}) == "constant \"b\": expected f32[3], got i32[3] [KILN-E0525]");
  CHECK(m.bind({{"b", shifted}}) == "constant \"b\": its data is not aligned to 4 bytes [KILN-E0515]");
  CHECK(m.bind({{"b", nothing}}) == "constant \"b\" has no data [KILN-E0704]");
  CHECK(m.bind({{"b", m.b.value()}, {"b", m.b.value()}}) == "constant \"b\" is given twice [KILN-E0704]");
  CHECK(m.bind({{"c", fine}}) == "the model has no constant \"c\" to bind; it has \"w\", \"b\" [KILN-E0501]");
  CHECK(m.bind({{"w", KILN_VALUE_INIT}}) == "constant \"w\" is missing [KILN-E0502]");
  CHECK(m.bind({{nullptr, fine}}) == "argument 'values[i].name' is null [KILN-E0704]");
  CHECK(kiln_model_bind_constants(m.model, nullptr, 1, nullptr) == 704);
  CHECK(m.runOnce().first == Floats{11, 23, 35, 12, 24, 36});
}

TEST_CASE("the text of a program says how many bytes lie where") {
  ProgramBuilder b = boundProgram();
  b.program.files.push_back({"w.bin", 100});
  b.outside(DType::F32, {5}, FileSource{0, 0, 0});
  b.constant<float>("v", DType::F32, {1}, {1});
  CHECK(printProgram(b.finish()).find("constants 5, 4 bytes in the artifact, 20 in files, 36 bound, 24 derived\n") !=
        std::string::npos);
  CHECK(printProgram(sampleProgram().finish()).find("constants 1, 12 bytes in the artifact\n") != std::string::npos);
}

TEST_CASE("constants are told of") {
  Bound m;
  auto info = [&](size_t i) {
    kiln_constant_info info = KILN_CONSTANT_INFO_INIT;
    REQUIRE(kiln_model_get_constant(m.model, i, &info, nullptr) == 0);
    return info;
  };
  CHECK(std::string(info(0).name) == "w");
  CHECK(info(0).source == KILN_CONSTANT_BOUND);
  CHECK((info(0).dtype == KILN_F32 && info(0).rank == 2 && info(0).dims[0] == 3 && info(0).dims[1] == 2));
  CHECK(info(1).source == KILN_CONSTANT_DERIVED);
  CHECK(info(1).from == 0);
  CHECK((!info(0).is_bound && !info(1).is_bound && !info(2).is_bound));
  REQUIRE(m.bind({{"w", m.w.value()}}) == "");
  CHECK((info(0).is_bound && info(1).is_bound && !info(2).is_bound));
  CHECK(kiln_model_get_constant(m.model, 3, nullptr, nullptr) == 704);
  kiln_model_info all = KILN_MODEL_INFO_INIT;
  REQUIRE(kiln_model_get_info(m.model, &all, nullptr) == 0);
  CHECK(all.constant_count == 3);
  CHECK(all.weights_bytes == 0);
}

TEST_CASE("memory that is given away is released when nobody reads it any more") {
  static std::atomic<int> released;
  released = 0;
  Bound m;
  auto given = [&](Tensor2 &t) {
    kiln_value value = t.value();
    value.release = [](kiln_value *) { ++released; };
    return value;
  };
  std::vector<kiln_named_value> values = {{"w", given(m.w)}, {"b", given(m.b)}};
  values.push_back({"c", m.b.value()});
  CHECK(kiln_model_bind_constants(m.model, values.data(), 3, nullptr) == 501);
  CHECK(released == 0);
  CHECK(values[0].value.kind == KILN_TENSOR); // nothing was taken
  REQUIRE(kiln_model_bind_constants(m.model, values.data(), 2, nullptr) == 0);
  CHECK(values[0].value.kind == KILN_NONE);
  kiln_context *context = m.context();
  CHECK(m.run(context).first == Floats{11, 23, 35, 12, 24, 36});
  CHECK(released == 0);
  REQUIRE(m.bind({{"b", m.b.value()}}) == "");
  CHECK(released == 1); // a context that does not run holds nothing
  kiln_context_release(context);
  kiln_model_release(m.model);
  m.model = nullptr;
  CHECK(released == 2);
}

TEST_CASE("a run sees one set of constants, whoever binds others meanwhile") {
  // Sets whose members belong together: of c in w and 10 c in b comes 11 c.
  Bound m;
  auto make = [](float c) {
    return std::pair(Tensor2{{c, c, c, c, c, c}, {3, 2}}, Tensor2{{10 * c, 10 * c, 10 * c}, {3}});
  };
  auto bind = [&](float c) {
    auto [w, b] = make(c);
    auto give = [](Tensor2 t) {
      auto *owner = new Tensor2(std::move(t));
      kiln_value value = owner->value();
      value.owner = owner;
      value.release = [](kiln_value *v) {
        auto *t = static_cast<Tensor2 *>(v->owner);
        std::fill(t->data.begin(), t->data.end(), -1e9f); // what is read later shows
        delete t;
      };
      return value;
    };
    kiln_named_value values[] = {{"w", give(w)}, {"b", give(b)}};
    REQUIRE(kiln_model_bind_constants(m.model, values, 2, nullptr) == 0);
  };
  bind(1);
  std::atomic<bool> stop{false};
  std::atomic<int> runs{0}, torn{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&, context = m.context()] {
      while (!stop) {
        Floats got = m.run(context).first;
        float c = got.empty() ? 0 : got[0] / 11;
        torn += got != Floats(6, 11 * c) || c < 1 || c > 64;
        ++runs;
      }
      kiln_context_release(context);
    });
  for (int i = 0; i < 300 || runs < 800; ++i)
    bind(float(1 + i % 64));
  stop = true;
  for (std::thread &thread : threads)
    thread.join();
  CHECK(torn == 0);
  bind(5);
  CHECK(m.runOnce().first == Floats(6, 55));
}

namespace {

/// out[4] = v + transposed: `v` f32[4] at byte 4 of a file, `t` f32[2,2] at byte 20, read transposed and flat.
struct FileModel {
  std::string folder = "constants-test", path = folder + "/m.kiln", weights = folder + "/w.bin";
  std::vector<float> content{0, 1, 2, 3, 4, 10, 20, 30, 40};

  FileModel() {
    std::system(("rm -rf " + folder + " && mkdir " + folder).c_str());
    writeWeights();
    ProgramBuilder b;
    b.program.files.push_back({"w.bin", content.size() * sizeof(float)});
    ViewId x = b.input("x", DType::F32, {"4"}), sum = b.temp(DType::F32, {"4"});
    auto digest = [&](size_t first) { return hash64(&content[first], 4 * sizeof(float)); };
    ViewId v = b.outside(DType::F32, {4}, FileSource{0, 4, digest(1)});
    b.outside(DType::F32, {2, 2}, FileSource{0, 20, digest(5)});
    ViewId t = b.outside(DType::F32, {4}, DerivedSource{b.lastConstant(), recipeOf("permute[1,0]; reshape[4]")});
    b.call("add", {x, v}, {sum});
    b.call("add", {sum, t}, {b.output("out", DType::F32, {"4"})});
    std::vector<std::byte> bytes = b.bytes();
    INFO(b.failure);
    REQUIRE(b.failure.empty());
    write(path, bytes.data(), bytes.size());
  }
  ~FileModel() { std::system(("rm -rf " + folder).c_str()); }
  static void write(const std::string &to, const void *data, size_t size) {
    std::ofstream(to, std::ios::binary).write(static_cast<const char *>(data), std::streamsize(size));
  }
  void writeWeights() { write(weights, content.data(), content.size() * sizeof(float)); }

  /// The result for x = 0, or the error of loading or verifying.
  std::pair<Floats, std::string> run(bool verify = false) {
    kiln_model *model = nullptr;
    kiln_context *context = nullptr;
    kiln_status status = KILN_STATUS_INIT;
    float zero[4] = {};
    int64_t dims[] = {4};
    kiln_value x = KILN_TENSOR_INIT(zero, dims, 1, KILN_F32), out = KILN_VALUE_INIT;
    Floats result;
    if (!kiln_model_load_file(path.c_str(), &model, &status) && (!verify || !kiln_model_verify(model, &status)) &&
        !kiln_context_create(model, nullptr, &context, &status) &&
        !kiln_context_run(context, &x, 1, &out, 1, nullptr, &status))
      result.assign(static_cast<float *>(out.u.tensor.data), static_cast<float *>(out.u.tensor.data) + 4);
    std::string message = status.message ? status.message : "";
    kiln_value_release(&out);
    kiln_context_release(context);
    kiln_model_release(model);
    kiln_status_clear(&status);
    return {result, message};
  }
};

} // namespace

TEST_CASE("weights in a file beside the artifact") {
  FileModel m;
  CHECK(m.run(true).first == Floats{11, 32, 23, 44});

  m.content[1] = 5; // read in place: only verifying looks at it
  m.writeWeights();
  CHECK(m.run().first == Floats{15, 32, 23, 44});
  CHECK(m.run(true).second ==
        "constants-test/m.kiln: weights are damaged: constant 0 does not match its checksum, at bytes 4..20 of "
        "constants-test/w.bin; put the file there that the model was compiled from, or compile it again [KILN-E0608]");
  m.content[1] = 1;
  m.content[6] = 21; // read by a recipe
  m.writeWeights();
  CHECK(m.run().second ==
        "constants-test/m.kiln: weights are damaged: constant 1 does not match its checksum, at bytes 20..36 of "
        "constants-test/w.bin; put the file there that the model was compiled from, or compile it again [KILN-E0608]");
  m.content.pop_back();
  m.writeWeights();
  CHECK(m.run().second ==
        "constants-test/m.kiln: weights file constants-test/w.bin: has 32 bytes; put the file of 36 bytes "
        "there that the model was compiled from, or compile it again [KILN-E0609]");
  std::remove(m.weights.c_str());
  CHECK(
      m.run().second ==
      "constants-test/m.kiln: weights file constants-test/w.bin: cannot be opened: No such file or directory; put the "
      "file of 36 bytes there that the model was compiled from, or compile it again [KILN-E0609]");
}

TEST_CASE("verifying a loaded model looks at the bytes that its runs read") {
  FileModel m;
  kiln_model *model = nullptr;
  REQUIRE(kiln_model_load_file(m.path.c_str(), &model, nullptr) == 0);
  m.content[1] = 5;
  FileModel::write(m.weights + ".new", m.content.data(), m.content.size() * sizeof(float));
  REQUIRE(std::rename((m.weights + ".new").c_str(), m.weights.c_str()) == 0);
  CHECK(kiln_model_verify(model, nullptr) == 0);
  CHECK(m.run(true).second.find("constant 0 does not match its checksum") != std::string::npos); // one loaded now
  std::remove(m.weights.c_str());
  CHECK(kiln_model_verify(model, nullptr) == 0);
  kiln_model_release(model);
}

TEST_CASE("from memory, files beside the artifact cannot be found") {
  FileModel m;
  std::ifstream file(m.path, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(file)), {});
  kiln_model *model = nullptr;
  kiln_status status = KILN_STATUS_INIT;
  CHECK(kiln_model_load_bytes(bytes.data(), bytes.size(), &model, &status) == 609);
  CHECK(std::string(status.message) ==
        "weights lie in w.bin, beside the artifact, which was loaded from memory; load it "
        "from its file [KILN-E0609]");
  kiln_status_clear(&status);
}

TEST_CASE("inconsistent sources are refused") {
  auto refuse = [](auto change, const std::string &why) {
    Program program = boundProgram().finish();
    program.files.push_back({"w.bin", 100});
    change(program.constants, program.files);
    CHECK(formatError(checkProgram(program, 0)) == why);
  };
  using Constants = std::vector<Constant>;
  using Files = std::vector<WeightFile>;
  refuse([](Constants &, Files &f) { f[0].path = ""; }, "plan: a file of weights has no valid name [KILN-E0905]");
  refuse([](Constants &, Files &f) { f[0].path = std::string("a\0b", 3); },
         "plan: a file of weights has no valid name [KILN-E0905]");
  refuse([](Constants &c, Files &) { c[2].source = FileSource{1, 0, 0}; },
         "plan: constant '' lies outside its file [KILN-E0905]");
  refuse([](Constants &c, Files &) { c[2].source = FileSource{0, 92, 0}; },
         "plan: constant '' lies outside its file [KILN-E0905]");
  refuse([](Constants &c, Files &) { c[2].source = FileSource{0, UINT64_MAX, 0}; },
         "plan: constant '' lies outside its file [KILN-E0905]");
  refuse([](Constants &c, Files &) { c[2].source = BoundSource{"w"}; },
         "plan: constant 'w' is bound twice, or without a name [KILN-E0905]");
  refuse([](Constants &c, Files &) { c[2].source = BoundSource{""}; },
         "plan: constant '' is bound twice, or without a name [KILN-E0905]");
  refuse([](Constants &c, Files &) { c[1].source = DerivedSource{1, {}}; },
         "plan: constant '' is made of one that does not come before it [KILN-E0905]");
  refuse([](Constants &c, Files &) { c[1].source = DerivedSource{0, {}}; },
         "plan: constant '' is not what its recipe makes [KILN-E0905]");
  refuse([](Constants &c, Files &) { c[1].source = DerivedSource{0, recipeOf("permute[0]")}; },
         "packing step 'permute[0]' does not fit f32[3,2] [KILN-E0805]");
  refuse(
      [](Constants &c, Files &) {
        c[1].source = DerivedSource{0, recipeOf("pad[0,0,0,10000000]")};
        c[1].dims = {3, 10000002};
      },
      "plan: what is made of constant '' is much larger than it [KILN-E0905]");
  // Nor may all that is made of one, directly or by a chain. Of 24 bytes come 24000 and again so many.
  for (uint32_t from : {0u, 3u})
    refuse(
        [&](Constants &c, Files &) {
          c.push_back({"", DType::F32, {3, 2000}, DerivedSource{0, recipeOf("pad[0,0,0,1998]")}});
          c.push_back(
              {"", DType::F32, {3, 2001}, DerivedSource{from, recipeOf(from ? "pad[0,0,0,1]" : "pad[0,0,0,1999]")}});
        },
        "plan: what is made of constant '' is much larger than it [KILN-E0905]");
}

TEST_CASE("damage that the checksums do not show ends in an error or in a model that can be asked, bound and run") {
  std::vector<std::byte> bytes = boundProgram().bytes();
  ArtifactHeader h;
  std::memcpy(&h, bytes.data(), sizeof h);
  std::mt19937 rng(7);
  size_t loaded = 0;
  Tensor2 w{{1, 2, 3, 4, 5, 6}, {3, 2}}, b{{10, 20, 30}, {3}}, x{{1, 0, 0, 1}, {2, 2}};
  kiln_context_options options = KILN_CONTEXT_OPTIONS_INIT;
  options.threads = 1;
  options.memory_limit = 1 << 20;
  size_t ran = 0;
  for (int round = 0; round < 4000; ++round) {
    auto damaged = bytes;
    for (int k = 0; k < 1 + round % 3; ++k)
      damaged[h.planOffset + rng() % h.planBytes] = std::byte(rng());
    repairChecksums(damaged);
    kiln_model *model = nullptr;
    if (kiln_model_load_bytes(damaged.data(), damaged.size(), &model, nullptr))
      continue;
    ++loaded;
    for (kiln_named_value value : {kiln_named_value{"w", w.value()}, kiln_named_value{"b", b.value()}})
      (void)kiln_model_bind_constants(model, &value, 1, nullptr);
    (void)kiln_model_verify(model, nullptr);
    (void)kiln_model_text(model);
    kiln_context *context = nullptr;
    kiln_value in = x.value(), out = KILN_VALUE_INIT;
    ran += kiln_context_create(model, &options, &context, nullptr) == 0 &&
           kiln_context_run(context, &in, 1, &out, 1, nullptr, nullptr) == 0;
    kiln_value_release(&out);
    kiln_context_release(context);
    kiln_model_release(model);
  }
  CHECK(loaded > 0);
  CHECK(ran > 0);
}
