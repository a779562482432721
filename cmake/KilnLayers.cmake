# The architecture as a table: what each layer may link. An upward dependency is a configure error.

set(KILN_MAY_USE_kiln_base "")
set(KILN_MAY_USE_kiln_device kiln_base)
set(KILN_MAY_USE_kiln_reference kiln_base)
set(KILN_MAY_USE_kiln_host kiln_base kiln_device kiln_reference)
set(KILN_MAY_USE_kiln_plan kiln_base kiln_reference)
set(KILN_MAY_USE_kiln_exec kiln_base kiln_device kiln_reference kiln_host kiln_plan)
set(KILN_MAY_USE_kiln_op_table kiln_base)
set(KILN_MAY_USE_kiln_dialect kiln_base kiln_reference kiln_op_table)
set(KILN_MAY_USE_kiln_plan_dialect kiln_base kiln_reference)
set(KILN_MAY_USE_kiln_problem kiln_base kiln_device kiln_reference kiln_op_table)
set(KILN_MAY_USE_kiln_tune kiln_base kiln_problem)
set(KILN_MAY_USE_kiln_codegen kiln_base kiln_device kiln_op_table kiln_reference kiln_problem kiln_tune kiln_dialect)
set(KILN_MAY_USE_kiln_harness kiln_base kiln_device kiln_reference kiln_plan kiln_exec kiln_problem kiln_codegen)
set(KILN_MAY_USE_kiln_graph_passes kiln_base kiln_reference kiln_op_table kiln_dialect)
set(KILN_MAY_USE_kiln_plan_passes kiln_base kiln_reference kiln_plan kiln_dialect kiln_plan_dialect)
set(KILN_MAY_USE_kiln_import kiln_base kiln_reference kiln_dialect)
set(KILN_MAY_USE_kiln_import_onnx kiln_base kiln_op_table kiln_reference kiln_dialect kiln_import)
set(KILN_MAY_USE_kiln_compiler
    kiln_base kiln_device kiln_reference kiln_host kiln_plan kiln_exec kiln_dialect kiln_plan_dialect kiln_problem kiln_tune kiln_codegen
    kiln_graph_passes kiln_plan_passes kiln_import kiln_import_onnx)

# kiln_layer(NAME SOURCES a.cpp ... [LAYERS kiln_x ...] [LIBS external ...]): one static library of the table above.
function(kiln_layer name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LAYERS;LIBS" ${ARGN})
  if(NOT DEFINED KILN_MAY_USE_${name})
    message(FATAL_ERROR "${name} is not in the layer table of cmake/KilnLayers.cmake")
  endif()
  foreach(layer IN LISTS ARG_LAYERS)
    if(NOT layer IN_LIST KILN_MAY_USE_${name})
      message(FATAL_ERROR "${name} must not depend on ${layer} (cmake/KilnLayers.cmake)")
    endif()
  endforeach()
  add_library(${name} STATIC ${ARG_SOURCES})
  target_include_directories(${name} PUBLIC "${PROJECT_SOURCE_DIR}" "${PROJECT_BINARY_DIR}"
                                            "${PROJECT_SOURCE_DIR}/runtime/include")
  target_link_libraries(${name} PUBLIC ${ARG_LAYERS} ${ARG_LIBS})
endfunction()
