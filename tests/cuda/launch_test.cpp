// Tests of cuda::Launch: work of somebody else's among devview's.
#include "devview/cuda/launch.hpp"

#include <cstring>
#include <memory>

#include "devview/error.hpp"
#include "emulated.hpp"

namespace devview::testing {
namespace {

using namespace cuda;

/// Fills a dense view as its user's own kernel would.
void fill_by_hand(const Launch& launch, const View& view, int byte) {
    const auto count = static_cast<std::size_t>(view.nbytes());
    if (launch.emulated()) {
        void* const at = launch.at(view.data());
        launch.on_host([=] { std::memset(at, byte, count); });
    } else {
        check(runtime().MemsetAsync(view.data(), byte, count, launch.stream()),
              "memset of the test");
    }
}

class Launches : public Emulated {
protected:
    void SetUp() override {
        Emulated::SetUp();
        home_ = make_stream(0);
        other_ = make_stream(0);
    }
    void TearDown() override {
        home_ = {};
        other_ = {};
        Emulated::TearDown();
    }

    Stream home_{};
    Stream other_{};
};

TEST_F(Launches, EarlierWorkOnOtherStreamsIsWaitedFor) {
    const View view = make_view({256}, cuda_device(0), 1, Format("B"), home_);
    const View source = make_view({256}, cuda_device(0), 2, Format("B"), home_);
    set_delay(20000);
    copy(view, source, home_);
    fill_by_hand(Launch({&view}, other_), view, 7);
    EXPECT_EQ(items(view), Bytes(256, 7));
}

TEST_F(Launches, LaterWorkOnOtherStreamsWaits) {
    const View view = make_view({256}, cuda_device(0), 1, Format("B"), home_);
    const View seen = make_view({256}, kPinned, 2, Format("B"));
    set_delay(20000);
    fill_by_hand(Launch({&view}, other_), view, 7);
    copy(seen, view, home_);
    EXPECT_EQ(items(seen), Bytes(256, 7));
}

TEST_F(Launches, StreamIsTheGivenOneElseTheFirstViews) {
    const View host = make_view({4}, kCpu, 1);
    const View plain = make_view({4}, cuda_device(0), 1);
    const View on_home = plain.with_stream(home_);
    const View on_other = plain.with_stream(other_);
    EXPECT_EQ(Launch({&host, &on_home, &on_other}).stream(), handle_of(home_));
    EXPECT_EQ(Launch({&on_home}, other_).stream(), handle_of(other_));
    EXPECT_EQ(Launch({&host}).stream(), handle_of(legacy_stream(0)));
}

TEST_F(Launches, DeviceIsCurrentUntilTheEnd) {
    const Device device = some_device(1);
    const View view = make_view({4}, device, 1);
    int before = -1, inside = -1, after = -1;
    check(runtime().GetDevice(&before), "get device");
    {
        const Launch launch({&view});
        check(runtime().GetDevice(&inside), "get device");
    }
    check(runtime().GetDevice(&after), "get device");
    EXPECT_EQ(inside, device.id);
    EXPECT_EQ(after, before);
}

TEST_F(Launches, ReleasedViewIsRefused) {
    const View view = make_view({4}, cuda_device(0), 1);
    const View released;
    EXPECT_THROW(Launch({&view, &released}), ReleasedError);
}

TEST_F(Launches, AddressesOfTheHostStayAsTheyAre) {
    const View view = make_view({4}, cuda_device(0), 1);
    const View host = make_view({4}, kCpu, 1);
    const Launch launch({&view});
    EXPECT_EQ(launch.at(host.data()), host.data());
    EXPECT_EQ(launch.at(static_cast<void*>(nullptr)), nullptr);
    EXPECT_EQ(launch.at(view.data()) == view.data(), !launch.emulated());
}

TEST_F(Launches, HostWorkRunsOnceAndIsDestroyed) {
    const View view = make_view({4}, cuda_device(0), 1);
    const auto runs = std::make_shared<int>(0);
    Launch({&view}).on_host([runs] { ++*runs; });
    drain();
    EXPECT_EQ(*runs, 1);
    EXPECT_EQ(runs.use_count(), 1);
}

TEST_F(Launches, HostWorkThatIsRefusedIsDestroyed) {
    const View view = make_view({4}, cuda_device(0), 1);
    const auto runs = std::make_shared<int>(0);
    filler().fail("cudaLaunchHostFunc", 1, cudaErrorInvalidValue);
    EXPECT_THROW(Launch({&view}).on_host([runs] { ++*runs; }), DeviceError);
    EXPECT_EQ(runs.use_count(), 1);
    EXPECT_EQ(*runs, 0);
}

}  // namespace
}  // namespace devview::testing
