"""devview/pybind11.hpp: views as results of C++ functions, and memory that C++ owns."""

from __future__ import annotations

import gc
import sys

import numpy as np
import pytest

import devview as dv
from support import EMULATED, run_script

pytestmark = pytest.mark.timeout(600)  # one process compiles, the others wait


@pytest.fixture
def caster(caster):
    caster.freed()  # what another test has left
    return caster


def test_a_vector_becomes_a_view_of_its_memory(caster):
    v = caster.vector()
    assert (v.tolist(), v.format, v.readonly, str(v.device)) == ([1, 2, 3, 4], "d", False, "cpu")
    assert caster.matrix().tolist() == [[1, 2], [3, 4]]
    with pytest.raises(dv.LayoutError, match="shape of 5 items, the vector has 4"):
        caster.too_big()


def test_a_deleter_that_takes_a_stream_is_called_once_with_none_on_the_host(caster):
    v = caster.unique()
    part = v[1:]
    del v
    assert (caster.freed(), part.tolist()) == ([], [2])
    del part
    assert caster.freed() == [(False, 0)]


@EMULATED
def test_a_deleter_of_device_memory_gets_the_stream_of_its_uses(caster):
    memory = dv.empty(4, "f", device="cuda:0")
    stream = dv.Stream("cuda:0")
    v = caster.on_stream(memory.ptr, 4, stream.handle)
    assert (v.device, v.ptr, v.nbytes) == (memory.device, memory.ptr, 16)
    v.copy_from(np.arange(4, dtype="f4"))
    assert v.tolist() == [0, 1, 2, 3]
    assert caster.freed() == []
    v.release()
    assert caster.freed() == [(True, memory.ptr)]


def test_a_shared_pointer_is_shared(caster):
    v, uses = caster.shared(8)
    assert (v.shape, v.readonly, uses) == ((8,), True, 2)
    del v
    other, uses = caster.shared(3)
    assert uses == 2  # the first one has let go
    del other


def test_a_capsule_keeps_the_memory_alive(caster):
    v = caster.capsule()
    m = memoryview(v)
    del v
    assert (m.tolist(), caster.freed()) == ([7, 8, 9], [])
    m.release()
    assert caster.freed() == [(False, 1)]


def test_a_view_that_cpp_keeps_holds_its_object(caster):
    a = np.arange(3, dtype="u1")
    before = sys.getrefcount(a)
    caster.keep(a)
    gc.collect()
    assert sys.getrefcount(a) == before + 1
    assert [caster.kept().tolist() for _ in range(2)] == [[0, 1, 2]] * 2
    caster.drop()
    assert sys.getrefcount(a) == before
    assert caster.nothing() is None


def test_a_returned_argument_shares_the_allocation(caster):
    v = dv.view(bytearray(b"abcd"))
    w, part = caster.same(v), caster.slice(v)
    assert w.allocation is v.allocation is part.allocation
    assert part.tobytes() == b"bcd"
    assert w.obj is v.obj


def test_errors_of_the_function_are_devviews_classes(caster):
    with pytest.raises(dv.LayoutError, match="axis 9"):
        caster.bad_axis(b"abc")


def test_return_as_numpy_shares_and_keeps_alive(caster):
    v = caster.unique()
    a = caster.numpy(v)
    ptr = v.ptr
    del v
    assert (type(a), a.ctypes.data, a.tolist(), a.dtype) == (np.ndarray, ptr, [1, 2], "f4")
    assert caster.freed() == []
    del a
    assert caster.freed() == [(False, 0)]
    assert not caster.numpy(b"abc").flags.writeable


@EMULATED
def test_return_as_numpy_never_copies_from_a_device(caster):
    v = dv.empty(3, "f", device="cuda:1")
    with pytest.raises(BufferError, match="return_as<numpy>: the result is on cuda:1"):
        caster.numpy(v)
    pinned = dv.view(np.arange(3, dtype="f4"), device="pinned")
    assert caster.numpy(pinned).ctypes.data == pinned.ptr


def test_return_as_jax(caster):
    pytest.importorskip("jax")
    a = caster.jax(dv.view(np.arange(4, dtype="f4")))
    assert (type(a).__name__, a.tolist()) == ("ArrayImpl", [0, 1, 2, 3])


def test_return_as_a_package_that_is_missing_or_refuses_leaks_nothing(caster):
    with pytest.raises(ModuleNotFoundError, match="no_such_package"):
        caster.missing(np.ones(3))
    v = caster.unique()
    with pytest.raises(ModuleNotFoundError):
        caster.missing(v)
    v.release()
    assert caster.freed() == [(False, 0)]


def test_a_module_without_devview_says_what_it_needs(caster):
    script = f"""
        import importlib.util
        sys.modules["devview._devview"] = dv._devview = type(sys)("devview._devview")
        spec = importlib.util.spec_from_file_location("caster", {caster.__file__!r})
        try:
            spec.loader.exec_module(importlib.util.module_from_spec(spec))
        except ImportError as error:
            print(error.__cause__)
    """
    outcome = run_script(script, emulate=False)
    assert outcome.out.startswith(
        "this extension module needs the Python package devview with its table of C functions "
        "(version 1): "
    ), outcome


def test_a_module_of_another_version_of_the_table_says_so(caster):
    script = f"""
        import ctypes, importlib.util
        name = ctypes.create_string_buffer(b"devview._devview._extension_table")
        table = (ctypes.c_uint32 * 32)(0, 8)
        new = ctypes.pythonapi.PyCapsule_New
        new.restype = ctypes.py_object
        new.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
        dv._devview._extension_table = new(ctypes.addressof(table), name, None)
        spec = importlib.util.spec_from_file_location("caster", {caster.__file__!r})
        try:
            spec.loader.exec_module(importlib.util.module_from_spec(spec))
        except ImportError as error:
            print(error.__cause__)
    """
    outcome = run_script(script, emulate=False)
    assert "the installed devview has version 0 and 8 bytes" in outcome.out, outcome
