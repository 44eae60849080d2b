// Reading typestr and descr (NumPy's array interface, version 3; CUDA's has the same).
#include "arrays/typestr.hpp"

#include <string>
#include <vector>

#include "arguments.hpp"
#include "devview/error.hpp"

namespace devview::python {

namespace {

constexpr std::int64_t kMostBytes = std::int64_t{1} << 40;
constexpr int kMostDepth = 64;
constexpr int kMostMembers = 1 << 16;

FormatError bad_typestr(const std::string& typestr, std::size_t position) {
    return FormatError("typestr: '" + typestr + "' has no format", position);
}

/// The number behind the letter; "|O" may go without.
std::int64_t size_of_typestr(const std::string& typestr) {
    if (typestr == "|O") return sizeof(PyObject*);
    if (typestr.size() < 3) throw bad_typestr(typestr, typestr.size());
    std::int64_t size = 0;
    for (std::size_t i = 2; i < typestr.size(); ++i) {
        if (typestr[i] < '0' || typestr[i] > '9' || size > kMostBytes)
            throw bad_typestr(typestr, i);
        size = size * 10 + (typestr[i] - '0');
    }
    return size;
}

/// "<f8" as a PEP 3118 format. @throws FormatError.
std::string text_of_typestr(const std::string& typestr) {
    if (!is_typestr(typestr)) throw bad_typestr(typestr, 0);
    const char kind = typestr[1];
    if (kind == 'M' || kind == 'm') {
        throw FormatError(
            "typestr: '" + typestr + "': PEP 3118 has no dates; view the items as int64 ('<i8')",
            1);
    }
    const std::int64_t size = size_of_typestr(typestr);
    const char order = typestr[0];
    const std::string prefix = order == '|' ? "" : std::string(1, order);
    const auto number = [&](const char* codes, std::initializer_list<std::int64_t> sizes) {
        std::size_t i = 0;
        for (const std::int64_t s : sizes) {
            if (s == size) return prefix + codes[i];
            ++i;
        }
        throw bad_typestr(typestr, 2);
    };
    switch (kind) {
        case 'b':
            return number("?", {1});
        case 'i':
            return number("bhiq", {1, 2, 4, 8});
        case 'u':
            return number("BHIQ", {1, 2, 4, 8});
        case 'f':
            return number("efdg", {2, 4, 8, sizeof(long double)});
        case 'c':
            return number("FDG", {8, 16, 2 * sizeof(long double)});
        case 'S':
            return std::to_string(size) + "s";
        case 'U':
            return prefix + std::to_string(size) + "w";
        case 'V':
            return std::to_string(size) + "x";
        case 'O':
            if (size == sizeof(PyObject*)) return "O";
            throw bad_typestr(typestr, 2);
        default:  // 't', bit fields: no array library makes them
            throw bad_typestr(typestr, 1);
    }
}

/// Spells a descr out, unaligned; what lies between members is there as members without a name.
class DescrReader {
public:
    std::string read(const py::list& descr) {
        text_ = "^";
        add_record(descr, 0);
        return std::move(text_);
    }

private:
    void add_record(const py::list& descr, int depth) {
        if (depth > kMostDepth) {
            throw FormatError("descr: nested deeper than " + std::to_string(kMostDepth), 0);
        }
        text_ += "T{";
        const py::tuple members(descr);  // a shape's __index__ may change the list
        for (const py::handle member : members)
            add_member(member, depth);
        text_ += "}";
    }

    void add_member(py::handle member, int depth) {
        if (++members_ > kMostMembers) {
            throw FormatError("descr: more than " + std::to_string(kMostMembers) + " members", 0);
        }
        if (!PyTuple_Check(member.ptr())) throw FormatError("descr: a member is no tuple", 0);
        const auto parts = py::reinterpret_borrow<py::tuple>(member);
        if (parts.size() != 2 && parts.size() != 3) {
            throw FormatError("descr: a member is no tuple of 2 or 3", 0);
        }
        const std::string name = name_of(parts[0]);
        if (parts.size() == 3) add_shape(parts[2]);
        add_type(parts[1], depth);
        if (!name.empty()) text_ += ":" + name + ":";
    }

    /// A name may be (title, name); only the name is part of the format.
    static std::string name_of(py::object name) {
        if (PyTuple_Check(name.ptr()) && PyTuple_GET_SIZE(name.ptr()) == 2) {
            name = py::reinterpret_borrow<py::object>(PyTuple_GET_ITEM(name.ptr(), 1));
        }
        if (!PyUnicode_Check(name.ptr())) throw FormatError("descr: a name is no string", 0);
        std::string text = read_text(name.ptr(), "descr");
        if (text.find(':') != std::string::npos) {
            throw FormatError("descr: name '" + text + "' holds a ':'", 0);
        }
        return text;
    }

    void add_shape(const py::object& shape) {
        try {
            const std::vector<std::int64_t> extents = read_shape(shape.ptr(), "descr");
            for (std::size_t i = 0; i < extents.size(); ++i)
                text_ += (i == 0 ? "(" : ",") + std::to_string(extents[i]);
            if (!extents.empty()) text_ += ")";
        } catch (const LayoutError& error) {
            throw FormatError(error.what(), 0);
        }
    }

    void add_type(const py::object& type, int depth) {
        if (PyUnicode_Check(type.ptr())) {
            text_ += text_of_typestr(read_text(type.ptr(), "descr"));
        } else if (PyList_Check(type.ptr())) {
            add_record(type.cast<py::list>(), depth + 1);
        } else {
            throw FormatError("descr: a member's type is neither a string nor a list", 0);
        }
    }

    std::string text_;
    int members_ = 0;
};

}  // namespace

bool is_typestr(const std::string& text) noexcept {
    const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
    return text.size() >= 2 && text.size() <= 32 &&
           std::string_view("<>|=").find(text[0]) != std::string_view::npos && is_letter(text[1]);
}

Format format_of_typestr(const std::string& typestr) {
    std::string text = text_of_typestr(typestr);
    // Native order is said without a letter: memoryview reads items of format "i", not of "<i".
    const char native = PY_LITTLE_ENDIAN ? '<' : '>';
    if (text[0] == '=' || text[0] == native) text.erase(0, 1);
    return Format(std::move(text));
}

Format format_of_descr(const py::list& descr) { return Format(DescrReader().read(descr)); }

Format format_of_descr(const py::list& descr, std::int64_t itemsize) {
    return Format::with_itemsize(DescrReader().read(descr), itemsize);
}

}  // namespace devview::python
