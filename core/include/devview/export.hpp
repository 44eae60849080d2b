// Symbol visibility of the two shared libraries; nothing else.
#pragma once

#if defined(_WIN32)
#define DEVVIEW_EXPORT __declspec(dllexport)
#define DEVVIEW_IMPORT __declspec(dllimport)
#define DEVVIEW_LOCAL
#else
#define DEVVIEW_EXPORT __attribute__((visibility("default")))
#define DEVVIEW_IMPORT DEVVIEW_EXPORT
// Of templates in headers: each library keeps its own copy, so that none is pinned by another's.
#define DEVVIEW_LOCAL __attribute__((visibility("hidden")))
#endif

#ifdef DEVVIEW_BUILDING_CORE
#define DEVVIEW_CORE_API DEVVIEW_EXPORT
#else
#define DEVVIEW_CORE_API DEVVIEW_IMPORT
#endif

#ifdef DEVVIEW_BUILDING_CUDA
#define DEVVIEW_CUDA_API DEVVIEW_EXPORT
#else
#define DEVVIEW_CUDA_API DEVVIEW_IMPORT
#endif
