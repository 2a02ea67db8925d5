# SPDX-License-Identifier: MIT
# A library that start needs, and whose constructor so runs before those of what
# is preloaded.
add_library(start_lib SHARED
  ${CMAKE_CURRENT_LIST_DIR}/start_lib/start_lib.c)
set_target_properties(start_lib PROPERTIES PREFIX ""
  LIBRARY_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR})
target_link_libraries(start_lib PRIVATE Threads::Threads)
target_link_libraries(start PRIVATE -Wl,--no-as-needed start_lib)
