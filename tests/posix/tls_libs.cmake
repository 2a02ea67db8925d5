# SPDX-License-Identifier: MIT
# Two libraries with thread-local variables, which tls_own opens at run time
# beside itself; and libm, for its rounding modes.
foreach(name tls_lib_gd tls_lib_ie)
  add_library(${name} MODULE ${CMAKE_CURRENT_LIST_DIR}/tls_libs/${name}.c)
  set_target_properties(${name} PROPERTIES PREFIX ""
    LIBRARY_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR})
endforeach()
if(TARGET tls_own)
  target_link_libraries(tls_own PRIVATE m ${CMAKE_DL_LIBS})
  add_dependencies(tls_own tls_lib_gd tls_lib_ie)
else()
  # Included before the programs: then for all of them.
  link_libraries(m ${CMAKE_DL_LIBS})
endif()
