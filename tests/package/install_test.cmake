# cmake -D... -P install_test.cmake: installs BUILD, moves the installation, and builds the C++ example
# EXAMPLE on it in WORK with the shared and, if STATIC, the static libraries.

function(run out)
    execute_process(
        COMMAND ${ARGN} OUTPUT_VARIABLE text ERROR_VARIABLE text RESULT_VARIABLE status
    )
    if(NOT status EQUAL 0)
        list(JOIN ARGN " " command)
        message(FATAL_ERROR "${command}: ${status}\n${text}")
    endif()
    set(${out} "${text}" PARENT_SCOPE)
endfunction()

# Each expected name, and no other.
function(expect_names folder)
    file(GLOB names RELATIVE "${folder}" "${folder}/*")
    list(SORT names)
    if(NOT names STREQUAL "${ARGN}")
        message(FATAL_ERROR "${folder} holds '${names}', expected '${ARGN}'")
    endif()
endfunction()

file(REMOVE_RECURSE "${WORK}")
file(MAKE_DIRECTORY "${WORK}")
run(text "${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${WORK}/first")
file(RENAME "${WORK}/first" "${WORK}/moved")
set(libraries "${WORK}/moved/${LIBDIR}")

expect_names("${WORK}/moved/include" devview)
set(names cmake)
foreach(part core cuda)
    if(STATIC)
        list(APPEND names "libdevview_${part}.a")
    endif()
    list(APPEND names "libdevview_${part}.so")
endforeach()
if(PYTHON)
    set(python python)
endif()
expect_names("${libraries}" ${names} pkgconfig ${python})

# Text only: debug information names the sources.
file(GLOB_RECURSE files "${libraries}/*.cmake" "${libraries}/*.pc" "${WORK}/moved/include/*")
foreach(file IN LISTS files)
    file(READ "${file}" text)
    foreach(folder "${BUILD}" "${SOURCE}" "${WORK}")
        string(FIND "${text}" "${folder}" position)
        if(NOT position EQUAL -1)
            message(FATAL_ERROR "${file} names ${folder}")
        endif()
    endforeach()
endforeach()

set(variants OFF)
if(STATIC)
    list(APPEND variants ON)
endif()
foreach(static IN LISTS variants)
    set(tree "${WORK}/example-${static}")
    run(text
        "${CMAKE_COMMAND}" -S "${EXAMPLE}" -B "${tree}" -G "${GENERATOR}" "-DSTATIC_DEVVIEW=${static}"
        "-DCMAKE_CXX_COMPILER=${COMPILER}" "-DCMAKE_PREFIX_PATH=${WORK}/moved"
        "-DCUDAToolkit_ROOT=${CUDA_ROOT}"
    )
    run(text "${CMAKE_COMMAND}" --build "${tree}")
    run(text "${tree}/host_program")
    if(NOT text MATCHES "item \\[1, 2\\] is 10\nalive on the device: 0 bytes\n$")
        message(FATAL_ERROR "host_program, static ${static}:\n${text}")
    endif()
    message(STATUS "static ${static}: built and run")
endforeach()
