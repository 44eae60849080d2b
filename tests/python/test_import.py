"""dv.view and dv.from_buffer: the buffer protocol and __array_interface__."""

from __future__ import annotations

import array
import ctypes
import gc
import mmap
import sys
import weakref

import numpy as np
import pytest

import devview as dv
from support import CUDA_DEVICES, RECORD, no_gc, pattern

# --- The buffer protocol ---


class Point(ctypes.Structure):
    _fields_ = (("x", ctypes.c_int), ("y", ctypes.c_double))


def mapped():
    m = mmap.mmap(-1, 4096)
    m[:4] = b"mmap"
    return m


EXPORTERS = {
    "bytes": lambda: b"abc",
    "bytearray": lambda: bytearray(b"abc"),
    "array": lambda: array.array("d", [1.5, 2.5]),
    "memoryview": lambda: memoryview(bytearray(b"abcdef"))[::2],
    "memoryview 2-d": lambda: memoryview(bytes(24)).cast("i", (2, 3)),
    "mmap": mapped,
    "ctypes array": lambda: (ctypes.c_int * 4)(1, 2, 3, 4),
    "ctypes 2-d": lambda: ((ctypes.c_short * 3) * 2)((1, 2, 3), (4, 5, 6)),
    "ctypes struct": lambda: Point(1, 2.5),
    "ctypes structs": lambda: (Point * 3)((1, 1.0), (2, 2.0)),
    "numpy": lambda: pattern((3, 4), "f4"),
    "numpy strided": lambda: pattern((6, 8), "f4")[::2, ::-3],
    "numpy 0-d": lambda: np.array(3, "i2"),
    "numpy empty": lambda: np.zeros((0, 3)),
    "numpy read-only": lambda: np.frombuffer(b"abcd", "u1"),
}


@pytest.mark.parametrize("name", EXPORTERS)
def test_exporters_are_viewed_as_memoryview_views_them(name):
    exporter = EXPORTERS[name]()
    v, m = dv.view(exporter), memoryview(exporter)
    assert (v.shape, v.itemsize, v.ndim, v.nbytes) == (m.shape, m.itemsize, m.ndim, m.nbytes)
    assert v.strides == m.strides
    assert v.readonly == m.readonly
    assert v.format == m.format
    assert v.device == "cpu"
    assert v.obj is exporter
    assert v.tobytes() == m.tobytes()
    assert v.c_contiguous == m.c_contiguous
    assert v.f_contiguous == m.f_contiguous
    del v, m
    if isinstance(exporter, mmap.mmap):
        exporter.close()  # nobody holds it


@pytest.mark.parametrize(
    "dtype",
    [
        *("?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "g"),
        *("c8", "c16", "G", "S5", "U3", "V4", ">i2", ">f8", ">c16", ">U2"),
        RECORD,
        np.dtype([("a", "u1"), ("b", "i8")], align=True),
        np.dtype([("a", "u1"), ("b", "i8")]),
        np.dtype([("n", [("x", "f4"), ("y", "f4", (2,))], (3,))]),
        np.dtype({"names": ["b", "a"], "formats": ["i4", "u1"], "offsets": [4, 0]}),
        np.dtype({"names": ["a"], "formats": ["i2"], "offsets": [3], "itemsize": 9}),
    ],
    ids=str,
)
def test_numpy_dtypes_are_imported_without_a_copy(dtype):
    a = pattern((2, 3), dtype) if np.dtype(dtype).kind != "?" else np.ones((2, 3), "?")
    v = dv.view(a)
    assert v.ptr == a.ctypes.data
    assert v.itemsize == a.itemsize
    assert v.shape == a.shape
    assert v.strides == a.strides
    assert v.tobytes() == a.tobytes()
    assert v.obj is a
    for device in ("cpu", CUDA_DEVICES[0]):
        assert dv.copy(v, device=device).tobytes() == a.tobytes()


def test_import_shares_memory_both_ways():
    a = np.zeros(4, "i4")
    v = dv.view(a)
    a[1] = 5
    assert v[1] == 5
    v[2] = 6
    assert a[2] == 6


def test_import_holds_the_exporter_until_the_last_view_goes():
    data = bytearray(b"abcdef")
    v = dv.view(data)
    part = v[1:]
    v.release()
    with pytest.raises(BufferError):
        data.append(0)
    part.release()
    data.append(0)


def test_import_returns_the_buffer_once_in_the_statement():
    testbuffer = pytest.importorskip("_testbuffer", reason="missing: CPython's _testbuffer")
    with no_gc():
        nd = testbuffer.ndarray([1, 2, 3], shape=[3], format="i")
        count = sys.getrefcount(nd)
        v = dv.view(nd)
        w, x = v[1:], v.T
        assert sys.getrefcount(nd) > count
        del v, w
        assert sys.getrefcount(nd) > count
        del x
        assert sys.getrefcount(nd) == count


def test_memory_of_others_is_counted_apart():
    before = dv.memory_info("cpu")
    data = bytearray(1000)
    v = dv.view(data)
    now = dv.memory_info("cpu")
    assert now.foreign_bytes - before.foreign_bytes == 1000
    assert now.foreign_blocks - before.foreign_blocks == 1
    assert now.live_bytes == before.live_bytes
    assert v.allocation.owner is data
    with pytest.raises(BufferError):
        v.allocation.resize(2000)


def test_objects_of_python_are_viewed_on_the_host_only():
    a = np.array([1, "two", None], dtype=object)
    v = dv.view(a)
    assert v.tolist() == [1, "two", None]
    one = object()
    count = sys.getrefcount(one)
    v[0] = one
    assert a[0] is one
    assert sys.getrefcount(one) == count + 1
    with pytest.raises(dv.FormatError, match="objects"):
        v.to(CUDA_DEVICES[0])
    with pytest.raises(dv.FormatError, match="objects"):
        v.copy()
    with pytest.raises(dv.FormatError, match="objects"):
        dv.empty(3, "O")


def test_pep_688_exporters_are_viewed():
    if sys.version_info < (3, 12):
        pytest.skip("missing: PEP 688 (Python 3.12)")

    class Exporter:
        def __init__(self):
            self.data, self.released = bytearray(b"abc"), 0

        def __buffer__(self, flags):
            return memoryview(self.data)

        def __release_buffer__(self, buffer):
            self.released += 1

    exporter = Exporter()
    v = dv.view(exporter)
    assert bytes(v) == b"abc"
    assert exporter.released == 0
    del v
    assert exporter.released == 1


@pytest.mark.parametrize("obj", [3, None, "text", [1, 2], object(), {}], ids=repr)
def test_what_speaks_no_protocol_is_refused_with_all_reasons(obj):
    with pytest.raises(dv.ImportRefused) as refusal:
        dv.view(obj)
    assert isinstance(refusal.value, BufferError)
    assert isinstance(refusal.value, ValueError)
    assert isinstance(refusal.value, dv.Error)
    text = str(refusal.value)
    assert type(obj).__name__ in text
    assert "buffer protocol" in text
    assert "__array_interface__" in text


def test_released_memoryview_is_refused_and_says_why():
    m = memoryview(b"abc")
    m.release()
    with pytest.raises(dv.ImportRefused, match="released"):
        dv.view(m)


def test_released_view_cannot_be_viewed():
    v = dv.zeros(3)
    v.release()
    with pytest.raises(ValueError, match="released"):
        dv.view(v)


# --- Malformed Py_buffers ---


def test_buffer_with_itemsize_zero_is_refused():
    a = np.zeros(3, "V0")
    with pytest.raises((dv.ImportRefused, dv.FormatError)):
        dv.view(a)


def test_more_axes_than_64_are_refused():
    with pytest.raises(ValueError, match="64"):
        dv.empty((1,) * 65)


# --- from_buffer ---


def test_from_buffer_reads_in_another_way():
    data = bytearray(range(24))
    assert dv.from_buffer(data).tobytes() == bytes(data)
    assert dv.from_buffer(data, format="i").tolist() == memoryview(data).cast("i").tolist()
    assert dv.from_buffer(data, format="h", shape=(3, 4)).shape == (3, 4)
    v = dv.from_buffer(data, format="B", shape=(4, 3), strides=(1, 8))
    assert v.tolist() == [[i + 8 * j for j in range(3)] for i in range(4)]
    assert v.ptr == dv.view(data).ptr
    assert dv.from_buffer(data, shape=(2, 3)).shape == (2, 3)
    assert dv.from_buffer(data, format="i", shape=()).shape == ()


@pytest.mark.parametrize(
    "options",
    [
        {"format": "i", "shape": (7,)},
        {"format": "7s"},
        {"shape": (25,)},
        {"shape": (2,), "strides": (24,)},
        {"shape": (2,), "strides": (-1,)},
        {"shape": (2,), "strides": (1, 1)},
        {"strides": (1,)},
        {"shape": (-1,)},
        {"shape": (2**32, 2**32)},
        {"shape": (3,), "strides": (2**62,)},
        {"shape": (0, 2**62, 2**62)},
        {"format": "i9i", "shape": (1,)},
        {"format": "no"},
        {"format": ""},
        {"format": "O"},
        {"shape": (1,) * 65},
    ],
    ids=str,
)
def test_from_buffer_refuses_what_leaves_the_buffer(options):
    data = bytearray(24)
    with pytest.raises(ValueError, match=r"\w"):
        dv.from_buffer(data, **options)
    data.append(0)  # not held any more


def test_from_buffer_lays_out_items_whose_size_does_not_divide_the_buffer():
    rows = bytearray(range(16))  # two rows of two pixels, padded to 8 bytes
    v = dv.from_buffer(rows, format="3s", shape=(2, 2), strides=(8, 3))
    assert v.tolist() == [[rows[0:3], rows[3:6]], [rows[8:11], rows[11:14]]]
    with pytest.raises(dv.FormatError, match="Python objects"):
        dv.from_buffer(rows, format="O", shape=(2,))


def test_from_buffer_takes_a_format_for_one_that_contradicts_the_itemsize():
    class Either(ctypes.Union):
        _fields_ = (("i", ctypes.c_int32), ("d", ctypes.c_double))

    unions = (Either * 3 * 2)()
    assert (memoryview(unions).format, memoryview(unions).itemsize) == ("B", 8)
    with pytest.raises(dv.FormatError, match="Either is a union"):
        dv.from_buffer(unions)
    v = dv.from_buffer(unions, format="d")
    assert (v.ptr, v.shape, v.strides) == (ctypes.addressof(unions), (2, 3), (24, 8))
    v[1, 2] = 0.5
    assert unions[1][2].d == 0.5
    assert dv.from_buffer(unions[0][0], format="i").tolist() == [0, 0]


@pytest.mark.parametrize("obj", [3, None, "text"], ids=repr)
def test_from_buffer_needs_the_protocol(obj):
    with pytest.raises((TypeError, BufferError)):
        dv.from_buffer(obj)


# --- __array_interface__ ---


class Interface:
    """Something with nothing but the attribute."""

    def __init__(self, interface, memory=None):
        self.interface = interface
        self.memory = memory
        self.reads = 0

    @property
    def __array_interface__(self):
        self.reads += 1
        if isinstance(self.interface, BaseException):
            raise type(self.interface)(*self.interface.args)  # a fresh one: it keeps its frames
        return self.interface


def offered(a: np.ndarray, **changes) -> Interface:
    interface = {**a.__array_interface__, **changes}
    return Interface({k: v for k, v in interface.items() if v is not ...}, a)


@pytest.mark.parametrize(
    "dtype",
    [
        *("?", "i1", "u1", "i2", "u4", "i8", "f2", "f4", "f8", "c8", "c16", ">i4", ">f8"),
        *("S5", "U3", "V4", ">U2"),
        RECORD,
        np.dtype([("a", "u1"), ("b", "i8")], align=True),
        np.dtype([("n", [("x", "f4"), ("y", "f4", (2,))], (3,))]),
    ],
    ids=str,
)
def test_array_interface_is_imported_without_a_copy(dtype):
    a = pattern((2, 3), dtype)[:, ::-2]
    v = dv.view(offered(a))
    assert v.ptr == a.ctypes.data
    assert (v.shape, v.strides, v.itemsize) == (a.shape, a.strides, a.itemsize)
    # As opaque items: NumPy's own copies of records leave the padding as it was.
    assert v.tobytes() == a.view(f"V{a.itemsize}").tobytes()
    assert not v.readonly
    if a.dtype.names:
        for name in a.dtype.names:
            assert v[name].tobytes() == a[name].tobytes()


def test_array_interface_is_read_once_and_its_object_is_held():
    a = pattern((3,), "i4")
    exporter = offered(a)
    v = dv.view(exporter)
    assert exporter.reads == 1
    assert v.obj is exporter
    alive = weakref.ref(exporter)
    del exporter
    gc.collect()
    assert alive() is not None
    with no_gc():
        del v
        assert alive() is None


def test_array_interface_carries_read_only():
    a = np.frombuffer(b"abcd", "u1")
    assert dv.view(offered(a)).readonly
    with pytest.raises(BufferError):
        dv.view(offered(a), readonly=False)


def test_array_interface_without_strides_is_dense():
    a = pattern((2, 3), "i4")
    for strides in (None, ..., (12, 4)):
        assert dv.view(offered(a, strides=strides)).tobytes() == a.tobytes()


def test_array_interface_of_nothing_may_point_nowhere():
    v = dv.view(offered(pattern((0, 3), "i4"), data=(0, False)))
    assert v.shape == (0, 3)
    assert v.tobytes() == b""


def test_array_interface_of_zero_dimensions():
    v = dv.view(offered(np.array(5, "i4")))
    assert v.shape == ()
    assert v[()] == 5


def test_buffer_protocol_comes_before_the_array_interface():
    class Both(bytearray):
        @property
        def __array_interface__(self):
            raise AssertionError("asked, although the buffer protocol had answered")

    assert bytes(dv.view(Both(b"abc"))) == b"abc"


class LyingDict(dict):
    """Answers anew each time; what is stored is good."""

    def __getitem__(self, key):
        raise AssertionError("read through the subclass")

    get = __getitem__


def test_dict_subclasses_are_read_once():
    a = pattern((3,), "i4")
    exporter = Interface(LyingDict(a.__array_interface__), a)
    assert dv.view(exporter).tobytes() == a.tobytes()


class BadBool:
    def __bool__(self):
        raise ValueError("no truth")


class BadIndex:
    def __index__(self):
        raise ValueError("no index")


def nested(depth: int):
    descr = [("x", "<i4")]
    for _ in range(depth):
        descr = [("n", descr)]
    return descr


MALFORMED = {
    "is a list": [],
    "is None": None,
    "is a string": "<f4",
    "is empty": {},
    "raises ValueError": ValueError("not today"),
    "raises TypeError": TypeError("not today"),
    "raises BufferError": BufferError("not today"),
    **{
        f"{key} {'missing' if value is ... else repr(value)[:30]}": {key: value}
        for key, value in [
            ("version", ...),
            ("typestr", ...),
            ("typestr", None),
            ("typestr", 4),
            ("typestr", b"<i4"),
            ("typestr", ""),
            ("typestr", "<"),
            ("typestr", "<i"),
            ("typestr", "i4"),
            ("typestr", "<i9"),
            ("typestr", "<i0"),
            ("typestr", "<f3"),
            ("typestr", "<c10"),
            ("typestr", "?i4"),
            ("typestr", "<q4"),
            ("typestr", "<t1"),
            ("typestr", "<i-4"),
            ("typestr", "<i4 "),
            ("typestr", "<i4\0"),
            ("typestr", "<i99999999999999999999"),
            ("typestr", "|V0"),
            ("typestr", "|S0"),
            ("typestr", "<M8[s]"),
            ("shape", ...),
            ("shape", None),
            ("shape", 3),
            ("shape", [3]),
            ("shape", (-1,)),
            ("shape", (2.0,)),
            ("shape", ("2",)),
            ("shape", (None,)),
            ("shape", (2**62, 8)),
            ("shape", (2**64,)),
            ("shape", (0, 2**62, 2**62)),
            ("shape", (1,) * 65),
            ("shape", (BadIndex(),)),
            ("strides", (4, 4)),
            ("strides", ()),
            ("strides", (4.0,)),
            ("strides", (2**62,)),
            ("strides", (-(2**63),)),
            ("strides", (2**64,)),
            ("strides", "4"),
            ("data", ...),
            ("data", None),
            ("data", (0, False)),
            ("data", (-1, False)),
            ("data", (2**64, False)),
            ("data", (2**64 - 4, False)),
            ("data", (1.5, False)),
            ("data", ("0x10", False)),
            ("data", (True, False)),
            ("data", (4096,)),
            ("data", (4096, False, 1)),
            ("data", 4096),
            ("data", (4096, BadBool())),
            ("mask", np.zeros(3, "?")),
        ]
    },
    "negative strides leave the address space": {"data": (8, False), "strides": (-16,)},
    "descr deeper than sense": {"typestr": "|V4", "descr": nested(100)},
    "descr larger than the item": {"typestr": "|V4", "descr": [("a", "<i8")]},
    "descr smaller than the item": {"typestr": "|V4", "descr": [("a", "u1")]},
    "descr member is no tuple": {"typestr": "|V4", "descr": ["<i4"]},
    "descr member is short": {"typestr": "|V4", "descr": [("a",)]},
    "descr name is no string": {"typestr": "|V4", "descr": [(4, "<i4")]},
    "descr type is no string": {"typestr": "|V4", "descr": [("a", 4)]},
    "descr shape is negative": {"typestr": "|V4", "descr": [("a", "u1", (-4,))]},
    "descr shape wraps": {"typestr": "|V4", "descr": [("a", "<i4", (2**62, 2**62))]},
    "descr name ends the format": {"typestr": "|V4", "descr": [("a:}", "<i4")]},
    "descr bomb": {"typestr": "|V4", "descr": [("a", "u1")] * 100_000},
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_array_interface_is_refused(case):
    changes = MALFORMED[case]
    memory = pattern((3,), "i4")
    if isinstance(changes, dict) and changes:
        exporter = offered(memory, **changes)
    else:
        exporter = Interface(changes, memory)
    count, alive = sys.getrefcount(exporter), len(dv.live())
    with pytest.raises(dv.ImportRefused, match="__array_interface__") as refusal:
        dv.view(exporter)
    assert isinstance(refusal.value, BufferError)
    assert isinstance(refusal.value, ValueError)
    del refusal
    assert sys.getrefcount(exporter) == count
    assert len(dv.live()) == alive


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, MemoryError, ZeroDivisionError])
def test_other_errors_of_a_producer_are_kept(error):
    with pytest.raises(error, match="mine"):
        dv.view(Interface(error("mine")))


def test_void_without_descr_is_opaque_bytes():
    a = pattern((3,), "V2")
    exporter = offered(a)
    del exporter.interface["descr"]
    v = dv.view(exporter)
    assert v.itemsize == 2
    assert v[0] == a[0].tobytes()


@pytest.mark.parametrize("device", CUDA_DEVICES)
def test_array_interface_of_device_views_is_absent(device):
    with pytest.raises(AttributeError):
        _ = dv.zeros(3, device=device).__array_interface__
