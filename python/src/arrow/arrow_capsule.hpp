// Arrow's structs in PyCapsules: named, moved out once, released by whoever has them last.
#pragma once

#include <memory>

#include "devview/arrow_abi.hpp"
#include "python.hpp"

namespace devview::python {

/// The names that the PyCapsule interface fixes.
constexpr const char* capsule_name(const ArrowSchema*) noexcept { return "arrow_schema"; }
constexpr const char* capsule_name(const ArrowArray*) noexcept { return "arrow_array"; }
constexpr const char* capsule_name(const ArrowDeviceArray*) noexcept {
    return "arrow_device_array";
}
constexpr const char* capsule_name(const ArrowArrayStream*) noexcept {
    return "arrow_array_stream";
}
constexpr const char* capsule_name(const ArrowDeviceArrayStream*) noexcept {
    return "arrow_device_array_stream";
}

/// The part that has the release function: the struct itself, or a device array's array.
template <class T>
T& base_of(T& structure) noexcept {
    return structure;
}
inline ArrowArray& base_of(ArrowDeviceArray& structure) noexcept { return structure.array; }

template <class T>
bool released(T& structure) noexcept {
    return base_of(structure).release == nullptr;
}

/// Calls the release function unless that was done, or the struct moved away. An exception that is
/// set stays set; the GIL is let go where a driver lock may be taken.
void release_now(ArrowSchema& structure) noexcept;
void release_now(ArrowArray& structure) noexcept;
void release_now(ArrowDeviceArray& structure) noexcept;
void release_now(ArrowArrayStream& structure) noexcept;
void release_now(ArrowDeviceArrayStream& structure) noexcept;

/// A struct that is ours: moved out of another, or filled by a producer; released at the end unless
/// it was moved on.
template <class T>
struct Owned {
    T value{};

    Owned() noexcept = default;
    explicit Owned(T& from) noexcept : value(from) { base_of(from).release = nullptr; }
    Owned(const Owned&) = delete;
    Owned& operator=(const Owned&) = delete;
    ~Owned() { release_now(value); }
};

/// A capsule that owns a struct (new reference). @throws py::error_already_set.
template <class T>
py::object new_arrow_capsule(std::unique_ptr<Owned<T>> owned) {
    T* const structure = &owned->value;
    PyObject* const capsule =
        PyCapsule_New(structure, capsule_name(structure), [](PyObject* object) {
            auto* const value = static_cast<T*>(
                PyCapsule_GetPointer(object, capsule_name(static_cast<T*>(nullptr))));
            static_assert(offsetof(Owned<T>, value) == 0);
            delete reinterpret_cast<Owned<T>*>(value);
        });
    if (capsule == nullptr) throw py::error_already_set();
    owned.release();
    return py::reinterpret_steal<py::object>(capsule);
}

/// The struct in a capsule, borrowed. @throws py::type_error  `object` is no capsule of that name.
template <class T>
T* arrow_of_capsule(PyObject* object, const char* what) {
    const char* const name = capsule_name(static_cast<T*>(nullptr));
    if (!PyCapsule_IsValid(object, name)) {
        const char* const other =
            PyCapsule_CheckExact(object) ? PyCapsule_GetName(object) : nullptr;
        PyErr_Clear();
        throw py::type_error(std::string(what) + ": expected a capsule '" + name + "', got " +
                             (other != nullptr ? std::string("a capsule '") + other + "'"
                                               : std::string(Py_TYPE(object)->tp_name)));
    }
    return static_cast<T*>(PyCapsule_GetPointer(object, name));
}

}  // namespace devview::python
