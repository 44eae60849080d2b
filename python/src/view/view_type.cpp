// The View type: its slots put together, and its place in the module.
#include <Python.h>  // before structmember.h, which leans on it

#include <structmember.h>

#include <cstddef>

#include "device/stream_object.hpp"
#include "view/view_object.hpp"
#include "view/view_slots.hpp"

namespace devview::python {

namespace {

PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(ViewObject, weakrefs), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr},
};

constexpr const char* kDoc = R"(View(obj, /, *, device=None, stream=None, copy=None, readonly=None)
--

A typed, strided window on memory wherever it lives.

A View knows its device, layout, item format, and who must be told when it is done. Slicing and
reshaping share the memory. A host view is a PEP 3118 buffer as it stands; a device view is one too:
the consumer sees a pinned staging copy, given back with the buffer. The memory is given back at the
instant its last view or export goes. ``dv.view(obj)`` makes one with options.)";

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>(kDoc)},
    {Py_tp_new, reinterpret_cast<void*>(view_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(view_dealloc)},
    {Py_tp_traverse, reinterpret_cast<void*>(view_traverse)},
    {Py_tp_finalize, reinterpret_cast<void*>(view_finalize)},
    {Py_tp_clear, reinterpret_cast<void*>(view_clear)},
    {Py_tp_repr, reinterpret_cast<void*>(view_repr)},
    {Py_tp_hash, reinterpret_cast<void*>(view_hash)},
    {Py_tp_richcompare, reinterpret_cast<void*>(view_richcompare)},
    {Py_tp_getset, view_attributes},
    {Py_tp_iter, reinterpret_cast<void*>(view_iter)},
    {Py_tp_methods, view_methods},
    {Py_tp_members, members},
    {Py_mp_length, reinterpret_cast<void*>(view_length)},
    {Py_mp_subscript, reinterpret_cast<void*>(view_subscript)},
    {Py_mp_ass_subscript, reinterpret_cast<void*>(view_assign_subscript)},
    {Py_sq_length, reinterpret_cast<void*>(view_length)},
    {Py_sq_item, reinterpret_cast<void*>(view_item)},
    {Py_bf_getbuffer, reinterpret_cast<void*>(view_getbuffer)},
    {Py_bf_releasebuffer, reinterpret_cast<void*>(view_releasebuffer)},
    {0, nullptr},
};

PyType_Spec spec = {
    "devview.View",
    sizeof(ViewObject),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_SEQUENCE | Py_TPFLAGS_IMMUTABLETYPE,
    slots,
};

}  // namespace

void make_view_type(py::module_& module) {
    view_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
    if (view_type == nullptr) throw py::error_already_set();
    view_type->tp_vectorcall = view_vectorcall;  // no slot for it before Python 3.14
    module.add_object("View",
                      py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(view_type)));
}

}  // namespace devview::python
