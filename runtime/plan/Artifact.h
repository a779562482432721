// The .kiln file: one mmapped file with a header, the machine code (page-aligned, mapped
// read-execute), the weights (64-byte aligned tensors, used in place) and the plan. Checksums of
// header, plan and code are verified at load, those of the weights by verifyWeights. An artifact is
// code and is trusted; damage is detected: no bytes make the loader crash.
#pragma once

#include "runtime/base/MappedFile.h"
#include "runtime/base/Tensor.h"
#include "runtime/plan/Program.h"

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace kiln {

/// Format version written, and the oldest one that is still read.
inline constexpr uint32_t artifactVersion = 4, artifactOldestVersion = 4;

/// Where an artifact's bytes go: in order, but for one patch of the header at the end.
class ByteSink {
public:
  virtual ~ByteSink() = default;
  /// About how many bytes will come.
  virtual void expect([[maybe_unused]] uint64_t bytes) {}
  virtual Status write(std::span<const std::byte> bytes) = 0;
  /// Overwrites bytes that were written before.
  virtual Status patch(uint64_t offset, std::span<const std::byte> bytes) = 0;
};

/// Aligned, so that an artifact can be loaded from there in place.
class MemorySink : public ByteSink {
public:
  void expect(uint64_t n) override { bytes.reserve(n); }
  Status write(std::span<const std::byte> bytes) override;
  Status patch(uint64_t offset, std::span<const std::byte> bytes) override;
  AlignedBytes bytes;
};

/// Writes to an open file descriptor, from its start; the caller owns the descriptor (and renames
/// the finished file). `name` is what errors say cannot be written.
class FileSink : public ByteSink {
public:
  FileSink(int fd, std::string name) : fd(fd), name(std::move(name)) {}
  Status write(std::span<const std::byte> bytes) override;
  Status patch(uint64_t offset, std::span<const std::byte> bytes) override;

private:
  int fd;
  std::string name;
  uint64_t position = 0;
};

/// The bytes of a constant of the weights section (dense, of its type's size), asked for once each in order; they need
/// to live until the next call.
using ConstantBytes = std::function<Result<std::span<const std::byte>>(size_t constant)>;

/// Writes the artifact of a checked program. Deterministic. What a SectionSource of `program` says is ignored and set
/// in the file.
Status writeArtifact(const Program &program, std::span<const std::byte> code, const ConstantBytes &constants,
                     ByteSink &sink);

class Artifact {
public:
  static Result<std::shared_ptr<const Artifact>> open(const std::string &path);
  /// From memory. With an owner the bytes are used in place and `owner` keeps them alive; without,
  /// they are copied.
  static Result<std::shared_ptr<const Artifact>> fromBytes(std::span<const std::byte> bytes,
                                                           std::shared_ptr<const void> owner = nullptr);
  /// Whether the bytes begin like an artifact (of any version).
  static bool looksLike(std::span<const std::byte> bytes);

  ~Artifact();
  Artifact(const Artifact &) = delete;
  Artifact &operator=(const Artifact &) = delete;

  const Program &program() const { return theProgram; }
  uint32_t version() const { return theVersion; }
  /// Mapped read-execute, page-aligned.
  std::span<const std::byte> code() const { return theCode; }
  std::span<const std::byte> weights() const { return theWeights; }
  /// All bytes of the file, as they were read.
  std::span<const std::byte> bytes() const { return whole; }
  /// Bytes of a constant of the weights section, in place.
  std::span<const std::byte> constant(size_t index) const;
  /// The files that Program::files names; an error (E0609) where one is missing or of another size. What they hold is
  /// not looked at.
  using Files = std::vector<std::shared_ptr<const MappedFile>>;
  Result<Files> openFiles() const;
  /// Compares the range of a constant that is a FileSource with its digest (E0608).
  Status verifyRange(const Files &files, size_t index) const;

  /// Compares every constant that has a digest with it (E0608), which reads all weights, those in other files too.
  Status verifyWeights(const Files &files) const;
  /// The same of the files that are there now (E0609).
  Status verifyWeights() const;

private:
  Artifact() = default;
  static Result<std::shared_ptr<const Artifact>> load(std::shared_ptr<Artifact> artifact, int fd);
  Status parse();
  Status mapCode(int fd, uint64_t offset, uint64_t size);

  Program theProgram;
  uint32_t theVersion = 0;
  std::span<const std::byte> whole, theCode, theWeights;
  std::shared_ptr<const void> owner; // of the bytes
  std::string context;               // of errors: "FILE: ", or nothing
  std::string folder;                // of the file, with the slash that ends it
  bool fromFile = false;
  void *codeMapping = nullptr;
  size_t codeMappingBytes = 0;
};

} // namespace kiln
