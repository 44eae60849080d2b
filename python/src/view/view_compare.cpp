// == by value in place, and the hash of read-only bytes.
#include <cstring>
#include <optional>

#include "buffer/host_access.hpp"
#include "devview/compare.hpp"
#include "devview/cuda/compare.hpp"
#include "devview/error.hpp"
#include "import.hpp"
#include "item/item.hpp"
#include "owner.hpp"
#include "view/view_object.hpp"
#include "view/view_slots.hpp"

namespace devview::python {

namespace {

// Items that hold Python objects: only Python knows whether they are equal.

bool equal_items(const FormatNode& a_format, const char* a, const FormatNode& b_format,
                 const char* b) {
    const auto left = py::reinterpret_steal<py::object>(unpack_item(a_format, a));
    const auto right = py::reinterpret_steal<py::object>(unpack_item(b_format, b));
    // Not PyObject_RichCompareBool: a NaN must differ from itself.
    const auto result =
        py::reinterpret_steal<py::object>(PyObject_RichCompare(left.ptr(), right.ptr(), Py_EQ));
    if (!result) throw py::error_already_set();
    const int truth = PyObject_IsTrue(result.ptr());
    if (truth < 0) throw py::error_already_set();
    return truth == 1;
}

struct Side {
    const FormatNode& format;
    const Layout& layout;
};

bool equal_axis(const Side& a, const char* a_data, const Side& b, const char* b_data, int axis) {
    if (axis == a.layout.ndim()) return equal_items(a.format, a_data, b.format, b_data);
    for (std::int64_t i = 0; i < a.layout.shape()[axis]; ++i) {
        if (!equal_axis(a, follow(a.layout, axis, a_data + i * a.layout.strides()[axis]), b,
                        follow(b.layout, axis, b_data + i * b.layout.strides()[axis]), axis + 1)) {
            return false;
        }
    }
    return true;
}

/// Without the items coming to the host, where both are on one device.
std::optional<bool> equal_where_they_are(const View& a, const View& b) {
    if (host_accessible(a.device())) return std::nullopt;
    const GilRelease release;
    return cuda::equal_on_device(a, b);
}

bool equal_views(const View& a, const View& b) {
    constexpr std::int64_t kLong = 65536;
    if (!same_shape(a.layout(), b.layout())) return false;
    if (a.size() == 0) return true;
    const FormatNode& a_format = *a.format().node();
    const FormatNode& b_format = *b.format().node();
    const bool objects = a.format().has_objects() || b.format().has_objects();
    if (!objects && !comparable(a_format, b_format)) return false;
    if (!objects) {
        if (const std::optional<bool> equal = equal_where_they_are(a, b)) return *equal;
    }
    const HostItems left(a, "==");
    const HostItems right(b, "==");
    if (objects) {
        return equal_axis({a_format, left.layout()}, left.data(), {b_format, right.layout()},
                          right.data(), 0);
    }
    const auto compare = [&] {
        return equal_host(a_format, left.layout(), left.data(), b_format, right.layout(),
                          right.data());
    };
    if (a.nbytes() <= kLong) return compare();
    const GilRelease release;
    return compare();
}

}  // namespace

PyObject* view_richcompare(PyObject* object, PyObject* other, int operation) {
    if (operation != Py_EQ && operation != Py_NE) Py_RETURN_NOTIMPLEMENTED;
    return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
        bool equal = object == other;
        const View a = view_object(object)->view;  // a copy: comparing items runs user code
        if (is_view(other) && (a.released() || view_object(other)->view.released())) {
            return PyBool_FromLong((object == other) == (operation == Py_EQ));
        }
        if (a.released()) return PyBool_FromLong(equal == (operation == Py_EQ));
        if (!is_view(other) && !PyObject_CheckBuffer(other)) Py_RETURN_NOTIMPLEMENTED;
        View b;
        try {
            b = import_view(other);
        } catch (py::error_already_set&) {
            Py_RETURN_NOTIMPLEMENTED;
        }
        equal = equal_views(a, b);
        return PyBool_FromLong(equal == (operation == Py_EQ));
    });
}

Py_hash_t view_hash(PyObject* object) {
    auto* const self = view_object(object);
    if (self->hash != -1) return self->hash;
    return guarded<Py_hash_t>(-1, [&]() -> Py_hash_t {
        const View view = live_view(object);
        if (!view.readonly()) throw py::value_error("cannot hash writable View object");
        // As memoryview: bytes only, so that hash(v) == hash(v.tobytes()) can hold for all.
        const char code = view.format().code();
        if (view.itemsize() != 1 || (code != 'B' && code != 'b' && code != 'c')) {
            throw py::value_error("View: hashing is restricted to formats 'B', 'b' or 'c'");
        }
        PyObject* const owner = owner_of(*view.allocation());
        if (owner != nullptr && PyObject_Hash(owner) == -1) return -1;  // it may still change
        const auto bytes =
            py::reinterpret_steal<py::object>(PyObject_CallMethod(object, "tobytes", nullptr));
        if (!bytes) throw py::error_already_set();
        self->hash = PyObject_Hash(bytes.ptr());
        return self->hash;
    });
}

}  // namespace devview::python
