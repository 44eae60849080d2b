"""Importers of DLPack capsules for the tests of devview.conformance: one strict, the others sloppy.

Each sloppy one has one defect. They run in processes of their own: a crash is part of the test.
"""

from __future__ import annotations

import ctypes
import os
import time

from devview.conformance import abi

# code: the bits that it may have; vector types are refused
BITS = {
    abi.INT: {8, 16, 32, 64},
    abi.UINT: {8, 16, 32, 64},
    abi.FLOAT: {16, 32, 64},
    abi.COMPLEX: {64, 128},
    abi.BOOL: {8},
}
LIMIT = 1 << 63

get_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)
capsule_type = type(abi.capsule(1, b"any"))


class Strided:
    """What came in: metadata of its own, items read one by one, the tensor deleted at the end."""

    def __init__(self, managed, tensor, readonly):
        self.managed, self.readonly = managed, readonly
        self.dtype = (tensor.code, tensor.bits)
        self.shape, self.strides = extents(tensor), steps(tensor)
        self.data = (tensor.data or 0) + tensor.byte_offset

    def __del__(self):
        delete(self.managed)

    def tolist(self, axis=0, offset=0):
        assert self.dtype == (abi.FLOAT, 32)
        if axis == len(self.shape):
            return ctypes.c_float.from_address(self.data + offset * 4).value
        return [
            self.tolist(axis + 1, offset + index * self.strides[axis])
            for index in range(self.shape[axis])
        ]


def delete(managed):
    if managed.deleter:
        abi.Deleter(managed.deleter)(ctypes.addressof(managed))


def int64s(address, count):
    return tuple((ctypes.c_int64 * count).from_address(address)) if count else ()


def extents(tensor):
    return int64s(tensor.shape, tensor.ndim)


def steps(tensor):
    if tensor.strides:
        return int64s(tensor.strides, tensor.ndim)
    told, step = [], 1
    for extent in reversed(extents(tensor)):
        told.append(step)
        step *= extent
    return tuple(reversed(told))


def refuse_if(wrong, what):
    if wrong:
        raise BufferError(what)


def check(tensor):
    """Raise BufferError for whatever is not a strided tensor of the host."""
    refuse_if(tensor.device_type != abi.CPU, "device")
    refuse_if(not 0 <= tensor.ndim <= 64, "ndim")
    refuse_if(tensor.ndim and not tensor.shape, "shape")
    refuse_if(tensor.bits not in BITS.get(tensor.code, ()) or tensor.lanes != 1, "dtype")
    shape, strides, size = extents(tensor), steps(tensor), tensor.bits // 8
    refuse_if(any(extent < 0 for extent in shape), "extent")
    count = 1
    for extent in shape:
        count *= extent
    refuse_if(count * size >= LIMIT, "bytes")
    refuse_if(tensor.byte_offset >= LIMIT, "byte_offset")
    if count == 0:
        return
    reaches = [(extent - 1) * step * size for extent, step in zip(shape, strides, strict=True)]
    stepped = [step for step, extent in zip(strides, shape, strict=True) if extent > 1]
    refuse_if(any(abs(step * size) >= LIMIT for step in stepped), "stride")
    data = (tensor.data or 0) + tensor.byte_offset
    low = data + sum(reach for reach in reaches if reach < 0)
    high = data + sum(reach for reach in reaches if reach > 0) + size
    outside = not tensor.data or low <= 0 or high > 1 << 64 or high - low >= LIMIT
    refuse_if(outside, "address")


def capsule_of(exporter):
    """Return what `__dlpack__` gives, by the first spelling that it takes."""
    method = getattr(exporter, "__dlpack__", None)
    refuse_if(not callable(method), "__dlpack__ is not offered")
    try:
        return method(max_version=(1, 3))
    except TypeError:
        return method()


def opened(capsule):
    """Return the managed tensor of a capsule that nobody has taken."""
    refuse_if(type(capsule) is not capsule_type, "no capsule")
    name = abi.capsule_name(capsule)
    refuse_if(name not in (abi.LEGACY, abi.VERSIONED), "name")
    kind = abi.ManagedTensor if name == abi.LEGACY else abi.ManagedTensorVersioned
    return kind.from_address(get_pointer(capsule, name))


def strict(exporter, check=check):
    """View a tensor of the host; validate first, take over then."""
    capsule = capsule_of(exporter)
    managed = opened(capsule)
    versioned = isinstance(managed, abi.ManagedTensorVersioned)
    refuse_if(versioned and managed.major != 1, "major version")
    check(managed.tensor)
    abi.rename(capsule, abi.USED_VERSIONED if versioned else abi.USED_LEGACY)
    return Strided(managed, managed.tensor, versioned and bool(managed.flags & abi.READ_ONLY))


def only_if(wrong, act):
    """Return an importer that acts on tensors that are `wrong`, and is strict otherwise."""

    def sloppy(tensor):
        if wrong(tensor):
            act()
        check(tensor)

    return lambda exporter: strict(exporter, sloppy)


def no_axes(tensor):
    return tensor.ndim == -1


crashing = only_if(no_axes, lambda: ctypes.string_at(0))
exiting = only_if(no_axes, lambda: os._exit(7))
hanging = only_if(no_axes, lambda: time.sleep(3600))
printing = only_if(lambda _: True, lambda: print("{}", flush=True))


def believing(exporter):
    """Take negative extents as they come."""
    return strict(exporter, lambda tensor: None if extents(tensor)[:1] == (-1,) else check(tensor))


class Late(Strided):
    @property
    def strides(self):
        if -1 in self.shape:
            raise ValueError("an extent is negative")
        return self._strides

    @strides.setter
    def strides(self, value):
        self._strides = value


def late(exporter):
    """Find negative extents only when strides are asked for."""
    capsule = capsule_of(exporter)
    managed = opened(capsule)
    if extents(managed.tensor)[:1] != (-1,):
        return strict(exporter)
    abi.rename(capsule, abi.USED_VERSIONED)
    return Late(managed, managed.tensor, False)


def _refused(deletions):
    """Return an importer that takes over first, and deletes so often where it refuses then."""

    def importer(exporter):
        capsule = capsule_of(exporter)
        managed = opened(capsule)
        try:
            check(managed.tensor)
        except BufferError:
            abi.rename(capsule, abi.USED_VERSIONED)
            for _ in range(deletions):
                delete(managed)
            raise
        return strict(exporter)

    return importer


leaking, deleting_once, deleting_twice = _refused(0), _refused(1), _refused(2)


def keeping_the_name(exporter):
    """Delete what the producer's capsule still owns."""
    view = strict(exporter)
    if view.managed.flags & abi.IS_COPIED:
        abi.rename(exporter.capsule, abi.VERSIONED)
        delete(view.managed)
        view.managed = abi.ManagedTensor()
    return view


def early(exporter):
    """Delete read-only tensors at once."""
    view = strict(exporter)
    if view.readonly:
        delete(view.managed)
        view.managed = abi.ManagedTensor()
    return view


def writable(exporter):
    """Forget the flag."""
    view = strict(exporter)
    view.readonly = False
    return view


def losing(exporter):
    """Replace every exception."""
    try:
        return strict(exporter)
    except BaseException as error:
        raise ValueError("cannot be imported") from error


def following(exporter):
    """Read the shape from the producer's memory whenever it is asked for."""
    view = strict(exporter)

    class Following(Strided):
        def __init__(self):
            self.view = view

        def __del__(self):
            pass

        @property
        def shape(self):
            return extents(self.view.managed.tensor)

        strides = ()

        def __getattr__(self, name):
            return getattr(view, name)

        tolist = property()

    return Following()


def nothing(exporter):
    """View nothing at all."""
    return exporter


not_callable = 5


def hoarding(exporter, importer=strict, kept=[]):  # noqa: B006 - kept for good
    """Keep each producer."""
    kept.append(exporter)
    return importer(exporter)


def hoarding_arrays(exporter):
    """View by NumPy and keep each producer."""
    import numpy as np

    return hoarding(exporter, np.asarray)
