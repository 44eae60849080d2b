"""dv.get_buffer: any exporter, any flags; dv.BufferFlags."""

from __future__ import annotations

import array
import ctypes
import enum
import inspect
import subprocess
import sys
import weakref

import numpy as np
import pytest

import devview as dv
from support import (
    FLAG_SETS,
    FULL,
    FULL_RO,
    ND,
    SIMPLE,
    STRIDES,
    WRITABLE,
    PyBuffer,
    Request,
    pattern,
)

EXPORTERS = {
    "bytes": lambda: b"read-only",
    "bytearray": lambda: bytearray(b"writable"),
    "array": lambda: array.array("d", [1, 2, 3]),
    "ctypes": lambda: ((ctypes.c_int * 3) * 2)(),
    "memoryview": lambda: memoryview(bytearray(12)).cast("i", (3, 1)),
    "numpy": lambda: pattern((3, 4), "i4"),
    "numpy strided": lambda: pattern((4, 6), "i4")[::2, ::3],
    "numpy fortran": lambda: np.asfortranarray(pattern((3, 4), "i4")),
    "numpy 0-d": lambda: np.array(7, "i4"),
    "numpy empty": lambda: pattern((2, 0), "i4"),
    "numpy read-only": lambda: np.frombuffer(bytes(24), "i4").reshape(2, 3),
    "View": lambda: dv.view(pattern((3, 4), "i4")),
}


def refusal_or_answer(exporter, flags):
    """Give the fields, or the refusal's type (NumPy's: a ValueError that leaves obj as it was)."""
    raw = PyBuffer()
    try:
        ctypes.pythonapi.PyObject_GetBuffer(
            ctypes.py_object(exporter), ctypes.byref(raw), ctypes.c_int(flags)
        )
    except (BufferError, ValueError) as error:
        return type(error)
    with Request(raw) as request:
        return request.answer()


@pytest.mark.parametrize("name", EXPORTERS)
def test_fields_are_the_exporters_answer(name):
    exporter = EXPORTERS[name]()
    refused = 0
    for flags in FLAG_SETS:
        expected = refusal_or_answer(exporter, flags)
        if isinstance(expected, type):
            with pytest.raises(expected):
                dv.get_buffer(exporter, flags)
            refused += 1
            continue
        with dv.get_buffer(exporter, flags) as m:
            assert m.readonly == expected["readonly"]
            assert m.itemsize == expected["itemsize"]
            assert m.format == (expected["format"] or b"B").decode()
            assert m.nbytes == expected["len"]
            assert m.obj is exporter
            if expected["shape"] is not None:
                assert m.shape == expected["shape"]
            elif expected["ndim"] == 0 and expected["len"] == expected["itemsize"]:
                assert m.shape == ()
            else:
                assert m.shape == (expected["len"] // expected["itemsize"],)
            if expected["strides"] is not None:
                assert m.strides == expected["strides"]
            assert m.suboffsets == (expected["suboffsets"] or ())
    assert refused < len(FLAG_SETS)
    # Who gives what was not asked for as well refuses nothing but writing.
    assert refused > 0 or not memoryview(exporter).readonly


@pytest.mark.skipif(sys.version_info < (3, 12), reason="missing: __buffer__ of C types (3.12)")
@pytest.mark.parametrize("name", EXPORTERS)
def test_answers_are_those_of_pep_688(name):
    exporter = EXPORTERS[name]()
    for flags in FLAG_SETS:
        if memoryview(exporter).ndim != 1 and not flags & ND:
            continue  # a shape is missing for two axes: the interpreter may read through NULL
        try:
            oracle = exporter.__buffer__(flags)
        except (BufferError, ValueError) as error:
            with pytest.raises(type(error)):
                dv.get_buffer(exporter, flags)
            continue
        with oracle, dv.get_buffer(exporter, flags) as m:
            for field in ("format", "itemsize", "shape", "strides", "suboffsets", "readonly"):
                assert getattr(m, field) == getattr(oracle, field), f"flags {flags:#x}: {field}"
            assert m.obj is oracle.obj


def test_release_gives_the_buffer_back_at_once():
    data = bytearray(b"abc")
    m = dv.get_buffer(data, SIMPLE)
    with pytest.raises(BufferError):
        data.append(0)
    m.release()
    data.append(0)
    with dv.get_buffer(data, dv.BufferFlags.WRITABLE) as m:
        m[0] = 0
    data.append(0)
    m = dv.get_buffer(data, SIMPLE)
    del m
    data.append(0)
    assert data == b"\0bc\0\0\0"


def test_nothing_but_the_exporter_is_held():
    a = pattern((4,), "i4")
    alive = weakref.ref(a)
    references = sys.getrefcount(a)
    m = dv.get_buffer(a, FULL_RO)
    assert sys.getrefcount(a) == references + 1
    del a
    assert m.tolist() == alive().tolist()
    m.release()
    assert alive() is None


def test_python_exporters_get_the_flags():
    class X(dv.Exporter):
        given = None
        returned = 0

        def __buffer__(self, flags):
            self.given = flags
            return memoryview(bytearray(12)).cast("i")

        def __release_buffer__(self, buffer):
            self.returned += 1

    x = X()
    with dv.get_buffer(x, dv.BufferFlags.CONTIG_RO) as m:
        assert type(x.given) is int
        assert x.given == ND
        assert (m.format, m.itemsize, m.shape) == ("B", 4, (3,))
        assert m.obj is x
    assert x.returned == 1
    with pytest.raises(BufferError):
        dv.get_buffer(X(), dv.BufferFlags.FORMAT)


def test_device_views_are_staged():
    v = dv.view(pattern((2, 3), "i4"), device="cuda:0", copy=True)
    with dv.get_buffer(v, STRIDES | WRITABLE) as m:
        assert not m.readonly
        assert m.shape == (2, 3)
        assert m.tobytes() == v.tobytes()


def test_items_of_no_bytes():
    with dv.get_buffer(np.zeros(3, "V0"), SIMPLE) as m:
        assert m.nbytes == 0
        assert m.tolist() == []


@pytest.mark.parametrize(
    ("flags", "error"),
    [
        (2**31, OverflowError),
        (-(2**31) - 1, OverflowError),
        (2**63, OverflowError),
        (-(2**100), OverflowError),
        (None, TypeError),
        (1.0, TypeError),
        ("FULL", TypeError),
    ],
)
def test_flags_that_are_none(flags, error):
    with pytest.raises(error):
        dv.get_buffer(b"abc", flags)


def test_errors_of_the_exporter_pass():
    with pytest.raises(TypeError, match="bytes-like"):
        dv.get_buffer(7, SIMPLE)
    with pytest.raises(BufferError, match="writable"):
        dv.get_buffer(b"abc", WRITABLE)
    m = memoryview(b"abc")
    m.release()
    with pytest.raises(ValueError, match="released"):
        dv.get_buffer(m, SIMPLE)
    with pytest.raises(TypeError):
        dv.get_buffer(b"abc")


# --- BufferFlags ---

# PyBUF_* of Include/pybuffer.h.
FLAGS = {
    "SIMPLE": 0,
    "WRITABLE": 1,
    "FORMAT": 4,
    "ND": 8,
    "STRIDES": 0x18,
    "C_CONTIGUOUS": 0x38,
    "F_CONTIGUOUS": 0x58,
    "ANY_CONTIGUOUS": 0x98,
    "INDIRECT": 0x118,
    "CONTIG": 9,
    "CONTIG_RO": 8,
    "STRIDED": 0x19,
    "STRIDED_RO": 0x18,
    "RECORDS": 0x1D,
    "RECORDS_RO": 0x1C,
    "FULL": FULL,
    "FULL_RO": FULL_RO,
    "READ": 0x100,
    "WRITE": 0x200,
}


def test_flags_have_the_values_of_the_headers():
    assert {name: flag.value for name, flag in dv.BufferFlags.__members__.items()} == FLAGS
    assert issubclass(dv.BufferFlags, enum.IntFlag)
    assert dv.BufferFlags.ND | dv.BufferFlags.FORMAT == 0xC
    assert type(dv.BufferFlags.ND | dv.BufferFlags.FORMAT) is dv.BufferFlags


@pytest.mark.skipif(sys.version_info < (3, 12), reason="missing: inspect.BufferFlags (3.12)")
def test_flags_are_those_of_inspect():
    oracle = {name: flag.value for name, flag in inspect.BufferFlags.__members__.items()}
    assert {name: flag.value for name, flag in dv.BufferFlags.__members__.items()} == oracle


def test_flags_are_imported_when_asked_for():
    code = (
        "import sys, devview as dv; assert 'devview._flags' not in sys.modules;"
        "dv.BufferFlags; assert 'devview._flags' in sys.modules; import devview._flags as f;"
        "assert dv.BufferFlags is f.BufferFlags; from devview import *; assert BufferFlags.ND == 8"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="BufferFlag"):
        dv.BufferFlag  # noqa: B018
