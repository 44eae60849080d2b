// The array interface's own words for formats, typestr and descr, read into formats.
#pragma once

#include <string>

#include "devview/format.hpp"
#include "python.hpp"

namespace devview::python {

/// True for a text of the form of a typestr: "<f4", "|V8", "<M8[ns]".
bool is_typestr(const std::string& text) noexcept;

/// "<f8" as a Format. @throws FormatError  also for datetime64, which has no PEP 3118 format.
Format format_of_typestr(const std::string& typestr);

/// A list of (name, typestr or list[, shape]); members without a name and of type V are padding.
/// @throws FormatError.
Format format_of_descr(const py::list& descr);

/// As format_of_descr, for items that are known to take `itemsize` bytes.
Format format_of_descr(const py::list& descr, std::int64_t itemsize);

}  // namespace devview::python
