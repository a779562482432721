#include "runtime/base/Tensor.h"
#include "runtime/include/kiln/kernel_abi.h"
#include "runtime/plan/Artifact.h"
#include "runtime/plan/ArtifactHeader.h"
#include "runtime/plan/PlanEncoding.h"

#include <cerrno>
#include <cstring>
#include <unistd.h>

namespace kiln {
namespace {

class Output {
public:
  explicit Output(ByteSink &sink) : sink(sink) {}

  Status write(std::span<const std::byte> bytes) {
    position += bytes.size();
    return sink.write(bytes);
  }
  Status padTo(uint64_t alignment) {
    static const std::byte zeros[artifactPage] = {};
    uint64_t n = (alignment - position % alignment) % alignment;
    return write({zeros, size_t(n)});
  }
  uint64_t position = 0;

private:
  ByteSink &sink;
};

template <typename T> std::span<const std::byte> bytesOf(const T &v) {
  return std::as_bytes(std::span<const T>(&v, 1));
}

Status writeAll(int fd, const std::string &name, std::span<const std::byte> bytes, uint64_t offset) {
  while (!bytes.empty()) {
    ssize_t n = ::pwrite(fd, bytes.data(), bytes.size(), off_t(offset));
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return makeError(ErrorCode::E0106, name, ": cannot be written: ", std::strerror(errno));
    bytes = bytes.subspan(size_t(n));
    offset += uint64_t(n);
  }
  return Status();
}

} // namespace

Status MemorySink::write(std::span<const std::byte> more) {
  bytes.insert(bytes.end(), more.begin(), more.end());
  return Status();
}

Status MemorySink::patch(uint64_t offset, std::span<const std::byte> more) {
  std::copy(more.begin(), more.end(), bytes.begin() + int64_t(offset));
  return Status();
}

Status FileSink::write(std::span<const std::byte> bytes) {
  KILN_TRY(writeAll(fd, name, bytes, position));
  position += bytes.size();
  return Status();
}

Status FileSink::patch(uint64_t offset, std::span<const std::byte> bytes) { return writeAll(fd, name, bytes, offset); }

Status writeArtifact(const Program &given, std::span<const std::byte> code, const ConstantBytes &constants,
                     ByteSink &sink) {
  KILN_TRY(checkProgram(given, code.size()));
  Program program = given;
  Output out(sink);
  std::vector<std::byte> roughPlan = encodeProgram(program);
  uint64_t expected = 4 * artifactPage + code.size() + roughPlan.size() + 32 * program.constants.size();
  for (const Constant &constant : program.constants)
    if (constant.inSection())
      expected += uint64_t(*byteCount(constant.dtype, constant.dims) + bufferAlignment);
  sink.expect(expected);

  ArtifactHeader header = {};
  KILN_TRY(out.write(bytesOf(header)));

  KILN_TRY(out.padTo(artifactPage));
  header.codeOffset = out.position;
  header.codeBytes = code.size();
  header.codeHash = hash64(code.data(), code.size());
  KILN_TRY(out.write(code));

  KILN_TRY(out.padTo(artifactPage));
  header.weightsOffset = out.position;
  for (size_t i = 0; i < program.constants.size(); ++i) {
    Constant &constant = program.constants[i];
    if (!constant.inSection())
      continue;
    KILN_ASSIGN(std::span<const std::byte> bytes, constants(i));
    std::optional<int64_t> expected = byteCount(constant.dtype, constant.dims);
    if (!expected || uint64_t(*expected) != bytes.size())
      return makeError(ErrorCode::E0901, "constant '", constant.name, "' has ", bytes.size(),
                       " bytes instead of those of ", printTensorType(constant.dtype, constant.dims));
    KILN_TRY(out.padTo(uint64_t(bufferAlignment)));
    constant.source = SectionSource{out.position - header.weightsOffset, hash64(bytes.data(), bytes.size())};
    KILN_TRY(out.write(bytes));
  }
  header.weightsBytes = out.position - header.weightsOffset;

  KILN_TRY(out.padTo(uint64_t(bufferAlignment)));
  std::vector<std::byte> plan = encodeProgram(program);
  header.planOffset = out.position;
  header.planBytes = plan.size();
  header.planHash = hash64(plan.data(), plan.size());
  KILN_TRY(out.write(plan));

  std::memcpy(header.magic, ArtifactHeader::expectedMagic, sizeof header.magic);
  header.version = artifactVersion;
  header.kernelAbi = KILN_KERNEL_ABI_VERSION;
  header.fileBytes = out.position;
  header.headerHash = header.computeHash();
  return sink.patch(0, bytesOf(header));
}

} // namespace kiln
