# LLVM and MLIR 19.1, as the two shared libraries of the distribution. The version is pinned here and nowhere else.

find_package(MLIR 19.1 REQUIRED CONFIG HINTS /usr/lib/llvm-19/lib/cmake/mlir)
list(APPEND CMAKE_MODULE_PATH "${MLIR_CMAKE_DIR}" "${LLVM_CMAKE_DIR}")
include(TableGen)
include(AddLLVM)
include(AddMLIR)

add_library(kiln_mlir INTERFACE)
target_include_directories(kiln_mlir SYSTEM INTERFACE ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})
target_link_libraries(kiln_mlir INTERFACE MLIR LLVM)
# MLIR tells types and traits apart by the addresses of inline variables, which must be one across libMLIR.so and us.
target_compile_options(kiln_mlir INTERFACE -fvisibility=default -fno-visibility-inlines-hidden)
# Mixing libMLIR.so with a static libMLIR*.a registers everything twice and aborts: link only through kiln_mlir.

find_program(KILN_LLVM_TBLGEN NAMES llvm-tblgen llvm-tblgen-19 HINTS ${LLVM_TOOLS_BINARY_DIR} REQUIRED)
