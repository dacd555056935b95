# Builds and runs a program in a project that takes the library in as a subproject, by WAY.
include("${CMAKE_CURRENT_LIST_DIR}/common.cmake")

# Fresh: defaults are checked, so nothing may be left from before.
configure("${CMAKE_CURRENT_LIST_DIR}/subproject" "${FOLDER}/build" --fresh
  -D WAY=${WAY} -D "FETCHCONTENT_SOURCE_DIR_SIMDNORM=${SOURCE}")
build("${FOLDER}/build")
run_built("${FOLDER}/build" engine)

file(REMOVE_RECURSE "${FOLDER}/installed")
install("${FOLDER}/build" "${FOLDER}/installed")
file(GLOB_RECURSE installed RELATIVE "${FOLDER}/installed" "${FOLDER}/installed/*")
if(NOT installed STREQUAL "bin/engine")
  message(FATAL_ERROR "the project installs ${installed}, not its program alone")
endif()
