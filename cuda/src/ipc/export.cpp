// Exporting a view of a shareable block.
#include "devview/cuda/memory.hpp"
#include "devview/error.hpp"
#include "devview/ipc.hpp"
#include "src/ipc/server.hpp"
#include "src/ipc/shared_block.hpp"
#include "src/runtime/check.hpp"

namespace devview {

using namespace cuda;

std::string export_handle(const View& view) {
    if (view.released()) throw ReleasedError("export_handle: the view was released");
    const std::shared_ptr<Allocation>& allocation = view.allocation();
    SharedBlock* const block = SharedBlock::of(*allocation);
    if (!block) {
        throw BufferError("export_handle: memory of " + to_string(view.device()) +
                          " that was not made shareable");
    }
    require_device(block->device());
    // The importer knows nothing of our streams: what it must see is done now, the memory's
    // allocation included (cudaMemPoolImportPointer).
    if (StreamUses* const uses = allocation->uses()) uses->wait();
    Description what;
    block->describe(what);
    what.emulated = runtime().emulated;
    what.readonly = view.readonly();
    what.nbytes = static_cast<std::int64_t>(allocation->nbytes());
    what.offset =
        static_cast<const char*>(view.data()) - static_cast<const char*>(allocation->data());
    what.format = view.format();
    what.layout = view.layout();
    return IpcServer::get().add(allocation, block, encode(what));
}

}  // namespace devview
