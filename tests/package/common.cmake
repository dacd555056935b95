# For the scripts of this folder. Given on the command line: SETTINGS, GENERATOR, CONFIGURATION, EMULATOR, PKG_CONFIG,
# VERSION, SOURCE (the project's), FOLDER (the test's own, in the build tree).
cmake_minimum_required(VERSION 3.25)
include("${SETTINGS}")

set(consumer "${CMAKE_CURRENT_LIST_DIR}/consumer")

function(run)
  execute_process(COMMAND ${ARGN} COMMAND_ECHO STDOUT COMMAND_ERROR_IS_FATAL ANY)
endfunction()

function(configure source build)
  run(${CMAKE_COMMAND} -S "${source}" -B "${build}" -G "${GENERATOR}" -C "${SETTINGS}" ${ARGN})
endfunction()

function(build folder)
  run(${CMAKE_COMMAND} --build "${folder}" --config "${CONFIGURATION}" --parallel 2)
endfunction()

function(install folder prefix)
  run(${CMAKE_COMMAND} --install "${folder}" --config "${CONFIGURATION}" --prefix "${prefix}")
endfunction()

# Runs the consumer of that name in a build folder, wherever the generator put it.
function(run_built folder name)
  foreach(program "${folder}/${name}" "${folder}/${CONFIGURATION}/${name}")
    if(EXISTS "${program}")
      run(${EMULATOR} "${program}" ${VERSION})
      return()
    endif()
  endforeach()
  message(FATAL_ERROR "${folder} holds no ${name}")
endfunction()
