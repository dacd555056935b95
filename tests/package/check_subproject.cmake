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

# A project without C++ could not link the static library: it is told so when it is configured.
file(WRITE "${FOLDER}/without_cxx/CMakeLists.txt"
  "cmake_minimum_required(VERSION 3.25)\nproject(without_cxx LANGUAGES C)\nadd_subdirectory(\"${SOURCE}\" simdnorm)\n")
foreach(shared OFF ON)
  execute_process(
    COMMAND ${CMAKE_COMMAND} -S "${FOLDER}/without_cxx" -B "${FOLDER}/without_cxx/build" -G "${GENERATOR}"
      -C "${SETTINGS}" -D BUILD_SHARED_LIBS=${shared} --fresh
    RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(shared AND NOT result EQUAL 0)
    message(FATAL_ERROR "a project without C++ cannot take the shared library in: ${output}")
  elseif(NOT shared AND (result EQUAL 0 OR NOT output MATCHES "must have[ \n]+the[ \n]+language[ \n]+CXX"))
    message(FATAL_ERROR "a project without C++ takes the static library in, or is refused for no such reason: ${output}")
  endif()
endforeach()
