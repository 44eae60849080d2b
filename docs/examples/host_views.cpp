// Views of a program's own memory: format from a type, slices, release. Needs devview::core alone.
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "check.hpp"
#include "devview/allocation.hpp"
#include "devview/error.hpp"
#include "devview/format_of.hpp"
#include "devview/view.hpp"

// [record]
struct Sample {
    std::int32_t id;
    float at[2];
};
DEVVIEW_RECORD(Sample, id, at);
// [record end]

namespace {

int released = 0;

// [adopt]
devview::View samples(std::vector<Sample> values) {
    auto owner = std::make_shared<std::vector<Sample>>(std::move(values));
    auto* data = owner->data();
    const auto count = static_cast<std::int64_t>(owner->size());
    auto block = devview::Allocation::adopt(
        data, owner->size() * sizeof(Sample), devview::Device{},
        [owner](const devview::Stream&) mutable {  // once, when the last view goes
            owner.reset();
            ++released;
        });
    return devview::view_of(data, devview::format_of<Sample>(),
                            devview::Layout::contiguous(1, &count, sizeof(Sample)), block->device(),
                            block);
}
// [adopt end]

// [sum]
double sum_of_ids(const devview::View& view) {
    if (view.format() != devview::format_of<std::int32_t>() || view.ndim() != 1) {
        throw devview::FormatError("sum_of_ids: format '" + view.format().str() + "', wanted 'i'",
                                   0);
    }
    double sum = 0;
    const auto* place = static_cast<const char*>(view.data());
    for (std::int64_t i = 0; i < view.shape()[0]; ++i) {
        sum += *reinterpret_cast<const std::int32_t*>(place + i * view.strides()[0]);
    }
    return sum;
}
// [sum end]

}  // namespace

int main() {
    // [use]
    devview::View all = samples({{1, {0, 0}}, {2, {1, 0}}, {4, {1, 1}}});
    devview::View last = all.slice(0, -2, std::nullopt);  // all[-2:]
    devview::View ids = last.field("id");                 // no item moves
    all.release();
    last.release();
    REQUIRE(released == 0);  // `ids` still views the block
    REQUIRE(sum_of_ids(ids) == 6);
    ids.release();
    REQUIRE(released == 1);
    // [use end]

    try {
        sum_of_ids(samples({{1, {0, 0}}}));
        return 1;
    } catch (const devview::FormatError& error) {
        std::printf("%s\n", error.what());
    }
    return released == 2 ? 0 : 1;
}
