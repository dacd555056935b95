# Whether the benchmark works, on tiny shapes. No test looks at a time.
add_test(NAME bench.smoke COMMAND simdnorm_benchmark --smoke)
foreach(script IN ITEMS wrong_output json_output)
  add_test(NAME bench.${script}
    COMMAND "${CMAKE_COMMAND}"
      "-DBENCHMARK=${CMAKE_CROSSCOMPILING_EMULATOR};$<TARGET_FILE:simdnorm_benchmark>"
      -P "${CMAKE_CURRENT_SOURCE_DIR}/tests/${script}.cmake")
endforeach()
add_test(NAME bench.errors
  COMMAND "${CMAKE_COMMAND}"
    "-DERRORS=${CMAKE_CROSSCOMPILING_EMULATOR};$<TARGET_FILE:simdnorm_errors>"
    "-DFILE=${CMAKE_CURRENT_BINARY_DIR}/errors.json"
    -P "${CMAKE_CURRENT_SOURCE_DIR}/tests/errors.cmake")
if(TARGET simdnorm_plans)
  add_test(NAME bench.plans COMMAND simdnorm_plans --smoke)
  set_tests_properties(bench.plans PROPERTIES LABELS bench)
endif()
set_tests_properties(bench.smoke bench.wrong_output bench.json_output bench.errors PROPERTIES LABELS bench)

# The report's own tests. The first python3 in the path need not be the one that has matplotlib: Debian's package of it
# is for /usr/bin/python3 alone. Hence find_program, which tries one after the other, and not find_package(Python3).
function(simdnorm_can_make_reports result python)
  execute_process(COMMAND "${python}" -c "import sys, matplotlib; sys.exit(sys.version_info < (3, 9))"
    RESULT_VARIABLE status
    OUTPUT_QUIET ERROR_QUIET)
  if(NOT status EQUAL 0)
    set(${result} FALSE PARENT_SCOPE)
  endif()
endfunction()
find_program(SIMDNORM_PYTHON python3 VALIDATOR simdnorm_can_make_reports
  DOC "A Python 3.9 or later that has matplotlib, for the tests of the benchmark's report")
mark_as_advanced(SIMDNORM_PYTHON)
if(SIMDNORM_PYTHON)
  add_test(NAME bench.report
    COMMAND "${SIMDNORM_PYTHON}" -B -m unittest discover "${CMAKE_CURRENT_SOURCE_DIR}/report")
  set_tests_properties(bench.report PROPERTIES LABELS bench)
else()
  message(STATUS "Tests of the benchmark's report are left out: no Python 3.9 or later that has matplotlib")
endif()
