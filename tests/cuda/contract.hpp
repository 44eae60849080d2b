// Who fills the runtime's table while the tests run: the emulator, the real runtime on a stand-in
// for a GPU, or a GPU. A test that asks a filler for what it has not is skipped by name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "devview/cuda/emulation.hpp"
#include "devview/cuda/runtime.hpp"

namespace devview::cuda {

/// What not every filler has, or what an environment can take away.
enum class Feature {
    counts,    ///< count(), counts(): how often each function was called
    order,     ///< calls(): in which order
    faults,    ///< fail(): calls and operations that fail on demand
    recovery,  ///< clear_sticky(), and wrong accesses that are noticed for sure
    delays,    ///< set_delay(): slow streams; without it nothing can be relied on to be unfinished
    ledger,    ///< objects(): what is alive
    peek,      ///< peek(): device memory seen from outside
    restart,   ///< start() gives the machine of its options, not the one that there is
    eager,     ///< streams run by themselves
    free_waits,  ///< cudaFree waits for the device
    staging,     ///< asynchronous copies of pageable memory stage it or wait
    peers,       ///< devices reach each other's memory
    capture,     ///< streams that capture, and graphs
    ipc,         ///< pools that another process opens
    strict,      ///< every argument is checked as CUDA's reference says; cudaemu takes some unseen
};

class Filler {
public:
    virtual ~Filler() = default;
    virtual const char* name() const = 0;
    virtual bool has(Feature feature) const = 0;
    /// Skips the test, by the feature's name, if it is missing.
    void need(Feature feature) const;
    /// Skips the test if there are fewer devices.
    static void need_devices(int count);
    /// Skips the test if a device's memory is not exactly of this size, which a test may then fill.
    static void need_memory(std::size_t nbytes);

    /// A machine with these options, or one that will do. Of a real one the number of devices,
    /// peer access and whatever else has to be asked for is checked; its memory is not.
    virtual void start(const EmulatorOptions& options) = 0;

    virtual std::vector<std::string> calls() const;
    virtual std::size_t count(const std::string& name) const;
    virtual void clear_calls() {}
    /// Functions called since clear_calls(), and how often.
    std::map<std::string, std::size_t> counts() const;

    virtual void fail(const std::string& name, int nth, int error);
    virtual void clear_faults() {}
    virtual void clear_sticky() {}
    /// Frees a device block that a failed device has not taken back, once it has recovered.
    virtual void recover(void*) {}
    virtual void set_delay(std::int64_t) {}
    virtual emulation::Objects objects() const;
    virtual void* peek(const void* device_pointer) const;
};

/// The filler of this process, by DEVVIEW_TEST_FILLER: "emulator" (or nothing), "real", or
/// "standin", which is the real one and fails where there is no stand-in.
Filler& filler();

/// Ends the test as skipped, from any depth: "missing: what".
[[noreturn]] void skip(const std::string& what);

/// Takes what is said on stderr, where the emulator and the stand-in tell of wrong accesses. What
/// is said outside of one fails the process.
class Reports {
public:
    Reports() { ::testing::internal::CaptureStderr(); }
    Reports(const Reports&) = delete;
    Reports& operator=(const Reports&) = delete;
    ~Reports() {
        if (open_) text();
    }
    std::string text() {
        open_ = false;
        return ::testing::internal::GetCapturedStderr();
    }

private:
    bool open_ = true;
};

}  // namespace devview::cuda
