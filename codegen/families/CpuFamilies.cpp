// The one list of CPU families, in order of preference: of several that claim a problem the first one gets it.
#include "codegen/KernelFamily.h"
#include "codegen/families/attention/AttentionFamily.h"
#include "codegen/families/conv/ConvFamily.h"
#include "codegen/families/depthwise/DepthwiseFamily.h"
#include "codegen/families/elementwise/Elementwise.h"
#include "codegen/families/matmul/MatMulFamily.h"
#include "codegen/families/movement/Movement.h"
#include "codegen/families/norm/Norm.h"
#include "codegen/families/pooling/Pooling.h"
#include "codegen/families/reduction/Reduction.h"

namespace kiln {

std::span<const KernelFamily *const> cpuFamilies() {
  static const KernelFamily *const families[] = {
      &depthwiseFamily(), // before conv, which takes any groups
      &convFamily(),      &matMulFamily(),    &poolingFamily(),     &normFamily(),
      &reductionFamily(), &attentionFamily(), &elementwiseFamily(), &movementFamily(),
  };
  return families;
}

} // namespace kiln
