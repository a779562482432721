#include "runtime/plan/Artifact.h"

#include "runtime/base/ReadFile.h"
#include "runtime/base/Tensor.h"
#include "runtime/include/kiln/kernel_abi.h"
#include "runtime/plan/ArtifactHeader.h"
#include "runtime/plan/PlanEncoding.h"

#include <cerrno>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

namespace kiln {
namespace {

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0)
      ::close(fd);
  }
};

Status damaged(const char *what) { return makeError(ErrorCode::E0603, "artifact is truncated or damaged: ", what); }

bool inside(uint64_t offset, uint64_t bytes, uint64_t limit) { return offset <= limit && bytes <= limit - offset; }

} // namespace

bool Artifact::looksLike(std::span<const std::byte> bytes) {
  return bytes.size() >= sizeof ArtifactHeader::expectedMagic &&
         std::memcmp(bytes.data(), ArtifactHeader::expectedMagic, sizeof ArtifactHeader::expectedMagic) == 0;
}

Artifact::~Artifact() {
  if (codeMapping)
    ::munmap(codeMapping, codeMappingBytes);
}

Result<std::shared_ptr<const Artifact>> Artifact::open(const std::string &path) {
  KILN_ASSIGN(int fd, openForReading(path));
  Descriptor descriptor{fd};
  KILN_ASSIGN(std::shared_ptr<const MappedFile> file, MappedFile::map(fd, path));
  std::shared_ptr<Artifact> artifact(new Artifact);
  artifact->context = path + ": ";
  artifact->fromFile = true;
  artifact->folder = path.substr(0, path.rfind('/') + 1);
  artifact->whole = file->bytes();
  artifact->owner = std::move(file);
  Result<std::shared_ptr<const Artifact>> loaded = load(std::move(artifact), fd);
  if (!loaded.ok())
    return loaded.status().withContext(path + ": ");
  return loaded;
}

Result<std::shared_ptr<const Artifact>> Artifact::fromBytes(std::span<const std::byte> bytes,
                                                            std::shared_ptr<const void> owner) {
  std::shared_ptr<Artifact> artifact(new Artifact);
  bool aligned = reinterpret_cast<uintptr_t>(bytes.data()) % size_t(bufferAlignment) == 0;
  if (owner && aligned) {
    artifact->owner = std::move(owner);
    artifact->whole = bytes;
  } else {
    void *copy = allocateAligned(int64_t(bytes.size()));
    if (!copy)
      return makeError(ErrorCode::E0510, "out of memory for an artifact of ", bytes.size(), " bytes");
    artifact->owner = std::shared_ptr<const void>(copy, [](const void *p) { freeAligned(const_cast<void *>(p)); });
    if (!bytes.empty())
      std::memcpy(copy, bytes.data(), bytes.size());
    artifact->whole = {static_cast<const std::byte *>(copy), bytes.size()};
  }
  return load(std::move(artifact), -1);
}

Result<std::shared_ptr<const Artifact>> Artifact::load(std::shared_ptr<Artifact> artifact, int fd) {
  KILN_TRY(artifact->parse());
  ArtifactHeader header;
  std::memcpy(&header, artifact->whole.data(), sizeof header);
  KILN_TRY(artifact->mapCode(fd, header.codeOffset, header.codeBytes));
  return std::shared_ptr<const Artifact>(std::move(artifact));
}

Status Artifact::parse() {
  if (!looksLike(whole))
    return makeError(ErrorCode::E0601, "not a Kiln artifact");
  ArtifactHeader header;
  if (whole.size() < sizeof header)
    return damaged("the header is incomplete");
  std::memcpy(&header, whole.data(), sizeof header);
  if (header.version > artifactVersion)
    return makeError(ErrorCode::E0602, "the artifact has format version ", header.version,
                     "; this runtime reads up to version ", artifactVersion);
  if (header.version < artifactOldestVersion)
    return makeError(ErrorCode::E0607, "the artifact has format version ", header.version,
                     "; this runtime reads version ", artifactOldestVersion, " and newer");
  if (header.headerHash != header.computeHash())
    return damaged("the header's checksum is wrong");
  if (header.kernelAbi != KILN_KERNEL_ABI_VERSION)
    return makeError(ErrorCode::E0602, "the artifact's kernels use calling convention ", header.kernelAbi,
                     "; this runtime has ", KILN_KERNEL_ABI_VERSION);
  if (header.fileBytes != whole.size())
    return damaged("the file's size is wrong");
  if (!inside(header.codeOffset, header.codeBytes, whole.size()) ||
      !inside(header.weightsOffset, header.weightsBytes, whole.size()) ||
      !inside(header.planOffset, header.planBytes, whole.size()) ||
      header.weightsOffset % uint64_t(bufferAlignment) != 0 || header.codeOffset % artifactPage != 0)
    return damaged("a section lies outside the file");
  theVersion = header.version;
  theCode = whole.subspan(header.codeOffset, header.codeBytes);
  theWeights = whole.subspan(header.weightsOffset, header.weightsBytes);
  std::span<const std::byte> plan = whole.subspan(header.planOffset, header.planBytes);
  if (hash64(plan.data(), plan.size()) != header.planHash)
    return damaged("the plan's checksum is wrong");
  if (hash64(theCode.data(), theCode.size()) != header.codeHash)
    return damaged("the code's checksum is wrong");

  KILN_ASSIGN(theProgram, decodeProgram(plan));
  if (Status status = checkProgram(theProgram, theCode.size()); !status.ok())
    return Status(ErrorCode::E0603, status.message());
  for (const Constant &c : theProgram.constants) {
    int64_t bytes = *byteCount(c.dtype, c.dims); // checkProgram saw it
    auto *section = std::get_if<SectionSource>(&c.source);
    if (section && (!inside(section->offset, uint64_t(bytes), theWeights.size()) ||
                    section->offset % uint64_t(bufferAlignment) != 0))
      return damaged("a constant lies outside the weights");
  }
  return Status();
}

Status Artifact::mapCode(int fd, uint64_t offset, uint64_t size) {
  if (size == 0)
    return Status();
  codeMappingBytes = size_t(size);
  void *mapping = MAP_FAILED;
  if (fd >= 0)
    mapping = ::mmap(nullptr, codeMappingBytes, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, off_t(offset));
  if (mapping == MAP_FAILED) { // in memory, or on a file system mounted noexec: through an anonymous file
    Descriptor memory{::memfd_create("kiln-code", MFD_CLOEXEC)};
    if (memory.fd >= 0 && FileSink(memory.fd, "kiln-code").write(theCode).ok())
      mapping = ::mmap(nullptr, codeMappingBytes, PROT_READ | PROT_EXEC, MAP_PRIVATE, memory.fd, 0);
  }
  if (mapping == MAP_FAILED) {
    mapping = ::mmap(nullptr, codeMappingBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping != MAP_FAILED) {
      std::memcpy(mapping, theCode.data(), codeMappingBytes);
      if (::mprotect(mapping, codeMappingBytes, PROT_READ | PROT_EXEC) != 0) {
        ::munmap(mapping, codeMappingBytes);
        mapping = MAP_FAILED;
      }
    }
  }
  if (mapping == MAP_FAILED)
    return makeError(ErrorCode::E0605, "the artifact's code cannot be mapped as executable: ", std::strerror(errno));
  codeMapping = mapping;
  theCode = {static_cast<const std::byte *>(mapping), codeMappingBytes};
  return Status();
}

std::span<const std::byte> Artifact::constant(size_t index) const {
  const Constant &c = theProgram.constants[index];
  return theWeights.subspan(std::get<SectionSource>(c.source).offset, size_t(*byteCount(c.dtype, c.dims)));
}

Result<Artifact::Files> Artifact::openFiles() const {
  Files files;
  for (const WeightFile &named : theProgram.files) {
    bool relative = named.path[0] != '/';
    if (relative && !fromFile)
      return makeError(ErrorCode::E0609, "weights lie in ", named.path,
                       ", beside the artifact, which was loaded from memory; load it from its file");
    Result<std::shared_ptr<const MappedFile>> file = MappedFile::open((relative ? folder : "") + named.path);
    if (!file.ok())
      return makeError(ErrorCode::E0609, context, "weights file ", file.status().message(), "; put the file of ",
                       named.bytes, " bytes there that the model was compiled from, or compile it again");
    if ((*file)->bytes().size() != named.bytes)
      return makeError(ErrorCode::E0609, context, "weights file ", (*file)->path(), ": has ", (*file)->bytes().size(),
                       " bytes; put the file of ", named.bytes,
                       " bytes there that the model was compiled from, or compile it again");
    files.push_back(*std::move(file));
  }
  return files;
}

Status Artifact::verifyRange(const Files &files, size_t index) const {
  const Constant &c = theProgram.constants[index];
  const FileSource &range = std::get<FileSource>(c.source);
  const MappedFile &file = *files[range.file];
  std::span<const std::byte> bytes = file.bytes().subspan(range.offset, size_t(*byteCount(c.dtype, c.dims)));
  if (hash64(bytes.data(), bytes.size()) == range.digest)
    return Status();
  return makeError(ErrorCode::E0608, context, "weights are damaged: constant ", index,
                   c.name.empty() ? "" : " (\"" + c.name + "\")", " does not match its checksum, at bytes ",
                   range.offset, "..", range.offset + bytes.size(), " of ", file.path(),
                   "; put the file there that the model was compiled from, or compile it again");
}

Status Artifact::verifyWeights() const {
  KILN_ASSIGN(Files files, openFiles());
  return verifyWeights(files);
}

Status Artifact::verifyWeights(const Files &files) const {
  for (size_t i = 0; i < theProgram.constants.size(); ++i) {
    const Constant &c = theProgram.constants[i];
    if (std::holds_alternative<FileSource>(c.source))
      KILN_TRY(verifyRange(files, i));
    if (!c.inSection())
      continue;
    std::span<const std::byte> bytes = constant(i);
    if (hash64(bytes.data(), bytes.size()) != std::get<SectionSource>(c.source).digest)
      return makeError(ErrorCode::E0608, context, "weights are damaged: constant ", i,
                       c.name.empty() ? "" : " (\"" + c.name + "\")",
                       " does not match its checksum; copy or compile the artifact again");
  }
  return Status();
}

} // namespace kiln
