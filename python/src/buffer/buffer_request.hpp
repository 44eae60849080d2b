// Answering a buffer request (PEP 3118) from a format and a layout.
#pragma once

#include "devview/format.hpp"
#include "devview/layout.hpp"
#include "python.hpp"

namespace devview::python {

constexpr bool asks(int flags, int what) noexcept { return (flags & what) == what; }

/// True for requests that check_request() never refuses: suboffsets may come, no order is asked.
/// memoryview's own is one.
constexpr bool takes_any_layout(int flags) noexcept {
    constexpr int kOrders =
        (PyBUF_C_CONTIGUOUS | PyBUF_F_CONTIGUOUS | PyBUF_ANY_CONTIGUOUS) & ~PyBUF_STRIDES;
    return asks(flags, PyBUF_INDIRECT) && (flags & kOrders) == 0;
}

/// As Py_buffer points to them; the requester does not write there.
inline Py_ssize_t* axes_of(const std::int64_t* values) noexcept {
    static_assert(sizeof(Py_ssize_t) == sizeof(std::int64_t), "64-bit systems only");
    return const_cast<Py_ssize_t*>(reinterpret_cast<const Py_ssize_t*>(values));
}

/// @throws BufferError  "who: why".
[[noreturn]] void refuse(const char* who, const char* why);

/// The answers of CPython's memoryview to each request (Objects/memoryobject.c, memory_getbuf).
/// @throws BufferError  the layout is not what the flags ask for.
void check_request(const char* who, const Layout& layout, std::int64_t itemsize, int flags);

/// Points `buffer` at `format` and `layout`, with what the flags ask for and NULL for the rest.
void describe(Py_buffer* buffer, const Format& format, const Layout& layout, int flags);

}  // namespace devview::python
