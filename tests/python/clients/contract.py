"""What holds for every client: viewed, edited, kept, given back, moved to a device and back."""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

import devview as dv
from support import CUDA_DEVICES

CUDA = CUDA_DEVICES[0]


def require(module: str, package: str):
    """Import a client; outside CI a missing one is skipped, in CI it fails.

    CI names in DEVVIEW_TEST_WITHOUT what it leaves out on purpose: packages that are too big to be
    installed for each Python.
    """
    try:
        return importlib.import_module(module)
    except ImportError:
        left_out = package in os.environ.get("DEVVIEW_TEST_WITHOUT", "").split()
        if os.environ.get("CI") and not left_out:
            raise
        how = "left out here" if left_out else "pip install '.[clients]'"
        pytest.skip(f"missing: {package} ({how})", allow_module_level=True)


@dataclass(frozen=True)
class Case:
    """One kind of object of a client, and what the client itself says of it."""

    name: str
    make: Callable[[], Any]
    # The client's own word on where its items are, and on the items, as nested lists.
    address: Callable[[Any], int]
    read: Callable[[Any], Any]
    format: str
    shape: tuple
    strides: tuple
    # An item, and a value that it does not have yet.
    index: tuple
    value: Any
    # Sets that item by the client's own means; None if the client gives its items to be read only.
    write: Callable[[Any, Any], object] | None
    view: Callable[[Any], dv.View] = dv.view

    def __str__(self) -> str:
        return self.name

    @property
    def readonly(self) -> bool:
        return self.write is None


def at(nested, index: tuple):
    """Give one item of nested lists."""
    for i in index:
        nested = nested[i]
    return nested


class Contract:
    """Subclasses name their cases: `@pytest.mark.parametrize("case", CASES, ids=str)`."""

    def test_the_view_is_the_memory_of_the_client(self, case):
        obj = case.make()
        v = case.view(obj)
        assert v.device == "cpu"
        assert v.ptr == case.address(obj)
        assert (v.format, v.shape, v.strides) == (case.format, case.shape, case.strides)
        assert v.readonly == case.readonly
        assert v.tolist() == case.read(obj)

    def test_a_change_through_the_view_is_seen_by_the_client(self, case):
        obj = case.make()
        v = case.view(obj)
        assert v[case.index] != case.value
        if case.readonly:
            with pytest.raises(TypeError, match="read-only"):
                v[case.index] = case.value
            assert v.tolist() == case.read(obj)
            return
        v[case.index] = case.value
        assert at(case.read(obj), case.index) == case.value
        assert v.tolist() == case.read(obj)

    def test_a_change_by_the_client_is_seen_in_the_view(self, case):
        obj = case.make()
        v = case.view(obj)
        if case.readonly:
            assert case.view(obj).ptr == v.ptr  # asked again, it is still no copy
            return
        case.write(obj, case.value)
        assert v[case.index] == case.value
        assert v.tolist() == case.read(obj)

    def test_memory_that_is_read_only_stays_so(self, case):
        obj = case.make()
        v = case.view(obj).toreadonly()
        content = v.tobytes()
        with pytest.raises(TypeError, match="read-only"):
            v[case.index] = case.value
        with pytest.raises((TypeError, BufferError), match="read-only"):
            v.copy_from(v.copy())
        with pytest.raises(BufferError):
            dv.view(v, readonly=False)
        assert memoryview(v).readonly
        assert v.tobytes() == content

    def test_the_client_lives_as_long_as_its_view(self, case):
        obj = case.make()
        expected = case.read(obj)
        v = case.view(obj)
        part = v[...]
        v.release()
        del v, obj
        gc.collect()
        others = [case.make() for _ in range(10)]  # memory that was given up is used again
        assert part.tolist() == expected
        del others

    def test_the_client_is_given_back_with_the_last_view(self, case):
        obj = case.make()
        before = sys.getrefcount(obj)
        v = case.view(obj)
        part = v[...]
        v.release()
        assert sys.getrefcount(obj) > before
        part.release()
        del v, part
        assert sys.getrefcount(obj) == before

    def test_the_client_moves_to_a_device_and_back(self, case):
        obj = case.make()
        v = case.view(obj)
        content = v.tolist()
        d = v.to(CUDA)
        assert (d.device, d.shape, d.format) == (CUDA, v.shape, v.format)
        assert d.tolist() == content
        assert d.to("cpu").tolist() == content
        d[case.index] = case.value
        assert case.read(obj) == content  # the device has a copy of its own
        changed = d.tolist()
        assert at(changed, case.index) == case.value
        if case.readonly:
            with pytest.raises((TypeError, BufferError), match="read-only"):
                d.copy_to(v)
            assert case.read(obj) == content
            return
        d.copy_to(v)
        assert case.read(obj) == changed

    def test_what_consumes_buffers_reads_the_device_copy(self, case):
        v = case.view(case.make())
        d = v.to(CUDA)
        assert bytes(d) == v.tobytes() == memoryview(v).tobytes()
        assert memoryview(d).format == v.format
        assert b"".join([d, d]) == 2 * v.tobytes()
