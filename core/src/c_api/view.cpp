// Views through the C interface: making, describing, and other views of the same memory.
#include "devview/c_api/view.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>

#include "devview/c_api/errors.hpp"
#include "devview/c_api/handles.hpp"
#include "devview/dlpack.hpp"
#include "devview/error.hpp"
#include "devview/view.hpp"

using namespace devview;
using namespace devview::c_api;

namespace {

/// Before `ndim` values are read. @throws Refusal, LayoutError.
void require_axes(int ndim, const void* values, const char* function, const char* name) {
    if (ndim < 0 || ndim > kMaxNdim) {
        throw LayoutError(std::string(function) + ": ndim " + std::to_string(ndim) +
                          ", limit 0 to " + std::to_string(kMaxNdim));
    }
    if (ndim > 0) require(values, function, name);
}

View make_view(const devview_view_spec& spec, const Owner& owner, const char* function) {
    require_axes(spec.ndim, spec.shape, function, "shape");
    Format format = format_of(spec.format);
    Layout layout =
        Layout::strided(spec.ndim, spec.shape, spec.strides, spec.suboffsets, format.itemsize());
    void* const data = spec.data != nullptr ? spec.data : owner->data();
    return view_of(data, std::move(format), std::move(layout), owner->device(), owner,
                   spec.readonly != 0);
}

devview_format* borrowed(const Format& format) noexcept {
    return reinterpret_cast<devview_format*>(const_cast<FormatNode*>(format.node()));
}

std::optional<std::int64_t> given(std::int64_t bound) {
    if (bound == DEVVIEW_MISSING) return std::nullopt;
    return bound;
}

View transposed(const View& view, const int32_t* axes) {
    if (axes == nullptr) return view.transpose();
    std::array<int, kMaxNdim> copied{};
    std::copy_n(axes, view.ndim(), copied.begin());
    return view.transpose(copied.data());
}

/// One function that makes a view of a view.
template <class Make>
devview_status derive(const char* function, const devview_view* view, devview_view** result,
                      Make&& make) noexcept {
    return guarded([&] {
        const View& source = view_in(view, function);
        give_view(function, result, [&] { return make(source); });
    });
}

}  // namespace

devview_status devview_view_of(const devview_view_spec* spec, devview_allocation* allocation,
                               devview_view** view) {
    constexpr const char* kName = "devview_view_of";
    return guarded([&] {
        require_struct(spec, kName, "spec");
        const Owner& owner = owner_in(allocation, kName);
        give_view(kName, view, [&] { return make_view(*spec, owner, kName); });
    });
}

devview_status devview_view_describe(const devview_view* view, devview_view_info* info) {
    constexpr const char* kName = "devview_view_describe";
    static constexpr std::int64_t kNoAxes[1] = {0};
    return guarded([&] {
        const View& source = view_in(view, kName);
        require_struct(info, kName, "info");
        info->device = device_of(source.device());
        info->ndim = source.ndim();
        info->data = source.data();
        info->format = borrowed(source.format());
        info->shape = source.ndim() > 0 ? source.shape() : kNoAxes;
        info->strides = source.ndim() > 0 ? source.strides() : kNoAxes;
        info->suboffsets = source.suboffsets();
        info->itemsize = source.itemsize();
        info->size = source.size();
        info->nbytes = source.nbytes();
        info->stream = number_of(source.stream());
        info->readonly = source.readonly() ? 1 : 0;
        info->c_contiguous = source.contiguous(Order::C) ? 1 : 0;
        info->f_contiguous = source.contiguous(Order::F) ? 1 : 0;
    });
}

devview_status devview_view_allocation(const devview_view* view, devview_allocation** allocation) {
    constexpr const char* kName = "devview_view_allocation";
    return guarded([&] {
        const View& source = view_in(view, kName);
        give_allocation(kName, allocation, [&] { return source.allocation(); });
    });
}

devview_status devview_view_slice(const devview_view* view, int32_t axis, int64_t start,
                                  int64_t stop, int64_t step, devview_view** sliced) {
    return derive("devview_view_slice", view, sliced, [&](const View& source) {
        return source.slice(axis, given(start), given(stop), step);
    });
}

devview_status devview_view_index(const devview_view* view, int32_t axis, int64_t index,
                                  devview_view** indexed) {
    return derive("devview_view_index", view, indexed,
                  [&](const View& source) { return source.index(axis, index); });
}

devview_status devview_view_transpose(const devview_view* view, const int32_t* axes,
                                      devview_view** transposed_view) {
    return derive("devview_view_transpose", view, transposed_view,
                  [&](const View& source) { return transposed(source, axes); });
}

devview_status devview_view_reshape(const devview_view* view, int32_t ndim, const int64_t* shape,
                                    devview_view** reshaped) {
    return derive("devview_view_reshape", view, reshaped, [&](const View& source) {
        require_axes(ndim, shape, "devview_view_reshape", "shape");
        return source.reshape(ndim, shape);
    });
}

devview_status devview_view_broadcast(const devview_view* view, int32_t ndim, const int64_t* shape,
                                      devview_view** broadcast) {
    return derive("devview_view_broadcast", view, broadcast, [&](const View& source) {
        require_axes(ndim, shape, "devview_view_broadcast", "shape");
        return source.broadcast_to(ndim, shape);
    });
}

devview_status devview_view_insert_axis(const devview_view* view, int32_t axis,
                                        devview_view** widened) {
    return derive("devview_view_insert_axis", view, widened,
                  [&](const View& source) { return source.insert_axis(axis); });
}

devview_status devview_view_remove_axis(const devview_view* view, int32_t axis,
                                        devview_view** narrowed) {
    return derive("devview_view_remove_axis", view, narrowed,
                  [&](const View& source) { return source.remove_axis(axis); });
}

devview_status devview_view_cast(const devview_view* view, const devview_format* format,
                                 int32_t ndim, const int64_t* shape, devview_view** cast) {
    constexpr const char* kName = "devview_view_cast";
    return derive(kName, view, cast, [&](const View& source) {
        require(format, kName, "format");
        if (ndim == -1) return source.cast(format_of(format));
        require_axes(ndim, shape, kName, "shape");
        return source.cast(format_of(format), ndim, shape);
    });
}

devview_status devview_view_field(const devview_view* view, const char* name,
                                  devview_view** field) {
    return derive("devview_view_field", view, field, [&](const View& source) {
        require(name, "devview_view_field", "name");
        return source.field(name);
    });
}

devview_status devview_view_readonly(const devview_view* view, devview_view** readonly) {
    return derive("devview_view_readonly", view, readonly,
                  [](const View& source) { return source.as_readonly(); });
}

devview_status devview_view_to_dlpack(const devview_view* view, DLManagedTensorVersioned** tensor) {
    constexpr const char* kName = "devview_view_to_dlpack";
    return guarded([&] {
        const View& source = view_in(view, kName);
        require(tensor, kName, "tensor");
        *tensor = to_dlpack(source);
    });
}

devview_status devview_view_from_dlpack(DLManagedTensorVersioned* tensor, devview_view** view) {
    constexpr const char* kName = "devview_view_from_dlpack";
    return guarded([&] {
        require(tensor, kName, "tensor");
        give_view(kName, view, [&] {
            const Device device = read_dlpack(tensor).device;
            if (is_cuda(device)) {
                throw BufferError(std::string(kName) + ": tensor: " + to_string(device) +
                                  ", is taken by devview_cuda_view_from_dlpack");
            }
            return from_dlpack(tensor);
        });
    });
}
