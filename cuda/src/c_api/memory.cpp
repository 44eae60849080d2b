// Memory of every device through the C interface, and its way from and to DLPack.
#include "devview/cuda/memory.hpp"

#include <string>
#include <utility>

#include "devview/c_api/errors.hpp"
#include "devview/c_api/handles.hpp"
#include "devview/cuda/c_api.h"
#include "devview/cuda/pointer.hpp"
#include "devview/cuda/stream.hpp"
#include "devview/dlpack.hpp"
#include "devview/error.hpp"
#include "src/c_api/stream.hpp"

using namespace devview;
using namespace devview::c_api;
using namespace devview::cuda;

namespace {

/// What follows is ordered behind the uses of the block.
void order_uses(const View& view, const Stream& stream) {
    if (StreamUses* const uses = view.allocation()->uses()) uses->order(stream);
}

void record_use(const View& view, const Stream& stream) {
    if (StreamUses* const uses = view.allocation()->uses()) uses->record(stream);
}

Stream named_or_legacy(devview_stream handle, const View& view) {
    const Stream named = stream_named(handle, view.device());
    if (named) return named;
    const bool on_device = view.device().type == DeviceType::cuda;
    return legacy_stream(on_device ? view.device().id : current_device());
}

/// The stream that a tensor is ready on. Of host memory none; the host waits for managed memory's.
Stream ready_on(devview_stream handle, Device device) {
    if (!is_cuda(device)) return {};
    const Stream named = stream_named(handle, device);
    if (named || device.type == DeviceType::cuda_host) return named;
    return legacy_stream(device.type == DeviceType::cuda ? device.id : current_device());
}

View take_tensor(DLManagedTensorVersioned* tensor, devview_stream handle) {
    const TensorDescription read = read_dlpack(tensor);
    require_memory_on(read.device, static_cast<char*>(read.data) + read.bounds.low,
                      static_cast<std::size_t>(read.bounds.high - read.bounds.low));
    return from_dlpack(tensor, ready_on(handle, read.device), &adopt_waiting);
}

}  // namespace

devview_status devview_cuda_allocation_new(devview_device device, size_t nbytes, uint32_t flags,
                                           devview_stream stream, devview_allocation** allocation) {
    constexpr const char* kName = "devview_cuda_allocation_new";
    return guarded([&] {
        if ((flags & ~std::uint32_t{DEVVIEW_ZEROED}) != 0) {
            throw Refusal(DEVVIEW_ERROR_ARGUMENT,
                          std::string(kName) + ": flags: " + std::to_string(flags) + ", limit 1");
        }
        give_allocation(kName, allocation, [&] {
            const Device where = device_of(device);
            const Stream home = stream_named(stream, where);
            return (flags & DEVVIEW_ZEROED) != 0 ? allocate_zeroed(nbytes, where, home)
                                                 : allocate(nbytes, where, home);
        });
    });
}

devview_status devview_cuda_allocation_adopt(const devview_block* block,
                                             devview_allocation** allocation) {
    constexpr const char* kName = "devview_cuda_allocation_adopt";
    return guarded([&] {
        give_allocation(kName, allocation, [&] {
            return adopt_block(block, kName, [&](Allocation::Block&& read) {
                if (!is_cuda(read.device)) return Allocation::adopt(std::move(read));
                require_memory_on(read.device, read.data, read.nbytes);
                read.stream = stream_named(block->stream, read.device);
                return adopt_device(std::move(read));
            });
        });
    });
}

devview_status devview_cuda_allocation_resize(devview_allocation* allocation, size_t nbytes) {
    return guarded([&] { resize(owner_in(allocation, "devview_cuda_allocation_resize"), nbytes); });
}

devview_status devview_cuda_view_order(const devview_view* view, devview_stream stream) {
    return guarded([&] {
        const View& source = view_in(view, "devview_cuda_view_order");
        if (is_cuda(source.device())) order_uses(source, named_or_legacy(stream, source));
    });
}

devview_status devview_cuda_view_used(const devview_view* view, devview_stream stream) {
    return guarded([&] {
        const View& source = view_in(view, "devview_cuda_view_used");
        if (is_cuda(source.device())) record_use(source, named_or_legacy(stream, source));
    });
}

devview_status devview_cuda_view_wait(const devview_view* view) {
    return guarded([&] { wait_for_host(*view_in(view, "devview_cuda_view_wait").allocation()); });
}

devview_status devview_cuda_view_to_dlpack(const devview_view* view, devview_stream stream,
                                           DLManagedTensorVersioned** tensor) {
    constexpr const char* kName = "devview_cuda_view_to_dlpack";
    return guarded([&] {
        const View& source = view_in(view, kName);
        require(tensor, kName, "tensor");
        if (is_cuda(source.device())) {
            dlpack_type(source.format());  // a refusal before anything is ordered
            const Stream consumer = named_or_legacy(stream, source);
            order_uses(source, consumer);
            record_use(source, consumer);
        }
        *tensor = to_dlpack(source);
    });
}

devview_status devview_cuda_view_from_dlpack(DLManagedTensorVersioned* tensor,
                                             devview_stream stream, devview_view** view) {
    constexpr const char* kName = "devview_cuda_view_from_dlpack";
    return guarded([&] {
        require(tensor, kName, "tensor");
        give_view(kName, view, [&] { return take_tensor(tensor, stream); });
    });
}
