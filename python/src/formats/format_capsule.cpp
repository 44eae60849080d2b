#include "formats/format_capsule.hpp"

#include <utility>

namespace devview::python {
namespace {

constexpr const char* kName = "devview_format";

void release_capsule(PyObject* capsule) noexcept {
    const void* node = PyCapsule_GetPointer(capsule, kName);
    if (node == nullptr) {
        PyErr_Clear();  // renamed by someone who took the reference over
        return;
    }
    Format::attach(static_cast<const FormatNode*>(node));
}

}  // namespace

PyObject* new_format_capsule(const Format& format) noexcept {
    const FormatNode* node = Format(format).detach();
    PyObject* capsule = PyCapsule_New(const_cast<FormatNode*>(node), kName, &release_capsule);
    if (capsule == nullptr) Format::attach(node);
    return capsule;
}

}  // namespace devview::python
