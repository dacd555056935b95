# A contender whose output is wrong, in whichever place, must fail the run and be named.
cmake_minimum_required(VERSION 3.25)

execute_process(COMMAND ${BENCHMARK} --smoke --wrong --benchmark_filter=/wrong_.*/N:7/D:33/threads:1/
  RESULT_VARIABLE result
  OUTPUT_VARIABLE output
  ERROR_VARIABLE errors)

if(NOT result EQUAL 1)
  message(FATAL_ERROR "Wrong outputs, and the benchmark ended with ${result}\n${output}\n${errors}")
endif()
foreach(expected IN ITEMS
    "wrong_y/[a-z0-9]+/N:7/D:33/threads:1/L1: wrong output: y differs at row 6, column 32: expected"
    "wrong_mean/[a-z0-9]+/N:7/D:33/threads:1/L1: wrong output: mean differs at row 6, "
    "wrong_rstd/[a-z0-9]+/N:7/D:33/threads:1/L1: wrong output: rstd differs at row 6, "
    "wrong_copy/[a-z0-9]+/N:7/D:33/threads:1/L1: wrong output: y differs at row 6, column 32: expected"
    "wrong_idle/none/N:7/D:33/threads:1/L1: wrong output: mean differs at row 0, "
    "wrong_peer_y/[a-z0-9]+/N:7/D:33/threads:1/L1: wrong output: y differs at row 6, column 32: expected"
    "wrong_peer_mean/[a-z0-9]+/N:7/D:33/threads:1/L1: wrong output: mean differs at row 6, "
    "wrong_peer_of_y/[a-z0-9]+/N:7/D:33/threads:1/L1: wrong output: y differs at row 0, column 0: expected"
    "wrong_peer_rstd/[a-z0-9]+/N:7/D:33/threads:1/L1: wrong output: rstd differs at row 0, "
    "9 of the benchmarks failed")
  if(NOT errors MATCHES "${expected}")
    message(FATAL_ERROR "Not said: ${expected}\n${errors}")
  endif()
endforeach()
