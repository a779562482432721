// The relocator on objects that LLVM writes, and on the same objects cut off and damaged.
#include "codegen/cpu/Relocator.h"
#include "codegen/cpu/Lowering.h"

#include "llvm/AsmParser/Parser.h"
#include "llvm/IR/LLVMContext.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/SourceMgr.h"

#include <catch2/catch.hpp>

using namespace kiln;

namespace {

std::vector<char> objectOf(const char *ir) {
  llvm::LLVMContext context;
  llvm::SMDiagnostic diagnostic;
  std::unique_ptr<llvm::Module> module = llvm::parseAssemblyString(ir, diagnostic, context);
  REQUIRE(module);
  TargetInfo target = TargetInfo::parse("x86-64-v3").value();
  module = cpu::optimizeForTarget(std::move(module), target).value();
  return cpu::emitObject(*module, target).value();
}

// A function with a constant table (a relocation into .rodata) and a call of another function.
const char *const selfContained = R"(
@table = private constant [4 x i32] [i32 3, i32 5, i32 7, i32 11], align 64
define void @store(ptr %to, i64 %i) noinline {
  %from = getelementptr [4 x i32], ptr @table, i64 0, i64 %i
  %v = load i32, ptr %from
  store i32 %v, ptr %to
  ret void
}
define void @twice(ptr %to, i64 %i) {
  call void @store(ptr %to, i64 %i)
  %next = getelementptr i32, ptr %to, i64 1
  call void @store(ptr %next, i64 %i)
  ret void
}
)";

} // namespace

TEST_CASE("an object without outside references becomes an image with its functions by name") {
  Result<cpu::LinkedImage> image = cpu::linkImage(objectOf(selfContained));
  REQUIRE(image.ok());
  CHECK(image->bytes.size() % 64 == 0);
  REQUIRE(image->symbols.size() == 2);
  CHECK(image->symbols.at("store") < image->bytes.size());
  CHECK(image->symbols.at("twice") < image->bytes.size());
}

TEST_CASE("a call of a function outside the object is refused by name") {
  Result<cpu::LinkedImage> image = cpu::linkImage(objectOf(R"(
declare ptr @memcpy(ptr, ptr, i64)
define void @copy(ptr %to, ptr %from) {
  %r = call ptr @memcpy(ptr %to, ptr %from, i64 4096)
  ret void
}
)"));
  REQUIRE_FALSE(image.ok());
  CHECK_THAT(image.status().message(), Catch::Contains("generated code refers to 'memcpy', which is not part of it"));
}

TEST_CASE("a writable section is refused by name") {
  Result<cpu::LinkedImage> image = cpu::linkImage(objectOf(R"(
@counter = global i32 1
define void @count() {
  %v = load i32, ptr @counter
  ret void
}
)"));
  REQUIRE_FALSE(image.ok());
  CHECK_THAT(image.status().message(), Catch::Contains("unexpected section '.data'"));
}

TEST_CASE("objects cut off or damaged anywhere are errors or images, never crashes") {
  std::vector<char> object = objectOf(selfContained);
  for (size_t size = 0; size < object.size(); ++size) {
    std::vector<char> cut(object.begin(), object.begin() + std::ptrdiff_t(size));
    Result<cpu::LinkedImage> image = cpu::linkImage(cut);
    CHECK((image.ok() || !image.status().message().empty()));
  }
  size_t refused = 0;
  for (size_t at = 0; at < object.size(); ++at)
    for (int value : {0x00, 0x01, 0x7f, 0x80, 0xff}) {
      std::vector<char> damaged = object;
      damaged[at] = char(value);
      refused += !cpu::linkImage(damaged).ok();
    }
  CHECK(refused > 0);
}
