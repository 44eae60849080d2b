"""__array_interface__ out of views, with NumPy's own as the oracle, and what imports of it read."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import devview as dv
from strategies import SMALL, record_dtypes, scalar_dtypes, without_titles
from support import CUDA_DEVICES, DTYPES, EMULATED, Layout, delay, layouts, no_gc, pattern

CUDA = CUDA_DEVICES[0]


class Interface:
    """Something with nothing but the attribute, and what it points to."""

    def __init__(self, interface, memory=None):
        self.__array_interface__ = interface
        self.memory = memory


def relayed(view) -> np.ndarray:
    """Return the array that NumPy makes of a view's interface alone."""
    return np.asarray(Interface(view.__array_interface__, view))


def assert_same_items(a: np.ndarray, v) -> None:
    assert v.ptr == a.__array_interface__["data"][0]
    assert (v.shape, v.strides) == (a.shape, a.strides)
    assert v.tobytes() == a.view(f"V{a.itemsize}").tobytes()


# --- Export ---


@given(layouts(dtypes=(*DTYPES, ">f4", ">u8", "U3", ">U2", "?", "e", "g", "F", "G", "b")))
def test_the_dict_is_numpys(layout: Layout):
    a = layout.apply(layout.base())
    assert dv.view(a).__array_interface__ == a.__array_interface__


@given(scalar_dtypes(empty=False))
def test_the_dict_of_scalars_is_numpys(dtype):
    a = np.zeros(3, dtype)
    v = dv.view(a)
    assert v.__array_interface__ == a.__array_interface__
    assert v.__array_interface__["typestr"] == dv.Format(v.format).to_typestr()


@given(record_dtypes(empty=False, titles=False).filter(lambda d: d.itemsize > 0))
def test_the_dict_of_records_is_numpys(dtype):
    a = pattern((2, 3), dtype)[:, ::-1]
    v = dv.view(a)
    told = v.__array_interface__
    assert told == a.__array_interface__
    if dtype.names:
        assert np.lib.format.descr_to_dtype(told["descr"]) == dtype
        # Whatever NumPy makes of such a descr, it makes of ours.
        assert relayed(v).dtype == np.asarray(Interface(a.__array_interface__, a)).dtype


def test_an_array_over_the_dict_shares_the_memory():
    v = dv.zeros((2, 3), "i")[:, ::2]
    a = relayed(v)
    a[1, 1] = 5
    assert v.tolist() == [[0, 0], [0, 5]]
    assert v.exports == 0
    assert v.allocation.exports == 0


def test_read_only_is_told():
    v = dv.view(b"abcd")
    assert v.__array_interface__["data"] == (v.ptr, True)
    assert not relayed(v).flags.writeable


def test_the_dict_owns_nothing_and_the_array_holds_the_view():
    with no_gc():
        v = dv.zeros(4)
        alive = len(dv.live())
        told = v.__array_interface__
        a = np.asarray(Interface(told, v))
        del v
        assert len(dv.live()) == alive
        del a
        assert len(dv.live()) == alive - 1
        del told


@pytest.mark.parametrize(
    ("spec", "shape", "strides"),
    [
        ("(2,3)f", (4, 2, 3), None),
        ("(2,3)<h", (4, 2, 3), None),
        ("(2)T{i:a:b:b:}", (4, 2), None),
        ("(1)5s", (4, 1), None),
    ],
)
def test_sub_array_items_become_axes(spec, shape, strides):
    v = dv.empty(4, dv.Format(spec))
    told = v.__array_interface__
    assert (told["shape"], told["strides"]) == (shape, strides)
    assert told["shape"] == np.asarray(memoryview(v)).shape
    backward = v[::-2]
    a = np.asarray(memoryview(backward))
    assert backward.__array_interface__["strides"] == a.strides
    assert relayed(backward).shape == a.shape


def test_more_axes_than_an_array_has_are_refused():
    v = dv.empty((1,) * 63, "(2,2)B")
    with pytest.raises(AttributeError, match="65 axes"):
        _ = v.__array_interface__


@pytest.mark.parametrize("name", [name for name in SMALL if dv.Format(name).bits >= 8])
def test_small_floats_keep_their_name(name):
    import ml_dtypes

    cls = getattr(ml_dtypes, name)
    a = np.array([1, 2, 4, 8]).astype(cls)
    v = dv.view(a.view(f"u{a.itemsize}")).cast(dv.Format(name), (2, 2))
    told = v.__array_interface__
    assert told["typestr"] == ("<V2" if name == "bfloat16" else "|V1")
    assert told["descr"] == [(name, np.dtype(f"u{a.itemsize}").str)]
    # NumPy: a record of that one member; devview: the format itself.
    assert np.array_equal(relayed(v)[name].view(cls), a.reshape(2, 2))
    back = dv.view(Interface(told, v))
    assert dv.Format(back.format) == dv.Format(name)
    assert back.tolist() == v.tolist() == [[1, 2], [4, 8]]


def test_small_floats_in_records_keep_their_name():
    format = dv.Format("T{b:x:T{>H:bfloat16:}:y:(3)T{B:float8_e5m2:}:z:}")
    v = dv.zeros(2, format)
    told = v.__array_interface__
    assert told["descr"] == [
        ("x", "|i1"),
        ("y", [("bfloat16", ">u2")]),
        ("z", [("float8_e5m2", "|u1")], (3,)),
    ]
    assert dv.Format(dv.view(Interface(told, v)).format) == format


def test_objects_are_told_as_numpy_tells_them_and_never_taken():
    a = np.array([None, "x", 5.0], object)
    assert dv.view(a).__array_interface__ == a.__array_interface__
    with pytest.raises(dv.ImportRefused, match="Python objects behind an address"):
        dv.view(Interface(a.__array_interface__, a))
    assert a.tolist() == [None, "x", 5.0]


@pytest.mark.parametrize(
    "spec",
    ["int4", "float4_e2m1fn", "float6_e2m3fn", "&i", "P", "X{}", "5p", "3u", "T{5p:a:}", "9t"],
)
def test_what_a_typestr_cannot_say_is_no_attribute(spec):
    format = dv.Format(spec)
    v = dv.empty(4, format)
    assert not hasattr(v, "__array_interface__")
    with pytest.raises(AttributeError, match=r"__array_interface__: .*format"):
        _ = v.__array_interface__


def test_suboffsets_are_no_attribute():
    _testbuffer = pytest.importorskip("_testbuffer")
    nd = _testbuffer.ndarray(list(range(6)), shape=[2, 3], flags=_testbuffer.ND_PIL)
    v = dv.view(nd)
    assert v.suboffsets
    with pytest.raises(AttributeError, match="suboffsets"):
        _ = v.__array_interface__


@pytest.mark.parametrize("device", CUDA_DEVICES)
def test_device_views_have_none(device):
    v = dv.zeros(3, device=device)
    assert not hasattr(v, "__array_interface__")
    with pytest.raises(AttributeError, match=device):
        _ = v.__array_interface__


def test_a_released_view_is_an_error():
    v = dv.zeros(3)
    v.release()
    with pytest.raises(ValueError, match="released"):
        _ = v.__array_interface__


@EMULATED
@pytest.mark.parametrize("device", ["pinned", "managed"])
def test_shared_memory_is_ready_when_it_is_told(device):
    s = dv.Stream(CUDA)
    source = dv.view(bytes(range(256)) * 64).to(CUDA)
    v = dv.zeros(256 * 64, device=device)
    with delay(3000):
        dv.copyto(v, source, stream=s)
        told = v.__array_interface__
        assert np.asarray(Interface(told, v)).tobytes() == bytes(range(256)) * 64


# --- Import ---


def offered(a, **changes) -> Interface:
    interface = {**a.__array_interface__, **changes}
    return Interface({k: v for k, v in interface.items() if v is not ...}, a)


@given(record_dtypes(empty=False).filter(lambda d: d.itemsize > 0), st.randoms())
def test_records_come_in_whole(dtype, random):
    # NumPy says of a title or of fields out of order what a descr has no words for.
    dtype = without_titles(dtype)
    a = pattern((2, 3), dtype, seed=random.randrange(100))
    v = dv.view(offered(a[::-1]))
    assert_same_items(a[::-1], v)
    if dtype.names:
        assert dv.Format(v.format) == dv.Format(dtype)


@given(scalar_dtypes(empty=False))
def test_scalars_come_in_whole(dtype):
    a = pattern((3,), dtype) if dtype.kind not in "U?" else np.zeros(3, dtype)
    v = dv.view(offered(a))
    assert_same_items(a, v)
    assert dv.Format(v.format) == dv.Format(dtype)


@given(layouts())
def test_layouts_go_out_and_come_in(layout):
    a = layout.apply(layout.base())
    v = dv.view(a)
    w = dv.view(Interface(v.__array_interface__, v))
    assert (w.ptr, w.shape, w.tobytes()) == (v.ptr, v.shape, v.tobytes())
    assert w.readonly == v.readonly


def test_integers_of_numpy_are_integers():
    a = pattern((2, 3), "i4")
    v = dv.view(
        offered(
            a,
            shape=(np.int8(2), np.uint64(3)),
            strides=(np.int64(12), np.int16(4)),
            data=(np.uint64(a.ctypes.data), np.False_),
            version=np.int32(3),
        )
    )
    assert_same_items(a, v)


@pytest.mark.parametrize("version", [0, 1, 2, 3])
def test_older_versions_are_read(version):
    a = pattern((3,), "i4")
    assert_same_items(a, dv.view(offered(a, version=version)))


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 4},
        {"version": -1},
        {"version": "3"},
        {"version": True},
        {"version": 3.0},
        {"shape": (True, 3)},
        {"shape": (np.True_,)},
        {"strides": (True,)},
        {"strides": 4},
        {"strides": [4]},
        {"typestr": "|O"},
        {"typestr": "|O8"},
        {"typestr": "|V8", "descr": [("a", "|O")]},
        {"offset": 4},
        {"offset": "0"},
        {"offset": True},
        {"data": (np.float64(4096), False)},
        {"data": [4096, False]},
    ],
    ids=repr,
)
def test_malformed_entries_are_refused(changes):
    a = pattern((1,), "i8")
    alive = len(dv.live())
    with pytest.raises(dv.ImportRefused, match="__array_interface__"):
        dv.view(offered(a, **changes))
    assert len(dv.live()) == alive


@EMULATED
def test_an_address_on_a_device_is_refused():
    v = dv.zeros(4, device=CUDA)
    told = {"version": 3, "shape": (4,), "typestr": "|u1", "data": (v.ptr, False)}
    with pytest.raises(dv.ImportRefused, match="device memory, said to be on the host"):
        dv.view(Interface(told, v))


def test_an_index_that_raises_is_kept():
    class Broken:
        def __index__(self):
            raise ZeroDivisionError("mine")

    a = pattern((3,), "i4")
    for changes in ({"shape": (Broken(),)}, {"strides": (Broken(),)}, {"data": (Broken(), False)}):
        with pytest.raises(ZeroDivisionError, match="mine"):
            dv.view(offered(a, **changes))


def test_an_index_that_changes_the_dict_changes_nothing():
    a = pattern((3,), "i4")
    exporter = offered(a)

    class Changing:
        def __index__(self):
            exporter.__array_interface__.update(strides=(2**40,), data=(8, False), typestr="<i9")
            return 3

    exporter.__array_interface__["shape"] = (Changing(),)
    assert_same_items(a, dv.view(exporter))


def test_a_key_whose_comparison_raises_is_kept():
    class Key(str):
        __hash__ = str.__hash__

        def __eq__(self, other):
            raise ZeroDivisionError("mine")

    a = pattern((3,), "i4")
    exporter = offered(a, shape=...)
    exporter.__array_interface__[Key("shape")] = (3,)
    with pytest.raises(ZeroDivisionError, match="mine"):
        dv.view(exporter)


# --- data that is no address: the memory of a buffer ---


class Exporting(dv.Exporter):
    """Its buffer cannot be had with a format, only as bytes: dv.view goes on to the interface."""

    def __init__(self, memory, interface):
        self.memory = memory
        self.__array_interface__ = interface

    def __buffer__(self, flags):
        if flags & 4:
            raise BufferError("no format")
        return memoryview(self.memory)


@pytest.mark.parametrize("data", [None, ...], ids=["None", "absent"])
def test_without_data_the_object_itself_is_asked(data):
    memory = bytearray(range(16))
    interface = {"version": 3, "shape": (2, 3), "typestr": "<u2", "offset": 2, "data": data}
    exporter = Exporting(memory, {k: v for k, v in interface.items() if v is not ...})
    v = dv.view(exporter)
    assert v.tolist() == np.frombuffer(memory, "<u2", 6, 2).reshape(2, 3).tolist()
    v[0, 0] = 0
    assert memory[2:4] == b"\0\0"


@pytest.mark.skipif(sys.byteorder != "little", reason="missing: a little-endian machine")
def test_native_order_is_said_without_a_letter():
    """A memoryview reads items of format "i", and none of "<i"."""
    for code in "?bhiqBHIQfd":
        array = np.arange(3).astype(code)
        told = {"version": 3, "shape": (3,), "typestr": array.dtype.str, "data": array}
        v = dv.view(Interface(told))
        assert v.format == code
        assert memoryview(v).tolist() == array.tolist()
        array = array.astype(array.dtype.newbyteorder(">"))
        told |= {"typestr": array.dtype.str, "data": array}
        v = dv.view(Interface(told))
        assert v.format == (code if array.itemsize == 1 else ">" + code)
        assert v.tolist() == array.tolist()


@pytest.mark.parametrize("memory", [bytearray(range(12)), bytes(range(12))], ids=["rw", "ro"])
def test_data_may_be_a_buffer(memory):
    exporter = Interface(
        {
            "version": 3,
            "shape": (3,),
            "typestr": "<i2",
            "strides": (-4,),
            "data": memory,
            "offset": 8,
        }
    )
    v = dv.view(exporter)
    assert v.tolist() == np.frombuffer(memory, "<i2")[4::-2].tolist()
    assert v.readonly == isinstance(memory, bytes)
    assert v.obj is memory
    if not v.readonly:
        with pytest.raises(BufferError):
            memory.append(1)
        v.release()
        memory.append(1)
        memory.pop()


@pytest.mark.parametrize(
    "changes",
    [
        {"shape": (7,)},
        {"offset": 1},
        {"offset": -1},
        {"offset": 13, "shape": (0,)},
        {"offset": 2**63},
        {"offset": 2**63 - 1},
        {"strides": (-2,)},
        {"strides": (4,)},
        {"data": memoryview(bytes(24))[::2]},
        {"data": "text"},
        {"data": 4096},
    ],
    ids=repr,
)
def test_items_outside_the_buffer_are_refused(changes):
    memory = bytearray(12)
    told = {"version": 3, "shape": (6,), "typestr": "<i2", "data": memory, **changes}
    with pytest.raises(dv.ImportRefused, match="__array_interface__"):
        dv.view(Interface(told))
    memory.append(1)  # the buffer was given back


def test_offsets_of_empty_arrays_may_end_where_the_buffer_ends():
    told = {"version": 3, "shape": (0, 4), "typestr": "<i2", "data": b"abc", "offset": 3}
    assert dv.view(Interface(told)).tobytes() == b""


# --- Others ---


def test_pillow_reads_views_and_views_read_pillow():
    from PIL import Image

    v = dv.view(bytes(range(24))).cast("B", (2, 4, 3))
    for part in (v, v[::-1], v[:, ::-2]):
        image = Image.fromarray(part)
        assert image.mode == "RGB"
        assert image.tobytes() == part.tobytes()
        assert dv.view(image).tolist() == part.tolist()
    assert Image.fromarray(dv.zeros((2, 3), "f")).mode == "F"
