// Readers of numbers, one type for each kind and byte order; private to item_*.cpp.
#pragma once

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "devview/bits.hpp"
#include "devview/byte_order.hpp"
#include "devview/format.hpp"
#include "devview/small_numbers.hpp"
#include "python.hpp"

namespace devview::python {

struct ReadTruth {
    static PyObject* read(const FormatNode&, const char* data) noexcept {
        return PyBool_FromLong(*data != 0);
    }
};

template <typename T, bool swapped>
struct ReadInteger {
    static PyObject* read(const FormatNode&, const char* data) noexcept {
        const T value = load_number<T, swapped>(data);
        if constexpr (sizeof(T) < sizeof(long) || std::is_same_v<T, long>) {
            return PyLong_FromLong(static_cast<long>(value));
        } else if constexpr (std::is_signed_v<T>) {
            return PyLong_FromLongLong(value);
        } else {
            return PyLong_FromUnsignedLongLong(value);
        }
    }
};

template <typename T, bool swapped>
struct ReadFloat {
    static PyObject* read(const FormatNode&, const char* data) noexcept {
        return PyFloat_FromDouble(static_cast<double>(load_number<T, swapped>(data)));
    }
};

/// Half, bfloat16, and the floats of 8, 6 and 4 bits.
template <typename Code, bool swapped>
struct ReadSmallFloat {
    static PyObject* read(const FormatNode& format, const char* data) noexcept {
        const auto code = load_number<Code, swapped>(data);
        return PyFloat_FromDouble(
            static_cast<double>(decode_float(small_float(format.float_kind), code)));
    }
};

struct ReadFourBits {
    static PyObject* read(const FormatNode& format, const char* data) noexcept {
        const auto code = static_cast<unsigned char>(*data);
        return PyLong_FromLong(format.kind == Kind::integer
                                   ? decode_int4(code)
                                   : static_cast<long>(decode_uint4(code)));
    }
};

/// As Python has no such float: the double that it rounds to.
template <bool swapped>
struct ReadLongDouble {
    static double value(const char* data) noexcept {
        unsigned char bytes[sizeof(long double)];
        std::memcpy(bytes, data, sizeof bytes);
        if (swapped) std::reverse(bytes, bytes + sizeof bytes);
        long double number;
        std::memcpy(&number, bytes, sizeof number);
        return static_cast<double>(number);
    }
    static PyObject* read(const FormatNode&, const char* data) noexcept {
        return PyFloat_FromDouble(value(data));
    }
};

template <typename T, bool swapped>
struct ReadComplex {
    static double part(const char* data) noexcept {
        if constexpr (std::is_same_v<T, long double>) {
            return ReadLongDouble<swapped>::value(data);
        } else {
            return static_cast<double>(load_number<T, swapped>(data));
        }
    }
    static PyObject* read(const FormatNode&, const char* data) noexcept {
        return PyComplex_FromDoubles(part(data), part(data + sizeof(T)));
    }
};

/// Calls `use(Reader{})` with the reader of a number; returns `none` for other formats.
template <bool swapped, typename Result, typename Use>
Result with_number_reader(const FormatNode& format, Result none, const Use& use) {
    const bool is_signed = format.kind == Kind::integer;
    switch (format.kind) {
        case Kind::boolean:
            return use(ReadTruth{});
        case Kind::integer:
        case Kind::unsigned_integer:
        case Kind::pointer:
        case Kind::function:
            if (format.bits == 4) return use(ReadFourBits{});
            if (format.itemsize == 1) {
                return is_signed ? use(ReadInteger<std::int8_t, false>{})
                                 : use(ReadInteger<std::uint8_t, false>{});
            }
            if (format.itemsize == 2) {
                return is_signed ? use(ReadInteger<std::int16_t, swapped>{})
                                 : use(ReadInteger<std::uint16_t, swapped>{});
            }
            if (format.itemsize == 4) {
                return is_signed ? use(ReadInteger<std::int32_t, swapped>{})
                                 : use(ReadInteger<std::uint32_t, swapped>{});
            }
            return is_signed ? use(ReadInteger<std::int64_t, swapped>{})
                             : use(ReadInteger<std::uint64_t, swapped>{});
        case Kind::floating:
            if (format.itemsize == 1) return use(ReadSmallFloat<std::uint8_t, false>{});
            if (format.itemsize == 2) return use(ReadSmallFloat<std::uint16_t, swapped>{});
            if (format.itemsize == 4) return use(ReadFloat<float, swapped>{});
            if (format.itemsize == 8) return use(ReadFloat<double, swapped>{});
            return use(ReadLongDouble<swapped>{});
        case Kind::complex_floating:
            if (format.itemsize == 8) return use(ReadComplex<float, swapped>{});
            if (format.itemsize == 16) return use(ReadComplex<double, swapped>{});
            return use(ReadComplex<long double, swapped>{});
        default:
            return none;
    }
}

/// The same for the byte order that the format has.
template <typename Result, typename Use>
Result with_number_reader(const FormatNode& format, Result none, const Use& use) {
    return format.byteorder == ByteOrder::native ? with_number_reader<false>(format, none, use)
                                                 : with_number_reader<true>(format, none, use);
}

}  // namespace devview::python
