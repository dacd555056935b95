# Installs the library as FLAVOUR (static or shared) into FOLDER/installed, into FOLDER/moved by way of another place,
# and, where BUILD is a build of this script's own, into FOLDER/absolute with the library in FOLDER/absolute-libraries.
include("${CMAKE_CURRENT_LIST_DIR}/common.cmake")

if(FLAVOUR STREQUAL "shared")
  set(shared ON)
else()
  set(shared OFF)
endif()

function(configure_library libdir)
  configure("${SOURCE}" "${BUILD}"
    -D BUILD_SHARED_LIBS=${shared} -D BUILD_TESTING=OFF -D SIMDNORM_BUILD_BENCHMARKS=OFF -D SIMDNORM_BUILD_EXAMPLES=OFF
    -D CMAKE_INSTALL_PREFIX=${FOLDER}/absolute -D CMAKE_INSTALL_LIBDIR=${libdir})
endfunction()

foreach(tree installed moved first absolute absolute-libraries)
  file(REMOVE_RECURSE "${FOLDER}/${tree}")
endforeach()

cmake_path(IS_PREFIX FOLDER "${BUILD}" own_build)
if(own_build)
  configure_library("${FOLDER}/absolute-libraries")
  build("${BUILD}")
  install("${BUILD}" "${FOLDER}/absolute")
  configure_library(lib)
  build("${BUILD}")
endif()

install("${BUILD}" "${FOLDER}/installed")
install("${BUILD}" "${FOLDER}/first")
file(RENAME "${FOLDER}/first" "${FOLDER}/moved")
