// Our own declarations of CUDA's types against CUDA's header.
#include <gtest/gtest.h>

#include "cuda/emulator_abi_table.hpp"
#include "devview/cuda/abi.hpp"

TEST(EmulatorAbi, OwnDeclarationsEqualCudas) {
#if !__has_include(<cuda_runtime_api.h>)
    GTEST_SKIP() << "no cuda_runtime_api.h on the include path";
#else
    const AbiNumbers own = own_abi_numbers();
    const AbiNumbers cudas = {ABI_NUMBERS};
    ASSERT_EQ(own.size(), cudas.size());
    for (std::size_t i = 0; i < own.size(); ++i) {
        EXPECT_EQ(own[i].name, cudas[i].name);
        EXPECT_EQ(own[i].value, cudas[i].value) << own[i].name;
    }
#endif
}
