"""NumPy dtypes and ml_dtypes to formats and back; the dtype itself is the oracle."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import devview as dv
from strategies import SMALL, any_names, dtypes, record_dtypes, scalar_dtypes, without_titles
from support import run_clean


def assert_lies_as(format: dv.Format, dtype: np.dtype) -> None:
    """Compare sizes, offsets, extents and byte orders, member by member."""
    assert format.itemsize == dtype.itemsize
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        assert format.shape == shape
        assert_lies_as(format.base, base)
    elif dtype.names is not None:
        assert [field.name for field in format.fields] == list(dtype.names)
        for i, name in enumerate(dtype.names):
            member, offset = dtype.fields[name][:2]
            assert format.fields[i].offset == offset
            assert_lies_as(format[i], member)
    elif dtype.kind in "iufcU" and format.byteorder is not None:
        assert (format.byteorder == "big") == (dtype.str[0] == ">")


@given(dtypes(objects=True, small=True))
def test_dtype_to_format_and_back(dtype):
    format = dv.Format(dtype)
    assert_lies_as(format, dtype)
    assert format.to_numpy() == without_titles(dtype)
    assert dv.Format(format.str) == format


@given(record_dtypes(empty=False))
def test_view_has_the_format_of_the_dtype(dtype):
    if dtype.itemsize == 0:
        return
    array = np.zeros(2, dtype)
    with dv.view(array) as v:
        if dv.Format(v).kind == "opaque":  # NumPy gives no buffer of it
            return
        assert dv.Format(v) == dv.Format(dtype)


@given(scalar_dtypes(empty=False))
def test_view_of_scalars_has_the_format_of_the_dtype(dtype):
    with dv.view(np.zeros(2, dtype)) as v:
        assert dv.Format(v) == dv.Format(dtype)


# Its buffer says 'T{(3)T{f:x:1s:y:}:w:xxxxxxxxx@i:o:?:z:}': elements of 5 bytes, where they have 8.
INNER = np.dtype([("x", "f4"), ("y", "S1")], align=True)
MISREAD = np.dtype([("w", INNER, (3,)), ("o", "i4"), ("z", "?")])


def test_values_of_an_array_whose_buffer_misplaces_them():
    array = np.zeros(2, MISREAD)
    array["w"]["y"] = [[b"a", b"b", b"c"]] * 2
    array["o"] = [7, 8]
    with dv.view(memoryview(array)) as v:  # no dtype to be seen: the text is all there is
        assert dv.Format(v) != dv.Format(MISREAD)
    with dv.view(array) as v:
        assert dv.Format(v) == dv.Format(MISREAD)
        assert v[1] == ([(0.0, b"a"), (0.0, b"b"), (0.0, b"c")], 8, False)
        told = np.asarray(v)["w"]["y"].tolist()
    assert told == array["w"]["y"].tolist()


@given(st.lists(any_names, min_size=1, max_size=4, unique=True))
def test_names_of_fields(labels):
    dtype = np.dtype([(label, "i2") for label in labels])
    format = dv.Format(dtype)
    assert [field.name for field in format.fields] == labels
    assert format.to_numpy() == dtype
    assert dv.Format(format.to_descr()) == format


@given(record_dtypes(empty=False, titles=False), st.randoms())
def test_numpy_reads_what_it_is_given_back(dtype, random):
    format = dv.Format(dtype)
    if dtype.itemsize == 0:
        return
    data = bytes(random.randrange(256) for _ in range(dtype.itemsize))
    assert np.frombuffer(data, format.to_numpy())[0].tobytes() == data


# --- Types of scalars ---


@pytest.mark.parametrize("name", ["bool", "int8", "uint16", "int64", "float16", "complex64"])
def test_scalar_types(name):
    cls = getattr(np, f"{name}_" if name == "bool" else name)
    assert dv.Format(cls) == dv.Format(np.dtype(cls)) == dv.Format(name)
    assert dv.Format(name).to_numpy() == np.dtype(cls)


def test_longdouble():
    for cls in (np.longdouble, np.clongdouble):
        assert dv.Format(cls).to_numpy() == np.dtype(cls)


@pytest.mark.parametrize("name", SMALL)
def test_ml_dtypes(name):
    cls = getattr(ml_dtypes, name)
    dtype = np.dtype(cls)
    format = dv.Format(cls)
    assert format == dv.Format(dtype) == dv.Format(name) == dv.Format(ml_dtypes_array(cls))
    assert (format.itemsize, format.to_numpy()) == (dtype.itemsize, dtype)
    assert dv.Format(np.dtype([("a", dtype, 2)])).to_numpy() == np.dtype([("a", dtype, 2)])


def ml_dtypes_array(cls):
    return np.zeros(2, cls)


def test_byte_order_of_bfloat16():
    dtype = np.dtype(ml_dtypes.bfloat16).newbyteorder(">")
    assert dv.Format(dtype) == dv.Format("T{>H:bfloat16:}")
    assert dv.Format(dtype).byteorder == "big"


@pytest.mark.parametrize("name", ["int2", "uint2"])
def test_ml_dtypes_without_a_dlpack_code(name):
    if not hasattr(ml_dtypes, name):
        pytest.skip(f"missing: ml_dtypes.{name}")
    with pytest.raises(dv.FormatError, match=name):
        dv.Format(getattr(ml_dtypes, name))


def test_missing_ml_dtypes_is_told(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with pytest.raises(dv.FormatError, match="needs the package ml_dtypes"):
        dv.Format("bfloat16").to_numpy()


# --- What is refused ---

REFUSED = {
    "datetime": (np.dtype("M8[ns]"), "int64"),
    "timedelta": (np.dtype([("a", "m8[D]")]), "int64"),
    "backwards": (
        np.dtype({"names": ["a", "b"], "formats": ["i4", "i4"], "offsets": [4, 0]}),
        "'b' at byte 0",
    ),
    "overlapping": (
        np.dtype({"names": ["a", "b"], "formats": ["i4", "i4"], "offsets": [0, 2]}),
        "'b' at byte 2",
    ),
    "colon": (np.dtype([("a:b", "i4")]), "':'"),
    "NUL": (np.dtype([("a\0b", "i4")]), "x00"),
    "surrogate": (np.dtype([("\ud800", "i4")]), "surrogate"),
    "long name": (np.dtype([("a" * 1025, "i4")]), "1024"),
    "abstract": (np.floating, "many types"),
    "str": (np.str_, "no fixed size"),
    "void": (np.void, "no fixed size"),
    "datetime64": (np.datetime64, "int64"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_dtypes(name):
    dtype, why = REFUSED[name]
    with pytest.raises(dv.FormatError, match=why) as caught:
        dv.Format(dtype)
    assert caught.value.position >= 0


def test_a_number_with_fields_is_the_record_of_them():
    dtype = np.dtype((np.int32, [("low", "i2"), ("high", "i2")]))
    assert dv.Format(dtype) == dv.Format("T{h:low:h:high:}")


def test_strings_of_any_length_are_refused():
    if not hasattr(np, "dtypes") or not hasattr(np.dtypes, "StringDType"):
        pytest.skip("missing: numpy.dtypes.StringDType (NumPy 2)")
    with pytest.raises(dv.FormatError, match="StringDType"):
        dv.Format(np.dtypes.StringDType())


def test_dtypes_that_share_parts_endlessly():
    dtype = np.dtype([("a", "V0")])
    for _ in range(40):
        dtype = np.dtype([("a", dtype), ("b", dtype)])
    with pytest.raises(dv.FormatError, match="more than 65536 members"):
        dv.Format(dtype)


def test_deep_dtypes():
    dtype = np.dtype("i4")
    for _ in range(100):
        dtype = np.dtype([("a", dtype)])
    with pytest.raises(dv.FormatError, match="nested deeper than 64"):
        dv.Format(dtype)


@pytest.mark.parametrize(
    "spec", ["5p", "3u", "&i", "X{}", "3t", "T{&i:a:}", "(40000000000)i", "T{i:a:4294967296x}"]
)
def test_to_numpy_refuses_what_numpy_cannot_say(spec):
    with pytest.raises(dv.FormatError, match="to_numpy"):
        dv.Format(spec).to_numpy()


@pytest.mark.parametrize(
    ("spec", "dtype"),
    [
        ("c", "S1"),
        ("0s", "S0"),
        ("P", "uintp"),
        ("O", "O"),
        ("4x", "V4"),
        (">3w", ">U3"),
        ("(2,3)>h", (">i2", (2, 3))),
        ("T{}", []),
        ("T{i8x}", {"names": ["f0"], "formats": ["i4"], "itemsize": 12}),
        ("T{i:f1:d}", {"names": ["f1", "f1_"], "formats": ["i4", "f8"], "offsets": [0, 8]}),
    ],
)
def test_to_numpy_by_example(spec, dtype):
    assert dv.Format(spec).to_numpy() == np.dtype(dtype)


def test_to_numpy_keeps_the_alignment():
    aligned = np.dtype([("a", "i1"), ("b", "f8")], align=True)
    packed = np.dtype([("a", "i1"), ("b", "f8")])
    assert dv.Format(aligned).to_numpy().isalignedstruct
    assert not dv.Format(packed).to_numpy().isalignedstruct
    assert dv.Format(aligned).alignment == aligned.alignment == 8
    assert dv.Format(packed).alignment == packed.alignment == 1


# --- The array interface ---


@given(scalar_dtypes(objects=True))
def test_typestr_is_numpys(dtype):
    assert dv.Format(dtype).to_typestr() == dtype.str
    assert dv.Format(dtype.str) == dv.Format(dtype)


@given(record_dtypes(titles=False, empty=False))
def test_descr_is_numpys(dtype):
    format = dv.Format(dtype)
    descr = format.to_descr()
    assert dv.Format(descr) == dv.Format(dtype.descr) == format


# --- Where a dtype is taken ---


def test_format_arguments_take_dtypes():
    dtype = np.dtype([("a", "i1"), ("b", ">f8")])
    with dv.zeros(2, dtype) as v:
        assert np.asarray(v).dtype == dtype
    with dv.empty(3, np.float32) as v:
        assert memoryview(v).format == "f"
    with dv.empty(8).cast(np.dtype("i4")) as v:
        assert v.format == "i"


def test_memoryview_reads_views_made_from_dtypes():
    for code in "?bBhHiIlLqQfd":
        with dv.zeros(2, np.dtype(code)) as v:
            assert memoryview(v).tolist() == [0, 0]


def test_objects_with_a_dtype():
    assert dv.Format(np.zeros(3, "f4")) == dv.Format("f")
    assert dv.Format(np.float32(1)) == dv.Format("f")


def test_numpy_loaded_later_is_seen():
    out = run_clean(
        """
        print(dv.Format(np.float32), dv.Format(np.dtype([("a", "i4")])).fields)
        """,
        emulate=False,
    )
    assert out.startswith("f (Field(name='a', offset=0")
