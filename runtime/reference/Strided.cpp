#include "runtime/reference/Strided.h"

#include <cstring>

namespace kiln::ref {
namespace {

template <typename Word>
void copyWords(const Walk<2> &walk, const void *inData, int64_t inOffset, void *outData, int64_t outOffset) {
  const Word *in = static_cast<const Word *>(inData) + inOffset;
  Word *out = static_cast<Word *>(outData) + outOffset;
  const auto [inStep, outStep] = walk.inner();
  walk.rows([&](const std::array<int64_t, 2> &offsets, int64_t n) {
    const Word *from = in + offsets[0];
    Word *to = out + offsets[1];
    if (inStep == 1 && outStep == 1)
      std::memcpy(to, from, n * sizeof(Word));
    else
      for (int64_t i = 0; i < n; ++i)
        to[i * outStep] = from[i * inStep];
  });
}

} // namespace

void copyStrided(DType dtype, std::span<const int64_t> space, const TensorView &in, int64_t inOffset,
                 const Dims &inStrides, const TensorView &out, int64_t outOffset, const Dims &outStrides) {
  const Walk<2> walk(space, {inStrides, outStrides});
  switch (dtypeBytes(dtype)) {
  case 1: return copyWords<uint8_t>(walk, in.data, inOffset, out.data, outOffset);
  case 2: return copyWords<uint16_t>(walk, in.data, inOffset, out.data, outOffset);
  case 4: return copyWords<uint32_t>(walk, in.data, inOffset, out.data, outOffset);
  default: return copyWords<uint64_t>(walk, in.data, inOffset, out.data, outOffset);
  }
}

} // namespace kiln::ref
