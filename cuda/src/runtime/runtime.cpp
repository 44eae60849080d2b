// Which runtime this process has: chosen once, real or emulated.
#include "devview/cuda/runtime.hpp"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

#include "devview/cuda/emulation.hpp"
#include "devview/error.hpp"
#include "emulator/api.hpp"
#include "emulator/machine.hpp"

namespace devview::cuda {
namespace {

std::atomic<const Runtime*> chosen{nullptr};

std::mutex& choice_mutex() {
    static auto* const mutex = new std::mutex;
    return *mutex;
}

std::vector<void (*)()>& restart_hooks() {
    static auto* const hooks = new std::vector<void (*)()>;
    return *hooks;
}

int devices_of_environment() {
    const char* text = std::getenv("DEVVIEW_EMULATE_CUDA");
    if (!text || !*text) return 0;
    int devices = -1;
    const char* end = text + std::strlen(text);
    const auto [stopped, error] = std::from_chars(text, end, devices);
    if (error != std::errc() || stopped != end || devices < 0 || devices > emulator::kMaxDevices) {
        throw LayoutError("DEVVIEW_EMULATE_CUDA: \"" + std::string(text) + "\", 0 to 16 devices");
    }
    return devices;
}

void check_options(const EmulatorOptions& options) {
    if (options.devices < 1 || options.devices > emulator::kMaxDevices) {
        throw LayoutError("emulate: devices: " + std::to_string(options.devices) + ", 1 to 16");
    }
    if (options.delay_us < 0 || options.delay_us > 60'000'000) {
        throw LayoutError("emulate: delay_us: " + std::to_string(options.delay_us) +
                          ", 0 to 60000000");
    }
    constexpr std::size_t kMost = std::size_t{1} << 40;
    const std::size_t least = options.addresses ? 4 * emulator::kPage : 0;
    if (options.memory > kMost || options.addresses > kMost || options.addresses < least) {
        throw LayoutError("emulate: memory or addresses: out of range, limit " +
                          std::to_string(kMost));
    }
}

std::string counted(std::size_t count, const char* what) {
    return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

std::string alive(const emulation::Objects& objects) {
    std::string text;
    const auto append = [&text](std::size_t count, const char* what) {
        if (count) text += (text.empty() ? "" : ", ") + counted(count, what);
    };
    append(objects.device_blocks, "device block");
    append(objects.pinned_blocks, "pinned block");
    append(objects.managed_blocks, "managed block");
    append(objects.streams, "stream");
    append(objects.events, "event");
    append(objects.pools, "pool");
    append(objects.graphs, "graph");
    append(objects.queued, "queued operation");
    const auto comma = text.rfind(", ");
    if (comma != std::string::npos) text.replace(comma, 2, " and ");
    return text;
}

bool one(const emulation::Objects& o) {
    return o.device_blocks + o.pinned_blocks + o.managed_blocks + o.streams + o.events + o.pools +
               o.graphs + o.queued ==
           1;
}

// Queued operations end soon, unless a host function is stuck.
emulation::Objects drained() {
    emulator::Machine& machine = emulator::machine();
    {
        const emulator::Lock lock(machine.mutex);
        for (const auto& device : machine.devices) {
            for (const auto& stream : device->streams)
                emulator::demand(*stream, stream->last);
        }
    }
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    emulation::Objects now = emulation::objects();
    while (now.queued != 0 && std::chrono::steady_clock::now() < deadline) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        now = emulation::objects();
    }
    return now;
}

void refuse_real(const Runtime& real) {
    int count = 0;
    if (real.GetDeviceCount(&count) != cudaSuccess || count == 0) return;
    throw DeviceError(
        "emulate: the real runtime is in use: devices: " + std::to_string(count) + ", limit 0",
        cudaErrorSetOnActiveProcess, real.GetErrorName(cudaErrorSetOnActiveProcess));
}

// With choice_mutex held.
void start(const EmulatorOptions& options) {
    {
        const emulator::Lock lock(emulator::machine().mutex);
        emulator::machine().restart(options);
    }
    chosen.store(&emulator::emulated_runtime(), std::memory_order_release);
}

}  // namespace

const Runtime& runtime() {
    if (const Runtime* table = chosen.load(std::memory_order_acquire)) return *table;
    const std::lock_guard<std::mutex> lock(choice_mutex());
    if (const Runtime* table = chosen.load(std::memory_order_acquire)) return *table;
    EmulatorOptions options;
    options.devices = devices_of_environment();
    if (options.devices > 0) {
        start(options);
    } else {
        chosen.store(&real_runtime(), std::memory_order_release);
    }
    return *chosen.load(std::memory_order_acquire);
}

bool runtime_chosen() noexcept { return chosen.load(std::memory_order_acquire) != nullptr; }

void at_restart(void (*drop_caches)()) {
    const std::lock_guard<std::mutex> lock(choice_mutex());
    auto& hooks = restart_hooks();
    if (std::find(hooks.begin(), hooks.end(), drop_caches) == hooks.end())
        hooks.push_back(drop_caches);
}

void emulate(const EmulatorOptions& options) {
    check_options(options);
    if (emulator::forked()) {
        throw DeviceError("emulate: the process was forked after the emulator had started",
                          cudaErrorInitializationError, "cudaErrorInitializationError");
    }
    const Runtime* now = chosen.load(std::memory_order_acquire);
    if (now && now->emulated) {
        // Hooks call the table, and may register more: no lock meanwhile.
        std::vector<void (*)()> hooks;
        {
            const std::lock_guard<std::mutex> lock(choice_mutex());
            hooks = restart_hooks();
        }
        for (const auto hook : hooks)
            hook();
    }
    const std::lock_guard<std::mutex> lock(choice_mutex());
    now = chosen.load(std::memory_order_acquire);
    if (now && !now->emulated) refuse_real(*now);
    if (now && now->emulated) {
        const emulation::Objects objects = drained();
        const std::string what = alive(objects);
        if (!what.empty()) {
            throw BufferError("emulate: " + what + (one(objects) ? " is" : " are") +
                              " alive, limit 0");
        }
    }
    start(options);
}

}  // namespace devview::cuda
