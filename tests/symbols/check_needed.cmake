# Fails if the shared LIBRARY needs, when it is loaded, anything but the runtimes of C, C++ and OpenMP. READELF is the
# program of that name.
set(runtimes
  libc libm libpthread ld-linux-x86-64 ld-linux-aarch64 # C, and threads before they were a part of it
  libgcc_s libstdc\\+\\+ libc\\+\\+ libc\\+\\+abi        # C++
  libgomp libomp)                                       # OpenMP
list(JOIN runtimes "|" runtimes)

execute_process(COMMAND "${READELF}" --dynamic --wide "${LIBRARY}" OUTPUT_VARIABLE entries COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "\\(NEEDED\\)[^\n]*" needed "${entries}")
string(REGEX REPLACE "[^;]*\\[([^]]*)\\]" "\\1" needed "${needed}")
if(NOT needed)
  message(FATAL_ERROR "nothing that ${LIBRARY} needs was found in\n${entries}")
endif()

set(others "${needed}")
list(FILTER others EXCLUDE REGEX "^(${runtimes})\\.so[.0-9]*$")
if(others)
  message(FATAL_ERROR "${LIBRARY} needs ${others}, which is no runtime of C, C++ or OpenMP")
endif()
message(STATUS "${LIBRARY} needs ${needed}")
