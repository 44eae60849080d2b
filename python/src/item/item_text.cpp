// Strings of items: bytes objects (c s p x) and str (u w).
#include "item/item_text.hpp"

#include <algorithm>
#include <cstring>

#include "item/item_scalar.hpp"

namespace devview::python {

namespace {

bool is_little(const FormatNode& format) noexcept {
    constexpr bool kHostIsLittle = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;
    return format.byteorder == ByteOrder::native ? kHostIsLittle
                                                 : format.byteorder == ByteOrder::little;
}

}  // namespace

PyObject* unpack_bytes(const FormatNode& format, const char* data) {
    if (format.kind != Kind::pascal) {
        return PyBytes_FromStringAndSize(data, static_cast<Py_ssize_t>(format.itemsize));
    }
    if (format.itemsize == 0) return PyBytes_FromStringAndSize(nullptr, 0);
    const auto length =
        std::min<std::int64_t>(static_cast<unsigned char>(*data), format.itemsize - 1);
    return PyBytes_FromStringAndSize(data + 1, static_cast<Py_ssize_t>(length));
}

PyObject* unpack_unicode(const FormatNode& format, const char* data) {
    int order = is_little(format) ? -1 : 1;
    const auto size = static_cast<Py_ssize_t>(format.itemsize);
    // 'u' is UCS-2 (surrogates pass as they are), 'w' is UCS-4.
    return format.code == 'w' ? PyUnicode_DecodeUTF32(data, size, "surrogatepass", &order)
                              : PyUnicode_DecodeUTF16(data, size, "surrogatepass", &order);
}

void pack_bytes(const FormatNode& format, char* data, PyObject* value, const ItemPath* path) {
    // struct takes a bytearray for 's', not for 'c'.
    const bool array = PyByteArray_Check(value) && format.kind != Kind::character;
    if (!PyBytes_Check(value) && !array) wrong_item_type(format, value, path);
    const char* const text = array ? PyByteArray_AS_STRING(value) : PyBytes_AS_STRING(value);
    auto size = static_cast<std::size_t>(Py_SIZE(value));
    const auto room = static_cast<std::size_t>(format.itemsize);
    if (format.kind == Kind::character && size != 1) wrong_item_value(format, value, path);
    if (format.kind == Kind::opaque && size != room) wrong_item_value(format, value, path);
    if (format.kind == Kind::pascal && room > 0) {
        size = std::min({size, room - 1, std::size_t{255}});
        *data++ = static_cast<char>(size);
        std::memset(data, 0, room - 1);
    } else {
        size = std::min(size, room);
        std::memset(data, 0, room);
    }
    std::memcpy(data, text, size);
}

void pack_unicode(const FormatNode& format, char* data, PyObject* value, const ItemPath* path) {
    if (!PyUnicode_Check(value)) wrong_item_type(format, value, path);
    const bool little = is_little(format);
    const char* const codec = format.code == 'w' ? (little ? "utf-32-le" : "utf-32-be")
                                                 : (little ? "utf-16-le" : "utf-16-be");
    const auto encoded =
        py::reinterpret_steal<py::object>(PyUnicode_AsEncodedString(value, codec, "surrogatepass"));
    if (!encoded) throw py::error_already_set();
    const auto size = static_cast<std::size_t>(PyBytes_GET_SIZE(encoded.ptr()));
    if (size > static_cast<std::size_t>(format.itemsize)) wrong_item_value(format, value, path);
    std::memset(data, 0, static_cast<std::size_t>(format.itemsize));
    std::memcpy(data, PyBytes_AS_STRING(encoded.ptr()), size);
}

}  // namespace devview::python
