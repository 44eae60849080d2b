// What a consumer of buffers asks for, and the answer: the same for every exporter of ours.
#include "buffer/buffer_request.hpp"

#include <string>

#include "devview/error.hpp"

namespace devview::python {

[[noreturn]] void refuse(const char* who, const char* why) {
    throw BufferError(std::string(who) + ": " + why);
}

/// The answers of CPython's memoryview to each request (Objects/memoryobject.c, memory_getbuf).
void check_request(const char* who, const Layout& layout, std::int64_t itemsize, int flags) {
    const auto is = [&](Order order) {
        // memoryview looks at the stride of a vector even if it is empty (MV_CONTIGUOUS_NDIM1).
        if (layout.ndim() == 1 && layout.shape()[0] == 0 && layout.suboffsets() == nullptr) {
            return layout.strides()[0] == itemsize;
        }
        return layout.contiguous(itemsize, order);
    };
    if (asks(flags, PyBUF_C_CONTIGUOUS) && !is(Order::C)) {
        refuse(who, "underlying buffer is not C-contiguous");
    }
    if (asks(flags, PyBUF_F_CONTIGUOUS) && !is(Order::F)) {
        refuse(who, "underlying buffer is not Fortran contiguous");
    }
    if (asks(flags, PyBUF_ANY_CONTIGUOUS) && !is(Order::C) && !is(Order::F)) {
        refuse(who, "underlying buffer is not contiguous");
    }
    if (!asks(flags, PyBUF_INDIRECT) && layout.suboffsets() != nullptr) {
        refuse(who, "underlying buffer requires suboffsets");
    }
    if (!asks(flags, PyBUF_STRIDES) && !is(Order::C)) {
        refuse(who, "underlying buffer is not C-contiguous");
    }
    if (!asks(flags, PyBUF_ND) && asks(flags, PyBUF_FORMAT)) {
        refuse(who, "cannot cast to unsigned bytes if the format flag is present");
    }
}

/// Points `buffer` at `layout`, with what the flags ask for and NULL for the rest.
void describe(Py_buffer* buffer, const Format& format, const Layout& layout, int flags) {
    buffer->len = static_cast<Py_ssize_t>(layout.nbytes(format.itemsize()));
    buffer->itemsize = static_cast<Py_ssize_t>(format.itemsize());
    buffer->ndim = layout.ndim();
    buffer->format = asks(flags, PyBUF_FORMAT) ? const_cast<char*>(format.text()) : nullptr;
    buffer->shape = nullptr;
    buffer->strides = nullptr;
    buffer->suboffsets = nullptr;
    if (!asks(flags, PyBUF_ND)) {
        buffer->ndim = 1;  // plain bytes
        return;
    }
    if (layout.ndim() == 0) return;
    buffer->shape = axes_of(layout.shape());
    if (!asks(flags, PyBUF_STRIDES)) return;
    buffer->strides = axes_of(layout.strides());
    buffer->suboffsets = axes_of(layout.suboffsets());
}

}  // namespace devview::python
