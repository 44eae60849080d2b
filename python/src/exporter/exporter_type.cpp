// The C base of dv.Exporter, and the slots of the classes below it.
#include "exporter/exporter.hpp"
#include "exporter/exporter_methods.hpp"
#include "exporter/exporter_native.hpp"

namespace devview::python {

namespace {

// No member of its own: an instance may have the layout of any other base, __slots__ or a dict.
PyType_Slot slots[] = {
    {Py_tp_traverse, reinterpret_cast<void*>(exporter_traverse)},
    {Py_tp_finalize, reinterpret_cast<void*>(exporter_finalize)},
    {Py_tp_methods, exporter_base_methods},
    {Py_tp_getset, exporter_base_attributes},
    {0, nullptr},
};

PyType_Spec spec = {
    "devview._devview._ExporterBase",
    sizeof(PyObject),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_IMMUTABLETYPE,
    slots,
};

/// Puts the slots in that the class's methods call for; those of the interpreter (3.12) and those
/// inherited go. True if the class is a buffer.
///
/// A class without a getter has none, so that consumers see no buffer at all; buffers that are out
/// when it loses its getter still come back to their exports.
bool install_slots(const py::type& cls) {
    auto* const type = reinterpret_cast<PyTypeObject*>(cls.ptr());
    if (!PyType_IsSubtype(type, exporter_base) || type == exporter_base) {
        throw py::type_error("install_slots: not a subclass of Exporter");
    }
    const Definition getter = find_getter(type);
    PyBufferProcs* const procs = type->tp_as_buffer;
    procs->bf_getbuffer = nullptr;
    procs->bf_releasebuffer = exporter_releasebuffer;
    if (getter.kind == Definition::Kind::python) {
        procs->bf_getbuffer = exporter_getbuffer;
    } else if (getter.kind == Definition::Kind::native) {
        const bool mixed = find_releaser(type, false).kind == Definition::Kind::python;
        procs->bf_getbuffer = getter.native->tp_as_buffer->bf_getbuffer;
        if (mixed) procs->bf_releasebuffer = mixed_release_slot();
    }
    return procs->bf_getbuffer != nullptr;
}

py::dict buffer_flags() {
    py::dict flags;
#define DEVVIEW_FLAG(name) flags[#name] = PyBUF_##name
    DEVVIEW_FLAG(SIMPLE);
    DEVVIEW_FLAG(WRITABLE);
    DEVVIEW_FLAG(FORMAT);
    DEVVIEW_FLAG(ND);
    DEVVIEW_FLAG(STRIDES);
    DEVVIEW_FLAG(C_CONTIGUOUS);
    DEVVIEW_FLAG(F_CONTIGUOUS);
    DEVVIEW_FLAG(ANY_CONTIGUOUS);
    DEVVIEW_FLAG(INDIRECT);
    DEVVIEW_FLAG(CONTIG);
    DEVVIEW_FLAG(CONTIG_RO);
    DEVVIEW_FLAG(STRIDED);
    DEVVIEW_FLAG(STRIDED_RO);
    DEVVIEW_FLAG(RECORDS);
    DEVVIEW_FLAG(RECORDS_RO);
    DEVVIEW_FLAG(FULL);
    DEVVIEW_FLAG(FULL_RO);
    DEVVIEW_FLAG(READ);
    DEVVIEW_FLAG(WRITE);
#undef DEVVIEW_FLAG
    return flags;
}

}  // namespace

void bind_exporter(py::module_& module) {
    method_names = {PyUnicode_InternFromString("__buffer__"),
                    PyUnicode_InternFromString("__release_buffer__"),
                    PyUnicode_InternFromString("__getbuffer__"),
                    PyUnicode_InternFromString("__releasebuffer__")};
    prepare_native();
    exporter_base = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
    if (exporter_base == nullptr) throw py::error_already_set();
    module.add_object("_ExporterBase", py::reinterpret_borrow<py::object>(
                                           reinterpret_cast<PyObject*>(exporter_base)));
    module.def("_install_slots", install_slots, py::arg("cls"), py::pos_only());
    module.def("_buffer_flags", buffer_flags, "PyBUF_* of the interpreter's headers, by name.");
    bind_get_buffer(module);
}

}  // namespace devview::python
