"""Packed items of 4 and 6 bits: found, moved and converted; what they cannot do is refused."""

from __future__ import annotations

import ctypes
import mmap
import pickle

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import devview as dv
from support import CUDA_DEVICES, DEVICES, PyBuffer, ledger

NAMES = ("int4", "uint4", "float4_e2m1fn", "float6_e2m3fn", "float6_e3m2fn")
CUDA = CUDA_DEVICES[0]


def width(name: str) -> int:
    return 6 if "6" in name else 4


def packed(name: str) -> dv.Format:
    return dv.Format(name, packed=True)


def random_codes(name: str, count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2 ** width(name), count, "u1")


def pack(codes: np.ndarray, bits: int) -> bytes:
    """Pack by NumPy: bit 0 of item 0 first."""
    each = np.unpackbits(codes.reshape(-1, 1), axis=1, bitorder="little")[:, :bits]
    return np.packbits(each.reshape(-1), bitorder="little").tobytes()


def values(name: str, codes: np.ndarray) -> list:
    """Give what the codes mean, as ml_dtypes has it."""
    array = codes.astype("u1").view(getattr(ml_dtypes, name))
    return array.astype("i4" if "int" in name else "f8").tolist()


def make(name: str, codes: np.ndarray, device="cpu", shape=None) -> dv.View:
    raw = bytearray(pack(codes, width(name)))
    v = dv.view(raw).cast(packed(name), (codes.size,) if shape is None else shape)
    return v.to(device)


def same(v: dv.View, name: str, codes: np.ndarray) -> bool:
    return v.tobytes() == pack(codes, width(name))


# --- The format ---


@pytest.mark.parametrize("name", NAMES)
def test_spelling_comes_back(name):
    format = packed(name)
    assert format.str == f"T{{{width(name)}t:{name}:}}"
    assert dv.Format(format.str) == format == dv.Format(f" < T{{ {width(name)}t :{name}: }}")
    assert hash(dv.Format(format.str)) == hash(dv.Format(f"<T{{{width(name)}t:{name}:}}"))
    assert (format.packed, format.bits, format.itemsize) == (True, width(name), 1)
    assert (format.name, format.kind) == (name, dv.Format(name).kind)
    assert pickle.loads(pickle.dumps(format)) == format


@pytest.mark.parametrize("name", NAMES)
def test_packed_and_padded_are_two_formats(name):
    format = packed(name)
    assert format != dv.Format(name)
    assert not dv.Format(name).packed
    assert dv.Format(format, packed=False) == dv.Format(name)
    assert dv.Format(format, packed=True) == dv.Format(format, packed=None) == format
    assert format.to_dlpack() == dv.Format(name).to_dlpack()


def test_only_numbers_of_less_than_a_byte_are_packed():
    for spec in ("B", "bfloat16", "float8_e5m2", "3t", "T{4t:a:}"):
        with pytest.raises(dv.FormatError, match="less than a byte"):
            dv.Format(spec, packed=True)
        assert dv.Format(spec, packed=False) == dv.Format(spec)
    with pytest.raises(TypeError, match="packed"):
        dv.Format("int4", padded=True)


@pytest.mark.parametrize(
    "text", ["T{3t:int4:}", "T{5t:uint4:}", "T{4t:float6_e2m3fn:}", "T{4t:int4:x}", "T{4t:int8:}"]
)
def test_other_records_of_bits_stay_records(text):
    assert dv.Format(text).kind == "record"
    assert not dv.Format(text).packed


@pytest.mark.parametrize(
    ("text", "position"),
    [("(2)T{4t:int4:}", 0), ("T{B:a:T{4t:int4:}:b:}", 6), ("3T{4t:int4:}", 0), ("T{4t:int4:}B", 0)],
)
def test_packed_items_are_no_part_of_others(text, position):
    with pytest.raises(dv.FormatError, match="packed") as refused:
        dv.Format(text)
    assert refused.value.position == position


@pytest.mark.parametrize("convert", ["to_numpy", "to_ctypes", "to_struct", "to_typestr"])
def test_formats_with_bytes_to_each_item_refuse(convert):
    with pytest.raises(dv.FormatError, match=convert):
        getattr(packed("uint4"), convert)()


# --- Making views, and their items ---


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", NAMES)
def test_items_are_where_numpy_packs_them(name, device):
    codes = random_codes(name, 29)
    v = make(name, codes, device)
    assert (v.shape, v.strides, v.itemsize, v.nbytes) == ((29,), (1,), 1, -(-29 * width(name) // 8))
    assert v.format == packed(name).str
    expected = values(name, codes)
    np.testing.assert_array_equal(v.tolist(), expected)
    np.testing.assert_array_equal(list(v), expected)
    np.testing.assert_array_equal([v[i] for i in range(29)], expected)
    np.testing.assert_array_equal([v[i - 29] for i in range(29)], expected)
    assert same(v, name, codes)
    assert bytes.fromhex(v.hex()) == v.tobytes()
    with pytest.raises(IndexError):
        v[29]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", NAMES)
def test_written_items_leave_their_neighbours_alone(name, device):
    codes = random_codes(name, 21, seed=1)
    other = random_codes(name, 21, seed=2)
    v = make(name, codes, device)
    new = values(name, other)
    for i in (0, 1, 2, 3, 7, 8, 19, 20):
        v[i] = new[i]
        codes[i] = other[i]
        assert same(v, name, codes)


def test_values_out_of_range_write_nothing():
    v = make("int4", np.array([1, 2, 3], "u1"))
    for value in (8, -9, 1 << 70):
        with pytest.raises(ValueError, match="int4"):
            v[1] = value
    with pytest.raises(TypeError):
        v[1] = "1"
    v[1] = -8
    assert v.tolist() == [1, -8, 3]
    u = make("uint4", np.array([1, 2], "u1"))
    with pytest.raises(ValueError, match="uint4"):
        u[0] = 16


def test_value_that_releases_the_view_is_not_written():
    class Releasing:
        def __index__(self):
            v.release()
            return 3

    raw = bytearray(2)
    v = dv.view(raw).cast(packed("int4"))
    with pytest.raises(ValueError, match="released"):
        v[1] = Releasing()
    assert raw == bytes(2)


def test_read_only_memory_is_not_written():
    v = dv.view(b"\x21\x43").cast(packed("uint4"))
    assert v.tolist() == [1, 2, 3, 4]
    for write in (lambda: v.__setitem__(0, 1), lambda: v.fill(1)):
        with pytest.raises(TypeError, match="read-only"):
            write()
    with pytest.raises(BufferError, match="read-only"):
        dv.copyto(v, v)


@pytest.mark.parametrize("device", ["cpu", CUDA, "pinned"])
@pytest.mark.parametrize("name", NAMES)
def test_empty_and_zeros(name, device):
    v = dv.zeros((3, 5), packed(name), device=device)
    assert v.nbytes == v.allocation.nbytes == -(-15 * width(name) // 8)
    assert v.tolist() == [[0] * 5] * 3
    w = dv.empty_like(v)
    assert (w.shape, w.format, w.nbytes) == (v.shape, v.format, v.nbytes)
    assert dv.empty((0, 4), packed(name), device=device).tolist() == []
    assert dv.zeros((), packed(name), device=device).tolist() == 0


def test_zero_dimensional():
    v = dv.zeros((), packed("int4"))
    v[()] = -3
    assert (v[()], v.tolist(), v.nbytes) == (-3, -3, 1)
    v[...] = 5
    assert v[()] == 5
    assert v.reshape(1, 1).tolist() == [[5]]
    with pytest.raises(TypeError, match="0-dim"):
        v[0]


def test_packed_views_know_their_allocation():
    a = dv.Allocation(6)
    assert a.view(packed("int4")).shape == (12,)
    assert a.view(packed("float6_e2m3fn")).shape == (8,)
    assert a.view(packed("int4"), (3, 3)).nbytes == 5
    with pytest.raises(dv.LayoutError, match="allocation, which has 6"):
        a.view(packed("int4"), (13,))
    with pytest.raises(dv.LayoutError, match="multiple of 6 bits"):
        dv.Allocation(5).view(packed("float6_e2m3fn"))


def test_packed_from_a_pointer():
    block = (ctypes.c_ubyte * 3)(0x21, 0x43, 0x05)
    v = dv.from_pointer(
        ctypes.addressof(block), 5, packed("uint4"), device="cpu", nbytes=3, owner=block
    )
    assert v.tolist() == [1, 2, 3, 4, 5]
    assert v.allocation.nbytes == 3
    with pytest.raises(dv.LayoutError, match="nbytes 2"):
        dv.from_pointer(ctypes.addressof(block), 5, packed("uint4"), device="cpu", nbytes=2)
    with pytest.raises(dv.LayoutError, match="C order without gaps"):
        dv.from_pointer(ctypes.addressof(block), 2, packed("uint4"), device="cpu", strides=2)


def test_from_buffer():
    raw = bytes([0x21, 0x43, 0x65])
    v = dv.from_buffer(raw, format=packed("uint4"))
    assert v.tolist() == [1, 2, 3, 4, 5, 6]
    v = dv.from_buffer(raw, format=packed("uint4"), shape=(2, 2))
    assert v.tolist() == [[1, 2], [3, 4]]
    assert dv.from_buffer(np.array(0x87654321, "u4"), format=packed("uint4")).shape == (8,)
    with pytest.raises(dv.LayoutError, match="C order"):
        dv.from_buffer(raw, format=packed("uint4"), shape=(2,), strides=(2,))
    with pytest.raises(dv.LayoutError, match="allocation, which has 3"):
        dv.from_buffer(raw, format=packed("uint4"), shape=(7,))


# --- Layouts ---


def test_slices_begin_with_a_byte():
    codes = random_codes("uint4", 24)
    v = make("uint4", codes)
    for part in (slice(2, 9), slice(4, None), slice(0, 3), slice(6, 6), slice(8, 9, 5)):
        w = v[part]
        assert w.tolist() == codes[part].tolist()
        assert w.tobytes() == pack(codes[part], 4)
        assert w.allocation is v.allocation
    assert v[2:].ptr == v.ptr + 1
    assert v[6:2].tolist() == v[5:5].tolist() == []
    with pytest.raises(dv.LayoutError, match=r"item 3 .* bit 4 of byte 1"):
        v[3:]
    with pytest.raises(dv.LayoutError, match="C order"):
        v[::2]
    with pytest.raises(dv.LayoutError, match="C order"):
        v[::-1]


def test_slices_of_six_bits_begin_every_fourth_item():
    codes = random_codes("float6_e2m3fn", 16)
    v = make("float6_e2m3fn", codes)
    w = v[4:11]
    assert (w.ptr, w.nbytes) == (v.ptr + 3, 6)
    np.testing.assert_array_equal(w.tolist(), values("float6_e2m3fn", codes[4:11]))
    for start, bit, byte in ((1, 6, 0), (2, 4, 1), (3, 2, 2), (5, 6, 3)):
        with pytest.raises(dv.LayoutError, match=f"bit {bit} of byte {byte}"):
            v[start:]


def test_indices_and_slices_of_several_axes():
    codes = random_codes("int4", 3 * 5 * 4).reshape(3, 5, 4)
    expected = np.array(values("int4", codes.reshape(-1))).reshape(3, 5, 4)
    v = make("int4", codes.reshape(-1), shape=(3, 5, 4))
    for key in (1, (2, 3), (slice(1, 3),), (0, slice(2, 4)), (..., None, slice(None)), (2, 1, 3)):
        np.testing.assert_array_equal(
            v[key].tolist() if isinstance(v[key], dv.View) else v[key], expected[key]
        )
    np.testing.assert_array_equal([row.tolist() for row in v], expected)
    assert v[1, 2, slice(2, 4)].tolist() == expected[1, 2, 2:4].tolist()
    with pytest.raises(dv.LayoutError, match="C order"):
        v[:, 1]
    odd = make("int4", codes.reshape(-1)[:15], shape=(3, 5))
    assert odd[1, 1:3].tolist() == expected.reshape(-1)[6:8].tolist()  # from item 6 on
    assert odd[1, 2] == expected.reshape(-1)[7]
    with pytest.raises(dv.LayoutError, match=r"item 5 .* bit 4 of byte 2"):
        odd[1]
    with pytest.raises(dv.LayoutError, match="item 5"):
        list(odd)
    odd[1, 2] = 3
    assert odd[1, 2] == 3


def test_axes_move_only_where_the_order_stays():
    v = make("uint4", random_codes("uint4", 24), shape=(4, 6))
    assert v.reshape(2, -1).shape == (2, 12)
    assert v.reshape(24).tolist() == [item for row in v.tolist() for item in row]
    assert v[None].squeeze().strides == v.strides == (6, 1)
    assert v.broadcast_to((1, 4, 6)).shape == (1, 4, 6)
    for move in (
        lambda: v.T,
        lambda: v.transpose(1, 0),
        lambda: v.broadcast_to((2, 4, 6)),
        lambda: v.copy(order="F"),
        lambda: v.astype(packed("int4"), order="F"),
        lambda: dv.empty((2, 3), packed("int4"), order="F"),
        lambda: v.tobytes("F"),
    ):
        with pytest.raises(dv.LayoutError, match="C order"):
            move()
    assert v[:1].T.shape == (6, 1)  # one column is as dense
    assert v.tobytes("A") == v.tobytes()
    assert (v.c_contiguous, v.f_contiguous, v.contiguous) == (True, False, True)


def test_cast_from_and_to_bytes():
    raw = bytearray(b"\x21\x43\x65")
    v = dv.view(raw).cast(packed("uint4"))
    assert (v.shape, v.ptr) == ((6,), dv.view(raw).ptr)
    assert v.cast("B").tolist() == list(raw)
    assert memoryview(v.cast("B")) == raw
    assert dv.view(raw).cast(packed("float6_e2m3fn")).shape == (4,)
    assert v.cast(packed("int4")).tolist() == [1, 2, 3, 4, 5, 6]
    assert v.cast(packed("uint4"), (3, 2)).tolist() == [[1, 2], [3, 4], [5, 6]]
    assert v.cast(packed("uint4"), (5,)).tolist() == [1, 2, 3, 4, 5]
    for format, shape in (("H", None), (packed("float6_e2m3fn"), None), ("int4", None)):
        with pytest.raises(dv.LayoutError, match="cast"):
            v.cast(format, shape)
    for shape in ((7,), (4,)):
        with pytest.raises(dv.LayoutError, match="bytes"):
            v.cast(packed("uint4"), shape)
    with pytest.raises(dv.LayoutError, match="multiple of 6 bits"):
        dv.view(bytes(4)).cast(packed("float6_e2m3fn"))
    with pytest.raises(dv.LayoutError):
        dv.view(bytes(8))[::2].cast(packed("uint4"))


# --- Moving, comparing, converting ---


@pytest.mark.parametrize("count", [1, 2, 3, 8, 29, 70001])
@pytest.mark.parametrize("target", DEVICES)
@pytest.mark.parametrize("source", ["cpu", CUDA])
def test_copies_between_devices(source, target, count):
    name = "float6_e3m2fn" if count % 2 else "int4"
    codes = random_codes(name, count)
    v = make(name, codes, source)
    before = ledger()
    for moved in (v.to(target), v.copy(device=target), dv.copy(v, device=target)):
        assert (moved.format, moved.shape) == (v.format, v.shape)
        assert same(moved, name, codes)
    dst = dv.zeros(count, v.format, device=target)
    dv.copyto(dst, v)
    assert same(dst, name, codes)
    del moved, dst
    assert ledger() == before


@pytest.mark.parametrize("device", ["cpu", CUDA, "managed"])
@pytest.mark.parametrize("name", ["uint4", "float6_e2m3fn"])
def test_copies_into_a_part_leave_the_rest_of_its_last_byte(name, device):
    codes = random_codes(name, 24, seed=3)
    new = random_codes(name, 7, seed=4)
    v = make(name, codes, device)
    part = v[4:11]
    part[:] = make(name, new)
    codes[4:11] = new
    assert same(v, name, codes)
    part.copy_from(make(name, new[::-1].copy(), device))
    codes[4:11] = new[::-1]
    assert same(v, name, codes)
    assert same(part, name, new[::-1])  # no foreign bits


def test_overlapping_copies_are_as_through_a_temporary():
    codes = random_codes("uint4", 40)
    for dst, src in ((slice(0, 17), slice(6, 23)), (slice(6, 23), slice(0, 17))):
        v = make("uint4", codes)
        expected = codes.copy()
        expected[dst] = codes[src]
        v[dst] = v[src]
        assert same(v, "uint4", expected)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("count", [1, 3, 4, 5, 12, 13, 101])
def test_fill(count, name, device):
    codes = random_codes(name, 128, seed=count)
    v = make(name, codes, device)
    value = 3 if "int" in name else 1.5
    code = np.array([value], getattr(ml_dtypes, name)).view("u1")[0]
    assert v[4 : 4 + count].fill(value).tolist() == [value] * count
    codes[4 : 4 + count] = code
    assert same(v, name, codes)


@pytest.mark.parametrize("device", ["cpu", CUDA])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("target", ["f", "d", "b", "<q", ">h", "bfloat16", "Zf", "padded"])
def test_astype_unpacks(target, name, device):
    codes = random_codes(name, 33)
    v = make(name, codes, device, shape=(3, 11))
    format = name if target == "padded" else target
    made = v.astype(format)
    assert (made.device, made.shape) == (v.device, v.shape)
    assert dv.Format(made) == dv.Format(format)
    padded = dv.view(codes.reshape(3, 11)).cast(name).to(device)
    assert made.tobytes() == padded.astype(format).tobytes()


@pytest.mark.parametrize("device", ["cpu", CUDA])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["f8", ">f4", "i2", "u8", "?"])
def test_astype_packs(dtype, name, device):
    a = np.resize(np.array([0, 1, 2, 3, -1, 7, 100, -100, 1]), 37).astype(dtype)
    v = dv.view(a).to(device)
    made = v.astype(packed(name))
    assert (made.device, made.nbytes) == (v.device, -(-37 * width(name) // 8))
    codes = np.frombuffer(v.astype(name).tobytes(), "u1")
    assert same(made, name, codes)
    part = dv.zeros(40, packed(name), device=device)
    part[:37].copy_from(v.astype(name))
    assert part[:37].tobytes() == made.tobytes()
    assert part.tolist()[37:] == [0, 0, 0]


def test_astype_between_packed_formats():
    codes = random_codes("uint4", 16)
    v = make("uint4", codes)
    six = v.astype(packed("float6_e2m3fn"))
    np.testing.assert_array_equal(
        six.tolist(), codes.astype(ml_dtypes.float6_e2m3fn).astype("f8").tolist()
    )
    assert v.astype(v.format, copy=False) is v
    assert same(v.astype(v.format), "uint4", codes)
    with pytest.raises(dv.FormatError):
        dv.copyto(v, six)  # floats into integers: astype only


@pytest.mark.parametrize("device", ["cpu", CUDA])
@pytest.mark.parametrize("name", NAMES)
def test_equality_is_by_value(name, device):
    codes = random_codes(name, 19)
    v = make(name, codes, device)
    assert v == make(name, codes)
    assert v == dv.view(codes).cast(name)
    assert v == dv.view(np.array(values(name, codes), "f8"))
    other = codes.copy()
    other[18] ^= 1
    assert v != make(name, other)
    assert v != make(name, codes[:18])
    assert v.count(v[3]) == values(name, codes).count(v[3])
    assert v.index(v[7]) == values(name, codes).index(v[7])


@pytest.mark.parametrize("device", ["cpu", CUDA])
@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_pickles(protocol, device):
    v = make("float6_e2m3fn", random_codes("float6_e2m3fn", 9), device, shape=(3, 3))
    w = pickle.loads(pickle.dumps(v, protocol))
    assert (w.format, w.shape, w.device, w.readonly) == (v.format, v.shape, v.device, False)
    assert w == v
    kept: list = []
    data = pickle.dumps(v.toreadonly(), 5, buffer_callback=kept.append)
    w = pickle.loads(data, buffers=kept)
    assert w == v
    assert w.readonly
    assert device != "cpu" or w.ptr == v.ptr


# --- What is refused ---


@pytest.mark.parametrize("device", ["cpu", CUDA, "pinned"])
def test_no_buffer_has_packed_items(device):
    v = make("uint4", random_codes("uint4", 8), device)
    for ask in (
        memoryview,
        bytes,
        bytearray,
        lambda v: v.stage(),
        lambda v: v.stage(writable=True),
    ):
        with pytest.raises(BufferError, match="packed"):
            ask(v)
    with pytest.raises(BufferError, match=r"cast\('B'\)"):
        memoryview(v)
    assert v.exports == v.allocation.exports == 0
    assert bytes(v.cast("B")) == v.tobytes()
    assert not hasattr(v, "__array_interface__")
    assert not hasattr(v, "__cuda_array_interface__")
    assert np.asarray(v).tolist() == v.tolist()  # as any sequence: item by item
    with pytest.raises(ValueError, match="hash"):
        hash(v.toreadonly())


def test_buffers_that_claim_packed_items_have_bytes():
    # A Py_buffer has itemsize bytes to every item, whatever its format says.
    data = (ctypes.c_ubyte * 3)(1, 2, 0xF3)
    extent, stride = ctypes.c_ssize_t(3), ctypes.c_ssize_t(1)
    said = PyBuffer(
        buf=ctypes.addressof(data),
        len=3,
        itemsize=1,
        ndim=1,
        format=b"T{4t:uint4:}",
        shape=ctypes.pointer(extent),
        strides=ctypes.pointer(stride),
    )
    make_memoryview = ctypes.pythonapi.PyMemoryView_FromBuffer
    make_memoryview.argtypes, make_memoryview.restype = (ctypes.c_void_p,), ctypes.py_object
    v = dv.view(make_memoryview(ctypes.addressof(said)))
    assert dv.Format(v) == dv.Format("uint4")
    assert (v.tolist(), v.nbytes) == ([1, 2, 3], 3)


@pytest.mark.parametrize("name", ["uint4", "float6_e2m3fn"])
def test_nothing_reads_or_writes_behind_the_last_byte(name):
    """Call everything that a view has on memory that ends with its page."""
    page = mmap.mmap(-1, 2 * mmap.PAGESIZE)
    base = ctypes.addressof(ctypes.c_char.from_buffer(page))
    libc = ctypes.CDLL(None, use_errno=True)
    none, both = 0, 3
    assert libc.mprotect(ctypes.c_void_p(base + mmap.PAGESIZE), mmap.PAGESIZE, none) == 0
    try:
        nbytes = 2048 * width(name) // 8
        v = dv.from_pointer(
            base + mmap.PAGESIZE - nbytes, 2048, packed(name), device="cpu", nbytes=nbytes
        )
        v.fill(1)
        assert v.tolist() == [1] * 2048
        for attribute in dir(dv.View):
            if attribute in {"release", "__exit__", "__del__", "__class__"}:
                continue
            exercise(v, attribute)
        assert v.astype("f").tolist() == [1.0] * 2048
        v.copy_from(v.copy(device=CUDA))
        v[2040:] = v[:8]
        assert v == v.copy()
        v.release()
    finally:
        libc.mprotect(ctypes.c_void_p(base + mmap.PAGESIZE), mmap.PAGESIZE, both)


ARGUMENTS = (
    (),
    (1,),
    ("B",),
    ("f",),
    (CUDA,),
    ((1, 2048),),
    (slice(8, 40),),
    (2047, 1),
    (slice(8, 40), b"x"),
)


def exercise(v: dv.View, attribute: str) -> None:
    """Read an attribute and call it in many ways; errors are fine, faults are not."""
    try:
        found = getattr(v, attribute)
    except Exception:
        return
    if not callable(found):
        return
    for arguments in ARGUMENTS:
        try:
            result = found(*arguments)
            if isinstance(result, dv.View):
                assert len(result.tolist()) >= 0
        except Exception:
            continue
    v.fill(1)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_random_work_agrees_with_a_list_of_codes(data):
    name = data.draw(st.sampled_from(NAMES))
    count = data.draw(st.integers(1, 40))
    codes = random_codes(name, count, seed=data.draw(st.integers(0, 99)))
    v = make(name, codes, data.draw(st.sampled_from(["cpu", CUDA, "pinned"])))
    step = 8 // np.gcd(8, width(name))
    for _ in range(data.draw(st.integers(1, 6))):
        start = data.draw(st.integers(0, count // step)) * step
        stop = data.draw(st.integers(start, count))
        new = random_codes(name, stop - start, seed=data.draw(st.integers(0, 99)))
        match data.draw(st.sampled_from(["item", "copy", "fill", "slice"])):
            case "item":
                i = data.draw(st.integers(0, count - 1))
                v[i] = values(name, codes[:1])[0]
                codes[i] = np.array(values(name, codes[:1]), getattr(ml_dtypes, name)).view("u1")[0]
            case "copy":
                v[start:stop] = make(name, new)
                codes[start:stop] = new
            case "fill":
                v[start:stop].fill(1)
                one = np.array([1], getattr(ml_dtypes, name)).view("u1")[0]
                codes[start:stop] = one
            case "slice":
                np.testing.assert_array_equal(
                    v[start:stop].tolist(), values(name, codes[start:stop])
                )
        assert same(v, name, codes)
