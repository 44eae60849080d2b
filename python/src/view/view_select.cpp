// Keys of ints and slices on axes without suboffsets.
#include "view/view_select.hpp"

namespace devview::python {

bool select_plain_keys(const View& view, const Keys& keys, PlainSelection& to) {
    const int ndim = view.ndim();
    if (view.suboffsets() != nullptr || !keys.is_plain() || keys.size() > ndim ||
        view.format().is_packed()) {
        return false;
    }
    if (ndim == 0 && !keys.is_tuple()) return false;
    bool empty = false;
    for (int axis = 0; axis < ndim; ++axis) {
        std::int64_t extent = view.shape()[axis];
        std::int64_t stride = view.strides()[axis];
        empty = empty || extent == 0;
        if (axis < keys.size() && keys[axis].kind == Key::Kind::index) {
            const Py_ssize_t index = keys[axis].start;
            const std::int64_t at = index < 0 ? index + extent : index;
            if (at < 0 || at >= extent) return false;
            to.shift += at * stride;
            continue;
        }
        if (axis < keys.size()) {
            Py_ssize_t start = keys[axis].start;
            Py_ssize_t stop = keys[axis].stop;
            const Py_ssize_t step = keys[axis].step;
            extent = PySlice_AdjustIndices(static_cast<Py_ssize_t>(extent), &start, &stop, step);
            empty = empty || extent == 0;
            if (extent > 0) to.shift += start * stride;
            if (__builtin_mul_overflow(stride, std::int64_t{step}, &stride)) return false;
        }
        to.shape[to.axes] = extent;
        to.strides[to.axes++] = stride;
    }
    if (empty) to.shift = 0;  // an empty view never points past its memory
    return true;
}

namespace {

/// A bound of a slice; false for what user code or the general path must read.
bool read_bound(PyObject* value, Py_ssize_t missing, Py_ssize_t& to) noexcept {
    if (value == Py_None) {
        to = missing;
        return true;
    }
    if (!PyLong_CheckExact(value)) return false;
    to = PyLong_AsSsize_t(value);
    if (to != -1 || PyErr_Occurred() == nullptr) return true;
    PyErr_Clear();
    return false;
}

/// PySlice_AdjustIndices for a step above zero; most steps are 1, and need no division.
Py_ssize_t adjust(std::int64_t extent, Py_ssize_t& start, Py_ssize_t stop, Py_ssize_t step) {
    const auto clamp = [&](Py_ssize_t at) {
        if (at < 0) at += extent;
        return at < 0 ? 0 : at > extent ? extent : at;
    };
    start = clamp(start);
    const Py_ssize_t span = clamp(stop) - start;
    if (span <= 0) return 0;
    return step == 1 ? span : (span - 1) / step + 1;
}

/// Axis `axis` of `view` by one part of a key: an exact int, or a slice of them. As
/// select_plain_keys().
bool select_axis(const View& view, int axis, PyObject* part, PlainSelection& to) noexcept {
    const std::int64_t extent = view.shape()[axis];
    std::int64_t stride = view.strides()[axis];
    Py_ssize_t start = 0;
    if (PySlice_Check(part)) {
        const auto* const slice = reinterpret_cast<const PySliceObject*>(part);
        Py_ssize_t stop = 0;
        Py_ssize_t step = 1;
        if (!read_bound(slice->step, 1, step) || step <= 0 || !read_bound(slice->start, 0, start) ||
            !read_bound(slice->stop, extent, stop)) {
            return false;
        }
        const Py_ssize_t count = adjust(extent, start, stop, step);
        if (count == 0) return false;
        to.shift += start * stride;
        if (__builtin_mul_overflow(stride, std::int64_t{step}, &stride)) return false;
        to.shape[to.axes] = count;
        to.strides[to.axes++] = stride;
        return true;
    }
    if (!PyLong_CheckExact(part) || !read_bound(part, 0, start)) return false;
    if (start < 0) start += extent;
    if (start < 0 || start >= extent) return false;
    to.shift += start * stride;
    return true;
}

}  // namespace

bool select_plain(const View& view, PyObject* key, PlainSelection& to) noexcept {
    const int ndim = view.ndim();
    if (ndim < 1 || view.suboffsets() != nullptr || view.format().is_packed()) {
        return false;
    }
    int axis = 0;
    if (PySlice_Check(key)) {
        if (!select_axis(view, axis++, key, to)) return false;
    } else if (PyTuple_CheckExact(key) && PyTuple_GET_SIZE(key) <= ndim) {
        for (; axis < PyTuple_GET_SIZE(key); ++axis) {
            if (!select_axis(view, axis, PyTuple_GET_ITEM(key, axis), to)) return false;
        }
    } else {
        return false;
    }
    for (; axis < ndim; ++axis) {
        if (view.shape()[axis] == 0) return false;
        to.shape[to.axes] = view.shape()[axis];
        to.strides[to.axes++] = view.strides()[axis];
    }
    return to.axes > 0;
}

}  // namespace devview::python
