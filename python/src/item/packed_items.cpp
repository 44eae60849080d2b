// One packed item: found in its bytes, read and written.
#include <cstddef>

#include "buffer/host_access.hpp"
#include "devview/copy.hpp"
#include "devview/error.hpp"
#include "devview/packed.hpp"
#include "item/item.hpp"
#include "view/view_object.hpp"

namespace devview::python {

namespace {

/// The bytes that hold item `index` of a view, and its place among the items of them that begin on
/// the first one's first bit (a period is 8 items: `bits` bytes).
struct ItemBytes {
    View bytes;
    std::int64_t place;
};

ItemBytes bytes_of_item(const View& view, std::int64_t index) {
    const Format& format = view.format();
    const std::int64_t period = index / 8 * 8;
    const std::int64_t begin = format.nbytes(period);
    const std::int64_t end = format.nbytes(index + 1);
    const std::int64_t all = view.nbytes();
    return {view.cast(Format(), 1, &all).slice(0, begin, end), index - period};
}

}  // namespace

PyObject* read_packed(const View& view, std::int64_t index) {
    const FormatNode& format = *view.format().node();
    const ItemBytes at = bytes_of_item(view, index);
    const HostItems host(at.bytes, "index");
    char item = 0;
    unpack_host(&item, host.data(), at.place, 1, format.bits);
    return unpack_item(format, &item);
}

void write_packed(PyObject* object, const View& view, std::int64_t index, PyObject* value) {
    const View held = view;  // packing runs user code
    const FormatNode& format = *held.format().node();
    char item = 0;
    pack_item(format, &item, value);
    live_view(object);
    const ItemBytes at = bytes_of_item(held, index);
    if (plain_host(at.bytes)) {
        return pack_host(at.bytes.data(), at.place, &item, 1, format.bits);
    }
    const View host = [&] {
        const GilRelease release;
        return unpack(at.bytes);  // a copy on the host, complete
    }();
    pack_host(host.data(), at.place, &item, 1, format.bits);
    copy_items(at.bytes, host);
}

}  // namespace devview::python
