// What devview throws: one class per Python exception. Messages read "function: what: value,
// limit".
#pragma once

#include <cstddef>
#include <stdexcept>
#include <string>
#include <utility>

#include "devview/export.hpp"

namespace devview {

/// Base of all errors of this library (dv.Error).
class DEVVIEW_CORE_API Error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
    ~Error() override;
};

/// A format that cannot be read (dv.FormatError, a ValueError); position() counts bytes from 0.
class DEVVIEW_CORE_API FormatError : public Error {
public:
    FormatError(const std::string& what, std::size_t position) : Error(what), position_(position) {}
    ~FormatError() override;
    std::size_t position() const noexcept { return position_; }

private:
    std::size_t position_;
};

/// Shapes, strides, axes or slices that make no sense (dv.LayoutError, a ValueError).
class DEVVIEW_CORE_API LayoutError : public Error {
public:
    using Error::Error;
    ~LayoutError() override;
};

/// The memory is in use, read-only, or of a form that was not asked for (BufferError).
class DEVVIEW_CORE_API BufferError : public Error {
public:
    using Error::Error;
    ~BufferError() override;
};

/// A view or allocation was used after its release (ValueError, as memoryview).
class DEVVIEW_CORE_API ReleasedError : public Error {
public:
    using Error::Error;
    ~ReleasedError() override;
};

/// A call of the CUDA runtime failed (dv.DeviceError, a RuntimeError), with CUDA's code and name.
class DEVVIEW_CORE_API DeviceError : public Error {
public:
    DeviceError(const std::string& what, int code, std::string name, std::string first_seen = {})
        : Error(what), code_(code), name_(std::move(name)), first_seen_(std::move(first_seen)) {}
    ~DeviceError() override;
    int code() const noexcept { return code_; }
    const std::string& name() const noexcept { return name_; }
    /// The device has failed for good: every later call of it returns this code.
    bool sticky() const noexcept { return !first_seen_.empty(); }
    /// The call of ours that saw a sticky error first, and its device ("memcpy on cuda:1"). The
    /// cause came before, from any library. Empty for other errors.
    const std::string& first_seen() const noexcept { return first_seen_; }

private:
    int code_;
    std::string name_;
    std::string first_seen_;
};

/// A device name that means nothing (dv.DeviceNameError, a DeviceError and a ValueError).
class DEVVIEW_CORE_API NameError : public Error {
public:
    using Error::Error;
    ~NameError() override;
};

/// Memory is exhausted (dv.OutOfMemory, a MemoryError); all figures in bytes, limit 0: unknown.
class DEVVIEW_CORE_API OutOfMemory : public Error {
public:
    OutOfMemory(const std::string& what, std::size_t requested, std::size_t used, std::size_t limit)
        : Error(what), requested_(requested), used_(used), limit_(limit) {}
    ~OutOfMemory() override;
    std::size_t requested() const noexcept { return requested_; }
    std::size_t used() const noexcept { return used_; }
    std::size_t limit() const noexcept { return limit_; }

private:
    std::size_t requested_;
    std::size_t used_;
    std::size_t limit_;
};

}  // namespace devview
