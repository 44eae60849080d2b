"""A program in Python that uses the C libraries by ctypes alone: no module of devview is loaded.

Run as ``python -I c_program.py FOLDER``, with the folder that holds the libraries. Exits with 0 if
all that it looked at was right.
"""

from __future__ import annotations

import ctypes as c
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

OK, ARGUMENT, VERSION, SIZE, MEMORY, FORMAT, LAYOUT, BUFFER, RELEASED, DEVICE = range(10)
NO_STREAM, MISSING = -1, -(2**63)
HANDLE, POINTER_TO_HANDLE = c.c_void_p, c.POINTER(c.c_void_p)
INT64S = c.POINTER(c.c_int64)
RELEASE = c.CFUNCTYPE(None, c.c_void_p, c.c_ssize_t)


class Device(c.Structure):
    """``devview_device``, which is passed by value."""

    _fields_ = (("type", c.c_int32), ("id", c.c_int32))


class Sized(c.Structure):
    """A structure of the caller: it begins with its size."""

    def __init__(self, **values: object) -> None:
        super().__init__(struct_size=c.sizeof(self), **values)


class Error(Sized):
    """``devview_error``."""

    _fields_ = (
        ("struct_size", c.c_uint32),
        ("status", c.c_int32),
        ("text", c.c_char_p),
        ("position", c.c_int64),
        ("code", c.c_int32),
    )


class Block(Sized):
    """``devview_block``."""

    _fields_ = (
        ("struct_size", c.c_uint32),
        ("device", Device),
        ("data", c.c_void_p),
        ("nbytes", c.c_size_t),
        ("stream", c.c_ssize_t),
        ("release", RELEASE),
        ("context", c.c_void_p),
    )


class AllocationInfo(Sized):
    """``devview_allocation_info``."""

    _fields_ = (
        ("struct_size", c.c_uint32),
        ("device", Device),
        ("data", c.c_void_p),
        ("nbytes", c.c_size_t),
        ("stream", c.c_ssize_t),
        ("views", c.c_int64),
        ("exports", c.c_int64),
        ("foreign", c.c_uint8),
        ("freed", c.c_uint8),
    )


class ViewSpec(Sized):
    """``devview_view_spec``."""

    _fields_ = (
        ("struct_size", c.c_uint32),
        ("ndim", c.c_int32),
        ("data", c.c_void_p),
        ("format", HANDLE),
        ("shape", INT64S),
        ("strides", INT64S),
        ("suboffsets", INT64S),
        ("readonly", c.c_uint8),
    )


class ViewInfo(Sized):
    """``devview_view_info``."""

    _fields_ = (
        ("struct_size", c.c_uint32),
        ("device", Device),
        ("ndim", c.c_int32),
        ("data", c.c_void_p),
        ("format", HANDLE),
        ("shape", INT64S),
        ("strides", INT64S),
        ("suboffsets", INT64S),
        ("itemsize", c.c_int64),
        ("size", c.c_int64),
        ("nbytes", c.c_int64),
        ("stream", c.c_ssize_t),
        ("readonly", c.c_uint8),
        ("c_contiguous", c.c_uint8),
        ("f_contiguous", c.c_uint8),
    )


class Emulator(Sized):
    """``devview_cuda_emulator``."""

    _fields_ = (
        ("struct_size", c.c_uint32),
        ("devices", c.c_int32),
        ("memory", c.c_size_t),
        ("delay_us", c.c_int64),
        ("lazy", c.c_uint8),
    )


CPU, FIRST = Device(1, 0), Device(2, 0)
CORE = {
    "devview_last_error_details": (c.POINTER(Error),),
    "devview_format_parse": (c.c_char_p, c.c_int64, POINTER_TO_HANDLE),
    "devview_format_release": (HANDLE,),
    "devview_format_str": (HANDLE, c.c_char_p, c.c_size_t, c.POINTER(c.c_size_t)),
    "devview_device_str": (Device, c.c_char_p, c.c_size_t, c.POINTER(c.c_size_t)),
    "devview_allocation_new": (c.c_size_t, c.c_uint32, POINTER_TO_HANDLE),
    "devview_allocation_adopt": (c.POINTER(Block), POINTER_TO_HANDLE),
    "devview_allocation_describe": (HANDLE, c.POINTER(AllocationInfo)),
    "devview_allocation_free": (HANDLE,),
    "devview_allocation_release": (HANDLE,),
    "devview_live_allocations": (c.POINTER(c.c_size_t),),
    "devview_view_of": (c.POINTER(ViewSpec), HANDLE, POINTER_TO_HANDLE),
    "devview_view_describe": (HANDLE, c.POINTER(ViewInfo)),
    "devview_view_slice": (HANDLE, c.c_int32, *(c.c_int64,) * 3, POINTER_TO_HANDLE),
    "devview_view_transpose": (HANDLE, c.POINTER(c.c_int32), POINTER_TO_HANDLE),
    "devview_view_copy": (HANDLE, HANDLE),
    "devview_view_fill": (HANDLE, c.c_void_p),
    "devview_view_equal": (HANDLE, HANDLE, c.POINTER(c.c_int32)),
    "devview_view_retain": (HANDLE,),
    "devview_view_release": (HANDLE,),
    "devview_view_to_dlpack": (HANDLE, POINTER_TO_HANDLE),
    "devview_view_from_dlpack": (c.c_void_p, POINTER_TO_HANDLE),
}
CUDA = {
    "devview_cuda_emulate": (c.POINTER(Emulator),),
    "devview_cuda_emulator_calls": (c.c_char_p, c.POINTER(c.c_size_t)),
    "devview_cuda_emulator_fail": (c.c_char_p, c.c_int32, c.c_int32),
    "devview_cuda_view_to": (HANDLE, Device, c.c_int32, c.c_ssize_t, POINTER_TO_HANDLE),
    "devview_cuda_view_equal": (HANDLE, HANDLE, c.POINTER(c.c_int32)),
}


class Libraries:
    """The functions of both libraries, under their names."""

    def __init__(self, folder: Path) -> None:
        for stem, prototypes in (("core", CORE), ("cuda", CUDA)):
            library = c.CDLL(str(next(folder.glob(f"libdevview_{stem}*"))))
            for name, arguments in prototypes.items():
                function = getattr(library, name)
                function.argtypes, function.restype = arguments, c.c_int32
                setattr(self, name.removeprefix("devview_"), function)
            if stem == "core":
                library.devview_last_error.restype = c.c_char_p
                self.last_error: Callable[[], bytes] = library.devview_last_error

    def made(self, name: str, *arguments: object) -> c.c_void_p:
        """Return the handle that a function makes."""
        handle = HANDLE()
        status = getattr(self, name)(*arguments, c.byref(handle))
        assert status == OK, (name, status, self.last_error())
        assert handle.value is not None
        return handle

    def described(self, handle: c.c_void_p) -> ViewInfo:
        """Return what a view says of itself."""
        info = ViewInfo()
        assert self.view_describe(handle, c.byref(info)) == OK, self.last_error()
        return info

    def live(self) -> int:
        """Return how many allocations live."""
        count = c.c_size_t(77)
        assert self.live_allocations(c.byref(count)) == OK
        return count.value

    @contextmanager
    def view(self, memory: c.Array, fmt: bytes, *shape: int) -> Iterator[c.c_void_p]:
        """Give a view of the memory of a ctypes array, and see that it was given back."""
        released: list[int] = []
        callback = RELEASE(lambda _, stream: released.append(stream))
        block = Block(
            device=CPU,
            data=c.addressof(memory),
            nbytes=c.sizeof(memory),
            stream=NO_STREAM,
            release=callback,
        )
        owner = self.made("allocation_adopt", c.byref(block))
        parsed = self.made("format_parse", fmt, -1)
        extents = (c.c_int64 * len(shape))(*shape)
        spec = ViewSpec(ndim=len(shape), format=parsed, shape=extents)
        view = self.made("view_of", c.byref(spec), owner)
        assert self.format_release(parsed) == OK
        assert self.allocation_release(owner) == OK
        yield view
        assert released == []
        assert self.view_release(view) == OK
        assert released == [NO_STREAM]


def shape_of(info: ViewInfo) -> tuple[int, ...]:
    """Return the extents."""
    return tuple(info.shape[axis] for axis in range(info.ndim))


# --- What is looked at ---


def check_a_view_of_our_memory(lib: Libraries) -> None:
    """See a ctypes array viewed, cut, turned, filled and given back."""
    memory = (c.c_double * 12)(*range(12))
    with lib.view(memory, b"d", 3, 4) as view:
        info = lib.described(view)
        assert shape_of(info) == (3, 4)
        assert (info.strides[0], info.strides[1]) == (32, 8)
        assert (info.itemsize, info.size, info.nbytes, info.readonly) == (8, 12, 96, 0)
        assert info.data == c.addressof(memory)
        text = c.create_string_buffer(8)
        assert lib.format_str(info.format, text, 8, None) == OK
        assert text.value == b"d"
        row = lib.made("view_slice", view, 0, 1, 2, 1)
        turned = lib.made("view_transpose", view, None)
        assert shape_of(lib.described(turned)) == (4, 3)
        seven = c.c_double(7)
        assert lib.view_fill(row, c.byref(seven)) == OK
        assert list(memory) == [*range(4), 7, 7, 7, 7, *range(8, 12)]
        assert lib.view_release(row) == lib.view_release(turned) == OK


def check_copies(lib: Libraries) -> None:
    """Items are copied as the arrays of this program say."""
    source, target = (c.c_int32 * 6)(*range(6)), (c.c_int32 * 6)()
    with lib.view(source, b"i", 6) as left, lib.view(target, b"i", 6) as right:
        backwards = lib.made("view_slice", left, 0, MISSING, MISSING, -1)
        assert lib.view_copy(right, backwards) == OK
        assert list(target) == [5, 4, 3, 2, 1, 0]
        equal = c.c_int32(5)
        assert lib.view_equal(right, backwards, c.byref(equal)) == OK
        assert equal.value == 1
        assert lib.view_equal(right, left, c.byref(equal)) == OK
        assert equal.value == 0
        assert lib.view_release(backwards) == OK


def check_refusals(lib: Libraries) -> None:
    """Every status of these functions, its text, and nothing written."""
    memory, handle, details = (c.c_int8 * 4)(), HANDLE(), Error()
    wrong_size = Block(data=c.addressof(memory), nbytes=4, device=CPU)
    wrong_size.struct_size -= 1
    name = c.create_string_buffer(4)
    with lib.view(memory, b"b", 4) as view:
        for call, expected, words in (
            (lambda: lib.view_slice(None, 0, 0, 1, 1, c.byref(handle)), ARGUMENT, b"view: null"),
            (
                lambda: lib.allocation_adopt(c.byref(wrong_size), c.byref(handle)),
                VERSION,
                b"struct_size",
            ),
            (lambda: lib.device_str(FIRST, name, 4, None), SIZE, b"needed 7"),
            (lambda: lib.allocation_new(2**64 - 1, 0, c.byref(handle)), MEMORY, b"requested"),
            (lambda: lib.format_parse(b"iy", -1, c.byref(handle)), FORMAT, b"'y'"),
            (lambda: lib.view_slice(view, 1, 0, 1, 1, c.byref(handle)), LAYOUT, b"axis 1"),
        ):
            assert call() == expected, (expected, lib.last_error())
            assert words in lib.last_error()
            assert lib.last_error_details(c.byref(details)) == OK
            assert (details.status, details.text) == (expected, lib.last_error())
            assert handle.value is None


def check_releases(lib: Libraries) -> None:
    """See that a block in use is not freed, and that a handle that is gone is known."""
    owner = lib.made("allocation_new", 64, 1)
    info, extents = AllocationInfo(), (c.c_int64 * 1)(64)
    spec = ViewSpec(ndim=1, shape=extents)
    view = lib.made("view_of", c.byref(spec), owner)
    assert lib.allocation_describe(owner, c.byref(info)) == OK
    assert (info.nbytes, info.views, info.exports, info.foreign) == (64, 1, 0, 0)
    assert c.string_at(info.data, 64) == bytes(64)
    assert lib.allocation_free(owner) == BUFFER
    assert b"1 view" in lib.last_error()
    assert lib.view_release(view) == OK
    assert lib.view_release(view) == RELEASED
    assert lib.view_describe(view, c.byref(ViewInfo())) == RELEASED
    assert lib.allocation_free(owner) == OK
    assert lib.view_of(c.byref(spec), owner, c.byref(HANDLE())) == RELEASED
    assert lib.allocation_release(owner) == OK
    assert lib.live() == 0


def check_dlpack(lib: Libraries) -> None:
    """Hand a tensor out and take it in again; it holds the memory in between."""
    memory = (c.c_float * 6)(*range(6))
    with lib.view(memory, b"f", 2, 3) as view:
        tensor = lib.made("view_to_dlpack", view)
        back = lib.made("view_from_dlpack", tensor)
        info = lib.described(back)
        assert (shape_of(info), info.data) == ((2, 3), c.addressof(memory))
        assert lib.view_release(back) == OK


def check_threads(lib: Libraries) -> None:
    """Threads share a handle, and each has its own last error."""
    memory, failures = (c.c_int64 * 8)(), []
    with lib.view(memory, b"q", 8) as view:

        def work(axis: int) -> None:
            for _ in range(500):
                part = lib.made("view_slice", view, 0, 1, MISSING, 2)
                done = (lib.view_retain(view), lib.view_release(view), lib.view_release(part))
                refused = lib.view_slice(view, axis, 0, 1, 1, c.byref(HANDLE()))
                if any(done) or refused != LAYOUT or b"axis %d" % axis not in lib.last_error():
                    failures.append(axis)

        threads = [threading.Thread(target=work, args=(10 + i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []


def check_emulated_device(lib: Libraries) -> None:
    """Items go to an emulated device and come back; a failing call tells its number."""
    options, count, equal = Emulator(devices=1), c.c_size_t(), c.c_int32()
    assert lib.cuda_emulate(c.byref(options)) == OK, lib.last_error()
    memory = (c.c_double * 4)(1, 2, 3, 4)
    with lib.view(memory, b"d", 2, 2) as view:
        device = lib.made("cuda_view_to", view, FIRST, 0, NO_STREAM)
        info = lib.described(device)
        assert (info.device.type, info.device.id, shape_of(info)) == (2, 0, (2, 2))
        assert lib.view_fill(device, c.byref(c.c_double())) == BUFFER
        back = lib.made("cuda_view_to", device, CPU, 0, NO_STREAM)
        assert c.string_at(lib.described(back).data, 32) == bytes(memory)
        assert lib.cuda_view_equal(device, view, c.byref(equal)) == OK
        assert equal.value == 1
        assert lib.cuda_emulator_calls(b"cudaMemcpyAsync", c.byref(count)) == OK
        assert count.value >= 2
        assert lib.cuda_emulator_fail(b"cudaMemcpyAsync", 1, 1) == OK
        details = Error()
        assert lib.cuda_view_to(view, FIRST, 0, NO_STREAM, c.byref(HANDLE())) == DEVICE
        assert lib.last_error_details(c.byref(details)) == OK
        assert details.code == 1
        assert lib.view_release(back) == lib.view_release(device) == OK


def main(folder: str) -> None:
    """Look at everything; nothing of it is left."""
    lib = Libraries(Path(folder))
    checks = [value for name, value in globals().items() if name.startswith("check_")]
    for check in checks:
        check(lib)
        assert lib.live() == 0, check.__name__
    assert not any(name.split(".")[0] == "devview" for name in sys.modules)
    sys.stdout.write(f"{len(checks)} checks\n")


if __name__ == "__main__":
    main(sys.argv[1])
