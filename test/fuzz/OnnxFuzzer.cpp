// libFuzzer entry: clang++ -fsanitize=fuzzer,address; target `onnx_fuzzer` where KILN_FUZZ is on.
#include "test/fuzz/OneModel.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static mlir::MLIRContext context(mlir::MLIRContext::Threading::DISABLED);
  kiln::onnx::ByteSpan bytes(data, size);
  if (kiln::onnx::fuzz::readModel(bytes))
    kiln::onnx::fuzz::importModel(context, bytes);
  return 0;
}
