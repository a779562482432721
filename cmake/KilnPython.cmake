# The Python that generators and tests run in and that the package is built for: .venv, made here when it is missing.

if(NOT Python_EXECUTABLE)
  execute_process(COMMAND "${PROJECT_SOURCE_DIR}/tools/make_venv" COMMAND_ERROR_IS_FATAL ANY)
  set(Python_EXECUTABLE "${PROJECT_SOURCE_DIR}/.venv/bin/python")
endif()
find_package(Python 3.11 REQUIRED COMPONENTS Interpreter Development.Module)

if(KILN_PYTHON)
  execute_process(COMMAND "${Python_EXECUTABLE}" -m nanobind --cmake_dir OUTPUT_STRIP_TRAILING_WHITESPACE
                  OUTPUT_VARIABLE nanobind_ROOT COMMAND_ERROR_IS_FATAL ANY)
  find_package(nanobind REQUIRED CONFIG)
endif()
