// Items of host views through the C interface: copied, converted, filled, compared.
#include <algorithm>
#include <cstring>
#include <string>

#include "devview/c_api/errors.hpp"
#include "devview/c_api/handles.hpp"
#include "devview/c_api/view.h"
#include "devview/compare.hpp"
#include "devview/convert.hpp"
#include "devview/copy_plan.hpp"
#include "devview/error.hpp"
#include "devview/host_memory.hpp"
#include "devview/packed.hpp"
#include "devview/view.hpp"

using namespace devview;
using namespace devview::c_api;

namespace {

/// Items that C may look at: on the host, and no Python objects, which only Python can count.
void require_host(const View& view, const char* function, const char* name) {
    if (view.format().has_objects()) {
        throw FormatError(std::string(function) + ": " + name + ": Python objects", 0);
    }
    if (view.device() == Device{}) return;
    throw BufferError(std::string(function) + ": " + name + ": memory of " +
                      to_string(view.device()) + ", only the host's is reached without CUDA");
}

const View& destination_in(const devview_view* handle, const char* function) {
    const View& view = view_in(handle, function, "destination");
    require_host(view, function, "destination");
    if (view.readonly()) {
        throw BufferError(std::string(function) + ": destination: the view is read-only");
    }
    return view;
}

const View& source_in(const devview_view* handle, const char* function, const char* name) {
    const View& view = view_in(handle, function, name);
    require_host(view, function, name);
    return view;
}

void require_same_shape(const View& dst, const View& src, const char* function) {
    if (dst.ndim() == src.ndim() &&
        std::equal(dst.shape(), dst.shape() + dst.ndim(), src.shape())) {
        return;
    }
    throw LayoutError(std::string(function) + ": shape " +
                      Layout::to_string(src.ndim(), src.shape()) + ", the destination's " +
                      Layout::to_string(dst.ndim(), dst.shape()));
}

/// A dense view of new memory, of the shape of `like`.
View dense_like(const View& like, const Format& format) {
    Layout layout = Layout::contiguous(like.ndim(), like.shape(), format.itemsize());
    auto owner = allocate_host(static_cast<std::size_t>(format.nbytes(layout.size())));
    void* const data = owner->data();
    return View(std::move(owner), data, format, std::move(layout), false);
}

int bits_of(const View& packed) noexcept { return packed.format().node()->bits; }

/// The same items with one byte to each where they are packed; else the view itself.
View unpacked(const View& view) {
    if (!view.format().is_packed()) return view;
    View made = dense_like(view, view.format().padded());
    unpack_host(made.data(), view.data(), 0, view.size(), bits_of(view));
    return made;
}

bool may_overlap(const View& a, const View& b) noexcept {
    if (a.suboffsets() != nullptr || b.suboffsets() != nullptr) return true;
    const ByteBounds bounds_a = byte_bounds(a.format(), a.layout());
    const ByteBounds bounds_b = byte_bounds(b.format(), b.layout());
    const auto low_a = reinterpret_cast<std::intptr_t>(a.data());
    const auto low_b = reinterpret_cast<std::intptr_t>(b.data());
    return low_a + bounds_a.low < low_b + bounds_b.high &&
           low_b + bounds_b.low < low_a + bounds_a.high;
}

void copy_items(const View& dst, const View& src) {
    copy_host(dst.data(), dst.layout(), src.data(), src.layout(), dst.itemsize());
}

/// `src`, or a copy of it where it shares memory with `dst`.
View apart_from(const View& dst, const View& src) {
    if (!may_overlap(dst, src)) return src;
    View made = dense_like(src, src.format());
    copy_items(made, src);
    return made;
}

void copy(const View& dst, const View& src, const char* function) {
    require_same_shape(dst, src, function);
    const Format& to = dst.format();
    const Format& from = src.format();
    if (to.is_packed() || from.is_packed()) {
        if (!to.is_packed() || !from.is_packed() || bits_of(dst) != bits_of(src)) {
            throw LayoutError(std::string(function) + ": '" + from.str() + "' to '" + to.str() +
                              "': packed items are copied to packed ones of as many bits");
        }
        return pack_host(dst.data(), 0, unpacked(src).data(), dst.size(), bits_of(dst));
    }
    if (dst.itemsize() != src.itemsize()) {
        throw LayoutError(std::string(function) + ": itemsize " + std::to_string(src.itemsize()) +
                          ", the destination's " + std::to_string(dst.itemsize()));
    }
    if (dst.data() == src.data() && dst.layout() == src.layout()) return;
    copy_items(dst, apart_from(dst, src));
}

void convert(const View& dst, const View& src, Casting casting, const char* function) {
    require_same_shape(dst, src, function);
    require_convertible(function, src.format(), dst.format(), casting);
    const View from = apart_from(dst, unpacked(src));
    if (!dst.format().is_packed()) {
        return convert_host(dst.data(), dst.layout(), dst.format(), from.data(), from.layout(),
                            from.format());
    }
    const View made = dense_like(dst, dst.format().padded());
    convert_host(made.data(), made.layout(), made.format(), from.data(), from.layout(),
                 from.format());
    pack_host(dst.data(), 0, made.data(), made.size(), bits_of(dst));
}

void fill(const View& dst, const void* item) {
    if (!dst.format().is_packed()) {
        return fill_host(dst.data(), dst.layout(), item, dst.itemsize());
    }
    const View made = dense_like(dst, dst.format().padded());
    std::memset(made.data(), *static_cast<const unsigned char*>(item),
                static_cast<std::size_t>(made.nbytes()));
    pack_host(dst.data(), 0, made.data(), made.size(), bits_of(dst));
}

bool equal(const View& a, const View& b) {
    if (!same_shape(a.layout(), b.layout())) return false;
    if (a.size() == 0) return true;
    const View left = unpacked(a);
    const View right = unpacked(b);
    return equal_host(*left.format().node(), left.layout(), left.data(), *right.format().node(),
                      right.layout(), right.data());
}

}  // namespace

devview_status devview_view_copy(const devview_view* destination, const devview_view* source) {
    constexpr const char* kName = "devview_view_copy";
    return guarded([&] {
        copy(destination_in(destination, kName), source_in(source, kName, "source"), kName);
    });
}

devview_status devview_view_convert(const devview_view* destination, const devview_view* source,
                                    devview_casting casting) {
    constexpr const char* kName = "devview_view_convert";
    return guarded([&] {
        const View& dst = destination_in(destination, kName);
        convert(dst, source_in(source, kName, "source"), casting_of(casting, kName), kName);
    });
}

devview_status devview_view_fill(const devview_view* destination, const void* item) {
    constexpr const char* kName = "devview_view_fill";
    return guarded([&] {
        const View& dst = destination_in(destination, kName);
        require(item, kName, "item");
        fill(dst, item);
    });
}

devview_status devview_view_equal(const devview_view* a, const devview_view* b, int32_t* result) {
    constexpr const char* kName = "devview_view_equal";
    return guarded([&] {
        const View& left = source_in(a, kName, "a");
        const View& right = source_in(b, kName, "b");
        require(result, kName, "equal");
        *result = equal(left, right) ? 1 : 0;
    });
}
