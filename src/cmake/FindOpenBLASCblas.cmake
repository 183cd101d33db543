# OpenBLAS with its CBLAS interface, as the target OpenBLAS::cblas.
find_path(OpenBLASCblas_INCLUDE_DIR cblas.h PATH_SUFFIXES openblas-openmp ${CMAKE_LIBRARY_ARCHITECTURE}/openblas-openmp)
find_library(OpenBLASCblas_LIBRARY openblas PATH_SUFFIXES openblas-openmp)
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(OpenBLASCblas REQUIRED_VARS OpenBLASCblas_LIBRARY OpenBLASCblas_INCLUDE_DIR)
if(OpenBLASCblas_FOUND AND NOT TARGET OpenBLAS::cblas)
  add_library(OpenBLAS::cblas UNKNOWN IMPORTED)
  set_target_properties(OpenBLAS::cblas PROPERTIES IMPORTED_LOCATION ${OpenBLASCblas_LIBRARY}
                        INTERFACE_INCLUDE_DIRECTORIES ${OpenBLASCblas_INCLUDE_DIR})
endif()
mark_as_advanced(OpenBLASCblas_INCLUDE_DIR OpenBLASCblas_LIBRARY)
