// DEVVIEW_CPU: what it asks for, and words that it does not know.
#include "src/machine/cpu_features.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include <gtest/gtest.h>

#include "devview/compare.hpp"
#include "devview/convert.hpp"
#include "devview/copy_plan.hpp"
#include "devview/error.hpp"

namespace devview {
namespace {

/// The variable is read once: each word has a process of its own.
class CpuFeatures : public testing::Test {
protected:
    void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

[[noreturn]] void leave(bool passed) { _exit(passed ? 0 : 1); }

TEST_F(CpuFeatures, KindIsTheOneAskedForOrTheBestThereIs) {
    const struct {
        const char* word;
        CpuKind most;
    } asked[] = {{"portable", CpuKind::portable},
                 {"avx2", CpuKind::avx2},
                 {"avx512", CpuKind::avx512},
                 {"avx512vbmi", CpuKind::avx512vbmi},
                 {"", CpuKind::avx512vbmi}};
    for (const auto& each : asked) {
        EXPECT_EXIT(
            {
                setenv("DEVVIEW_CPU", each.word, 1);
                check_cpu_kind();
                leave(cpu_kind() == std::min(each.most, detected_cpu_kind()));
            },
            testing::ExitedWithCode(0), "")
            << each.word;
    }
}

template <typename Work>
bool refuses(const std::string& text, Work&& work) {
    try {
        work();
    } catch (const LayoutError& error) {
        return error.what() == text;
    }
    return false;
}

/// True if copies, fills, conversions and comparisons throw this, and write nothing.
bool refuses_all(const std::string& text) {
    const std::int64_t shape[2] = {2, 2};
    const Layout layout = Layout::contiguous(2, shape, 8);
    const double src[4] = {1, 2, 3, 4};
    double dst[4] = {};
    std::int64_t integers[4] = {};
    const Format wide("d"), whole("q");
    const bool refused =
        refuses(text, [&] { copy_host(dst, layout, src, layout, 8); }) &&
        refuses(text, [&] { fill_host(dst, layout, src, 8); }) &&
        refuses(text, [&] { convert_host(integers, layout, whole, src, layout, wide); }) &&
        refuses(text, [&] { equal_host(*wide.node(), layout, dst, *wide.node(), layout, src); });
    return refused && dst[0] == 0 && integers[0] == 0;
}

TEST_F(CpuFeatures, UnknownWordsAreRefusedByNameBeforeAnythingIsWritten) {
    for (const char* bad : {"AVX2", "avx", "sse4", "avx2 ", "portable,avx2", "2"}) {
        EXPECT_EXIT(
            {
                setenv("DEVVIEW_CPU", bad, 1);
                const bool refused = refuses_all("DEVVIEW_CPU: \"" + std::string(bad) +
                                                 "\", portable, avx2, avx512 or avx512vbmi");
                leave(refused && cpu_kind() == detected_cpu_kind());  // where nobody can throw
            },
            testing::ExitedWithCode(0), "")
            << bad;
    }
}

}  // namespace
}  // namespace devview
