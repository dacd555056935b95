# What `cmake --install` puts in place: the library, its headers, the CMake package and the pkg-config file.
option(SIMDNORM_INSTALL "Install the library with the project that builds it" ${PROJECT_IS_TOP_LEVEL})
if(NOT SIMDNORM_INSTALL)
  return()
endif()

include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/simdnorm")

install(TARGETS simdnorm EXPORT simdnorm)
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/simdnorm" TYPE INCLUDE)
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DATADIR}/licenses/simdnorm")

# The CMake package.
get_target_property(library_type simdnorm TYPE)
if(library_type STREQUAL "STATIC_LIBRARY")
  set(simdnorm_static TRUE)
else()
  set(simdnorm_static FALSE)
endif()
if(SIMDNORM_HAS_OPENMP)
  set(simdnorm_has_openmp TRUE)
else()
  set(simdnorm_has_openmp FALSE)
endif()

install(EXPORT simdnorm
  FILE simdnormTargets.cmake
  NAMESPACE simdnorm::
  DESTINATION "${package_dir}")
configure_package_config_file(
  "${CMAKE_CURRENT_LIST_DIR}/simdnormConfig.cmake.in" "${PROJECT_BINARY_DIR}/simdnormConfig.cmake"
  INSTALL_DESTINATION "${package_dir}")
# Before 1.0, a minor version may change the interface.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/simdnormConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(
  FILES "${PROJECT_BINARY_DIR}/simdnormConfig.cmake" "${PROJECT_BINARY_DIR}/simdnormConfigVersion.cmake"
  DESTINATION "${package_dir}")

# The pkg-config file. It finds its prefix from where it lies itself, so that an installed tree can be moved, unless the
# library is put outside of the prefix.

# The linker flags of a C program that links the static library: C++'s own libraries, then OpenMP's, then threads.
function(simdnorm_private_link_flags result)
  set(libraries ${CMAKE_CXX_IMPLICIT_LINK_LIBRARIES})
  list(REMOVE_ITEM libraries ${CMAKE_C_IMPLICIT_LINK_LIBRARIES})
  set(flags "")
  foreach(library IN LISTS libraries)
    list(APPEND flags "-l${library}")
  endforeach()
  if(SIMDNORM_HAS_OPENMP)
    foreach(library IN LISTS OpenMP_CXX_LIB_NAMES)
      get_filename_component(directory "${OpenMP_${library}_LIBRARY}" DIRECTORY)
      if(NOT directory IN_LIST CMAKE_C_IMPLICIT_LINK_DIRECTORIES)
        list(APPEND flags "-L${directory}")
      endif()
      list(APPEND flags "-l${library}")
    endforeach()
  endif()
  list(APPEND flags ${CMAKE_THREAD_LIBS_INIT})
  list(REMOVE_DUPLICATES flags)
  list(JOIN flags " " flags)
  set(${result} "${flags}" PARENT_SCOPE)
endfunction()

simdnorm_private_link_flags(pc_libs_private)

cmake_path(ABSOLUTE_PATH CMAKE_INSTALL_LIBDIR BASE_DIRECTORY "${CMAKE_INSTALL_PREFIX}" NORMALIZE
  OUTPUT_VARIABLE library_dir)
cmake_path(IS_PREFIX CMAKE_INSTALL_PREFIX "${library_dir}" NORMALIZE library_in_prefix)
if(library_in_prefix)
  cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX BASE_DIRECTORY "${library_dir}/pkgconfig" OUTPUT_VARIABLE pc_prefix)
  string(PREPEND pc_prefix "\${pcfiledir}/")
else()
  set(pc_prefix "${CMAKE_INSTALL_PREFIX}")
endif()
cmake_path(APPEND pc_includedir "\${prefix}" "${CMAKE_INSTALL_INCLUDEDIR}")

configure_file("${CMAKE_CURRENT_LIST_DIR}/simdnorm.pc.in" "${PROJECT_BINARY_DIR}/simdnorm.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/simdnorm.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
