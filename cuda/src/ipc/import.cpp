// Importing a view from its handle, and giving the import back.
#include <map>
#include <mutex>

#include "devview/cuda/memory.hpp"
#include "devview/cuda/stream.hpp"
#include "devview/error.hpp"
#include "devview/ipc.hpp"
#include "src/ipc/handle.hpp"
#include "src/ipc/lease.hpp"
#include "src/ipc/server.hpp"
#include "src/ipc/shared_block.hpp"
#include "src/runtime/check.hpp"
#include "src/runtime/failed_device.hpp"
#include "src/stream/capture.hpp"
#include "src/stream/stream.hpp"

namespace devview {

using namespace cuda;

namespace {

constexpr int kPatience = 10'000;  // [ms]; an exporter that is stopped answers later or never

struct Imported {
    void* data = nullptr;
    cudaMemPool_t pool = nullptr;
    ImportLease* lease = nullptr;
};

/// The exporter may free the block once our free is done, not earlier (cudaMemPoolImportPointer):
/// the lease ends behind it on the stream, without the host waiting.
void end_lease(ImportLease* lease, const Stream& stream) noexcept {
    try {
        check(runtime().LaunchHostFunc(handle_of(stream), ImportLease::end, lease),
              "launch host function");
    } catch (const std::exception&) {
        quiesce(stream);
        ImportLease::end(lease);
    }
}

void release_import(void* context, Stream stream) noexcept {
    const std::unique_ptr<Imported> import(static_cast<Imported*>(context));
    if (driver_gone()) return;  // the lease ends with the process
    release_step([&] {
        const DeviceGuard guard(device_of(stream));
        check(runtime().FreeAsync(import->data, handle_of(stream)), "free async");
    });
    release_step([&] { check(runtime().MemPoolDestroy(import->pool), "pool destroy"); });
    release_step([&] {
        const DeviceGuard guard(device_of(stream));
        end_lease(import->lease, stream);
        import->lease = nullptr;
    });
    if (import->lease) ImportLease::end(import->lease);
}

/// Asks the exporter. The connection becomes the lease.
struct Answer {
    Descriptor socket;
    Descriptor file;
    Description what;
};

std::string stale(const std::string& exporter) {
    return "import_handle: stale handle: its exporter, " + exporter +
           ", has ended or shares nothing any more";
}

Answer ask(const Handle& handle) {
    const std::string exporter = "process " + std::to_string(handle.process);
    Answer answer;
    answer.socket = connect_to(handle.server);
    if (!answer.socket) throw HandleError(stale(exporter));
    if (!same_user(answer.socket.get())) {
        throw HandleError("import_handle: its exporter, " + exporter + ", is of another user");
    }
    // From here on a closed connection is mostly an exporter that has ended in between.
    const std::string closed = stale(exporter) + ", or serves too many importers";
    if (!send_message(answer.socket.get(), request_for(handle.token))) throw HandleError(closed);
    std::optional<Message> message =
        receive_message(answer.socket.get(), kLongestDescription, kPatience);
    if (!message) throw HandleError("import_handle: " + exporter + " does not answer");
    if (message->bytes.empty()) throw HandleError(closed);
    answer.what = decode_description(message->bytes);
    answer.file = std::move(message->file);
    if (!answer.file) throw HandleError("import_handle: " + exporter + " sent no memory");
    return answer;
}

/// The number that the exporter's device has here: processes may see others, in another order.
int device_here(const Description& what) {
    int found = -1;
    const int count = device_count();
    for (int id = 0; id < count; ++id) {
        // Parts of one device (MIG) share its place: the same number is the best guess then.
        if (pci_place(id) == what.place && (found < 0 || id == what.device)) found = id;
    }
    if (found < 0) {
        throw HandleError("import_handle: the memory is on the device at PCI bus " +
                          std::to_string(what.place.bus) + ", which this process does not see");
    }
    return found;
}

/// The imports of this process that live: a block is imported once, however many handles of it are
/// opened. The lock is held while the exporter and the driver are asked, so that it stays once.
class Imports {
public:
    static Imports& get() {
        static Imports* const all = [] {
            auto* const made = new Imports;
            at_restart([] { get().blocks_.clear(); });
            return made;
        }();
        return *all;
    }
    std::shared_ptr<Allocation> open(const Handle& handle, const Stream& stream, Description& what);

private:
    std::shared_ptr<Allocation> import(Answer& answer, const Stream& stream);

    std::mutex mutex_{};
    std::map<Id, std::weak_ptr<Allocation>> blocks_{};
};

std::shared_ptr<Allocation> Imports::open(const Handle& handle, const Stream& stream,
                                          Description& what) {
    const std::lock_guard lock(mutex_);
    Answer answer = ask(handle);
    what = answer.what;
    if (what.emulated != runtime().emulated) {
        throw HandleError(std::string("import_handle: the memory is ") +
                          (what.emulated ? "emulated, this process's CUDA is real"
                                         : "a GPU's, this process emulates CUDA"));
    }
    for (auto entry = blocks_.begin(); entry != blocks_.end();)
        entry = entry->second.expired() ? blocks_.erase(entry) : std::next(entry);
    auto known = blocks_[what.block].lock();
    if (known && !known->freed()) return known;  // its lease serves this view as well
    auto block = import(answer, stream);
    blocks_[what.block] = block;
    return block;
}

std::shared_ptr<Allocation> Imports::import(Answer& answer, const Stream& asked) {
    const Description& what = answer.what;
    const int id = device_here(what);
    const Stream stream = work_stream(id, asked);
    const DeviceGuard guard(id);
    require_working(id);
    const RelaxedCapture undisturbing;
    auto import = std::make_unique<Imported>();
    // The handle is the number itself, not where it stands (cudaMemPoolImportFromShareableHandle).
    void* const file = reinterpret_cast<void*>(static_cast<std::intptr_t>(answer.file.get()));
    check(runtime().MemPoolImportFromShareableHandle(&import->pool, file,
                                                     cudaMemHandleTypePosixFileDescriptor, 0),
          "import pool");
    try {
        cudaMemPoolPtrExportData pointer = what.pointer;
        check(runtime().MemPoolImportPointer(&import->data, import->pool, &pointer),
              "import pointer");
        import->lease = ImportLease::hold(std::move(answer.socket));
        const Device device{DeviceType::cuda, id};
        require_memory_on(device, import->data, static_cast<std::size_t>(what.nbytes));
        Allocation::Block block;
        block.data = import->data;
        block.nbytes = static_cast<std::size_t>(what.nbytes);
        block.device = device;
        block.stream = stream;
        block.release = release_import;
        block.context = import.get();
        auto allocation = adopt_device(std::move(block));
        (void)import.release();
        return allocation;
    } catch (...) {
        if (import->data) {
            release_step([&] { check(runtime().Free(import->data), "free"); });
        }
        if (import->lease) ImportLease::end(import->lease);
        release_step([&] { check(runtime().MemPoolDestroy(import->pool), "pool destroy"); });
        throw;
    }
}

}  // namespace

View import_handle(std::string_view bytes, const Stream& stream) {
    const Handle handle = decode_handle(bytes);
    require_device(0);
    if (IpcServer::get().is_here(handle.server)) {
        throw HandleError("import_handle: the handle is of this process: use its view");
    }
    Description what;
    auto allocation = Imports::get().open(handle, stream, what);
    char* const data = static_cast<char*>(allocation->data()) + what.offset;
    const Device device = allocation->device();
    return view_of(data, what.format, what.layout, device, std::move(allocation), what.readonly);
}

}  // namespace devview
