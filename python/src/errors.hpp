// Errors of Python's side alone: devview's classes that are memoryview's class for it too.
#pragma once

#include "devview/error.hpp"

namespace devview::python {

/// dv.CastError, a LayoutError: a cast that does not fit is a TypeError of memoryview.
class CastError : public LayoutError {
public:
    using LayoutError::LayoutError;
};

/// dv.Refused, a BufferError: what was asked for is no value that can be answered. Where DLPack's
/// and the Array API's texts say ValueError in one paragraph and BufferError in another, it is
/// both.
class Refused : public BufferError {
public:
    using BufferError::BufferError;
};

/// dv.RangeError, a LayoutError: an extent, stride or index beyond 64 bits is an OverflowError.
class RangeError : public LayoutError {
public:
    using LayoutError::LayoutError;
};

}  // namespace devview::python
