# Builds and runs programs in C++ and in C that get the library by find_package.
include("${CMAKE_CURRENT_LIST_DIR}/common.cmake")

# Within the prefix CMake finds the package by itself, unless it looks for the packages of another machine.
cmake_path(IS_PREFIX PREFIX "${LIBRARIES}" in_prefix)
if(in_prefix AND EMULATOR STREQUAL "")
  set(where -D "CMAKE_PREFIX_PATH=${PREFIX}")
else()
  set(where -D "simdnorm_DIR=${LIBRARIES}/cmake/simdnorm")
endif()

function(configure_consumer language)
  configure("${consumer}" "${FOLDER}/${language}"
    -D LANGUAGE=${language} -D "LIBRARIES=${LIBRARIES}" -D EXPECTED_VERSION=${VERSION} ${where})
endfunction()

function(expect_refusal language message)
  execute_process(
    COMMAND ${CMAKE_COMMAND} -S "${consumer}" -B "${FOLDER}/${language}" -G "${GENERATOR}" -C "${SETTINGS}"
      -D LANGUAGE=${language} -D "LIBRARIES=${LIBRARIES}" -D EXPECTED_VERSION=${VERSION} ${where}
    RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE error)
  string(REGEX REPLACE "[ \n]+" " " error "${error}")
  if(status EQUAL 0 OR NOT error MATCHES "${message}")
    message(FATAL_ERROR "find_package should fail with ${message}, not with status ${status} and\n${error}")
  endif()
endfunction()

file(REMOVE_RECURSE "${FOLDER}")
configure_consumer(CXX)
build("${FOLDER}/CXX")
run_built("${FOLDER}/CXX" consumer)

if(FLAVOUR STREQUAL "shared")
  configure_consumer(C)
  build("${FOLDER}/C")
  run_built("${FOLDER}/C" consumer)
else()
  expect_refusal(C "a program in C needs project\\(... LANGUAGES C CXX\\)")
endif()
