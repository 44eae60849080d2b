"""bfloat16, 8-, 6- and 4-bit items between NumPy with ml_dtypes, buffers and devview: no copies."""

from __future__ import annotations

import io

import ml_dtypes
import numpy as np
import pytest

import devview as dv
from conversion import SMALL

NAMES = (*SMALL, "int4", "uint4")


def every_code(name: str) -> np.ndarray:
    """Give an array of all values that a type has, NaNs and all."""
    dtype = np.dtype(getattr(ml_dtypes, name))
    info = ml_dtypes.iinfo if "int" in name else ml_dtypes.finfo
    return np.arange(2 ** info(dtype).bits, dtype=f"u{dtype.itemsize}").view(dtype)


def spelling(name: str) -> str:
    return f"T{{{'H' if name == 'bfloat16' else 'B'}:{name}:}}"


def doubles(array: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):  # NaNs make ml_dtypes' casts warn
        return array.astype("f8")


def bits(array: np.ndarray) -> np.ndarray:
    return array.view(f"u{array.dtype.itemsize}")


@pytest.mark.parametrize("name", NAMES)
def test_array_of_a_small_type_is_viewed_where_it_is(name):
    a = every_code(name)
    v = dv.view(a)
    assert (v.format, v.shape, v.strides) == (spelling(name), a.shape, a.strides)
    assert v.ptr == a.ctypes.data
    assert v.obj is a
    assert not v.readonly
    np.testing.assert_array_equal(v.tolist(), doubles(a))
    v[1] = v[0]
    assert bits(a)[1] == bits(a)[0]
    a[1] = a[2]
    assert v[1] == v[2]


@pytest.mark.parametrize("name", NAMES)
def test_view_goes_back_to_numpy_as_the_documented_record(name):
    a = every_code(name)
    v = dv.view(a)
    m = memoryview(v)
    assert (m.format, m.itemsize, m.nbytes) == (spelling(name), a.itemsize, a.nbytes)
    assert bytes(m) == a.tobytes()
    record = np.asarray(v)
    assert record.dtype == np.dtype([(name, f"u{a.itemsize}")])
    back = record.view(dv.Format(v).to_numpy())
    assert back.dtype == a.dtype
    assert back.ctypes.data == a.ctypes.data
    np.testing.assert_array_equal(bits(back), bits(a))
    back[0] = back[3]
    assert bits(a)[0] == bits(a)[3]


@pytest.mark.parametrize("name", NAMES)
def test_record_that_came_back_is_the_small_type_again(name):
    v = dv.view(dv.view(every_code(name)))
    assert dv.Format(dv.view(np.asarray(v))) == dv.Format(name)
    assert dv.Format(dv.view(memoryview(v))) == dv.Format(name)
    assert dv.view(np.asarray(v)).ptr == v.ptr


@pytest.mark.parametrize("name", ["bfloat16", "float4_e2m1fn", "int4"])
def test_strides_of_arrays_are_kept(name):
    a = np.resize(every_code(name), (4, 6))
    for part in (a[::-1, ::2], a.T, a[1:3, 4:0:-2], a[:, :0], a[2, 3:4].reshape(())):
        v = dv.view(part)
        as_integers = memoryview(bits(part))
        assert (v.shape, v.strides, v.ptr) == (part.shape, as_integers.strides, part.ctypes.data)
        assert v.tobytes() == part.tobytes()
        np.testing.assert_array_equal(v.tolist(), doubles(part))


def test_read_only_arrays_stay_read_only():
    a = every_code("bfloat16")
    a.flags.writeable = False
    v = dv.view(a)
    assert v.readonly
    with pytest.raises(TypeError, match="read-only"):
        v[0] = 1
    with pytest.raises(BufferError, match="readonly=False"):
        dv.view(a, readonly=False)


def test_array_lives_as_long_as_its_view():
    v = dv.view(every_code("float8_e4m3fn"))
    w = v[3:9]
    v.release()
    assert w.tolist() == every_code("float8_e4m3fn")[3:9].astype("f8").tolist()
    assert w.obj.base is not None
    a = every_code("bfloat16").copy()
    w = dv.view(a)
    with pytest.raises(ValueError, match="resize"):
        a.resize(1000)
    w.release()
    a.resize(1000)


def test_foreign_byte_order_of_bfloat16():
    swapped = bits(np.arange(9).astype(ml_dtypes.bfloat16)).astype(">u2")
    a = swapped.view(np.dtype(ml_dtypes.bfloat16).newbyteorder(">"))
    v = dv.view(a)
    assert dv.Format(v) == dv.Format("T{>H:bfloat16:}")
    assert v.tolist() == list(range(9))
    with pytest.raises(dv.FormatError, match="native byte order"):
        dv.Format(v).to_dlpack()


def test_records_with_small_members():
    a = np.zeros(3, [("id", "i4"), ("w", ml_dtypes.bfloat16, 2), ("q", ml_dtypes.float8_e5m2)])
    a["w"] = [[1, 2], [3, 4], [-5, 0.5]]
    a["q"] = [8, 16, -32]
    v = dv.view(a)
    assert v.ptr == a.ctypes.data
    assert dv.Format(v).to_numpy() == a.dtype
    assert v["w"].tolist() == [[1, 2], [3, 4], [-5, 0.5]]
    assert v["q"].tolist() == [8, 16, -32]
    v["q"][1] = 0.25
    assert a["q"][1] == 0.25


def test_subclass_of_ndarray():
    class Tagged(np.ndarray):
        def view(self, *args):
            raise AssertionError("not asked for")

    a = every_code("float8_e5m2").view(Tagged)
    v = dv.view(a)
    assert (v.ptr, v.format) == (a.ctypes.data, "T{B:float8_e5m2:}")
    assert v.obj is a


@pytest.mark.parametrize("name", ["int2", "uint2", "int1", "uint1", "complex32", "bcomplex32"])
def test_types_without_a_dlpack_code_are_opaque_or_refused(name):
    if not hasattr(ml_dtypes, name):
        pytest.skip(f"missing: ml_dtypes.{name}")
    a = np.zeros(4, getattr(ml_dtypes, name))
    try:
        v = dv.view(a)
    except dv.ImportRefused as refused:
        assert "cannot include dtype" in str(refused)  # noqa: PT017
    else:
        assert dv.Format(v).kind == "opaque"


def test_dates_say_why():
    with pytest.raises(dv.ImportRefused, match="cannot include dtype 'M'"):
        dv.view(np.zeros(2, "M8[s]"))


@pytest.mark.parametrize("name", NAMES)
def test_small_items_move_between_arrays(name):
    a = every_code(name)
    b = np.zeros_like(a)
    dv.copyto(b, a)
    np.testing.assert_array_equal(bits(b), bits(a))
    dv.view(b).copy_from(a[::-1])
    np.testing.assert_array_equal(bits(b), bits(a)[::-1])
    gpu = dv.copy(a, device="cuda")
    assert gpu.format == spelling(name)
    back = np.asarray(gpu).view(dv.Format(gpu).to_numpy())
    np.testing.assert_array_equal(bits(back), bits(a))
    wide = np.zeros(a.shape, "f4")
    with np.errstate(all="ignore"):
        dv.copyto(wide, a)
        np.testing.assert_array_equal(wide, a.astype("f4"))


def test_files_take_the_bytes():
    a = every_code("bfloat16")[:1000]
    file = io.BytesIO()
    file.write(dv.view(a).cast("B"))
    assert file.getvalue() == a.tobytes()


def test_ml_dtypes_array_equals_a_view_of_other_numbers():
    a = np.array([1, 2.5, -3], ml_dtypes.bfloat16)
    assert dv.view(np.array([1, 2.5, -3], "f8")) == dv.view(a)
    assert dv.view(np.array([1, 2.5, -4], "f8")) != dv.view(a)
