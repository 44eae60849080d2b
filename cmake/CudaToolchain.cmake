# Finds a CUDA compiler (the system's, else the one in the PyPI wheels), enables the language and
# sets DEVVIEW_HAS_CUDA, DEVVIEW_CUDA_ORIGIN, DEVVIEW_CUDA_INCLUDE_DIRS and the architectures.

include(CudaArchitectures)

set(DEVVIEW_HAS_CUDA OFF)
set(DEVVIEW_CUDA_ORIGIN "none")
set(DEVVIEW_CUDA_INCLUDE_DIRS "")

# Sets `out` to TRUE if `nvcc` compiles a line of C++20 beside Thrust with this machine's host compiler.
function(devview_nvcc_works nvcc out)
    if(DEVVIEW_NVCC_TRIED STREQUAL nvcc)
        set(${out} TRUE PARENT_SCOPE)
        return()
    endif()
    set(trial "${PROJECT_BINARY_DIR}/cuda-trial")
    file(WRITE "${trial}/trial.cu" "#include <thrust/version.h>\n__global__ void trial() {}\n")
    set(host "${CMAKE_CUDA_HOST_COMPILER}")
    if(NOT host)
        set(host "$ENV{CUDAHOSTCXX}")
    endif()
    if(host)
        set(host "-ccbin=${host}")
    endif()
    execute_process(
        COMMAND "${nvcc}" -std=c++20 ${host} -c trial.cu -o trial.o
        WORKING_DIRECTORY "${trial}"
        OUTPUT_VARIABLE text
        ERROR_VARIABLE text
        RESULT_VARIABLE status
    )
    if(status EQUAL 0)
        set(DEVVIEW_NVCC_TRIED "${nvcc}" CACHE INTERNAL "nvcc that has passed the trial")
        set(${out} TRUE PARENT_SCOPE)
    else()
        string(SUBSTRING "${text}" 0 400 text)
        message(STATUS "CUDA: ${nvcc} cannot compile for this project, passed over:\n${text}")
        set(${out} FALSE PARENT_SCOPE)
    endif()
endfunction()

# Sets `out` to the path of a system nvcc that works, or to nothing.
function(devview_find_system_nvcc out)
    set(${out} "" PARENT_SCOPE)
    find_program(
        DEVVIEW_SYSTEM_NVCC
        NAMES "$ENV{CUDACXX}" nvcc
        HINTS ENV CUDA_PATH ENV CUDA_HOME ENV CUDAToolkit_ROOT
        PATHS /usr/local/cuda
        PATH_SUFFIXES bin
    )
    mark_as_advanced(DEVVIEW_SYSTEM_NVCC)
    if(DEVVIEW_SYSTEM_NVCC)
        devview_nvcc_works("${DEVVIEW_SYSTEM_NVCC}" works)
        if(works)
            set(${out} "${DEVVIEW_SYSTEM_NVCC}" PARENT_SCOPE)
        endif()
    endif()
endfunction()

# Sets `out` to nvcc in a copy of the PyPI wheels' toolkit inside the build tree, or to nothing.
function(devview_find_wheel_nvcc out)
    set(${out} "" PARENT_SCOPE)
    find_package(Python 3.10 COMPONENTS Interpreter QUIET)
    if(NOT Python_Interpreter_FOUND)
        message(STATUS "CUDA: no Python interpreter to look for the wheels with")
        return()
    endif()
    # A copy, since pip deletes its build environment and the build tree outlives it.
    set(toolkit "${PROJECT_BINARY_DIR}/cuda-toolkit")
    execute_process(
        COMMAND
            "${Python_EXECUTABLE}" "${PROJECT_SOURCE_DIR}/cmake/stage_cuda_wheels.py" "${toolkit}"
        OUTPUT_VARIABLE text
        ERROR_VARIABLE text
        OUTPUT_STRIP_TRAILING_WHITESPACE
        ERROR_STRIP_TRAILING_WHITESPACE
        RESULT_VARIABLE status
    )
    message(STATUS "CUDA wheels: ${text}")
    if(status EQUAL 0)
        set(${out} "${toolkit}/bin/nvcc" PARENT_SCOPE)
    endif()
endfunction()

string(TOUPPER "${DEVVIEW_CUDA}" devview_cuda_wish)
if(NOT devview_cuda_wish STREQUAL "AUTO")
    # ON, 1, TRUE, YES and their opposites all count.
    if(DEVVIEW_CUDA)
        set(devview_cuda_wish ON)
    else()
        set(devview_cuda_wish OFF)
    endif()
endif()

set(devview_nvcc "")
if(NOT devview_cuda_wish STREQUAL "OFF" AND NOT DEVVIEW_PREBUILT)
    # The caller's choice, or that of an earlier run: a build tree keeps its compiler.
    if(CMAKE_CUDA_COMPILER AND EXISTS "${CMAKE_CUDA_COMPILER}")
        set(devview_nvcc "${CMAKE_CUDA_COMPILER}")
        set(DEVVIEW_CUDA_ORIGIN "given")
        if(DEVVIEW_CUDA_FOUND_IN)
            set(DEVVIEW_CUDA_ORIGIN "${DEVVIEW_CUDA_FOUND_IN}")
        endif()
    endif()
    if(NOT devview_nvcc AND NOT DEVVIEW_CUDA_SOURCE STREQUAL "wheel")
        devview_find_system_nvcc(devview_nvcc)
        set(DEVVIEW_CUDA_ORIGIN "system")
    endif()
    if(NOT devview_nvcc AND NOT DEVVIEW_CUDA_SOURCE STREQUAL "system")
        devview_find_wheel_nvcc(devview_nvcc)
        set(DEVVIEW_CUDA_ORIGIN "wheel")
    endif()
    if(NOT devview_nvcc)
        set(DEVVIEW_CUDA_ORIGIN "none")
        if(devview_cuda_wish STREQUAL "ON")
            message(
                FATAL_ERROR
                "DEVVIEW_CUDA=ON, but no CUDA compiler: source '${DEVVIEW_CUDA_SOURCE}'. Install a toolkit "
                "of CUDA 12 or newer, or the PyPI packages that pyproject.toml names."
            )
        endif()
        message(STATUS "CUDA: no compiler found, building without kernels")
    endif()
endif()

if(devview_nvcc)
    set(CMAKE_CUDA_COMPILER "${devview_nvcc}" CACHE FILEPATH "CUDA compiler" FORCE)
    set(DEVVIEW_CUDA_FOUND_IN "${DEVVIEW_CUDA_ORIGIN}" CACHE INTERNAL "Where nvcc was found first")
    devview_cuda_architectures("${devview_nvcc}")
    enable_language(CUDA)
    # Not earlier: enable_language's own trial cannot take a standard yet.
    set(CMAKE_CUDA_STANDARD 20)
    # CMake 3.25.1 does not know that nvcc 12 takes C++20.
    if(NOT DEFINED CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
        set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
        set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
    endif()
    set(CMAKE_CUDA_STANDARD_REQUIRED ON)
    set(CMAKE_CUDA_EXTENSIONS OFF)
    set(DEVVIEW_HAS_CUDA ON)
    # The runtime's headers and, from CUDA 13 on, CCCL in a folder of its own.
    foreach(folder IN LISTS CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES)
        if(EXISTS "${folder}/cccl/thrust/version.h")
            list(APPEND DEVVIEW_CUDA_INCLUDE_DIRS "${folder}/cccl")
        endif()
        list(APPEND DEVVIEW_CUDA_INCLUDE_DIRS "${folder}")
    endforeach()
    list(REMOVE_DUPLICATES DEVVIEW_CUDA_INCLUDE_DIRS)
    message(
        STATUS
        "CUDA: nvcc ${CMAKE_CUDA_COMPILER_VERSION} (${DEVVIEW_CUDA_ORIGIN}), "
        "architectures ${CMAKE_CUDA_ARCHITECTURES}"
    )
endif()
