# Looks for the peers, and adds those that are there to what the programs share. Each is found by the CMake package that
# it brings itself, as its users find it.
set(peers_found "")

# simdnorm_add_peer(NAME VERSION LIBRARY...): bench/peers/NAME.cpp, and the macro by which peers.cpp knows of it.
macro(simdnorm_add_peer name version)
  message(STATUS "Benchmark: ${name} ${version}")
  list(APPEND peers_found ${name})
  string(TOUPPER ${name} upper_name)
  target_sources(simdnorm_bench_common PRIVATE peers/${name}.cpp)
  target_compile_definitions(simdnorm_bench_common PRIVATE SIMDNORM_BENCH_${upper_name})
  target_link_libraries(simdnorm_bench_common PRIVATE ${ARGN})
endmacro()

find_package(dnnl 3 CONFIG QUIET)
if(dnnl_FOUND)
  simdnorm_add_peer(onednn "${dnnl_VERSION}" DNNL::dnnl)
endif()

find_package(Torch 2 CONFIG QUIET)
if(Torch_FOUND)
  simdnorm_add_peer(libtorch "${Torch_VERSION}" ${TORCH_LIBRARIES})
endif()

find_package(onnxruntime 1.22 CONFIG QUIET) # which brought the making of models
if(onnxruntime_FOUND)
  simdnorm_add_peer(onnxruntime "${onnxruntime_VERSION}" onnxruntime::onnxruntime)
endif()

find_package(ggml CONFIG QUIET)
if(ggml_FOUND)
  simdnorm_add_peer(ggml "${ggml_VERSION}" ggml::ggml)
endif()

foreach(name IN ITEMS onednn libtorch onnxruntime ggml)
  if(NOT name IN_LIST peers_found)
    message(STATUS "Benchmark: ${name} not found")
  endif()
endforeach()
if(NOT peers_found)
  message(FATAL_ERROR
    "SIMDNORM_BENCH_PEERS is on, and there is no peer to measure against: neither oneDNN 3, libtorch 2, ONNX Runtime "
    "1.22 nor ggml. Debian sid has them all: libdnnl-dev, libtorch-dev, libonnxruntime-dev, libggml-dev. Elsewhere say "
    "where they are: -D CMAKE_PREFIX_PATH=DIR. Or leave the option off.")
endif()
