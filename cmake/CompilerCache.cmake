# Compiles through ccache or sccache where one is found, kernels included.

option(DEVVIEW_COMPILER_CACHE "Use ccache or sccache where found" ON)

if(DEVVIEW_COMPILER_CACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    find_program(DEVVIEW_COMPILER_CACHE_PROGRAM NAMES ccache sccache)
    mark_as_advanced(DEVVIEW_COMPILER_CACHE_PROGRAM)
    if(DEVVIEW_COMPILER_CACHE_PROGRAM)
        set(CMAKE_CXX_COMPILER_LAUNCHER "${DEVVIEW_COMPILER_CACHE_PROGRAM}")
        set(CMAKE_CUDA_COMPILER_LAUNCHER "${DEVVIEW_COMPILER_CACHE_PROGRAM}")
    endif()
endif()
