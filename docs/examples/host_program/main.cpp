// devview without Python: an allocation, views of it, an emulated device and back, one release.
#include <cstdint>
#include <cstdio>
#include <devview/copy.hpp>
#include <devview/cuda/runtime.hpp>
#include <devview/error.hpp>
#include <devview/format_of.hpp>
#include <devview/ledger.hpp>
#include <devview/view.hpp>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

namespace {

std::string describe(const devview::View& view) {
    std::string text =
        devview::to_string(view.device()) + " format " + view.format().str() + " shape";
    for (int axis = 0; axis < view.ndim(); ++axis) {
        text += " " + std::to_string(view.shape()[axis]);
    }
    return text + ", strides " + std::to_string(view.strides()[0]) + " " +
           std::to_string(view.strides()[1]);
}

float at(const devview::View& view, std::int64_t row, std::int64_t column) {
    const auto* base = static_cast<const char*>(view.data());
    return *reinterpret_cast<const float*>(base + row * view.strides()[0] +
                                           column * view.strides()[1]);
}

// Memory of this program, handed to devview with the way to give it back.
devview::View numbers() {
    const auto values = std::make_shared<std::vector<float>>(12);
    std::iota(values->begin(), values->end(), 0.0F);
    const std::int64_t shape[] = {3, 4};
    const auto format = devview::format_of<float>();
    const auto allocation = devview::Allocation::adopt(
        values->data(), values->size() * sizeof(float), devview::Device{},
        [values](const devview::Stream&) { std::puts("released: the vector"); });
    return devview::view_of(values->data(), format,
                            devview::Layout::contiguous(2, shape, format.itemsize()),
                            devview::Device{}, allocation);
}

int run() {
    devview::cuda::EmulatorOptions options;
    options.devices = 1;
    devview::cuda::emulate(options);

    devview::View all = numbers();
    std::printf("made: %s\n", describe(all).c_str());
    // Every second column, as rows: arithmetic, no byte moves.
    devview::View part = all.slice(1, std::nullopt, std::nullopt, 2).transpose();
    std::printf("sliced: %s, %lld views of one block\n", describe(part).c_str(),
                static_cast<long long>(all.allocation()->views()));

    devview::View there = devview::copy_to(part, devview::parse_device("cuda"));
    std::printf("copied: %s\n", describe(there).c_str());
    all.release();
    part.release();

    const devview::View back = devview::copy_to(there, devview::Device{});
    there.release();
    std::printf("back: %s, item [1, 2] is %g\n", describe(back).c_str(),
                static_cast<double>(at(back, 1, 2)));
    std::printf("alive on the device: %zu bytes\n",
                devview::memory_gauge(devview::parse_device("cuda")).live_bytes);
    return at(back, 1, 2) == 10.0F ? 0 : 1;
}

}  // namespace

int main() {
    try {
        return run();
    } catch (const devview::Error& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
