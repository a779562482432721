#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>

#ifdef __SANITIZE_ADDRESS__
// The packaged LLVM and MLIR are not instrumented: memory that their allocators hand out stays poisoned by our inlined
// halves of them, and what they allocate we may free by another operator. Both would be reported as errors of ours.
extern "C" const char *__asan_default_options() { return "allow_user_poisoning=0:alloc_dealloc_mismatch=0"; }
#endif
