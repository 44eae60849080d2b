// Half the cost of a buffer of a NumPy array is asking for it; its head says the same.
#include "arrays/array_import.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <string_view>

#include "owner.hpp"
#include "view/view_object.hpp"

namespace devview::python {

// Remembered once seen, and held: a static type, which nobody can change or free, so that an object
// of it is what it was whenever it comes. NumPy itself cannot be loaded twice into a process.
PyTypeObject* array_type = nullptr;

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

const Format* native_format(const DescrHead& descr) noexcept {
    const bool native = descr.byteorder == '=' || descr.byteorder == '|';
    const int number = descr.type_number;
    return native && number >= 0 && number < kTypeCount ? formats[number] : nullptr;
}

/// What is read of an array: everything but its axes, which are checked.
struct ArrayMemory {
    const ArrayHead* head;
    const Format* format;
    ByteBounds bounds;

    const std::int64_t* shape() const noexcept {
        return reinterpret_cast<const std::int64_t*>(head->shape);
    }
    const std::int64_t* strides() const noexcept {
        return reinterpret_cast<const std::int64_t*>(head->strides);
    }
    bool has(int flags) const noexcept { return (head->flags & flags) != 0; }

    /// NumPy keeps any stride for an extent of 1, but its buffers of contiguous arrays do not.
    Layout layout() const noexcept {
        if (!has(kCContiguous | kFContiguous)) return Layout::small(head->ndim, shape(), strides());
        return Layout::small_dense(head->ndim, shape(), format->itemsize(),
                                   has(kCContiguous) ? Order::C : Order::F);
    }
};

/// The bytes that the items span. False for what Layout::strided should look at.
bool read_bounds(const ArrayMemory& memory, ByteBounds& bounds) noexcept {
    const bool dense = memory.has(kCContiguous | kFContiguous);
    const std::int64_t itemsize = memory.format->itemsize();
    std::int64_t size = itemsize;
    std::int64_t low = 0;
    std::int64_t high = itemsize;
    for (int axis = 0; axis < memory.head->ndim; ++axis) {
        const std::int64_t extent = memory.shape()[axis];
        if (extent <= 0 || __builtin_mul_overflow(size, extent, &size)) return false;
        if (dense) continue;
        std::int64_t reach = 0;
        if (__builtin_mul_overflow(extent - 1, memory.strides()[axis], &reach) ||
            __builtin_add_overflow(reach < 0 ? low : high, reach, reach < 0 ? &low : &high)) {
            return false;
        }
    }
    bounds = {low, dense ? size : high};
    std::int64_t span = 0;
    return !__builtin_sub_overflow(bounds.high, bounds.low, &span);
}

bool read_array(PyObject* object, ArrayMemory& memory) noexcept {
    memory.head = reinterpret_cast<const ArrayHead*>(object);
    memory.format = native_format(*memory.head->descr);
    // Items out of place are spelled in standard sizes, and an array that warns of writes is told
    // of them: the exporter's business.
    return memory.format != nullptr && memory.head->ndim <= 3 && memory.head->data != nullptr &&
           (memory.head->flags & (kAligned | kWarnOnWrite)) == kAligned &&
           read_bounds(memory, memory.bounds);
}

std::shared_ptr<Allocation> adopt(PyObject* object, const ArrayMemory& memory) {
    return adopt_reference(object, memory.head->data + memory.bounds.low,
                           static_cast<std::size_t>(memory.bounds.high - memory.bounds.low));
}

}  // namespace

bool learn_array_type(PyTypeObject* type) {
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

std::optional<View> import_array(PyObject* object) {
    ArrayMemory memory;
    if (!is_array(object) || !read_array(object, memory)) return std::nullopt;
    return std::optional<View>(
        std::in_place, View::Counted{}, adopt(object, memory), memory.head->data, *memory.format,
        [&] { return memory.layout(); }, !memory.has(kWriteable));
}

View array_view(PyObject* object) {
    ArrayMemory memory;
    if (!is_array(object) || !read_array(object, memory)) return View();
    return View(
        View::Counted{}, adopt(object, memory), memory.head->data, *memory.format,
        [&] { return memory.layout(); }, !memory.has(kWriteable));
}

PyObject* new_array_view(PyObject* object) {
    if (!is_array(object)) return nullptr;
    NewView room;
    ArrayMemory memory;
    if (!read_array(object, memory)) return nullptr;
    auto allocation = adopt(object, memory);
    PyObject* const made = room.make([&] {
        return View(
            View::Counted{}, std::move(allocation), memory.head->data, *memory.format,
            [&] { return memory.layout(); }, !memory.has(kWriteable));
    });
    if (tracing) trace_origin(*view_object(made)->view.allocation());
    return made;
}

}  // namespace devview::python
