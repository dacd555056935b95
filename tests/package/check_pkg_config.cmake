# Builds and runs a C program with the C compiler and what pkg-config says, no more.
include("${CMAKE_CURRENT_LIST_DIR}/common.cmake")

set(ENV{PKG_CONFIG_LIBDIR} "${LIBRARIES}/pkgconfig")
unset(ENV{PKG_CONFIG_PATH})
set(static "")
if(FLAVOUR STREQUAL "static")
  set(static --static)
endif()

execute_process(COMMAND "${PKG_CONFIG}" --modversion simdnorm
  OUTPUT_VARIABLE version OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
if(NOT version STREQUAL VERSION)
  message(SEND_ERROR "pkg-config says version ${version}, the project is ${VERSION}")
endif()
execute_process(COMMAND "${PKG_CONFIG}" --cflags --libs ${static} simdnorm
  OUTPUT_VARIABLE package_flags OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)

separate_arguments(compiler_flags UNIX_COMMAND "${CMAKE_C_FLAGS}")
separate_arguments(package_flags UNIX_COMMAND "${package_flags}")
file(REMOVE_RECURSE "${FOLDER}")
file(MAKE_DIRECTORY "${FOLDER}")
run("${CMAKE_C_COMPILER}" ${compiler_flags} "${consumer}/consumer.c" -o "${FOLDER}/consumer"
  ${package_flags} "-Wl,-rpath,${LIBRARIES}")
run_built("${FOLDER}" consumer)
