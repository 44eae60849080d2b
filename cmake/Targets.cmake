# devview_library, devview_warnings and devview_sources: what every target of the project shares.

# Warnings for host code; nvcc hands them to the host compiler. nvcc's own output breaks -Wpedantic.
function(devview_warnings target)
    if(MSVC)
        target_compile_options(
            ${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:/W4 $<$<BOOL:${DEVVIEW_WARNINGS_AS_ERRORS}>:/WX>>
        )
        return()
    endif()
    set(flags -Wall -Wextra -Wconversion -Wsign-conversion -Wshadow)
    # GCC 12 and 13 see overlaps in std::string that are not there (GCC bug 105329).
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 14)
        list(APPEND flags -Wno-restrict)
    endif()
    if(DEVVIEW_WARNINGS_AS_ERRORS)
        list(APPEND flags -Werror)
    endif()
    target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:${flags};-Wpedantic>")
    # Conversions inside nvcc's stubs are not ours; the host compiler does not know `#pragma unroll`.
    set(cuda_flags -Xcompiler=-Wall,-Wextra,-Wno-unknown-pragmas)
    if(DEVVIEW_WARNINGS_AS_ERRORS)
        list(APPEND cuda_flags --Werror=all-warnings)
    endif()
    target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:CUDA>:${cuda_flags}>")
endfunction()

# The sanitizers reach the link too; .cu files stay without (nvcc's host code is not ours).
function(devview_sanitize target)
    if(DEVVIEW_SANITIZE)
        # One flag each: a comma would end the generator expression's argument.
        string(REPLACE "," ";" flags "${DEVVIEW_SANITIZE}")
        list(TRANSFORM flags PREPEND "-fsanitize=")
        list(APPEND flags -fno-omit-frame-pointer)
        if(DEVVIEW_SANITIZE MATCHES "undefined")
            list(APPEND flags -fno-sanitize-recover=undefined)
        endif()
        target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:${flags}>")
        target_link_options(${target} PRIVATE "$<HOST_LINK:${flags}>")
    endif()
endfunction()

# Counts of executed lines of one library; of a .cu file its host code. Counters are atomic: streams
# are threads.
function(devview_coverage target)
    if(DEVVIEW_COVERAGE)
        set(flags -O0 --coverage -fprofile-update=atomic -fprofile-abs-path)
        list(JOIN flags "," host_flags)
        target_compile_options(
            ${target} PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:${flags}>"
                              "$<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=${host_flags}>"
        )
        target_link_options(${target} PRIVATE "$<HOST_LINK:--coverage>")
    endif()
endfunction()

# All of the above for one target.
function(devview_setup target)
    devview_warnings(${target})
    devview_sanitize(${target})
endfunction()

# Sets `out` to the files that match; a new file needs no edit of a CMakeLists.txt.
function(devview_sources out)
    list(TRANSFORM ARGN PREPEND "${CMAKE_CURRENT_SOURCE_DIR}/")
    file(GLOB_RECURSE found CONFIGURE_DEPENDS ${ARGN})
    set(${out} "${found}" PARENT_SCOPE)
endfunction()

# Gives the C functions of a shared library their versions, from TARGET.map beside its CMakeLists.txt.
# Where the linker knows no versions (macOS, Windows), the names stand alone.
include(CheckLinkerFlag)
function(devview_symbol_versions target)
    get_target_property(type ${target} TYPE)
    if(NOT type STREQUAL "SHARED_LIBRARY" OR APPLE OR WIN32)
        return()
    endif()
    set(map "${CMAKE_CURRENT_SOURCE_DIR}/${target}.map")
    set(probe "${CMAKE_CURRENT_BINARY_DIR}/probe.map")
    file(WRITE "${probe}" "DEVVIEW_PROBE {};\n")
    check_linker_flag(CXX "LINKER:--version-script=${probe}" DEVVIEW_LINKER_VERSIONS)
    if(DEVVIEW_LINKER_VERSIONS)
        target_link_options(${target} PRIVATE "$<HOST_LINK:LINKER:--version-script=${map}>")
        set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS "${map}")
    endif()
endfunction()

# A library of the wheel, or the one in DEVVIEW_PREBUILT under the same name.
function(devview_library target alias include_dir)
    if(DEVVIEW_PREBUILT)
        set(file "${CMAKE_SHARED_LIBRARY_PREFIX}${target}${CMAKE_SHARED_LIBRARY_SUFFIX}")
        add_library(${target} SHARED IMPORTED GLOBAL)
        set_target_properties(
            ${target}
            PROPERTIES
                IMPORTED_LOCATION "${DEVVIEW_PREBUILT}/${file}"
                INTERFACE_INCLUDE_DIRECTORIES "${CMAKE_CURRENT_SOURCE_DIR}/${include_dir}"
        )
    else()
        add_library(${target} SHARED ${ARGN})
        target_include_directories(
            ${target} PUBLIC "$<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/${include_dir}>"
                             "$<INSTALL_INTERFACE:${DEVVIEW_INSTALL_INCLUDEDIR}>"
        )
        target_compile_features(${target} PUBLIC cxx_std_17)
        set_target_properties(
            ${target}
            PROPERTIES EXPORT_NAME ${alias} INSTALL_RPATH "$ORIGIN" WINDOWS_EXPORT_ALL_SYMBOLS OFF
        )
        devview_setup(${target})
        devview_symbol_versions(${target})
        install(
            TARGETS ${target}
            EXPORT devview-${alias}
            LIBRARY DESTINATION "${DEVVIEW_INSTALL_LIBDIR}" COMPONENT devview_runtime
            RUNTIME DESTINATION "${DEVVIEW_INSTALL_LIBDIR}" COMPONENT devview_runtime
            ARCHIVE DESTINATION "${DEVVIEW_INSTALL_LIBDIR}" COMPONENT devview_development
        )
        devview_install_development(${alias} "${CMAKE_CURRENT_SOURCE_DIR}/${include_dir}")
        if(DEVVIEW_STATIC)
            devview_static_library(${target} ${alias} ${include_dir})
        endif()
    endif()
    add_library(devview::${alias} ALIAS ${target})
endfunction()

# devview::<alias>_static, an archive of the objects of the shared library `target`.
function(devview_static_library target alias include_dir)
    add_library(${target}_static STATIC "$<TARGET_OBJECTS:${target}>")
    set_target_properties(
        ${target}_static
        PROPERTIES EXPORT_NAME ${alias}_static OUTPUT_NAME ${target} LINKER_LANGUAGE CXX
    )
    target_include_directories(
        ${target}_static INTERFACE "$<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/${include_dir}>"
                                   "$<INSTALL_INTERFACE:${DEVVIEW_INSTALL_INCLUDEDIR}>"
    )
    target_compile_features(${target}_static INTERFACE cxx_std_17)
    install(
        TARGETS ${target}_static
        EXPORT devview-${alias}_static
        ARCHIVE DESTINATION "${DEVVIEW_INSTALL_LIBDIR}" COMPONENT devview_static
    )
    install(
        EXPORT devview-${alias}_static
        NAMESPACE devview::
        DESTINATION "${DEVVIEW_INSTALL_CMAKEDIR}"
        COMPONENT devview_static
    )
    add_library(devview::${alias}_static ALIAS ${target}_static)
endfunction()
