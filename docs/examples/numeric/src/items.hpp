// What a functor sees of a view: items at a stride, on the host and in kernels.
#pragma once

#include <cstdint>
#include <devview/host_device.hpp>

namespace numeric {

template <class T>
struct Items {
    T* first;
    std::int64_t stride;  ///< bytes
    std::int64_t count;

    DEVVIEW_HD T& operator[](std::int64_t i) const {
        return *reinterpret_cast<T*>(reinterpret_cast<std::uintptr_t>(first) +
                                     static_cast<std::uintptr_t>(i * stride));
    }
};

}  // namespace numeric
