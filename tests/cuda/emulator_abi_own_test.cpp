// Our own declarations of CUDA's types, listed.
#ifndef DEVVIEW_OWN_CUDA_ABI
#define DEVVIEW_OWN_CUDA_ABI
#endif
#include "cuda/emulator_abi_table.hpp"
#include "devview/cuda/abi.hpp"

AbiNumbers own_abi_numbers() { return {ABI_NUMBERS}; }
