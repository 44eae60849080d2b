// Where in an item a value goes, for error messages: members of records, elements of arrays.
#pragma once

#include <cstdint>
#include <string>

namespace devview::python {

/// One step from an item to a part of it; steps are linked on the stack, innermost first.
struct ItemPath {
    const ItemPath* outer;
    const char* name;    ///< of a record's member; null: element `index` of an array
    std::int64_t index;  ///< the member's position, or the element's
};

/// "item: ", or "item: member 'a', member 2, element 1: " for a part.
std::string tell(const ItemPath* path);

}  // namespace devview::python
