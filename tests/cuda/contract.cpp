// The three fillers.
#include "contract.hpp"

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "devview/cuda/memory.hpp"
#include "devview/cuda/stream.hpp"

namespace devview::cuda {
namespace {

const char* name_of(Feature feature) {
    switch (feature) {
        case Feature::counts:
            return "counted calls";
        case Feature::order:
            return "the order of the calls";
        case Feature::faults:
            return "faults on demand";
        case Feature::recovery:
            return "recovery of a failed device";
        case Feature::delays:
            return "delays on demand";
        case Feature::ledger:
            return "the ledger of what is alive";
        case Feature::peek:
            return "a look into device memory";
        case Feature::restart:
            return "a machine of the test's choice";
        case Feature::eager:
            return "streams that run by themselves";
        case Feature::free_waits:
            return "a free that waits for the device";
        case Feature::staging:
            return "copies that stage pageable memory";
        case Feature::peers:
            return "peer access";
        case Feature::capture:
            return "stream capture";
        case Feature::ipc:
            return "pools that another process opens";
        case Feature::strict:
            return "arguments checked as CUDA's reference says";
    }
    return "?";
}

constexpr const char* kNames[] = {
#define DEVVIEW_TEST_NAME(name, parameters) "cuda" #name,
    DEVVIEW_CUDA_CALLS(DEVVIEW_TEST_NAME)
#undef DEVVIEW_TEST_NAME
        "cudaLaunchKernel",
};
constexpr const char* kOperations[] = {"kernel", "copy", "memset"};

class EmulatorFiller final : public Filler {
public:
    const char* name() const override { return "emulator"; }
    bool has(Feature) const override { return true; }
    void start(const EmulatorOptions& options) override { emulate(options); }
    std::vector<std::string> calls() const override { return emulation::calls(); }
    std::size_t count(const std::string& name) const override { return emulation::count(name); }
    void clear_calls() override { emulation::clear_calls(); }
    void fail(const std::string& name, int nth, int error) override {
        emulation::fail(name, nth, error);
    }
    void clear_faults() override { emulation::clear_faults(); }
    void clear_sticky() override { emulation::clear_sticky(); }
    void set_delay(std::int64_t us) override { emulation::set_delay(us); }
    emulation::Objects objects() const override { return emulation::objects(); }
    void* peek(const void* pointer) const override { return emulation::peek(pointer); }
};

/// Real devices; without a stand-in that is all there is.
class RealFiller : public Filler {
public:
    const char* name() const override { return "real"; }
    bool has(Feature feature) const override {
        if (feature == Feature::peers) {
            int can = 0;
            return device_count() > 1 && runtime().DeviceCanAccessPeer(&can, 0, 1) == cudaSuccess &&
                   can;
        }
        return feature == Feature::eager || feature == Feature::free_waits ||
               feature == Feature::capture || feature == Feature::ipc || feature == Feature::strict;
    }
    void start(const EmulatorOptions& options) override {
        need_devices(options.devices);
        if (!options.peer_access && has(Feature::peers)) skip("devices without peer access");
        if (options.lazy && has(Feature::eager)) skip("lazy streams");
        if (options.recycle_streams) skip("recycled stream handles");
        if (options.addresses) skip("addresses that run out");
        if (!options.concurrent_managed) skip("managed memory without concurrent access");
        for (int id = options.devices - 1; id >= 0; --id)
            EXPECT_EQ(runtime().SetDevice(id), cudaSuccess);
    }
};

bool set_in_environment(const char* variable) {
    const char* text = std::getenv(variable);
    return text && *text && std::strcmp(text, "0") != 0;
}

/// cudaemu's own functions beside the real runtime's.
class StandinFiller final : public RealFiller {
public:
    /// Null without the stand-in in the process.
    static Filler* make() {
        auto* made = new StandinFiller;
        const bool there =
            find(made->count_, "cudaemu_count") && find(made->fail_, "cudaemu_fail") &&
            find(made->delay_, "cudaemu_delay") && find(made->clear_, "cudaemu_clear_error") &&
            find(made->peek_, "cudaemu_peek");
        return there ? made : nullptr;
    }
    const char* name() const override { return "standin"; }
    bool has(Feature feature) const override {
        switch (feature) {
            case Feature::order:
            case Feature::ledger:
            case Feature::restart:
            case Feature::capture:
            case Feature::ipc:
            case Feature::strict:
                return false;
            case Feature::eager:
                return !set_in_environment("CUDAEMU_LAZY");
            case Feature::free_waits:
                return !set_in_environment("CUDAEMU_FREE_NOSYNC");
            case Feature::staging:
                return !set_in_environment("CUDAEMU_PAGEABLE_ASYNC");
            case Feature::peers:
                return RealFiller::has(feature);
            default:
                return true;
        }
    }

    std::size_t count(const std::string& name) const override {
        return carried(name) + count_(name.c_str());
    }
    void clear_calls() override {
        begin_anew();
        for (auto& [name, before] : carried_)
            before = 0;
    }
    void fail(const std::string& name, int nth, int error) override {
        begin_anew();
        rules_.push_back({name, static_cast<std::size_t>(nth), error});
        apply();
    }
    void clear_faults() override {
        begin_anew();
        rules_.clear();
        fail_(nullptr);
    }
    void clear_sticky() override {
        for (int id = 0; id < device_count(); ++id) {
            // What is queued must not fail the device again.
            runtime().SetDevice(id);
            runtime().DeviceSynchronize();
        }
        runtime().SetDevice(0);
        clear_();
    }
    void set_delay(std::int64_t us) override {
        const auto standing = [](const char* variable) {
            const char* text = std::getenv(variable);
            return text ? std::atol(text) : 0;
        };
        delay_(us ? static_cast<long>(us) : standing("CUDAEMU_DELAY_US"),
               standing("CUDAEMU_JITTER_US"));
    }
    void recover(void* block) override { EXPECT_EQ(runtime().Free(block), cudaSuccess); }
    void* peek(const void* pointer) const override { return peek_(pointer); }

private:
    struct Rule {
        std::string name;
        std::size_t nth;
        int error;
    };

    template <class Function>
    static bool find(Function& function, const char* name) {
        function = reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
        return function != nullptr;
    }
    std::size_t carried(const std::string& name) const {
        const auto found = carried_.find(name);
        return found == carried_.end() ? 0 : found->second;
    }
    /// cudaemu_fail restarts the counts: what they were is kept here, and rules become relative.
    void begin_anew() {
        std::vector<Rule> left;
        for (Rule rule : rules_) {
            const std::size_t past = count_(rule.name.c_str());
            if (rule.nth <= past) continue;
            rule.nth -= past;
            left.push_back(rule);
        }
        rules_ = left;
        for (const char* name : kNames)
            carried_[name] += count_(name);
        for (const char* name : kOperations)
            carried_[name] += count_(name);
        apply();
    }
    void apply() {
        std::string text;
        for (const Rule& rule : rules_) {
            text += (text.empty() ? "" : ",") + rule.name + ":" + std::to_string(rule.nth) + ":" +
                    std::to_string(rule.error);
        }
        fail_(text.c_str());
    }

    unsigned long long (*count_)(const char*) = nullptr;
    void (*fail_)(const char*) = nullptr;
    void (*delay_)(long, long) = nullptr;
    void (*clear_)() = nullptr;
    void* (*peek_)(const void*) = nullptr;
    std::map<std::string, std::size_t> carried_{};
    std::vector<Rule> rules_{};
};

Filler* make_filler() {
    const char* text = std::getenv("DEVVIEW_TEST_FILLER");
    const std::string wish = text && *text ? text : "emulator";
    if (wish == "emulator") return new EmulatorFiller;
    Filler* const standin = StandinFiller::make();
    if (standin) return standin;
    if (wish == "real") return new RealFiller;
    std::fprintf(stderr, "DEVVIEW_TEST_FILLER=%s: %s\n", wish.c_str(),
                 wish == "standin" ? "the stand-in's library is not in the process"
                                   : "emulator, real or standin");
    std::exit(2);
}

/// Caches that live as long as the process would be leaks to the stand-in.
class EmptyCaches final : public ::testing::Environment {
    void TearDown() override {
        if (runtime_chosen()) trim();
    }
};
[[maybe_unused]] const auto* const kEmptyCaches =
    ::testing::AddGlobalTestEnvironment(new EmptyCaches);

}  // namespace

Filler& filler() {
    static Filler* const chosen = make_filler();
    return *chosen;
}

void skip(const std::string& what) {
    const std::string text = "missing: " + what + " (" + filler().name() + ")";
    [&] { GTEST_SKIP() << text; }();
    // GoogleTest takes this exception for one whose reason it has been told.
    throw ::testing::AssertionException(::testing::TestPartResult(
        ::testing::TestPartResult::kSkip, __FILE__, __LINE__, text.c_str()));
}

void Filler::need(Feature feature) const {
    if (!has(feature)) skip(name_of(feature));
}

void Filler::need_devices(int count) {
    const int there = device_count();
    if (there < count)
        skip(std::to_string(count) + " devices, " + std::to_string(there) + " there");
}

void Filler::need_memory(std::size_t nbytes) {
    std::size_t free_bytes = 0, total = 0;
    if (runtime().MemGetInfo(&free_bytes, &total) != cudaSuccess || total != nbytes)
        skip("devices of " + std::to_string(nbytes) + " bytes, " + std::to_string(total) +
             " there");
}

std::map<std::string, std::size_t> Filler::counts() const {
    std::map<std::string, std::size_t> all;
    for (const char* name : kNames) {
        const std::size_t times = count(name);
        if (times != 0) all[name] = times;
    }
    return all;
}

std::vector<std::string> Filler::calls() const { skip(name_of(Feature::order)); }
std::size_t Filler::count(const std::string&) const { skip(name_of(Feature::counts)); }
void Filler::fail(const std::string&, int, int) { skip(name_of(Feature::faults)); }
emulation::Objects Filler::objects() const { skip(name_of(Feature::ledger)); }
void* Filler::peek(const void*) const { skip(name_of(Feature::peek)); }

}  // namespace devview::cuda
