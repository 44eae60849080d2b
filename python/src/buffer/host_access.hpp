// Reading and writing the items of any view from the host: in place, or through a staging copy.
#pragma once

#include <cstring>
#include <memory>

#include "devview/staging.hpp"
#include "item/item.hpp"
#include "view/view_object.hpp"

namespace devview::python {

/// Rules implicit device→host copies; read by transfer_guard() and asked by every implicit one.
/// @throws py::error_already_set  under "forbid" (a BufferError) or a warning turned error.
void guard_transfer(const View& view, const char* operation);

/// Adds dv.transfer_guard.
void bind_transfer_guard(py::module_& module);

/// The items of a view, readable by the host while this lives, packed ones unpacked to a byte each.
/// Waits (without the GIL) until they are. `operation` names what the user did, for the transfer
/// guard; null: an explicit transfer.
class HostItems {
public:
    HostItems(const View& view, const char* operation, Order order = Order::C);
    const char* data() const noexcept { return data_; }
    const Layout& layout() const noexcept { return *layout_; }

private:
    View view_;  // holds the memory: user code may release the object meanwhile
    std::unique_ptr<Staging> staging_;
    const char* data_;
    const Layout* layout_;
};

/// True if the host reads the view's items in place and nothing has to be waited for.
inline bool plain_host(const View& view) noexcept {
    return view.device().type == DeviceType::cpu && !view.format().is_packed();
}

/// The item at `data` of a plain host view. A tuple or list that it makes may start a collection,
/// whose finalizers may release the view: what is more than one scalar is held meanwhile.
inline PyObject* read_plain(const View& view, const char* data) {
    if (view.format().native_scalar()) return unpack_item(*view.format().node(), data);
    const View held = view;
    return unpack_item(*held.format().node(), data);
}

/// Where the item at `data` of `axis` really lies: a suboffset means one more pointer (PEP 3118).
inline const char* follow(const Layout& layout, int axis, const char* data) noexcept {
    const std::int64_t* const suboffsets = layout.suboffsets();
    if (suboffsets == nullptr || suboffsets[axis] < 0) return data;
    const char* pointer = nullptr;
    std::memcpy(&pointer, data, sizeof pointer);
    return pointer + suboffsets[axis];
}

/// Writes `value` to `where`, a 0-d view of one item of the View object `object`. Packed aside, so
/// that a value whose __index__ or __float__ releases the object is not written (cpython#92888).
/// @throws ReleasedError, py::error_already_set.
void write_item(PyObject* object, const View& where, PyObject* value);

/// Item `index`, in C order, of a view of packed items (packed_items.cpp).
PyObject* read_packed(const View& view, std::int64_t index);
/// As write_item(); the other items in its bytes stay, unless they are written at the same time.
void write_packed(PyObject* object, const View& view, std::int64_t index, PyObject* value);

/// copy() without the GIL.
void copy_items(const View& dst, const View& src, const Stream& stream = {});

}  // namespace devview::python
