// Device memory: allocation, strided copies, a staging for the host, errors. Runs on an emulated
// device where there is no GPU.
#include <cstdint>
#include <memory>

#include "check.hpp"
#include "devview/copy.hpp"
#include "devview/cuda/memory.hpp"
#include "devview/cuda/runtime.hpp"
#include "devview/cuda/stream.hpp"
#include "devview/format_of.hpp"
#include "devview/ledger.hpp"
#include "devview/staging.hpp"
#include "devview/view.hpp"

namespace {

constexpr devview::Device kGpu{devview::DeviceType::cuda, 0};

// [matrix]
devview::View matrix(std::int64_t rows, std::int64_t columns, const devview::Stream& stream) {
    const std::int64_t shape[] = {rows, columns};
    const auto layout = devview::Layout::contiguous(2, shape, sizeof(float));
    auto block = devview::allocate_zeroed(static_cast<std::size_t>(layout.nbytes(sizeof(float))),
                                          kGpu, stream);
    return devview::view_of(block->data(), devview::format_of<float>(), layout, kGpu, block);
}
// [matrix end]

}  // namespace

int main() {
    // [emulate]
    devview::cuda::emulate({});  // only where there is no GPU
    // [emulate end]
    // [work]
    const devview::Stream stream = devview::cuda::make_stream(0);
    devview::View a = matrix(3, 4, stream);
    const float seven = 7;
    devview::fill(a.slice(1, 1, 3), &seven, stream);  // a[:, 1:3] = 7, one kernel

    devview::View b = matrix(4, 3, stream);
    devview::copy(b, a.transpose(), stream);  // on the device, nothing waits
    // [work end]

    // [stage]
    {
        auto staging = devview::stage(b, /*writable=*/true);  // starts the copy
        staging->wait();                                      // for that copy alone
        auto* items = static_cast<float*>(staging->data());
        REQUIRE(items[0] == 0 && items[3] == 7 && items[8] == 7 && items[11] == 0);
        items[0] = 1;
        staging->finish();  // written back; the destructor would do it, and tell of no error
    }
    // [stage end]

    // [release]
    devview::View host = devview::copy_to(b, devview::Device{});
    REQUIRE(static_cast<const float*>(host.data())[0] == 1);
    a.release();
    b.release();
    REQUIRE(devview::memory_gauge(kGpu).live_bytes == 0);
    // [release end]
    return 0;
}
