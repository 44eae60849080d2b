// The named tuple types that records are read as: made once per set of names.
#pragma once

#include "devview/format.hpp"
#include "python.hpp"

namespace devview::python {

/// A tuple for a record's members whose places are still empty.
struct NewRecord {
    py::object
        tuple;  ///< of a named tuple type; plain if no member has a name, or there are too many
    bool only_scalars;  ///< no member can be part of a reference cycle
};

NewRecord new_record(const FormatNode& record);

/// Adds _record, which pickled records name: their types are made at run time.
void bind_records(py::module_& module);

}  // namespace devview::python
