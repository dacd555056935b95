# Defines simdnorm_xsimd, which puts xsimd's headers, and nothing else, on the include path of what links to it.
#
# xsimd is headers only and the same for every architecture, but packages put it in /usr/include, which must not be on
# the include path of a cross compiler. So the path is a folder of our own with a link to the headers. Set
# SIMDNORM_XSIMD_INCLUDE_DIR to the folder that holds xsimd/xsimd.hpp if it is not found.

# The package's own word, where it has one: it knows the folder of an xsimd in an unusual place, or in the same build.
find_package(xsimd CONFIG QUIET)
set(hints "")
if(TARGET xsimd)
  get_target_property(hints xsimd INTERFACE_INCLUDE_DIRECTORIES)
  string(REGEX REPLACE "\\$<BUILD_INTERFACE:([^>]*)>" "\\1" hints "${hints}")
endif()

# A root of the target's is searched first, then this machine.
find_path(SIMDNORM_XSIMD_INCLUDE_DIR xsimd/xsimd.hpp
  HINTS ${hints}
  PATHS /usr/include /usr/local/include
  DOC "The folder that holds xsimd/xsimd.hpp"
  CMAKE_FIND_ROOT_PATH_BOTH)
if(NOT SIMDNORM_XSIMD_INCLUDE_DIR)
  message(FATAL_ERROR "simdnorm needs the headers of xsimd, 8.1 or later. Install them (the package is libxsimd-dev on "
    "Debian and Ubuntu, xsimd-devel on Fedora, xsimd elsewhere) or set SIMDNORM_XSIMD_INCLUDE_DIR to the folder that "
    "holds xsimd/xsimd.hpp.")
endif()

function(simdnorm_read_xsimd_version result)
  file(STRINGS "${SIMDNORM_XSIMD_INCLUDE_DIR}/xsimd/config/xsimd_config.hpp" lines
    REGEX "^#define XSIMD_VERSION_(MAJOR|MINOR|PATCH) +[0-9]+")
  string(REGEX REPLACE "[^0-9;]" "" numbers "${lines}")
  string(REPLACE ";" "." version "${numbers}")
  set(${result} "${version}" PARENT_SCOPE)
endfunction()

simdnorm_read_xsimd_version(version)
message(STATUS "xsimd ${version} in ${SIMDNORM_XSIMD_INCLUDE_DIR}")
if(version VERSION_LESS 8.1)
  message(FATAL_ERROR "simdnorm needs xsimd 8.1 or later; ${SIMDNORM_XSIMD_INCLUDE_DIR} holds ${version}.")
endif()

set(links "${CMAKE_CURRENT_BINARY_DIR}/xsimd-headers")
file(MAKE_DIRECTORY "${links}")
file(CREATE_LINK "${SIMDNORM_XSIMD_INCLUDE_DIR}/xsimd" "${links}/xsimd" SYMBOLIC)

add_library(simdnorm_xsimd INTERFACE)
target_include_directories(simdnorm_xsimd SYSTEM INTERFACE "${links}")
