# Fails unless two builds of the library, in folders of different lengths, install the same files, byte for byte: as a
# static library, and as a shared one.
include("${CMAKE_CURRENT_LIST_DIR}/common.cmake")

function(copy_source place)
  file(MAKE_DIRECTORY "${place}")
  foreach(part CMakeLists.txt LICENSE cmake include src)
    file(COPY "${SOURCE}/${part}" DESTINATION "${place}")
  endforeach()
endfunction()

# The second flavour takes over the kernels' objects of the first: they are the same for both.
function(install_library place shared)
  configure("${place}" "${place}/build"
    -D BUILD_SHARED_LIBS=${shared} -D BUILD_TESTING=OFF -D SIMDNORM_BUILD_BENCHMARKS=OFF -D SIMDNORM_BUILD_EXAMPLES=OFF
    -D CMAKE_INSTALL_LIBDIR=lib)
  build("${place}/build")
  install("${place}/build" "${place}/installed-${shared}")
endfunction()

# What is installed, one line a file: its digest and its name.
function(read_installed place result)
  file(GLOB_RECURSE files RELATIVE "${place}" "${place}/installed-*/*")
  list(SORT files)
  set(lines "")
  foreach(file IN LISTS files)
    file(SHA256 "${place}/${file}" digest)
    list(APPEND lines "${digest} ${file}")
  endforeach()
  set(${result} "${lines}" PARENT_SCOPE)
endfunction()

file(REMOVE_RECURSE "${FOLDER}")
foreach(place one another-of-a-longer-name)
  copy_source("${FOLDER}/${place}")
  install_library("${FOLDER}/${place}" OFF)
  install_library("${FOLDER}/${place}" ON)
  read_installed("${FOLDER}/${place}" installed_${place})
endforeach()

set(different "")
foreach(line IN LISTS installed_one installed_another-of-a-longer-name)
  if(NOT (line IN_LIST installed_one AND line IN_LIST installed_another-of-a-longer-name))
    string(APPEND different "  ${line}\n")
  endif()
endforeach()
if(different)
  message(FATAL_ERROR "the two builds differ in\n${different}")
endif()
foreach(flavour OFF ON)
  if(NOT installed_one MATCHES "installed-${flavour}/lib/libsimdnorm")
    message(FATAL_ERROR "no library is installed with BUILD_SHARED_LIBS=${flavour}: ${installed_one}")
  endif()
endforeach()
