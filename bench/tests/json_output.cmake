# --benchmark_format=json must leave nothing but JSON on standard output, with every fact of a result in it.
cmake_minimum_required(VERSION 3.25)

execute_process(COMMAND ${BENCHMARK} --smoke --benchmark_format=json --benchmark_repetitions=2
    "--benchmark_filter=/D:(33|20000)/"
  RESULT_VARIABLE result
  OUTPUT_VARIABLE json
  ERROR_VARIABLE errors)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "The benchmark ended with ${result}\n${errors}")
endif()

foreach(key IN ITEMS cpu cache_sizes compiler simdnorm_version automatic_instruction_set)
  string(JSON ignored GET "${json}" context ${key})
endforeach()
foreach(key IN ITEMS l1d_bytes l2_bytes l3_bytes)
  string(JSON bytes GET "${json}" context ${key})
  if(NOT bytes MATCHES "^[0-9]+$")
    message(FATAL_ERROR "Not a number of bytes: ${key} ${bytes}")
  endif()
endforeach()
string(JSON count LENGTH "${json}" benchmarks)
if(count EQUAL 0)
  message(FATAL_ERROR "No results")
endif()
math(EXPR last "${count} - 1")
foreach(index RANGE ${last})
  foreach(key IN ITEMS name N D num_threads bytes_per_second)
    string(JSON ignored GET "${json}" benchmarks ${index} ${key})
  endforeach()
  string(JSON label GET "${json}" benchmarks ${index} label)
  if(NOT label MATCHES "^pass=forward contender=[a-z]+ set=[a-z0-9]+ regime=(call|L1|L2|L3|memory|row)$")
    message(FATAL_ERROR "Not a label: ${label}")
  endif()
  if(label MATCHES "contender=(onednn|libtorch|onnxruntime|ggml) ")
    string(JSON ignored GET "${json}" context ${CMAKE_MATCH_1}_version)
  endif()
endforeach()
