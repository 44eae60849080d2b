"""Strings, records and arrays converted; what has a conversion and what has none."""

from __future__ import annotations

import numpy as np
import pytest

import devview as dv
from conversion import CODES, format_of, items
from support import CUDA_DEVICES

CUDA = CUDA_DEVICES[0]
HOST_AND_DEVICE = ["cpu", CUDA]


@pytest.mark.parametrize("device", HOST_AND_DEVICE)
def test_strings_are_cut_and_padded_as_numpy_does(device):
    short = np.array([b"", b"a", b"abc", b"a\0b"], "S3")
    for size in (1, 2, 3, 5):
        made = dv.view(short).to(device).astype(f"{size}s")
        assert made.tobytes() == short.astype(f"S{size}").tobytes()
    text = np.array(["", "ab", "\U0001f600\u00e9"], "U2")
    for code in ("<U1", ">U3", "<U4"):
        made = dv.view(text).to(device).astype(format_of(code))
        assert made.tobytes() == text.astype(code).tobytes()


def test_unicode_changes_its_width():
    wide = np.array(["a\uffff", "\U00010000b"], "U2")
    narrow = dv.view(wide).astype("2u")
    assert narrow.tobytes() == "a\uffff\ufffdb".encode("utf-16-le")
    assert narrow.astype(">2w").tobytes() == "a\uffff\ufffdb".encode("utf-32-be")
    with pytest.raises(dv.FormatError, match="astype"):
        narrow.copy_from(dv.view(wide))
    dv.view(bytearray(16)).cast("2w").copy_from(narrow)


@pytest.mark.parametrize("device", HOST_AND_DEVICE)
def test_records_convert_by_position_as_numpy_assigns_them(device):
    source = np.dtype([("a", "<i2"), ("b", ">f8"), ("c", "f4", (2, 3)), ("d", "S3")])
    inner = np.dtype([("x", "u1"), ("y", "<f4")])
    target = np.dtype(
        {
            "names": "pqrs",
            "formats": ["f4", "<i4", (">i2", (2, 3)), "S5"],
            "offsets": [0, 4, 10, 22],
            "itemsize": 27,
        }
    )
    a = np.zeros((4, 5), source)
    a["a"] = np.arange(20).reshape(4, 5)
    a["b"] = a["a"] * -1.5
    a["c"] = np.arange(120).reshape(4, 5, 2, 3)
    a["d"] = b"xyz"
    for view, array in ((dv.view(a), a), (dv.view(a)[::-2, 1:], a[::-2, 1:])):
        made = view.to(device, copy=True).astype(format_of(target))
        np.testing.assert_array_equal(items(made, target), array.astype(target))
    nested = np.dtype([("m", source), ("n", inner, 2)])
    wider = np.dtype([("m", target), ("n", [("x", "f8"), ("y", "f2")], 2)])
    b = np.zeros(3, nested)
    b["m"] = a[0, :3]
    b["n"]["x"] = 7
    made = dv.view(b).to(device).astype(format_of(wider))
    np.testing.assert_array_equal(items(made, wider), b.astype(wider))


@pytest.mark.parametrize("device", HOST_AND_DEVICE)
def test_padding_of_a_new_record_is_zero_and_of_a_target_stays(device):
    a = np.array([(1, 2.5), (3, 4.5)], [("a", "i1"), ("b", "f4")])
    assert dv.view(a).to(device).astype("T{b:a:xxxi:b:}").tobytes() == bytes.fromhex(
        "01000000 02000000 03000000 04000000"
    )
    target = dv.view(bytearray(b"\xaa" * 32)).cast("T{b:a:7xd:b:}").to(device)
    target.copy_from(a)
    assert target.tobytes()[:8] == b"\x01" + b"\xaa" * 7


def test_arrays_convert_beside_sixty_four_axes():
    a = np.zeros((1,) * 30 + (2,), [("r", "i2", (2, 2))])
    a["r"] = np.arange(8).reshape((*a.shape, 2, 2))
    v = dv.view(a).reshape((1,) * 63 + (2,))
    made = v.astype("T{(2,2)f:r:}")
    assert made.tobytes() == np.arange(8, dtype="f4").tobytes()


def test_pointers_of_suboffsets_are_followed():
    testbuffer = pytest.importorskip("_testbuffer", reason="missing: CPython's _testbuffer")
    nested = testbuffer.ndarray(
        list(range(12)), shape=[3, 4], format="h", flags=testbuffer.ND_PIL | testbuffer.ND_WRITABLE
    )
    v = dv.view(nested)
    assert v.suboffsets
    assert v.astype("d").tolist() == [[0.0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert v[::-1, 1:].astype("f").tolist() == [[9.0, 10, 11], [5, 6, 7], [1, 2, 3]]
    v.copy_from(np.full((3, 4), 7, "i1"))
    assert v.tolist() == [[7] * 4] * 3
    dv.copyto(v, dv.view(np.arange(12, dtype="u1").reshape(3, 4)).to(CUDA))
    assert v.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]


# --- What converts ---


@pytest.mark.parametrize("target", CODES)
@pytest.mark.parametrize("source", CODES)
def test_copyto_takes_what_numpy_calls_same_kind(source, target):
    a, b = np.zeros(3, source), np.ones(3, target)
    for into in (
        lambda: dv.copyto(dv.view(b), a),
        lambda: dv.view(b).copy_from(a),
        lambda: dv.view(a).copy_to(b),
    ):
        b[...] = 1
        if np.can_cast(source, target, "same_kind"):
            into()
            assert not b.any()
        else:
            with pytest.raises(dv.FormatError) as error:
                into()
            assert f"'{format_of(source)}' into '{format_of(target)}'" in str(error.value)
            assert ("astype" in str(error.value)) == (source not in "FDG" or target == "?")
            assert b.all()


def test_what_has_no_conversion_is_refused():
    pairs = [
        ("Zd", "d"),
        ("4s", "i"),
        ("i", "4s"),
        ("4s", "w"),
        ("P", "Q"),
        ("Q", "P"),
        ("&i", "&f"),
        ("T{i:a:i:b:}", "T{d:a:}"),
        ("T{i:a:}", "i"),
        ("(2)i", "(3)i"),
        ("(2,3)i", "(6)d"),
        ("4p", "5p"),
        ("T{3t:a:5t:b:}", "T{5t:a:3t:b:}"),
        ("4x", "i"),
        ("X{}", "X{i}"),
    ]
    for source, target in pairs:
        v = dv.zeros(2, source)
        with pytest.raises(dv.FormatError, match="astype: format"):
            v.astype(target)
        with pytest.raises(dv.FormatError, match="copyto: format"):
            dv.copyto(dv.zeros(2, target), v)
    objects = dv.view(np.array([1, None], object))
    for target in ("O", "i"):
        with pytest.raises(dv.FormatError):
            objects.astype(target)
    with pytest.raises(dv.FormatError):
        dv.zeros(2, "2s").astype("0s")
    for format in ("P", "4p", "T{3t:a:5t:b:}", "&i", "4x"):
        assert dv.zeros(2, format).astype(format).format == format


def test_a_refused_copy_changes_nothing():
    target = np.zeros(4, "i4")
    with pytest.raises(dv.LayoutError, match="copyto: shape"):
        dv.copyto(target, np.ones(5, "i2"))
    frozen = dv.view(target, readonly=True)
    with pytest.raises(BufferError, match="read-only"):
        frozen.copy_from(np.ones(4, "i2"))
    gone = dv.view(target)
    gone.release()
    with pytest.raises(ValueError, match="released"):
        gone.astype("d")
    with pytest.raises(ValueError, match="released"):
        dv.copyto(gone, np.ones(4, "i2"))
    with pytest.raises(TypeError):
        dv.view(target).astype()
    with pytest.raises(dv.FormatError):
        dv.view(target).astype("nonsense")
    assert not target.any()


def test_astype_copies_unless_told_not_to():
    v = dv.view(np.arange(4, dtype="i4"))
    assert v.astype("i", copy=False) is v
    assert v.astype("<i", copy=False) is v
    made = v.astype("i")
    assert made.ptr != v.ptr
    assert made.tolist() == v.tolist()
    assert v.astype("h", copy=False).tolist() == v.tolist()
    assert not dv.view(bytes(4)).astype("h").readonly


def test_a_repeated_target_keeps_the_last_item():
    for device in HOST_AND_DEVICE:
        target = dv.zeros((), "d", device=device)
        repeated = dv.from_pointer(
            target.ptr, (3,), "d", device=device, strides=(0,), nbytes=8, owner=target
        )
        dv.copyto(repeated, np.array([1, 2, 3], "i2"))
        assert target.tolist() == 3.0


@pytest.mark.parametrize("device", HOST_AND_DEVICE)
@pytest.mark.parametrize("shift", [-8, -4, -2, 0, 2, 4, 8])
def test_overlap_converts_as_if_through_a_temporary(device, shift):
    block = np.arange(60, dtype="u1")
    v = dv.view(block.copy()).to(device, copy=True)
    for source, target in (("h", "i"), ("i", "h"), ("h", "f"), ("i", "Zf")):
        a = v[16:32].cast(source)[:3:2]
        wanted = a.astype(target).tobytes()
        b = v[16 + shift :][: len(wanted)].cast(target)
        dv.copyto(b, a)
        assert b.tobytes() == wanted
