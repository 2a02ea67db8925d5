# SPDX-License-Identifier: MIT
# Before cpack packs: manuals and changelogs are compressed, as Debian's
# policy has it (12.1, 12.7); without times, so that a package can be made again.

file(GLOB_RECURSE texts LIST_DIRECTORIES false "${CPACK_TEMPORARY_DIRECTORY}/*")
list(FILTER texts INCLUDE REGEX "/share/(man/.*[.][1-9]|doc/.*/changelog([.]Debian)?)$")
if(texts)
  execute_process(COMMAND gzip -9n ${texts} RESULT_VARIABLE failed)
  if(failed)
    message(FATAL_ERROR "gzip: ${failed}")
  endif()
endif()
