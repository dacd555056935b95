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
    "forward/wrong_y/.*: y differs at row 6, column 32: expected"
    "forward/wrong_mean/.*: mean differs at row 6, "
    "forward/wrong_rstd/.*: rstd differs at row 6, "
    "forward/wrong_copy/.*: y differs at row 6, column 32: expected"
    "forward/wrong_idle/.*: mean differs at row 0, "
    "forward/wrong_peer_y/.*: y differs at row 6, column 32: expected"
    "forward/wrong_peer_mean/.*: mean differs at row 6, "
    "forward/wrong_peer_of_y/.*: y differs at row 0, column 0: expected"
    "forward/wrong_peer_rstd/.*: rstd differs at row 0, "
    "backward/wrong_dx/.*: dx differs at row 6, column 32: expected"
    "backward/wrong_dgamma/.*: dgamma differs at row 0, column 32: expected"
    "backward/wrong_dbeta/.*: dbeta differs at row 0, column 32: expected"
    "backward/wrong_triad/.*: dx differs at row 6, column 32: expected"
    "backward/wrong_idle/.*: dx differs at row 0, column 0: expected"
    "backward/wrong_peer_dx/.*: dx differs at row 6, column 32: expected"
    "backward/wrong_peer_dgamma/.*: dgamma differs at row 0, column 0: expected"
    "backward/wrong_peer_dbeta/.*: dbeta differs at row 0, column 32: expected"
    "17 of the benchmarks failed")
  string(REPLACE "/.*: " "/[a-z0-9]+/N:7/D:33/threads:1/L1: wrong output: " expected "${expected}")
  if(NOT errors MATCHES "${expected}")
    message(FATAL_ERROR "Not said: ${expected}\n${errors}")
  endif()
endforeach()
