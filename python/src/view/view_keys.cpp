// The keys of v[...], read once.
#include "view/view_keys.hpp"

namespace devview::python {

namespace {

bool is_inert(PyObject* part) noexcept {
    if (PySlice_Check(part)) {
        const auto* const slice = reinterpret_cast<const PySliceObject*>(part);
        return is_inert(slice->start) && is_inert(slice->stop) && is_inert(slice->step);
    }
    return PyLong_CheckExact(part) || part == Py_None || part == Py_Ellipsis;
}

}  // namespace

bool Keys::are_inert(PyObject* key) noexcept {
    if (!PyTuple_Check(key)) return is_inert(key);
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(key); ++i) {
        if (!is_inert(PyTuple_GET_ITEM(key, i))) return false;
    }
    return true;
}

Keys::Keys(PyObject* key) : is_tuple_(PyTuple_Check(key)) {
    if (!is_tuple_) {
        read(key, keys_[0]);
        return;
    }
    count_ = PyTuple_GET_SIZE(key);
    if (count_ > kInline) {
        heap_.reset(new Key[static_cast<std::size_t>(count_)]);
        keys_ = heap_.get();
    }
    for (Py_ssize_t i = 0; i < count_; ++i)
        read(PyTuple_GET_ITEM(key, i), keys_[i]);
}

void Keys::read(PyObject* part, Key& to) {
    if (part == Py_Ellipsis) {
        if (has_ellipsis_) throw py::index_error("index: more than one ellipsis");
        has_ellipsis_ = true;
        to.kind = Key::Kind::ellipsis;
    } else if (part == Py_None) {
        to.kind = Key::Kind::new_axis;
    } else if (PySlice_Check(part)) {
        to.kind = Key::Kind::slice;
        ++axes_;
        if (PySlice_Unpack(part, &to.start, &to.stop, &to.step) != 0) {
            throw py::error_already_set();
        }
    } else if (PyIndex_Check(part)) {
        to.kind = Key::Kind::index;
        ++axes_;
        to.start = PyNumber_AsSsize_t(part, PyExc_IndexError);
        if (to.start == -1 && PyErr_Occurred()) throw py::error_already_set();
    } else {
        PyErr_Format(PyExc_TypeError,
                     "index: a %.100s is none of int, slice, None, Ellipsis, field name",
                     Py_TYPE(part)->tp_name);
        throw py::error_already_set();
    }
}

}  // namespace devview::python
