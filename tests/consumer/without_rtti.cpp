// A program of somebody who compiles with -fno-rtti, or with -fno-exceptions as well, and links the
// library that has both. C++17, public headers alone.
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "devview/allocation.hpp"
#include "devview/copy_plan.hpp"
#include "devview/dlpack.hpp"
#include "devview/dlpack_abi.hpp"
#include "devview/error.hpp"
#include "devview/format_of.hpp"
#include "devview/host_memory.hpp"
#include "devview/ledger.hpp"
#include "devview/record.hpp"
#include "devview/view.hpp"

#ifdef __GXX_RTTI
#error "this program is to be compiled with -fno-rtti"
#endif

namespace sensor {

struct Sample {
    std::int32_t id;
    double value;
};
DEVVIEW_RECORD(Sample, id, value);

}  // namespace sensor

namespace {

int failures = 0;

void check(bool condition, const char* what) {
    if (condition) return;
    std::printf("failed: %s\n", what);
    ++failures;
}

/// A class of this program's own below one of the library's, without type information.
class CountedUses final : public devview::StreamUses {
public:
    explicit CountedUses(int& joined) : joined_(joined) {}
    void record(const devview::Stream&) override {}
    void order(const devview::Stream&) override {}
    void wait() override {}
    devview::Stream join() noexcept override {
        ++joined_;
        return {};
    }

private:
    int& joined_;
};

devview::View view_of(std::vector<double>& values, int& released) {
    auto owner = devview::Allocation::adopt(values.data(), values.size() * sizeof(double), {},
                                            [&released](devview::Stream) { ++released; });
    const std::array<std::int64_t, 2> shape{3, 4};
    return devview::view_of(values.data(), devview::Format::scalar('d'),
                            devview::Layout::contiguous(2, shape.data(), 8), {}, std::move(owner));
}

void test_views() {
    std::vector<double> values(12, 1.5);
    int released = 0;
    {
        const devview::View view = view_of(values, released);
        const devview::View part = view.slice(1, 1, {}, 2).transpose();
        check(part.shape()[0] == 2 && part.shape()[1] == 3, "a slice has its shape");
        const double seven = 7;
        devview::fill_host(part.data(), part.layout(), &seven, 8);
        check(values[1] == 7 && values[0] == 1.5, "items are written");
    }
    check(released == 1, "the callable is called once");
}

void test_classes_of_our_own() {
    int joined = 0;
    std::array<char, 8> memory{};
    devview::Allocation::Block block;
    block.data = memory.data();
    block.nbytes = memory.size();
    block.release = [](void*, devview::Stream) noexcept {};
    block.uses = std::make_unique<CountedUses>(joined);
    devview::Allocation::adopt(std::move(block)).reset();
    check(joined == 1, "virtual functions are called across the boundary");
}

void test_tensors() {
    std::vector<double> values(12, 2.5);
    int released = 0;
    auto* const tensor = devview::to_dlpack(view_of(values, released));
    check(devview::from_dlpack(tensor).data() == values.data(), "a tensor goes round");
    check(released == 1, "the tensor held the memory");
}

void test_errors() {
#ifdef __cpp_exceptions
    std::vector<double> values(12, 0);
    int released = 0;
    std::string told;
    try {
        view_of(values, released).slice(5, {}, {});
    } catch (const devview::LayoutError& error) {
        told = error.what();
    } catch (...) {
        told = "another class";
    }
    check(told == "slice: axis 5, ndim 2", "errors are caught by their class");
    try {
        devview::Format("T{iy}");
    } catch (const devview::Error& error) {
        told = error.what();
    }
    check(told == "format: position 3: unknown code 'y'", "errors are caught by their base");
    const std::uint64_t before = devview::release_errors();
    devview::set_release_error_handler([](const char*) {});
    devview::Allocation::adopt(values.data(), 8, {}, [](devview::Stream) { throw 1; }).reset();
    check(devview::release_errors() == before + 1, "what a release throws is counted");
#endif
}

}  // namespace

int main() {
    check(devview::format_of<sensor::Sample>().itemsize() == 16, "a record has its format");
    test_views();
    test_classes_of_our_own();
    test_tensors();
    test_errors();
    check(devview::live_allocation_count() == 0, "nothing lives at the end");
    return failures == 0 ? 0 : 1;
}
