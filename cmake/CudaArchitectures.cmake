# Which GPUs the kernels are built for: sets CMAKE_CUDA_ARCHITECTURES unless the caller has.

# CUDA 13's list: machine code for each, and PTX of the last for GPUs to come.
set(DEVVIEW_CUDA_ALL
    75-real 80-real 86-real 89-real 90-real 100-real 120-real 120-virtual
)

# Sets `out` to e.g. "90-real" for each GPU in this machine that `nvcc` knows; empty without a GPU.
function(devview_native_gpus nvcc out)
    set(found "")
    execute_process(
        COMMAND nvidia-smi --query-gpu=compute_cap --format=csv,noheader
        OUTPUT_VARIABLE capabilities
        ERROR_QUIET
        RESULT_VARIABLE status
    )
    if(status EQUAL 0)
        execute_process(COMMAND "${nvcc}" --list-gpu-code OUTPUT_VARIABLE known ERROR_QUIET)
        string(REGEX MATCHALL "[0-9]+\\.[0-9]+" capabilities "${capabilities}")
        foreach(capability IN LISTS capabilities)
            string(REPLACE "." "" number "${capability}")
            if(known MATCHES "sm_${number}([^0-9]|$)")
                list(APPEND found "${number}-real")
            endif()
        endforeach()
        list(REMOVE_DUPLICATES found)
    endif()
    set(${out} "${found}" PARENT_SCOPE)
endfunction()

# A macro: enable_language(CUDA) reads the variable in the caller's scope.
macro(devview_cuda_architectures nvcc)
    if(DEFINED CMAKE_CUDA_ARCHITECTURES OR DEFINED ENV{CUDAARCHS})
        # The caller's choice stands.
    elseif(DEVVIEW_CUDA_ARCHITECTURES STREQUAL "auto")
        devview_native_gpus("${nvcc}" devview_native)
        set(CMAKE_CUDA_ARCHITECTURES 75-virtual ${devview_native})
    elseif(DEVVIEW_CUDA_ARCHITECTURES STREQUAL "all")
        set(CMAKE_CUDA_ARCHITECTURES ${DEVVIEW_CUDA_ALL})
    else()
        set(CMAKE_CUDA_ARCHITECTURES ${DEVVIEW_CUDA_ARCHITECTURES})
    endif()
endmacro()
