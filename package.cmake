# SPDX-License-Identifier: MIT
# Debian packages: libcohook0, libcohook-dev and cohook.
#
#     cmake -S . -B build -DCMAKE_INSTALL_PREFIX=/usr && cmake --build build
#     cd build && cpack
#
# With the prefix /usr the library goes where Debian's multiarch has it.  The
# maintainer is whoever builds them, by $DEBFULLNAME and $DEBEMAIL as Debian's
# own tools have it, or by git's user.name and user.email.

# The first of these that says anything.
function(cohook_maintainer part variable key otherwise)
  set(value "$ENV{${variable}}")
  find_program(GIT git)
  mark_as_advanced(GIT)
  if(value STREQUAL "" AND GIT)
    execute_process(COMMAND ${GIT} config ${key}
      WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
      OUTPUT_VARIABLE value OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  endif()
  if(value STREQUAL "")
    set(value "${otherwise}")
  endif()
  set(${part} "${value}" PARENT_SCOPE)
endfunction()
cmake_host_system_information(RESULT host QUERY FQDN)
cohook_maintainer(name DEBFULLNAME user.name "cohook contributors")
set(user "$ENV{USER}")
if(user STREQUAL "")
  set(user root)
endif()
cohook_maintainer(email DEBEMAIL user.email "${user}@${host}")
set(COHOOK_MAINTAINER "${name} <${email}>" CACHE STRING
  "Whoever answers for the packages: Name <address>")

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME cohook)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "${COHOOK_MAINTAINER}")
set(CPACK_PACKAGING_INSTALL_PREFIX ${CMAKE_INSTALL_PREFIX})
set(CPACK_STRIP_FILES ON)
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_CURRENT_LIST_DIR}/package_gzip.cmake)
set(CPACK_VERBATIM_VARIABLES ON)

set(CPACK_COMPONENTS_ALL lib dev tools)
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_ENABLE_COMPONENT_DEPENDS ON)
set(CPACK_COMPONENT_DEV_DEPENDS lib)
set(CPACK_COMPONENT_TOOLS_DEPENDS lib)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
find_program(DPKG_SHLIBDEPS dpkg-shlibdeps)
find_program(FILE_PROGRAM file)  # by which cpack tells what is a binary
mark_as_advanced(DPKG_SHLIBDEPS FILE_PROGRAM)
if(DPKG_SHLIBDEPS AND FILE_PROGRAM)
  set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
else()
  set(CPACK_DEBIAN_PACKAGE_DEPENDS libc6)
endif()

set(soname libcohook${PROJECT_VERSION_MAJOR})
set(CPACK_DEBIAN_LIB_PACKAGE_NAME ${soname})
set(CPACK_DEBIAN_LIB_PACKAGE_SECTION libs)
# What dpkg does when the library comes or goes, and what those that are linked
# with it depend on.
set(control ${PROJECT_BINARY_DIR}/package)
file(WRITE ${control}/triggers "activate-noawait ldconfig\n")
file(WRITE ${control}/shlibs
  "libcohook ${PROJECT_VERSION_MAJOR} ${soname} (>= ${PROJECT_VERSION})\n")
set(CPACK_DEBIAN_LIB_PACKAGE_CONTROL_EXTRA
  ${control}/triggers ${control}/shlibs)
set(CPACK_DEBIAN_DEV_PACKAGE_NAME libcohook-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_TOOLS_PACKAGE_NAME cohook)
set(CPACK_DEBIAN_TOOLS_PACKAGE_SECTION utils)
set(CPACK_DEBIAN_TOOLS_PACKAGE_SUGGESTS "gdb, bash-completion")
set(CPACK_DEBIAN_LIB_DESCRIPTION "The library:
LD_PRELOAD=libcohook.so.${PROJECT_VERSION_MAJOR} runs the threads of an
unmodified program as coroutines, on a few kernel threads.")
set(CPACK_DEBIAN_DEV_DESCRIPTION "For development:
the header cohook.h, for coroutines of a program's own, its manuals, and
files for pkg-config and CMake.")
set(CPACK_DEBIAN_TOOLS_DESCRIPTION "The command:
cohook runs a program under the library, says beforehand what that would
bring, and looks into live processes; with commands for gdb.")

string(TIMESTAMP now "%a, %d %b %Y %H:%M:%S +0000" UTC)
file(WRITE ${control}/changelog.Debian "cohook (${PROJECT_VERSION}-1) unstable; \
urgency=medium\n\n  * Made by cpack; what is new is in changelog.gz.\n\n \
-- ${COHOOK_MAINTAINER}  ${now}\n")
foreach(pair lib:${soname} dev:libcohook-dev tools:cohook)
  string(REPLACE ":" ";" pair ${pair})
  list(GET pair 0 component)
  list(GET pair 1 package)
  install(FILES LICENSE RENAME copyright COMPONENT ${component}
    DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${package})
  install(FILES CHANGELOG.md RENAME changelog COMPONENT ${component}
    DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${package})
  install(FILES ${control}/changelog.Debian COMPONENT ${component}
    DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${package})
endforeach()

include(CPack)
