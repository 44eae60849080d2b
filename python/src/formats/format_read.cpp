// What a `format` argument may be. Text is read here; foreign types by devview.formats, on demand.
#include <array>
#include <limits>
#include <string>
#include <string_view>

#include "arguments.hpp"
#include "arrays/typestr.hpp"
#include "devview/error.hpp"
#include "formats/format_object.hpp"
#include "view/view_object.hpp"

namespace devview::python {

namespace {

/// "float32", "bool", ...: nothing longer is looked up as a name.
constexpr std::size_t kLongestName = 20;

/// A typestr or a name of a scalar; nothing if `text` is neither.
/// @throws FormatError  a typestr of a type that has no format.
std::optional<Format> other_words(const std::string& text) {
    if (is_typestr(text) && (text[0] == '|' || text[1] == 'M' || text[1] == 'm')) {
        return format_of_typestr(text);
    }
    if (text.size() > kLongestName) return std::nullopt;
    try {
        return is_typestr(text) ? format_of_typestr(text) : format_of_name(text);
    } catch (const FormatError&) {
        return std::nullopt;
    }
}

/// PEP 3118 has the first word, and its error is the one that is told.
Format format_of_text(const std::string& text) {
    try {
        return Format(text);
    } catch (const FormatError&) {
        if (const std::optional<Format> other = other_words(text)) return *other;
        throw;
    }
}

template <class T>
T read_part(PyObject* value, const char* name) {
    const std::int64_t number = read_integer(value, name);
    if (number < 0 || number > std::numeric_limits<T>::max()) {
        throw FormatError("format: DLPack " + std::string(name) + ": " + std::to_string(number) +
                              ", limit " + std::to_string(std::numeric_limits<T>::max()),
                          0);
    }
    return static_cast<T>(number);
}

/// (code, bits, lanes); lanes are a sub-array.
Format format_of_triple(PyObject* triple) {
    const auto held = py::reinterpret_borrow<py::tuple>(triple);
    if (held.size() != 3 || !PyIndex_Check(held[0].ptr()) || !PyIndex_Check(held[1].ptr()) ||
        !PyIndex_Check(held[2].ptr())) {
        throw py::type_error("format: a tuple must be DLPack's three ints (code, bits, lanes)");
    }
    const auto code = read_part<std::uint8_t>(py::object(held[0]).ptr(), "code");
    const auto bits = read_part<std::uint8_t>(py::object(held[1]).ptr(), "bits");
    const auto lanes = read_part<std::uint16_t>(py::object(held[2]).ptr(), "lanes");
    Format scalar = Format::from_dlpack(code, bits);
    if (lanes == 1) return scalar;
    if (lanes == 0) throw FormatError("format: DLPack lanes: 0, must be positive", 0);
    if (bits % 8 != 0) {
        throw FormatError("format: DLPack lanes: " + std::to_string(lanes) + " of " +
                              std::to_string(bits) + " bits do not fill bytes of their own",
                          0);
    }
    return Format("(" + std::to_string(lanes) + ")" + scalar.text());
}

/// Types, dtypes and all else that is not devview's: Python code finds out.
Format format_of_object(PyObject* value) {
    const py::object read = py::module_::import("devview.formats").attr("read");
    const py::object format = read(py::handle(value));
    if (!is_format(format.ptr())) throw py::type_error("format: devview.formats.read is not ours");
    return format_of(format.ptr());
}

}  // namespace

std::string read_text(PyObject* value, const char* name) {
    if (PyBytes_Check(value)) {
        return std::string(PyBytes_AS_STRING(value),
                           static_cast<std::size_t>(PyBytes_GET_SIZE(value)));
    }
    Py_ssize_t size = 0;
    const char* const data = PyUnicode_AsUTF8AndSize(value, &size);
    if (data != nullptr) return std::string(data, static_cast<std::size_t>(size));
    if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError)) throw py::error_already_set();
    const py::error_already_set error;  // takes the error over
    const auto position = error.value().attr("start").cast<std::size_t>();
    throw FormatError(std::string(name) + ": position " + std::to_string(position) +
                          ": a lone surrogate, which no UTF-8 text holds",
                      position);
}

const Format* native_format(char letter) noexcept {
    static const auto* const table = [] {
        auto* const formats = new std::array<Format, 128>;
        for (const char code : std::string_view("?bBcehHiIlLqQnNfdg")) {
            (*formats)[static_cast<std::size_t>(code)] = Format::scalar(code);
        }
        return formats;
    }();
    const Format& format = (*table)[static_cast<unsigned char>(letter) & 127u];
    return format.code() == letter ? &format : nullptr;
}

Format read_format(PyObject* value) {
    if (PyUnicode_Check(value) && PyUnicode_GET_LENGTH(value) == 1) {
        const Py_UCS4 letter = PyUnicode_READ_CHAR(value, 0);
        const Format* const format =
            letter < 128 ? native_format(static_cast<char>(letter)) : nullptr;
        if (format != nullptr) return *format;
    }
    if (PyUnicode_Check(value) || PyBytes_Check(value)) {
        return format_of_text(read_text(value, "format"));
    }
    if (is_format(value)) return format_of(value);
    if (is_view(value)) return live_view(value).format();
    const auto held = py::reinterpret_borrow<py::object>(value);
    if (PyTuple_Check(value)) return format_of_triple(value);
    if (PyList_Check(value)) return format_of_descr(held.cast<py::list>());
    return format_of_object(value);
}

}  // namespace devview::python
