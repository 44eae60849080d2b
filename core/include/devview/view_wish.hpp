// The constraints of a ViewOf as values, and their text; moves no data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "devview/device.hpp"
#include "devview/export.hpp"
#include "devview/format.hpp"
#include "devview/view.hpp"

namespace devview {

/// Where a view's memory has to be. Two ask who can follow the pointer, the host or a kernel, as
/// host_span and device_span do; two ask whose own memory it is. Which GPU it is does not matter:
/// View::device() tells.
enum class Place : std::int32_t {
    cpu,   ///< plain host memory
    host,  ///< what the host can follow: cpu, pinned, managed
    cuda,  ///< a CUDA device's own memory, and managed, which moves there
    any,
    device,  ///< what a kernel can follow: cuda, managed, and pinned, over the bus
};
inline constexpr Place on_cpu = Place::cpu;
inline constexpr Place on_host = Place::host;
inline constexpr Place on_cuda = Place::cuda;
inline constexpr Place on_device = Place::device;
inline constexpr Place on_any = Place::any;

/// How a view's items have to lie.
enum class Contiguity : std::int32_t { c, f, any };
inline constexpr Contiguity c_order = Contiguity::c;
inline constexpr Contiguity f_order = Contiguity::f;
inline constexpr Contiguity any_order = Contiguity::any;

/// Any extent of an axis; any number of axes.
inline constexpr std::int64_t any = -1;
inline constexpr int any_rank = -1;

/// The type behind extents<...>.
template <std::int64_t... E>
struct Extents {};
/// As ViewOf's rank: the axes' extents, `any` where one is free. A value, since a rank is one.
template <std::int64_t... E>
inline constexpr const Extents<E...>* extents = nullptr;

constexpr bool place_accepts(Place place, Device device) noexcept {
    switch (place) {
        case Place::cpu:
            return device.type == DeviceType::cpu;
        case Place::host:
            return host_accessible(device);
        case Place::cuda:
            return device.type == DeviceType::cuda || device.type == DeviceType::cuda_managed;
        case Place::device:
            return is_cuda(device);
        case Place::any:
            break;
    }
    return true;
}

/// What a ViewOf wants.
struct Wish {
    Format format{};
    bool any_format = true;
    int rank = any_rank;
    const std::int64_t* extents = nullptr;  ///< `rank` of them, or null: any
    Place place = Place::any;
    Contiguity order = Contiguity::any;
    bool writable = false;
    std::size_t alignment = 1;  ///< of data and strides [bytes], a power of two
};

/// Data and the strides of axes with more than one item are multiples of `alignment`; so are
/// those of a view without items.
inline bool wish_aligned(const View& view, std::size_t alignment) noexcept {
    const std::uintptr_t mask = alignment - 1;
    std::uintptr_t bits = reinterpret_cast<std::uintptr_t>(view.data());
    for (int i = 0; i < view.ndim(); ++i) {
        if (view.shape()[i] == 0) return true;
        if (view.shape()[i] > 1) bits |= static_cast<std::uintptr_t>(view.strides()[i]);
    }
    return (bits & mask) == 0;
}

/// What a wish looks at of a view. Holds no memory: it may outlive the view to tell of it later.
struct ViewFacts {
    ViewFacts() noexcept = default;
    explicit ViewFacts(const View& view)
        : data(view.data()),
          format(view.format()),
          layout(view.layout()),
          device(view.device()),
          readonly(view.readonly()),
          released(view.released()) {}

    const void* data = nullptr;  ///< compared with multiples, never followed
    Format format{};
    Layout layout{};
    Device device{};
    bool readonly = false;
    bool released = true;
};

/// Every constraint that the view breaks: "items: float32 wanted, float64 given; device: cuda
/// wanted, cpu given". Empty if it breaks none.
DEVVIEW_CORE_API std::string wish_refusal(const Wish& wish, const ViewFacts& view);
DEVVIEW_CORE_API std::string wish_refusal(const Wish& wish, const View& view);

/// Of those the ones that no copy can mend: number and extents of the axes. Empty if they fit.
DEVVIEW_CORE_API std::string wish_axes_refusal(const Wish& wish, const View& view);

/// "float32", "int8", "complex128", "big-endian float32"; another format as it is spelled.
DEVVIEW_CORE_API std::string item_name(const Format& format);

}  // namespace devview
