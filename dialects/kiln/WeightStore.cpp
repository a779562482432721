#include "dialects/kiln/WeightStore.h"

#include "runtime/base/Hash.h"

#include <cstring>

namespace kiln {

Status WeightStore::addFile(std::string id, std::span<const std::byte> bytes, std::shared_ptr<const void> owner,
                            std::string path) {
  std::lock_guard lock(mutex);
  if (id == derivedId || !files.try_emplace(id, File{bytes, std::move(owner), std::move(path)}).second)
    return makeError(ErrorCode::E0901, "weight file '", id, "' is registered already");
  return Status();
}

WeightStore::Place WeightStore::placeOf(std::string_view id) const {
  std::lock_guard lock(mutex);
  auto it = files.find(id);
  return it == files.end() ? Place() : Place{it->second.path, it->second.bytes.size()};
}

bool WeightStore::hasFile(std::string_view id) const {
  std::lock_guard lock(mutex);
  return id == derivedId || files.find(id) != files.end();
}

std::vector<std::string> WeightStore::fileIds() const {
  std::lock_guard<std::mutex> lock(mutex);
  std::vector<std::string> ids;
  for (const auto &[id, file] : files)
    ids.push_back(id);
  return ids;
}

Result<std::span<const std::byte>> WeightStore::bytes(std::string_view id, uint64_t offset, uint64_t size) const {
  std::lock_guard lock(mutex);
  if (id == derivedId) {
    auto it = derived.upper_bound(offset);
    if (it != derived.begin()) {
      const auto &[start, piece] = *std::prev(it);
      uint64_t have = piece.tensor.bytes();
      if (offset - start <= have && size <= have - (offset - start))
        return std::span(static_cast<const std::byte *>(piece.tensor.data()) + (offset - start), size);
    }
    return makeError(ErrorCode::E0104, "there are no ", size, " derived bytes at ", offset);
  }
  auto it = files.find(id);
  if (it == files.end())
    return makeError(ErrorCode::E0104, "weight file '", id, "' is not known");
  auto all = it->second.bytes;
  if (offset > all.size() || size > all.size() - offset)
    return makeError(ErrorCode::E0104, "weight of ", size, " bytes at ", offset, " lies outside of '", id, "' (",
                     all.size(), " bytes)");
  return all.subspan(offset, size);
}

WeightStore::Derived WeightStore::addDerived(Tensor tensor) {
  uint64_t size = tensor.bytes(), digest = hash64(tensor.data(), size);
  std::lock_guard lock(mutex);
  for (auto [it, end] = byDigest.equal_range(digest); it != end; ++it) {
    const Piece &piece = derived.at(it->second);
    if (uint64_t(piece.tensor.bytes()) == size && std::memcmp(piece.tensor.data(), tensor.data(), size) == 0)
      return {it->second, digest};
  }
  uint64_t offset = derivedEnd;
  // An empty tensor takes a slot too, so that every offset names one tensor.
  derivedEnd = alignUp(offset + std::max<uint64_t>(size, 1), bufferAlignment);
  byDigest.emplace(digest, offset);
  derived.emplace(offset, Piece{digest, std::move(tensor)});
  return {offset, digest};
}

uint64_t WeightStore::derivedBytes() const {
  std::lock_guard lock(mutex);
  return derivedEnd;
}

} // namespace kiln
