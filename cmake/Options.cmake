# Every switch of the build, and the settings that hold for all targets.

set(DEVVIEW_CUDA AUTO CACHE STRING "Build the CUDA kernels: AUTO (where a compiler is found), ON, OFF")
set(DEVVIEW_CUDA_SOURCE auto CACHE STRING "Where the CUDA compiler comes from: auto, system, wheel")
set(DEVVIEW_CUDA_ARCHITECTURES auto
    CACHE STRING "CUDA architectures; auto: compute_75 PTX and the GPU found; all: every one of CUDA 13"
)
set(DEVVIEW_PYTHON AUTO CACHE STRING "Build the Python module: AUTO (where pybind11 is found), ON, OFF")
set(DEVVIEW_SANITIZE "" CACHE STRING "Sanitizers for host code, e.g. address,undefined")
set(DEVVIEW_PREBUILT "" CACHE PATH
    "Folder with libdevview_core and libdevview_cuda: use these, build only what stands on them"
)
option(DEVVIEW_ONLY_CORE "Build devview_core, and nothing that knows CUDA or Python" OFF)
# A wheel carries the shared ones only: the module needs them, and an archive of the kernels is large.
if(SKBUILD)
    set(devview_static_default OFF)
else()
    set(devview_static_default ON)
endif()
option(DEVVIEW_STATIC "Make static libraries of the same objects, too" ${devview_static_default})
option(DEVVIEW_COVERAGE "Count executed lines of cuda/, for gcov" OFF)
option(DEVVIEW_WARNINGS_AS_ERRORS "Warnings are errors" OFF)
option(DEVVIEW_TESTS "Build the GoogleTest binaries" OFF)
option(DEVVIEW_BENCH "Build the benchmarks where Google Benchmark is found" OFF)

set_property(CACHE DEVVIEW_CUDA DEVVIEW_PYTHON PROPERTY STRINGS AUTO ON OFF)
set_property(CACHE DEVVIEW_CUDA_SOURCE PROPERTY STRINGS auto system wheel)

get_property(multi_config GLOBAL PROPERTY GENERATOR_IS_MULTI_CONFIG)
if(NOT multi_config AND NOT CMAKE_BUILD_TYPE)
    set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()

# Sources are C++20; the public headers stay C++17, which tests/CMakeLists.txt checks.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)

set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_CUDA_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

include(GNUInstallDirs)
# In a wheel everything lies beside the module, in the package; elsewhere by the system's custom.
if(SKBUILD)
    set(DEVVIEW_INSTALL_LIBDIR devview)
    set(DEVVIEW_INSTALL_PYTHONDIR devview)
    set(DEVVIEW_INSTALL_INCLUDEDIR devview/include)
    set(DEVVIEW_INSTALL_CMAKEDIR devview/share/cmake/devview)
    set(DEVVIEW_INSTALL_PKGCONFIGDIR devview/share/pkgconfig)
else()
    set(DEVVIEW_INSTALL_LIBDIR "${CMAKE_INSTALL_LIBDIR}")
    set(DEVVIEW_INSTALL_PYTHONDIR "${CMAKE_INSTALL_LIBDIR}/python/devview")
    set(DEVVIEW_INSTALL_INCLUDEDIR "${CMAKE_INSTALL_INCLUDEDIR}")
    set(DEVVIEW_INSTALL_CMAKEDIR "${CMAKE_INSTALL_LIBDIR}/cmake/devview")
    set(DEVVIEW_INSTALL_PKGCONFIGDIR "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
endif()
