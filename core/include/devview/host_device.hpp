// Marks functions that nvcc compiles for the device too; needs no CUDA headers.
#pragma once

#ifdef __CUDACC__
#define DEVVIEW_HD __host__ __device__
#else
#define DEVVIEW_HD
#endif
