#include "runtime/base/Hash.h"

#include <bit>
#include <cstring>

namespace kiln {
namespace {

constexpr uint64_t p1 = 0x9E3779B185EBCA87, p2 = 0xC2B2AE3D27D4EB4F, p3 = 0x165667B19E3779F9, p4 = 0x85EBCA77C2B2AE63,
                   p5 = 0x27D4EB2F165667C5;

template <typename T> T load(const unsigned char *p) {
  static_assert(std::endian::native == std::endian::little);
  T v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

uint64_t round(uint64_t lane, uint64_t input) { return std::rotl(lane + input * p2, 31) * p1; }

uint64_t merge(uint64_t h, uint64_t lane) { return (h ^ round(0, lane)) * p1 + p4; }

/// Consumes all whole 32-byte stripes; returns what is left.
const unsigned char *stripes(uint64_t lanes[4], const unsigned char *p, const unsigned char *end) {
  uint64_t a = lanes[0], b = lanes[1], c = lanes[2], d = lanes[3];
  for (; end - p >= 32; p += 32) {
    a = round(a, load<uint64_t>(p));
    b = round(b, load<uint64_t>(p + 8));
    c = round(c, load<uint64_t>(p + 16));
    d = round(d, load<uint64_t>(p + 24));
  }
  lanes[0] = a, lanes[1] = b, lanes[2] = c, lanes[3] = d;
  return p;
}

uint64_t finish(const uint64_t lanes[4], uint64_t seed, uint64_t total, const unsigned char *p, size_t left) {
  uint64_t h;
  if (total >= 32) {
    h = std::rotl(lanes[0], 1) + std::rotl(lanes[1], 7) + std::rotl(lanes[2], 12) + std::rotl(lanes[3], 18);
    for (int i = 0; i < 4; ++i)
      h = merge(h, lanes[i]);
  } else {
    h = seed + p5;
  }
  h += total;
  for (; left >= 8; p += 8, left -= 8)
    h = std::rotl(h ^ round(0, load<uint64_t>(p)), 27) * p1 + p4;
  if (left >= 4) {
    h = std::rotl(h ^ (load<uint32_t>(p) * p1), 23) * p2 + p3;
    p += 4, left -= 4;
  }
  for (; left > 0; ++p, --left)
    h = std::rotl(h ^ (*p * p5), 11) * p1;
  h = (h ^ (h >> 33)) * p2;
  h = (h ^ (h >> 29)) * p3;
  return h ^ (h >> 32);
}

} // namespace

Hasher::Hasher(uint64_t seed) : seed(seed), lanes{seed + p1 + p2, seed + p2, seed, seed - p1} {}

void Hasher::update(const void *data, size_t bytes) {
  auto *p = static_cast<const unsigned char *>(data), *end = p + bytes;
  if (bytes == 0)
    return;
  total += bytes;
  if (buffered > 0) {
    size_t n = std::min(sizeof buffer - buffered, bytes);
    std::memcpy(buffer + buffered, p, n);
    buffered += n, p += n;
    if (buffered < sizeof buffer)
      return;
    stripes(lanes, buffer, buffer + sizeof buffer);
    buffered = 0;
  }
  p = stripes(lanes, p, end);
  buffered = size_t(end - p);
  if (buffered > 0)
    std::memcpy(buffer, p, buffered);
}

uint64_t Hasher::digest() const { return finish(lanes, seed, total, buffer, buffered); }

uint64_t hash64(const void *data, size_t bytes, uint64_t seed) {
  uint64_t lanes[4] = {seed + p1 + p2, seed + p2, seed, seed - p1};
  auto *p = static_cast<const unsigned char *>(data), *end = p + bytes;
  p = stripes(lanes, p, end);
  return finish(lanes, seed, bytes, p, size_t(end - p));
}

std::string printHash(uint64_t hash) {
  static const char digits[] = "0123456789abcdef";
  std::string text(16, '0');
  for (int i = 15; i >= 0; --i, hash >>= 4)
    text[size_t(i)] = digits[hash & 15];
  return text;
}

} // namespace kiln
