// Python arguments read once, checked, with errors that name the argument and the value.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "devview/device.hpp"
#include "devview/format.hpp"
#include "devview/layout.hpp"
#include "devview/stream.hpp"
#include "python.hpp"

namespace devview::python {

/// "cuda:1", a dv.Device, or anything whose str() is such a name. None gives `fallback`.
Device read_device(PyObject* value, Device fallback = {});

/// Whose streams work between memory of `a` and of `b` goes to: those of the one that is a CUDA
/// device, `a` before `b`; raw handles are read for it.
Device stream_device(Device a, Device b) noexcept;

/// None: no stream; an int handle (0 is the legacy stream); a dv.Stream; an object with
/// __cuda_stream__. Raw handles belong to `device`, or to cuda:0 if that is pinned or managed
/// memory; on the cpu there are none.
/// @throws DeviceError  a dv.Stream of another CUDA device.
Stream read_stream(PyObject* value, Device device);

/// The native scalar of a letter, ready to be copied; null for other letters.
const Format* native_format(char letter) noexcept;

/// Whatever dv.Format takes: a format string, a Format, a dtype, ... (format_read.cpp). May run
/// user code.
Format read_format(PyObject* value);

/// The UTF-8 text of a str, or a bytes object as it is. `name` is the argument's.
/// @throws FormatError  a str that has no UTF-8 text, with the position of the character.
std::string read_text(PyObject* value, const char* name);

/// An int or a sequence of ints, each >= 0. `name` is the argument's.
std::vector<std::int64_t> read_shape(PyObject* value, const char* name = "shape");

/// A sequence of ints of any sign.
std::vector<std::int64_t> read_integers(PyObject* value, const char* name);

/// As read_shape, but one extent may be -1: it is computed from `size` items.
std::vector<std::int64_t> read_reshape(PyObject* value, std::int64_t size);

/// "C" or "F" ("A": `any`).
Order read_order(PyObject* value, Order any = Order::C);

std::int64_t read_integer(PyObject* value, const char* name);

}  // namespace devview::python
