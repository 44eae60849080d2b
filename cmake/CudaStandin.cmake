# A stand-in for NVIDIA's libcudart and libcuda that runs CUDA programs on the CPU, built from its sources in
# the build tree. Sets DEVVIEW_STANDIN_LIBRARIES, the folder of its libraries, and makes the target `standin`.

option(DEVVIEW_STANDIN_TESTS "Run the contract tests with the real runtime on the stand-in" OFF)
set(devview_standin_default "")
if(EXISTS "${PROJECT_SOURCE_DIR}/../shared/cudaemu/Makefile")
    get_filename_component(devview_standin_default "${PROJECT_SOURCE_DIR}/../shared/cudaemu" ABSOLUTE)
endif()
set(DEVVIEW_STANDIN "${devview_standin_default}" CACHE PATH "Sources of the stand-in for a GPU (cudaemu)")

set(DEVVIEW_STANDIN_LIBRARIES "")
if(NOT DEVVIEW_STANDIN_TESTS)
    return()
endif()
if(NOT EXISTS "${DEVVIEW_STANDIN}/Makefile" OR NOT EXISTS "${DEVVIEW_STANDIN}/src")
    message(
        FATAL_ERROR
        "DEVVIEW_STANDIN_TESTS=ON, but no stand-in: DEVVIEW_STANDIN is '${DEVVIEW_STANDIN}'. Set it to the folder "
        "with the Makefile of cudaemu."
    )
endif()
if(NOT DEVVIEW_HAS_CUDA OR NOT CMAKE_CUDA_RUNTIME_LIBRARY STREQUAL "Shared")
    message(
        FATAL_ERROR
        "DEVVIEW_STANDIN_TESTS=ON needs a CUDA compiler (${DEVVIEW_CUDA_ORIGIN}) and "
        "CMAKE_CUDA_RUNTIME_LIBRARY=Shared ('${CMAKE_CUDA_RUNTIME_LIBRARY}'): a static runtime cannot be replaced."
    )
endif()

# A copy, since the sources may be read-only; reconfigured when they change.
set(devview_standin_copy "${PROJECT_BINARY_DIR}/standin")
file(
    GLOB devview_standin_sources
    CONFIGURE_DEPENDS
    "${DEVVIEW_STANDIN}/Makefile" "${DEVVIEW_STANDIN}/run" "${DEVVIEW_STANDIN}/src/*"
)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${devview_standin_sources})
file(
    COPY "${DEVVIEW_STANDIN}/Makefile" "${DEVVIEW_STANDIN}/src"
    DESTINATION "${devview_standin_copy}"
    NO_SOURCE_PERMISSIONS
)
file(
    COPY "${DEVVIEW_STANDIN}/run"
    DESTINATION "${devview_standin_copy}"
    FILE_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ WORLD_READ
)
set(DEVVIEW_STANDIN_LIBRARIES "${devview_standin_copy}/build")

find_program(DEVVIEW_MAKE NAMES gmake make REQUIRED)
mark_as_advanced(DEVVIEW_MAKE)
set(devview_standin_compiler ${CMAKE_CXX_COMPILER_LAUNCHER} "${CMAKE_CXX_COMPILER}")
list(JOIN devview_standin_compiler " " devview_standin_compiler)
# Its third library, for Python packages, needs one of the toolkit's.
set(devview_standin_files build/libcudart.so.13 build/libcuda.so.1)
if(EXISTS "${CMAKE_CUDA_COMPILER_TOOLKIT_ROOT}/lib64/libnvJitLink.so.13")
    list(APPEND devview_standin_files build/libnvJitLink.so.13)
endif()
add_custom_target(
    standin
    COMMAND
        "${DEVVIEW_MAKE}" --no-print-directory -s -j2 -C "${devview_standin_copy}"
        "CUDA=${CMAKE_CUDA_COMPILER_TOOLKIT_ROOT}" "CXX=${devview_standin_compiler}"
        # Not the tests' flags: a sanitizer has no business there.
        CXXFLAGS=-O2 ${devview_standin_files}
    BYPRODUCTS
        "${DEVVIEW_STANDIN_LIBRARIES}/libcudart.so.13" "${DEVVIEW_STANDIN_LIBRARIES}/libcuda.so.1"
    COMMENT "Building the stand-in for a GPU"
    VERBATIM
)
# Whatever is built here finds the stand-in first, not a toolkit's runtime that the linker has seen.
list(PREPEND CMAKE_BUILD_RPATH "${DEVVIEW_STANDIN_LIBRARIES}")
message(STATUS "CUDA: tests on the stand-in of ${DEVVIEW_STANDIN}")
