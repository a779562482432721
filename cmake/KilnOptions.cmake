# Compiler settings that hold for every target.

option(KILN_TESTS "Build the tests" ON)
option(KILN_PYTHON "Build the Python package into build/python" ON)
set(KILN_SANITIZE "" CACHE STRING "Sanitizers for -fsanitize=, e.g. address,undefined")

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/lib")

# The packaged LLVM has no assertions, so ours stay on in every build type.
string(REPLACE "-DNDEBUG" "" CMAKE_CXX_FLAGS_RELEASE "${CMAKE_CXX_FLAGS_RELEASE}")
string(REPLACE "-DNDEBUG" "" CMAKE_CXX_FLAGS_RELWITHDEBINFO "${CMAKE_CXX_FLAGS_RELWITHDEBINFO}")
string(REPLACE "-O3" "-O2" CMAKE_CXX_FLAGS_RELEASE "${CMAKE_CXX_FLAGS_RELEASE}")
add_compile_definitions(_GLIBCXX_ASSERTIONS)
add_compile_options(-Wall -Wextra -Wno-unused-parameter)

if(KILN_SANITIZE)
  add_compile_options(-fsanitize=${KILN_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  # g++ 12 sees uninitialised variants where instrumentation hides the tag's flow.
  add_compile_options(-Wno-maybe-uninitialized)
  add_link_options(-fsanitize=${KILN_SANITIZE})
endif()

# kiln_program(TARGET): what every program gets beside its own sources.
function(kiln_program target)
  if(KILN_SANITIZE MATCHES "address")
    target_sources(${target} PRIVATE "${PROJECT_SOURCE_DIR}/cmake/SanitizerOptions.cpp")
  endif()
  if(KILN_SANITIZE MATCHES "undefined")
    target_compile_options(${target} PRIVATE -fno-sanitize=vptr) # the packaged LLVM has classes without run-time types
  endif()
endfunction()

find_program(KILN_CCACHE ccache)
if(KILN_CCACHE)
  # Paths count from the source folder, so that builds of several presets, and of several clones, share what is the same.
  set(CMAKE_C_COMPILER_LAUNCHER "${KILN_CCACHE}")
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros "CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}"
      CCACHE_NOHASHDIR=1 "${KILN_CCACHE}")
endif()
# g++ looks for a linker named ld.lld; the package lld-19 has it under that name in LLVM's own folder alone.
find_program(KILN_LLD ld.lld HINTS /usr/lib/llvm-19/bin)
if(KILN_LLD)
  get_filename_component(lld_dir "${KILN_LLD}" DIRECTORY)
  add_link_options(-fuse-ld=lld "-B${lld_dir}")
endif()
