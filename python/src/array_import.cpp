// Half the cost of a buffer of a NumPy array is asking for it; its head says the same.
#include "array_import.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <string_view>

#include "owner.hpp"

namespace devview::python {

namespace {

// The beginnings of PyArray_Descr and PyArrayObject_fields (numpy/ndarraytypes.h). Extensions have
// them compiled in, by way of PyArray_DATA and its like, so they stay for a version of NumPy's ABI.
struct DescrHead {
    PyObject_HEAD PyObject* scalar_type;
    char kind;
    char type;
    char byteorder;
    char flags;
    int type_number;
};
struct ArrayHead {
    PyObject_HEAD char* data;
    int ndim;
    const Py_ssize_t* shape;
    const Py_ssize_t* strides;
    PyObject* base;
    const DescrHead* descr;
    int flags;
};

constexpr int kCContiguous = 0x1;
constexpr int kFContiguous = 0x2;
constexpr int kAligned = 0x100;
constexpr int kWriteable = 0x400;
constexpr int kWarnOnWrite = static_cast<int>(0x80000000u);

// Entries of NumPy's table of C functions (numpy/__multiarray_api.h).
constexpr int kVersionEntry = 0;
constexpr int kArrayTypeEntry = 2;

// The ABIs of NumPy 1 and 2; a third one would have to be read first.
constexpr unsigned kKnownAbis[] = {0x01000009, 0x02000000};

constexpr int kTypeCount = 24;
constexpr int kHalf = 23;

// By type number (NPY_TYPES), as NumPy's own exporter spells native, aligned items. Objects, text,
// records and times are missing: their formats need more than a number, or do not exist.
const Format* formats[kTypeCount];

// Remembered once seen, and held: a static type, which nobody can change or free, so that an object
// of it is what it was whenever it comes. NumPy itself cannot be loaded twice into a process.
PyTypeObject* array_type = nullptr;

void fill_formats() {
    constexpr std::string_view kScalars = "?bBhHiIlLqQfdg";
    constexpr const char* kComplex[] = {"Zf", "Zd", "Zg"};
    int number = 0;
    for (const char code : kScalars)
        formats[number++] = new Format(Format::scalar(code));
    for (const char* const text : kComplex)
        formats[number++] = new Format(text);
    formats[kHalf] = new Format(Format::scalar('e'));
}

/// NumPy's table of C functions, from its module if that is loaded; null otherwise.
void** numpy_functions() {
    // The order matters: the old name is a stub that warns in NumPy 2.
    for (const char* const name :
         {"numpy._core._multiarray_umath", "numpy.core._multiarray_umath"}) {
        PyObject* const module = PyDict_GetItemString(PyImport_GetModuleDict(), name);
        if (module == nullptr) continue;
        const auto capsule =
            py::reinterpret_steal<py::object>(PyObject_GetAttrString(module, "_ARRAY_API"));
        if (capsule && PyCapsule_IsValid(capsule.ptr(), nullptr)) {
            return static_cast<void**>(PyCapsule_GetPointer(capsule.ptr(), nullptr));
        }
        PyErr_Clear();
    }
    return nullptr;
}

/// True if `type` is NumPy's array type and arrays can be read here.
bool learn(PyTypeObject* type) {
    if (std::strcmp(type->tp_name, "numpy.ndarray") != 0) return false;
    void** const functions = numpy_functions();
    if (functions == nullptr || functions[kArrayTypeEntry] != type) return false;
    const auto version = reinterpret_cast<unsigned (*)()>(functions[kVersionEntry])();
    if (std::find(std::begin(kKnownAbis), std::end(kKnownAbis), version) == std::end(kKnownAbis) ||
        PyType_HasFeature(type, Py_TPFLAGS_HEAPTYPE) ||
        // Comes before the buffer protocol in the order of dv.view.
        PyObject_HasAttrString(reinterpret_cast<PyObject*>(type), "__dlpack_c_exchange_api__")) {
        return false;
    }
    if (formats[0] == nullptr) fill_formats();
    Py_INCREF(type);
    array_type = type;
    return true;
}

const Format* native_format(const DescrHead& descr) noexcept {
    const bool native = descr.byteorder == '=' || descr.byteorder == '|';
    const int number = descr.type_number;
    return native && number >= 0 && number < kTypeCount ? formats[number] : nullptr;
}

struct Axes {
    std::int64_t shape[3];
    std::int64_t strides[3];
    ByteBounds bounds;
};

/// Dense strides of a contiguous array: extents of 1 may have any in NumPy, but not in its buffers.
bool dense_axes(const ArrayHead& array, std::int64_t itemsize, Axes& axes) noexcept {
    const bool c_order = (array.flags & kCContiguous) != 0;
    std::int64_t size = itemsize;
    for (int k = 0; k < array.ndim; ++k) {
        const int axis = c_order ? array.ndim - 1 - k : k;
        axes.shape[axis] = array.shape[axis];
        axes.strides[axis] = size;
        if (array.shape[axis] <= 0 || __builtin_mul_overflow(size, axes.shape[axis], &size)) {
            return false;
        }
    }
    axes.bounds = {0, size};
    return true;
}

/// The strides as they stand. False for what Layout::strided should look at.
bool strided_axes(const ArrayHead& array, std::int64_t itemsize, Axes& axes) noexcept {
    std::int64_t size = itemsize;
    ByteBounds& bounds = axes.bounds;
    bounds = {0, itemsize};
    for (int axis = 0; axis < array.ndim; ++axis) {
        const std::int64_t extent = axes.shape[axis] = array.shape[axis];
        const std::int64_t stride = axes.strides[axis] = array.strides[axis];
        std::int64_t reach = 0;
        if (extent <= 0 || __builtin_mul_overflow(size, extent, &size) ||
            __builtin_mul_overflow(extent - 1, stride, &reach) ||
            __builtin_add_overflow(reach < 0 ? bounds.low : bounds.high, reach,
                                   reach < 0 ? &bounds.low : &bounds.high)) {
            return false;
        }
    }
    std::int64_t span = 0;
    return !__builtin_sub_overflow(bounds.high, bounds.low, &span);
}

}  // namespace

std::optional<View> import_array(PyObject* object) {
    if (Py_TYPE(object) != array_type && (array_type != nullptr || !learn(Py_TYPE(object)))) {
        return std::nullopt;
    }
    const auto& array = *reinterpret_cast<const ArrayHead*>(object);
    const Format* const format = native_format(*array.descr);
    // Items out of place are spelled in standard sizes, and an array that warns of writes is told
    // of them: the exporter's business.
    if (format == nullptr || array.ndim > 3 || array.data == nullptr ||
        (array.flags & (kAligned | kWarnOnWrite)) != kAligned) {
        return std::nullopt;
    }
    Axes axes;
    const bool dense = (array.flags & (kCContiguous | kFContiguous)) != 0;
    if (!(dense ? dense_axes(array, format->itemsize(), axes)
                : strided_axes(array, format->itemsize(), axes))) {
        return std::nullopt;
    }
    auto allocation = adopt_reference(object, array.data + axes.bounds.low,
                                      static_cast<std::size_t>(axes.bounds.high - axes.bounds.low));
    return std::optional<View>(std::in_place, View::Counted{}, std::move(allocation), array.data,
                               *format, Layout::small(array.ndim, axes.shape, axes.strides),
                               (array.flags & kWriteable) == 0);
}

}  // namespace devview::python
