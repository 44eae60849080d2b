# What an installation holds for C++ users: headers, targets for find_package, and pkg-config files.
# Every path in it is relative to the file that names it.

include(CMakePackageConfigHelpers)

# The CUDA runtime that the static library's users link; CMake's name of it and the linker's.
set(DEVVIEW_CUDART_TARGET "")
set(DEVVIEW_CUDART_LIBS "")
if(DEVVIEW_HAS_CUDA)
    if(CMAKE_CUDA_RUNTIME_LIBRARY STREQUAL "Shared")
        set(DEVVIEW_CUDART_TARGET CUDA::cudart)
        set(DEVVIEW_CUDART_LIBS "-lcudart")
    else()
        set(DEVVIEW_CUDART_TARGET CUDA::cudart_static)
        set(DEVVIEW_CUDART_LIBS "-lcudart_static -lrt -ldl")
    endif()
endif()

# The headers below `include_dir`, with their folders.
function(devview_install_headers include_dir)
    install(
        DIRECTORY "${include_dir}/"
        DESTINATION "${DEVVIEW_INSTALL_INCLUDEDIR}"
        COMPONENT devview_development
        FILES_MATCHING
        PATTERN "*.h"
        PATTERN "*.hpp"
        PATTERN "*.cuh"
    )
endfunction()

# The headers, the targets and the pkg-config file of component `alias`.
function(devview_install_development alias include_dir)
    devview_install_headers("${include_dir}")
    install(
        EXPORT devview-${alias}
        NAMESPACE devview::
        DESTINATION "${DEVVIEW_INSTALL_CMAKEDIR}"
        COMPONENT devview_development
    )
    # Debian's and the wheel's folders lie at different depths below the prefix.
    file(RELATIVE_PATH up "/${DEVVIEW_INSTALL_PKGCONFIGDIR}" "/")
    string(REGEX REPLACE "/$" "" up "${up}")
    configure_file(
        "${PROJECT_SOURCE_DIR}/cmake/devview-${alias}.pc.in"
        "${PROJECT_BINARY_DIR}/package/devview-${alias}.pc"
        @ONLY
    )
    install(
        FILES "${PROJECT_BINARY_DIR}/package/devview-${alias}.pc"
        DESTINATION "${DEVVIEW_INSTALL_PKGCONFIGDIR}"
        COMPONENT devview_development
    )
endfunction()

configure_file(
    "${PROJECT_SOURCE_DIR}/cmake/devviewConfig.cmake.in"
    "${PROJECT_BINARY_DIR}/package/devviewConfig.cmake"
    @ONLY
)
# Below 1.0 a minor version may break what is written against the one before.
write_basic_package_version_file(
    "${PROJECT_BINARY_DIR}/package/devviewConfigVersion.cmake"
    COMPATIBILITY SameMinorVersion
)
if(NOT DEVVIEW_PREBUILT)
    # For authors of extension modules: headers alone, their own pybind11 compiles them.
    if(EXISTS "${PROJECT_SOURCE_DIR}/python/include")
        devview_install_headers("${PROJECT_SOURCE_DIR}/python/include")
    endif()
    install(
        FILES
            "${PROJECT_BINARY_DIR}/package/devviewConfig.cmake"
            "${PROJECT_BINARY_DIR}/package/devviewConfigVersion.cmake"
        DESTINATION "${DEVVIEW_INSTALL_CMAKEDIR}"
        COMPONENT devview_development
    )
endif()
