// Linked into every program of the address sanitizer's build.
//
// The packaged LLVM and MLIR are not instrumented: memory that their allocators hand out stays poisoned by our inlined
// halves of them, and what they allocate we may free by another operator. Both would be reported as errors of ours.
extern "C" __attribute__((visibility("default"))) const char *__asan_default_options() {
  return "allow_user_poisoning=0:alloc_dealloc_mismatch=0";
}
