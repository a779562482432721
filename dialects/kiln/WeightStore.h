// The bytes behind `#kiln.weight`: files by id, mapped by whoever registers them, and one in-memory file "derived" for
// constants that passes compute. One store per context (KilnDialect::weights()); weights are never copied into
// attributes.
#pragma once

#include "runtime/base/Status.h"
#include "runtime/base/Tensor.h"

#include <cstddef>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kiln {

class WeightStore {
public:
  static constexpr std::string_view derivedId = "derived";

  /// Registers the bytes of a file; `owner` keeps them alive. An id can be registered once. `path`: where the file
  /// lies; empty where the bytes lie in memory only.
  Status addFile(std::string id, std::span<const std::byte> bytes, std::shared_ptr<const void> owner,
                 std::string path = "");
  bool hasFile(std::string_view id) const;
  std::vector<std::string> fileIds() const;
  /// Where a file lies, and its size.
  struct Place {
    std::string path; ///< empty: in no file
    uint64_t bytes = 0;
  };
  Place placeOf(std::string_view id) const;
  /// `size` bytes at `offset`; an unknown file or a span outside of it is an error.
  Result<std::span<const std::byte>> bytes(std::string_view id, uint64_t offset, uint64_t size) const;

  struct Derived {
    uint64_t offset;
    uint64_t digest;
  };
  /// Appends a tensor to "derived". Offsets are multiples of 64; equal bytes appended twice are stored once.
  Derived addDerived(Tensor tensor);
  /// Bytes appended so far.
  uint64_t derivedBytes() const;

private:
  struct File {
    std::span<const std::byte> bytes;
    std::shared_ptr<const void> owner;
    std::string path;
  };
  struct Piece {
    uint64_t digest;
    Tensor tensor;
  };
  mutable std::mutex mutex;
  std::map<std::string, File, std::less<>> files;
  std::map<uint64_t, Piece> derived; // by offset
  std::multimap<uint64_t, uint64_t> byDigest;
  uint64_t derivedEnd = 0;
};

} // namespace kiln
