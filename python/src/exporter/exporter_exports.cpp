// Bookkeeping of live exports outside the instances: those have the layout of their other bases.
#include "exporter/exporter_exports.hpp"

#include <unordered_map>
#include <unordered_set>

namespace devview::python {

namespace {

struct Registry {
    std::unordered_map<PyObject*, Export*> first;
    std::unordered_set<const void*> live;
};

// Never destroyed: buffers are released until the very end of the process.
Registry& registry() {
    static Registry* const made = new Registry;
    return *made;
}

}  // namespace

void add_export(PyObject* self, Export* entry) {
    Registry& all = registry();
    Export*& head = all.first[self];
    try {
        all.live.insert(entry);
    } catch (...) {
        if (head == nullptr) all.first.erase(self);
        throw;
    }
    entry->next = head;
    if (head != nullptr) head->previous = entry;
    head = entry;
}

Export* take_export(PyObject* self, void* internal) noexcept {
    Registry& all = registry();
    if (all.live.erase(internal) == 0) return nullptr;
    auto* const entry = static_cast<Export*>(internal);
    if (entry->next != nullptr) entry->next->previous = entry->previous;
    if (entry->previous != nullptr) {
        entry->previous->next = entry->next;
    } else if (entry->next != nullptr) {
        all.first[self] = entry->next;
    } else {
        all.first.erase(self);
    }
    return entry;
}

Export* first_export(PyObject* self) noexcept {
    const Registry& all = registry();
    const auto found = all.first.find(self);
    return found == all.first.end() ? nullptr : found->second;
}

}  // namespace devview::python
