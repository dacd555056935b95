# Eigen is headers only, in a folder of its own, and the same for every architecture: a cross compiler may use this
# machine's. No version is asked for, since Eigen 5 does not answer to 3.3; before 3.3 there was no such target.
find_package(Eigen3 CONFIG QUIET CMAKE_FIND_ROOT_PATH_BOTH)
if(NOT TARGET Eigen3::Eigen)
  set(wanted "examples/train_digits needs Eigen 3.3 or later (Debian: libeigen3-dev)")
  if(BUILD_TESTING)
    message(FATAL_ERROR "${wanted}: install it, or configure with -DBUILD_TESTING=OFF or -DSIMDNORM_BUILD_EXAMPLES=OFF")
  endif()
  message(STATUS "${wanted}: it is left out")
  return()
endif()
message(STATUS "Eigen ${Eigen3_VERSION}")

add_library(simdnorm_example_network STATIC train_digits/network.cpp train_digits/data.cpp)
target_include_directories(simdnorm_example_network INTERFACE train_digits)
target_compile_definitions(simdnorm_example_network PUBLIC DIGITS_CSV="${digits_csv}")
target_link_libraries(simdnorm_example_network
  PUBLIC Eigen3::Eigen
  PRIVATE simdnorm::simdnorm simdnorm_example_csv simdnorm_options)

add_executable(simdnorm_train_digits train_digits/train_digits.cpp)
set_target_properties(simdnorm_train_digits PROPERTIES OUTPUT_NAME train_digits)
target_link_libraries(simdnorm_train_digits PRIVATE simdnorm_example_network simdnorm::simdnorm simdnorm_options)

if(NOT BUILD_TESTING)
  return()
endif()

add_test(NAME examples.train_digits COMMAND simdnorm_train_digits)
set_tests_properties(examples.train_digits PROPERTIES TIMEOUT 300)

# Its gradients beside libtorch's, where that is among the peers.
if(NOT SIMDNORM_BENCH_PEERS)
  return()
endif()
find_package(Torch 2 CONFIG QUIET)
if(NOT Torch_FOUND)
  message(STATUS "examples/train_digits: gradients are not compared with libtorch's, which is not found")
  return()
endif()
add_executable(simdnorm_check_gradients train_digits/check_gradients.cpp)
set_target_properties(simdnorm_check_gradients PROPERTIES OUTPUT_NAME check_gradients)
target_link_libraries(simdnorm_check_gradients PRIVATE simdnorm_example_network ${TORCH_LIBRARIES} simdnorm_options)
add_test(NAME examples.train_digits_gradients COMMAND simdnorm_check_gradients)
set_tests_properties(examples.train_digits_gradients PROPERTIES TIMEOUT 300)
