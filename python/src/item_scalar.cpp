// Scalars: integers of any size and order, floats, complex numbers, strings, pointers, objects.
#include "item_scalar.hpp"

#include <algorithm>
#include <cstring>

#include "devview/error.hpp"

namespace devview::python {

namespace {

constexpr int kHostIsLittle = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 1 : 0;
constexpr std::size_t kMaxScalar = 32;  // a complex long double

bool swapped(const FormatNode& format) noexcept {
    return format.byteorder != ByteOrder::native &&
           (format.byteorder == ByteOrder::little) != (kHostIsLittle == 1);
}

/// Copies `parts` numbers of a scalar, each turned round if its order is not the host's.
void copy_ordered(const FormatNode& format, void* to, const void* from, std::size_t parts) {
    const auto size = static_cast<std::size_t>(format.itemsize);
    std::memcpy(to, from, size);
    if (!swapped(format)) return;
    auto* const bytes = static_cast<unsigned char*>(to);
    for (std::size_t i = 0; i < parts; ++i) {
        std::reverse(bytes + i * size / parts, bytes + (i + 1) * size / parts);
    }
}

template <class T>
T load(const unsigned char* bytes) noexcept {
    T value;
    std::memcpy(&value, bytes, sizeof value);
    return value;
}

template <class T>
void store(unsigned char* bytes, T value) noexcept {
    std::memcpy(bytes, &value, sizeof value);
}

template <class To, class From>
To bit_cast(From from) noexcept {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    std::memcpy(&to, &from, sizeof to);
    return to;
}

PyObject* unpack_signed(const unsigned char* bytes, std::int64_t size) {
    switch (size) {
        case 1:
            return PyLong_FromLong(load<signed char>(bytes));
        case 2:
            return PyLong_FromLong(load<std::int16_t>(bytes));
        case 4:
            return PyLong_FromLong(load<std::int32_t>(bytes));
        default:
            return PyLong_FromLongLong(load<std::int64_t>(bytes));
    }
}

PyObject* unpack_unsigned(const unsigned char* bytes, std::int64_t size) {
    switch (size) {
        case 1:
            return PyLong_FromLong(bytes[0]);
        case 2:
            return PyLong_FromLong(load<std::uint16_t>(bytes));
        case 4:
            return PyLong_FromUnsignedLong(load<std::uint32_t>(bytes));
        default:
            return PyLong_FromUnsignedLongLong(load<std::uint64_t>(bytes));
    }
}

void pack_integer(const FormatNode& format, unsigned char* bytes, PyObject* value) {
    const py::object index = PyLong_CheckExact(value)
                                 ? py::reinterpret_borrow<py::object>(value)
                                 : py::reinterpret_steal<py::object>(PyNumber_Index(value));
    if (!index) {
        if (!PyErr_ExceptionMatches(PyExc_TypeError)) throw py::error_already_set();
        PyErr_Clear();
        wrong_item_type(format, value);
    }
    const auto size = static_cast<int>(format.itemsize);
    if (format.kind == Kind::integer) {
        int overflow = 0;
        const long long number = PyLong_AsLongLongAndOverflow(index.ptr(), &overflow);
        const int shift = 64 - 8 * size;
        const auto widened =
            static_cast<long long>(static_cast<unsigned long long>(number) << shift);
        if (overflow != 0 || (widened >> shift) != number) wrong_item_value(format, value);
        std::memcpy(bytes, &number, static_cast<std::size_t>(size));
        return;
    }
    const unsigned long long number = PyLong_AsUnsignedLongLong(index.ptr());
    if (PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_OverflowError)) throw py::error_already_set();
        PyErr_Clear();
        wrong_item_value(format, value);
    }
    if (size < 8 && (number >> (8 * size)) != 0) wrong_item_value(format, value);
    std::memcpy(bytes, &number, static_cast<std::size_t>(size));
}

double unpack_real(const FormatNode& format, const unsigned char* bytes, std::int64_t size) {
    if (format.float_kind == FloatKind::bfloat16) {
        const std::uint32_t widened = std::uint32_t{load<std::uint16_t>(bytes)} << 16;
        return static_cast<double>(bit_cast<float>(widened));
    }
    if (format.float_kind != FloatKind::ieee) {
        throw FormatError(std::string("item: format '") + format.text + "' has no item access", 0);
    }
    switch (size) {
        case 2:
            return unpack_half(bytes);
        case 4:
            return static_cast<double>(load<float>(bytes));
        case 8:
            return load<double>(bytes);
        default:
            return static_cast<double>(load<long double>(bytes));
    }
}

void pack_real(const FormatNode& format, unsigned char* bytes, std::int64_t size, double number,
               PyObject* value) {
    if (format.float_kind == FloatKind::bfloat16) {
        auto bits = bit_cast<std::uint32_t>(static_cast<float>(number));
        const bool nan = number != number;
        bits = nan ? (bits >> 16) | 0x40u : (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
        store(bytes, static_cast<std::uint16_t>(bits));
        return;
    }
    if (format.float_kind != FloatKind::ieee) {
        throw FormatError(std::string("item: format '") + format.text + "' has no item access", 0);
    }
    switch (size) {
        case 2:
            if (!pack_half(number, bytes)) wrong_item_value(format, value);
            return;
        case 4:
            store(bytes, static_cast<float>(number));
            return;
        case 8:
            store(bytes, number);
            return;
        default:
            store(bytes, static_cast<long double>(number));
            return;
    }
}

double as_double(const FormatNode& format, PyObject* value) {
    const double number = PyFloat_AsDouble(value);
    if (number == -1.0 && PyErr_Occurred()) {
        const bool overflow = PyErr_ExceptionMatches(PyExc_OverflowError) != 0;  // an int too large
        if (!overflow && !PyErr_ExceptionMatches(PyExc_TypeError)) throw py::error_already_set();
        PyErr_Clear();
        overflow ? wrong_item_value(format, value) : wrong_item_type(format, value);
    }
    return number;
}

PyObject* unpack_unicode(const FormatNode& format, const unsigned char* bytes) {
    const int order = format.byteorder == ByteOrder::native   ? (kHostIsLittle ? -1 : 1)
                      : format.byteorder == ByteOrder::little ? -1
                                                              : 1;
    int used = order;
    const auto* const text = reinterpret_cast<const char*>(bytes);
    const auto size = static_cast<Py_ssize_t>(format.itemsize);
    // 'u' is UCS-2 (surrogates pass as they are), 'w' is UCS-4.
    return format.code == 'w' ? PyUnicode_DecodeUTF32(text, size, "surrogatepass", &used)
                              : PyUnicode_DecodeUTF16(text, size, "surrogatepass", &used);
}

void pack_unicode(const FormatNode& format, unsigned char* bytes, PyObject* value) {
    if (!PyUnicode_Check(value)) wrong_item_type(format, value);
    const bool little = format.byteorder == ByteOrder::little ||
                        (format.byteorder == ByteOrder::native && kHostIsLittle == 1);
    const char* const codec = format.code == 'w' ? (little ? "utf-32-le" : "utf-32-be")
                                                 : (little ? "utf-16-le" : "utf-16-be");
    const auto encoded =
        py::reinterpret_steal<py::object>(PyUnicode_AsEncodedString(value, codec, "surrogatepass"));
    if (!encoded) throw py::error_already_set();
    const auto size = static_cast<std::size_t>(PyBytes_GET_SIZE(encoded.ptr()));
    if (size > static_cast<std::size_t>(format.itemsize)) wrong_item_value(format, value);
    std::memset(bytes, 0, static_cast<std::size_t>(format.itemsize));
    std::memcpy(bytes, PyBytes_AS_STRING(encoded.ptr()), size);
}

/// bytes or bytearray; 's' and 'p' cut what is too long and fill with zeros, as struct does.
void pack_bytes(const FormatNode& format, unsigned char* bytes, PyObject* value) {
    // struct takes a bytearray for 's', not for 'c'.
    const bool array = PyByteArray_Check(value) && format.kind != Kind::character;
    if (!PyBytes_Check(value) && !array) wrong_item_type(format, value);
    const char* const text = array ? PyByteArray_AS_STRING(value) : PyBytes_AS_STRING(value);
    auto size = static_cast<std::size_t>(Py_SIZE(value));
    const auto room = static_cast<std::size_t>(format.itemsize);
    if (format.kind == Kind::character && size != 1) wrong_item_value(format, value);
    if (format.kind == Kind::opaque && size != room) wrong_item_value(format, value);
    std::memset(bytes, 0, room);
    if (format.kind != Kind::pascal) {
        std::memcpy(bytes, text, std::min(size, room));
        return;
    }
    if (room == 0) return;
    size = std::min({size, room - 1, std::size_t{255}});
    bytes[0] = static_cast<unsigned char>(size);
    std::memcpy(bytes + 1, text, size);
}

}  // namespace

void wrong_item_type(const FormatNode& format, PyObject* value) {
    PyErr_Format(PyExc_TypeError, "item: invalid type %.100s for format '%.200s'",
                 Py_TYPE(value)->tp_name, format.text);
    throw py::error_already_set();
}

void wrong_item_value(const FormatNode& format, PyObject* value) {
    PyErr_Format(PyExc_ValueError, "item: invalid value %.100R for format '%.200s'", value,
                 format.text);
    throw py::error_already_set();
}

double unpack_half(const unsigned char* little_endian) noexcept {
#if PY_VERSION_HEX >= 0x030B0000
    return PyFloat_Unpack2(reinterpret_cast<const char*>(little_endian), 1);
#else
    return _PyFloat_Unpack2(little_endian, 1);
#endif
}

bool pack_half(double value, unsigned char* little_endian) noexcept {
#if PY_VERSION_HEX >= 0x030B0000
    const int failed = PyFloat_Pack2(value, reinterpret_cast<char*>(little_endian), 1);
#else
    const int failed = _PyFloat_Pack2(value, little_endian, 1);
#endif
    if (failed != 0) PyErr_Clear();
    return failed == 0;
}

PyObject* unpack_scalar(const FormatNode& format, const char* data) {
    unsigned char bytes[kMaxScalar];
    switch (format.kind) {
        case Kind::boolean:
            return PyBool_FromLong(*data != 0);
        case Kind::integer:
            copy_ordered(format, bytes, data, 1);
            return unpack_signed(bytes, format.itemsize);
        case Kind::unsigned_integer:
            copy_ordered(format, bytes, data, 1);
            return unpack_unsigned(bytes, format.itemsize);
        case Kind::floating:
            copy_ordered(format, bytes, data, 1);
            return PyFloat_FromDouble(unpack_real(format, bytes, format.itemsize));
        case Kind::complex_floating: {
            copy_ordered(format, bytes, data, 2);
            const std::int64_t half = format.itemsize / 2;
            return PyComplex_FromDoubles(unpack_real(format, bytes, half),
                                         unpack_real(format, bytes + half, half));
        }
        case Kind::character:
        case Kind::bytes:
        case Kind::opaque:
            return PyBytes_FromStringAndSize(data, static_cast<Py_ssize_t>(format.itemsize));
        case Kind::pascal: {
            const auto length = format.itemsize == 0
                                    ? 0
                                    : std::min<std::int64_t>(static_cast<unsigned char>(*data),
                                                             format.itemsize - 1);
            return PyBytes_FromStringAndSize(data + 1, static_cast<Py_ssize_t>(length));
        }
        case Kind::unicode:
            return unpack_unicode(format, reinterpret_cast<const unsigned char*>(data));
        case Kind::pointer:
        case Kind::function:
            copy_ordered(format, bytes, data, 1);
            return unpack_unsigned(bytes, format.itemsize);
        case Kind::object: {
            auto* const object = load<PyObject*>(reinterpret_cast<const unsigned char*>(data));
            PyObject* const result = object ? object : Py_None;
            Py_INCREF(result);
            return result;
        }
        default:
            throw FormatError(std::string("item: format '") + format.text + "' has no item access",
                              0);
    }
}

void pack_scalar(const FormatNode& format, char* data, PyObject* value) {
    unsigned char bytes[kMaxScalar];
    switch (format.kind) {
        case Kind::boolean: {
            const int truth = PyObject_IsTrue(value);
            if (truth < 0) throw py::error_already_set();
            *data = static_cast<char>(truth);
            return;
        }
        case Kind::integer:
        case Kind::unsigned_integer:
        case Kind::pointer:
        case Kind::function:
            pack_integer(format, bytes, value);
            copy_ordered(format, data, bytes, 1);
            return;
        case Kind::floating:
            pack_real(format, bytes, format.itemsize, as_double(format, value), value);
            copy_ordered(format, data, bytes, 1);
            return;
        case Kind::complex_floating: {
            const Py_complex number = PyComplex_AsCComplex(value);
            if (PyErr_Occurred()) {
                if (!PyErr_ExceptionMatches(PyExc_TypeError)) throw py::error_already_set();
                PyErr_Clear();
                wrong_item_type(format, value);
            }
            const std::int64_t half = format.itemsize / 2;
            pack_real(format, bytes, half, number.real, value);
            pack_real(format, bytes + half, half, number.imag, value);
            copy_ordered(format, data, bytes, 2);
            return;
        }
        case Kind::character:
        case Kind::bytes:
        case Kind::pascal:
        case Kind::opaque:
            pack_bytes(format, reinterpret_cast<unsigned char*>(data), value);
            return;
        case Kind::unicode:
            pack_unicode(format, reinterpret_cast<unsigned char*>(data), value);
            return;
        case Kind::object: {
            PyObject* old = nullptr;
            std::memcpy(&old, data, sizeof old);
            Py_INCREF(value);
            std::memcpy(data, &value, sizeof value);
            Py_XDECREF(old);
            return;
        }
        default:
            throw FormatError(std::string("item: format '") + format.text + "' has no item access",
                              0);
    }
}

}  // namespace devview::python
