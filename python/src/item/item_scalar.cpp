// Scalars: numbers of any size and order, bit fields, pointers, objects; strings by item_text.cpp.
#include "item/item_scalar.hpp"

#include <cfloat>
#include <cmath>

#include "item/item_numbers.hpp"
#include "item/item_text.hpp"

namespace devview::python {

namespace {

// --- Integers ---

py::object as_index(const FormatNode& format, PyObject* value, const ItemPath* path) {
    if (PyLong_CheckExact(value)) return py::reinterpret_borrow<py::object>(value);
    auto index = py::reinterpret_steal<py::object>(PyNumber_Index(value));
    if (index) return index;
    if (!PyErr_ExceptionMatches(PyExc_TypeError)) throw py::error_already_set();
    PyErr_Clear();
    wrong_item_type(format, value, path);
}

/// The two's complement of an integer of at most 64 bits.
std::uint64_t read_integer_value(const FormatNode& format, PyObject* value, const ItemPath* path) {
    const py::object index = as_index(format, value, path);
    const int spare = 64 - static_cast<int>(format.bits);
    if (spare == 64) {  // "0t" has the value 0 alone
        if (PyObject_IsTrue(index.ptr()) != 0) wrong_item_value(format, value, path);
        return 0;
    }
    if (format.kind == Kind::integer) {
        int overflow = 0;
        const long long number = PyLong_AsLongLongAndOverflow(index.ptr(), &overflow);
        const auto bits = static_cast<std::uint64_t>(number);
        const auto widened = static_cast<long long>(bits << spare) >> spare;
        if (overflow != 0 || widened != number) wrong_item_value(format, value, path);
        return bits;
    }
    const unsigned long long number = PyLong_AsUnsignedLongLong(index.ptr());
    if (PyErr_Occurred()) {
        if (!PyErr_ExceptionMatches(PyExc_OverflowError)) throw py::error_already_set();
        PyErr_Clear();
        wrong_item_value(format, value, path);
    }
    if ((number << spare) >> spare != number) wrong_item_value(format, value, path);
    return number;
}

template <bool swapped>
void store_integer(char* data, std::int64_t size, std::uint64_t bits) noexcept {
    switch (size) {
        case 1:
            return store_number<std::uint8_t>(data, static_cast<std::uint8_t>(bits));
        case 2:
            return store_number<std::uint16_t, swapped>(data, static_cast<std::uint16_t>(bits));
        case 4:
            return store_number<std::uint32_t, swapped>(data, static_cast<std::uint32_t>(bits));
        default:
            return store_number<std::uint64_t, swapped>(data, bits);
    }
}

void store_integer(const FormatNode& format, char* data, std::uint64_t bits) noexcept {
    if (format.byteorder == ByteOrder::native) {
        store_integer<false>(data, format.itemsize, bits);
    } else {
        store_integer<true>(data, format.itemsize, bits);
    }
}

// --- Bit fields ---

PyObject* unpack_bits(const FormatNode& format, const char* data, std::int32_t bit_offset) {
    if (format.bits <= 64) {
        return PyLong_FromUnsignedLongLong(read_bits(data, format.bits, bit_offset));
    }
    const Py_ssize_t octets = (Py_ssize_t{format.bits} + 7) / 8;
    const auto bytes =
        py::reinterpret_steal<py::object>(PyBytes_FromStringAndSize(nullptr, octets));
    if (!bytes) return nullptr;
    char* const to = PyBytes_AS_STRING(bytes.ptr());
    for (Py_ssize_t i = 0; i < octets; ++i) {
        to[i] = static_cast<char>(read_octet(data, format.bits, bit_offset, i));
    }
    return PyObject_CallMethod(reinterpret_cast<PyObject*>(&PyLong_Type), "from_bytes", "Os",
                               bytes.ptr(), "little");
}

void pack_bits(const FormatNode& format, char* data, PyObject* value, const ItemPath* path,
               std::int32_t bit_offset) {
    const std::int64_t octets = (std::int64_t{format.bits} + 7) / 8;
    if (format.bits <= 64) {
        const std::uint64_t bits = read_integer_value(format, value, path);
        for (std::int64_t i = 0; i < octets; ++i) {
            write_octet(data, format.bits, bit_offset, i,
                        static_cast<unsigned>((bits >> (8 * i)) & 0xff));
        }
        return;
    }
    const py::object index = as_index(format, value, path);
    const auto bytes = py::reinterpret_steal<py::object>(PyObject_CallMethod(
        index.ptr(), "to_bytes", "ns", static_cast<Py_ssize_t>(octets), "little"));
    if (!bytes) {
        if (!PyErr_ExceptionMatches(PyExc_OverflowError)) throw py::error_already_set();
        PyErr_Clear();
        wrong_item_value(format, value, path);
    }
    const auto* const from = reinterpret_cast<const unsigned char*>(PyBytes_AS_STRING(bytes.ptr()));
    const int last = format.bits % 8;
    if (last != 0 && (from[octets - 1] >> last) != 0) wrong_item_value(format, value, path);
    for (std::int64_t i = 0; i < octets; ++i) {
        write_octet(data, format.bits, bit_offset, i, from[i]);
    }
}

// --- Floats ---

constexpr std::size_t kLongDoubleBytes = LDBL_MANT_DIG == 64 ? 10 : sizeof(long double);

template <bool swapped>
void store_float(std::int64_t size, char* data, double number) noexcept {
    if (size == 4) {
        store_number<float, swapped>(data, static_cast<float>(number));
    } else if (size == 8) {
        store_number<double, swapped>(data, number);
    } else {
        const auto wide = static_cast<long double>(number);
        std::memset(data, 0, sizeof wide);
        std::memcpy(data, &wide, kLongDoubleBytes);
        if (swapped) std::reverse(data, data + sizeof wide);
    }
}

void store_float(const FormatNode& format, std::int64_t size, char* data, double number) noexcept {
    if (format.byteorder == ByteOrder::native) {
        store_float<false>(size, data, number);
    } else {
        store_float<true>(size, data, number);
    }
}

/// To nearest even. Beyond the range: what the type has for it, but an error for half (struct).
void pack_small_float(const FormatNode& format, char* data, double number, PyObject* value,
                      const ItemPath* path) {
    const SmallFloat kind = small_float(format.float_kind);
    const std::uint32_t code = encode_float(kind, number);
    const bool half = format.float_kind == FloatKind::ieee;
    if (half && std::isfinite(number) && (code & (kind.sign_bit - 1)) == kind.infinity) {
        wrong_item_value(format, value, path);
    }
    store_integer(format, data, code);
}

/// Tells the pending error of reading a number, with a better text where it is one of ours: of a
/// wrong type, or of an int beyond double (memoryview's ValueError).
[[noreturn]] void wrong_number(const FormatNode& format, PyObject* value, const ItemPath* path) {
    const bool too_large = PyErr_ExceptionMatches(PyExc_OverflowError) != 0;
    if (!too_large && !PyErr_ExceptionMatches(PyExc_TypeError)) throw py::error_already_set();
    PyErr_Clear();
    if (too_large) wrong_item_value(format, value, path);
    wrong_item_type(format, value, path);
}

void pack_float(const FormatNode& format, char* data, PyObject* value, const ItemPath* path) {
    const double number = PyFloat_AsDouble(value);
    if (number == -1.0 && PyErr_Occurred()) wrong_number(format, value, path);
    if (format.itemsize <= 2) {
        pack_small_float(format, data, number, value, path);
    } else {
        store_float(format, format.itemsize, data, number);
    }
}

void pack_complex(const FormatNode& format, char* data, PyObject* value, const ItemPath* path) {
    const Py_complex number = PyComplex_AsCComplex(value);
    if (number.real == -1.0 && PyErr_Occurred()) wrong_number(format, value, path);
    const std::int64_t half = format.itemsize / 2;
    store_float(format, half, data, number.real);
    store_float(format, half, data + half, number.imag);
}

// --- Objects ---

PyObject* unpack_object(const char* data) noexcept {
    PyObject* object = nullptr;
    std::memcpy(&object, data, sizeof object);
    PyObject* const result = object != nullptr ? object : Py_None;  // as NumPy: nothing is None
    Py_INCREF(result);
    return result;
}

void pack_object(char* data, PyObject* value) {
    PyObject* old = nullptr;
    std::memcpy(&old, data, sizeof old);
    Py_INCREF(value);
    std::memcpy(data, &value, sizeof value);
    Py_XDECREF(old);  // last: it may run user code
}

template <typename Reader>
void read_row(const FormatNode& format, const char* data, std::int64_t stride, Py_ssize_t n,
              PyObject* list) {
    for (Py_ssize_t i = 0; i < n; ++i) {
        PyObject* const item = Reader::read(format, data + i * stride);
        if (item == nullptr) throw py::error_already_set();
        PyList_SET_ITEM(list, i, item);
    }
}

std::string name_of(const ItemPath& step) {
    if (step.name == nullptr) return "element " + std::to_string(step.index);
    if (*step.name == '\0') return "member " + std::to_string(step.index);
    return std::string("member '") + step.name + "'";
}

}  // namespace

std::string tell(const ItemPath* path) {
    std::string text;
    for (; path != nullptr; path = path->outer) {
        text = name_of(*path) + (text.empty() ? ": " : ", ") + text;
    }
    return "item: " + text;
}

void wrong_item_type(const FormatNode& format, PyObject* value, const ItemPath* path) {
    PyErr_Format(PyExc_TypeError, "%sinvalid type %.100s for format '%.200s'", tell(path).c_str(),
                 Py_TYPE(value)->tp_name, format.text);
    throw py::error_already_set();
}

void wrong_item_value(const FormatNode& format, PyObject* value, const ItemPath* path) {
    // A huge int has no decimal text (sys.set_int_max_str_digits), a broken __repr__ none at all.
    const auto shown = py::reinterpret_steal<py::object>(PyObject_Repr(value));
    if (shown) {
        PyErr_Format(PyExc_ValueError, "%sinvalid value %.100U for format '%.200s'",
                     tell(path).c_str(), shown.ptr(), format.text);
    } else if (PyErr_ExceptionMatches(PyExc_Exception)) {
        PyErr_Clear();
        PyErr_Format(PyExc_ValueError, "%sinvalid value of type %.100s for format '%.200s'",
                     tell(path).c_str(), Py_TYPE(value)->tp_name, format.text);
    }
    throw py::error_already_set();
}

ReadRow number_row(const FormatNode& format) noexcept {
    return with_number_reader(format, ReadRow{nullptr},
                              [](auto reader) -> ReadRow { return read_row<decltype(reader)>; });
}

PyObject* unpack_scalar(const FormatNode& format, const char* data, std::int32_t bit_offset) {
    switch (format.kind) {
        case Kind::unicode:
            return unpack_unicode(format, data);
        case Kind::object:
            return unpack_object(data);
        case Kind::bits:
            return unpack_bits(format, data, bit_offset);
        case Kind::character:
        case Kind::bytes:
        case Kind::pascal:
        case Kind::opaque:
            return unpack_bytes(format, data);
        default:
            return with_number_reader(format, static_cast<PyObject*>(nullptr), [&](auto reader) {
                return decltype(reader)::read(format, data);
            });
    }
}

void pack_scalar(const FormatNode& format, char* data, PyObject* value, const ItemPath* path,
                 std::int32_t bit_offset) {
    switch (format.kind) {
        case Kind::boolean: {
            const int truth = PyObject_IsTrue(value);
            if (truth < 0) throw py::error_already_set();
            *data = static_cast<char>(truth);
            return;
        }
        case Kind::floating:
            return pack_float(format, data, value, path);
        case Kind::complex_floating:
            return pack_complex(format, data, value, path);
        case Kind::unicode:
            return pack_unicode(format, data, value, path);
        case Kind::object:
            return pack_object(data, value);
        case Kind::bits:
            return pack_bits(format, data, value, path, bit_offset);
        case Kind::character:
        case Kind::bytes:
        case Kind::pascal:
        case Kind::opaque:
            return pack_bytes(format, data, value, path);
        default: {
            const std::uint64_t bits = read_integer_value(format, value, path);
            return store_integer(format, data, format.bits == 4 ? encode_int4(bits) : bits);
        }
    }
}

}  // namespace devview::python
