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

/// Where a view's memory has to be.
enum class Place : std::int32_t {
    cpu,   ///< plain host memory
    host,  ///< what the host may follow: cpu, pinned, managed
    cuda,  ///< what kernels may follow at full speed: a CUDA device, managed
    any,
};
inline constexpr Place on_cpu = Place::cpu;
inline constexpr Place on_host = Place::host;
inline constexpr Place on_cuda = Place::cuda;
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

/// Every constraint that `view` breaks: "items: float32 wanted, float64 given; device: cuda wanted,
/// cpu given". Empty if it breaks none.
DEVVIEW_CORE_API std::string wish_refusal(const Wish& wish, const View& view);

/// Of those the ones that no copy can mend: number and extents of the axes. Empty if they fit.
DEVVIEW_CORE_API std::string wish_axes_refusal(const Wish& wish, const View& view);

/// "float32", "int8", "complex128", "big-endian float32"; another format as it is spelled.
DEVVIEW_CORE_API std::string item_name(const Format& format);

}  // namespace devview
