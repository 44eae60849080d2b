"""dv.Format: what it accepts, what it tells, and how it compares; struct and array as oracles."""

from __future__ import annotations

import array
import contextlib
import copy
import doctest
import io
import os
import pickle
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import devview as dv
from strategies import SMALL, struct_formats
from support import run_clean

LITTLE = sys.byteorder == "little"
SWAPPED = ">" if LITTLE else "<"
OTHER_ORDER = "big" if LITTLE else "little"
RECORD = "T{b:a:(2,3)d:b:T{i:x:>h:y:}:c:}"


def refused(spec) -> dv.FormatError:
    with pytest.raises(dv.FormatError) as caught:
        dv.Format(spec)
    return caught.value


# --- struct and array ---


@given(struct_formats())
def test_calcsize_is_structs(text):
    assert dv.calcsize(text) == struct.calcsize(text)
    assert dv.calcsize(text.encode()) == dv.Format(struct.Struct(text)).itemsize


@given(struct_formats(codes="?bBhHiIqQefd", max_items=8))
def test_to_struct_packs_the_same_bytes(text):
    format = dv.Format(text)
    if format.kind == "record" and any(f.format.kind == "array" for f in format.fields):
        return
    told = format.to_struct()
    assert struct.calcsize(told) == format.itemsize
    nbytes = struct.calcsize(text)
    data = bytes(i % 2 for i in range(nbytes))
    assert struct.unpack(told, data) == struct.unpack(text, data)


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("i", "i"),
        ("<l", "i" if LITTLE else "<i"),
        (SWAPPED + "d", SWAPPED + "d"),
        ("T{b:a:d:b:}", "bd"),
        ("^T{b:a:d:b:}", ("<" if LITTLE else ">") + "bd"),
        ("T{d:a:b:b:}", "db7x"),
        ("T{b:a:P:p:}", "bP"),
        ("3f", "3f"),
        ("5s", "5s"),
        ("s", "s"),
        ("7p", "7p"),
        ("4x", "4x"),
        ("T{5s:a:?:b:c:c:e:d:}", "5s?ce"),
        ("T{b:a:16xd:b:}", "b23xd"),
    ],
)
def test_to_struct_by_example(spec, told):
    format = dv.Format(spec)
    assert format.to_struct() == told
    assert struct.calcsize(told) == format.itemsize


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("T{T{i:a:}:b:}", "no record inside"),
        ("T{(2)i:a:}", "no array inside"),
        ("(2,3)i", "counts, not extents"),
        ("(2)3s", "is a size"),
        ("Zd", "complex128"),
        ("g", "longdouble"),
        ("bfloat16", "bfloat16"),
        ("int4", "int4"),
        ("3w", "unicode"),
        ("O", "object"),
        ("&i", "typed pointers"),
        ("X{}", "function"),
        ("3t", "bits"),
        ("T{<i:a:>i:b:}", "one byte order"),
        ("^T{b:a:P:p:}", "native order and alignment"),
        ("T{4x:a:}", "no value"),
    ],
)
def test_to_struct_refuses_what_struct_cannot_say(spec, why):
    with pytest.raises(dv.FormatError, match=why):
        dv.Format(spec).to_struct()


# array's 'u' is a wchar_t, PEP 3118's is UCS-2: an array of 'u' says 'w' in its buffer.
@pytest.mark.parametrize("code", [code for code in array.typecodes if code not in "uw"])
def test_typecodes_of_array_are_letters(code):
    items = array.array(code, [1])
    format = dv.Format(code)
    assert format.itemsize == items.itemsize
    assert format == dv.Format(dv.view(items)) == dv.Format(memoryview(items).format)


# --- What it tells ---


@pytest.mark.parametrize(
    ("spec", "kind", "itemsize", "byteorder", "code", "name", "bits"),
    [
        ("?", "boolean", 1, None, "?", "bool", 8),
        ("b", "integer", 1, None, "b", "int8", 8),
        ("<i", "integer", 4, "little", "i", "int32", 32),
        (">i", "integer", 4, "big", "i", "int32", 32),
        ("Q", "unsigned_integer", 8, sys.byteorder, "Q", "uint64", 64),
        (">e", "floating", 2, "big", "e", "float16", 16),
        ("g", "floating", 16, sys.byteorder, "g", "longdouble", 128),
        ("Zf", "complex_floating", 8, sys.byteorder, "Z", "complex64", 64),
        ("Zg", "complex_floating", 32, sys.byteorder, "Z", "clongdouble", 256),
        ("c", "character", 1, None, "c", None, 8),
        ("5s", "bytes", 5, None, "s", None, 0),
        ("5p", "pascal", 5, None, "p", None, 0),
        (">3u", "unicode", 6, "big", "u", None, 0),
        ("3w", "unicode", 12, sys.byteorder, "w", None, 0),
        ("P", "pointer", 8, None, "P", None, 64),
        ("&i", "pointer", 8, None, "&", None, 64),
        ("X{}", "function", 8, None, "X", None, 64),
        ("O", "object", 8, None, "O", None, 64),
        ("5t", "bits", 1, None, "t", None, 5),
        ("4x", "opaque", 4, None, "x", None, 0),
        ("T{i:a:}", "record", 4, None, None, None, 0),
        ("(2,3)>h", "array", 12, "big", None, None, 0),
        ("bfloat16", "floating", 2, sys.byteorder, None, "bfloat16", 16),
        ("T{>H:bfloat16:}", "floating", 2, "big", None, "bfloat16", 16),
        ("float8_e4m3fn", "floating", 1, None, None, "float8_e4m3fn", 8),
        ("float4_e2m1fn", "floating", 1, None, None, "float4_e2m1fn", 4),
        ("uint4", "unsigned_integer", 1, None, None, "uint4", 4),
    ],
)
def test_attributes(spec, kind, itemsize, byteorder, code, name, bits):
    format = dv.Format(spec)
    told = (format.kind, format.itemsize, format.byteorder, format.code, format.name, format.bits)
    assert told == (kind, itemsize, byteorder, code, name, bits)


def test_fields_are_named_tuples_in_order():
    format = dv.Format(RECORD)
    assert format.fields == (
        ("a", 0, dv.Format("b"), ()),
        ("b", 8, dv.Format("d"), (2, 3)),
        ("c", 56, dv.Format("T{i:x:>h:y:}"), ()),
    )
    field = format.fields[1]
    assert (field.name, field.offset, field.format, field.shape) == tuple(field)
    assert dv.Format("i").fields == dv.Format("(2)T{i:a:}").fields == ()


def test_members_by_name_and_index():
    format = dv.Format(RECORD)
    assert format["b"] == format[1] == format[-2] == dv.Format("(2,3)d")
    assert format["c"]["y"].byteorder == "big"
    for key, error in (("z", KeyError), ("", KeyError), (3, IndexError), (-4, IndexError)):
        with pytest.raises(error):
            format[key]
    with pytest.raises(TypeError):
        format[1.5]
    with pytest.raises(KeyError):
        dv.Format("i")["a"]
    with pytest.raises(TypeError):
        iter(format)


def test_parts_of_arrays_and_pointers():
    format = dv.Format("(2,3)d")
    assert (format.shape, format.ndim, format.base) == ((2, 3), 2, dv.Format("d"))
    scalar = dv.Format("d")
    assert (scalar.shape, scalar.ndim, scalar.base, scalar.target) == ((), 0, scalar, None)
    assert dv.Format("&(3)i").target == dv.Format("(3)i")
    assert dv.Format("P").target is None


def test_parts_live_longer_than_the_whole():
    part = dv.Format("T{T{i:inner_name:}:a:}")["a"]
    assert part.fields[0].name == "inner_name"


@pytest.mark.parametrize(
    ("spec", "alignment"), [("d", 8), ("T{b:a:d:b:}", 8), ("^T{b:a:d:b:}", 1), ("(3)h", 2)]
)
def test_alignment(spec, alignment):
    assert dv.Format(spec).alignment == alignment


# --- Equality, copies ---


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("i", "<i" if LITTLE else ">i"),
        ("l", "q"),
        ("T{b:a:d:b:}", "^T{b:a:7xd:b:}"),
        ("3i", "(3)i"),
        ("Zd", "D"),
        ("bfloat16", "T{H:bfloat16:}"),
        ("float32", "f"),
        ("|b1", "?"),
    ],
)
def test_equal_meanings_are_equal(one, other):
    a, b = dv.Format(one), dv.Format(other)
    assert a == b
    assert hash(a) == hash(b)
    assert a.str == b.str == str(a)


@pytest.mark.parametrize(
    ("one", "other"),
    [("i", "I"), ("<i", ">i"), ("c", "s"), ("T{i:a:}", "T{i:b:}"), ("5w", "(5)w"), ("P", "&i")],
)
def test_different_meanings_are_not(one, other):
    assert dv.Format(one) != dv.Format(other)


def test_not_equal_to_its_text_and_not_ordered():
    assert dv.Format("i") != "i"
    with pytest.raises(TypeError):
        dv.Format("i") < dv.Format("q")  # noqa: B015


@pytest.mark.parametrize("spec", ["i", RECORD, "bfloat16", "&T{>i:a:}", "X{}", "^T{b:a:d:b:}", ""])
def test_copies_are_equal(spec):
    format = dv.Format(spec)
    assert pickle.loads(pickle.dumps(format)) == format
    assert copy.copy(format) == copy.deepcopy(format) == format
    assert eval(repr(format), {"dv": dv}) == format
    assert dv.Format(format) is format
    assert dv.Format(format.str) == format


def test_is_immutable_and_final():
    format = dv.Format("i")
    for name in ("itemsize", "other"):
        with pytest.raises(AttributeError):
            setattr(format, name, 1)
    with pytest.raises(TypeError):
        dv.Format.str = ""
    with pytest.raises(TypeError):
        type("Sub", (dv.Format,), {})
    with pytest.raises(TypeError):
        dv.Format.__new__(dv.Format)
    with pytest.raises(TypeError):
        dv.Format(spec="i")


def test_of_a_view_is_that_of_its_items():
    with dv.empty(3, "T{i:a:}") as v:
        assert dv.Format(v) == dv.Format("T{i:a:}")
    with pytest.raises(ValueError, match="released"):
        dv.Format(v)


# --- Names, typestr, descr, DLPack, Python types ---


@pytest.mark.parametrize("name", SMALL)
def test_small_types_by_name(name):
    format = dv.Format(name)
    assert format.name == name
    assert dv.Format(format.to_dlpack()) == format
    assert format.str == f"T{{{'H' if name == 'bfloat16' else 'B'}:{name}:}}"


def test_names_of_numbers_are_their_own():
    for code in "?bhiqBHIQefdg":
        format = dv.Format(code)
        assert dv.Format(format.name) == format
    for code in ("Zf", "Zd", "Zg"):
        assert dv.Format(dv.Format(code).name) == dv.Format(code)


def test_the_pep_has_the_first_word():
    # "int" is an int, a ssize_t and a bit, not a name.
    assert [f.format.str for f in dv.Format("int").fields] == ["i", "q", "t"]
    error = refused("flot32")
    assert error.position == 2
    assert "position 2" in str(error)
    assert refused("f4").position == 2


@pytest.mark.parametrize("text", ["<M8[ns]", "|m8", ">M8[D]"])
def test_dates_are_refused_with_the_way_out(text):
    assert "int64" in str(refused(text))


@pytest.mark.parametrize(
    "text", ["|x3", "|b2", "<i3", "|S", "|S9999999999999999999", "|V1x", "|O4", "|", "<t8", "<f5"]
)
def test_wrong_typestrs(text):
    refused(text)


def test_descr():
    format = dv.Format(
        [
            (("a title", "a"), "<i4"),
            ("", "|V4"),
            ("b", [("x", ">f8"), ("y", "|S3", 2)], (2, 2)),
            ("c", "|V2"),
            ("d", "|u1", ()),
        ]
    )
    assert [(f.name, f.offset, f.shape) for f in format.fields] == [
        ("a", 0, ()),
        ("b", 8, (2, 2)),
        ("c", 64, ()),
        ("d", 66, ()),
    ]
    assert format["b"].base["y"] == dv.Format("(2)3s")
    assert dv.Format(format.to_descr()) == format


def test_descr_of_others():
    assert dv.Format("f").to_descr() == [("", dv.Format("f").to_typestr())]
    assert dv.Format("(2)B").to_descr() == [("", "|u1", (2,))]
    with pytest.raises(dv.FormatError, match="int4"):
        dv.Format("T{T{B:int4:}:a:}").to_descr()


@pytest.mark.parametrize("name", [name for name in SMALL if dv.Format(name).bits >= 8])
def test_descr_of_small_floats_is_their_name(name):
    code = ">H" if name == "bfloat16" else "B"
    for spec in (name, f"T{{b:x:(2)T{{{code}:{name}:}}:y:}}"):
        format = dv.Format(spec)
        assert dv.Format(format.to_descr()) == format


@pytest.mark.parametrize("spec", ["T{i:a:}", "(2)i", "bfloat16", "int4", "&i", "X{}", "5p", "3u"])
def test_to_typestr_refuses_what_it_would_lose(spec):
    with pytest.raises(dv.FormatError, match="to_typestr"):
        dv.Format(spec).to_typestr()


@pytest.mark.parametrize("triple", [(2, 32, 1), (0, 8, 1), (1, 64, 1), (5, 128, 1), (6, 8, 1)])
def test_dlpack_triples_come_back(triple):
    assert dv.Format(triple).to_dlpack() == triple


def test_dlpack_lanes_are_a_sub_array():
    assert dv.Format((2, 32, 4)) == dv.Format("(4)f")
    assert dv.Format("(4)f").to_dlpack() == (2, 32, 4)
    assert dv.Format((4, 16, 2)).to_dlpack() == (4, 16, 2)


@pytest.mark.parametrize(
    "triple",
    [
        (3, 64, 1),
        (2, 33, 1),
        (2, 32, 0),
        (17, 4, 2),
        (0, 4, 2),
        (256, 8, 1),
        (-1, 8, 1),
        (2, 32, 1 << 16),
        (2, 10**30, 1),
    ],
)
def test_wrong_dlpack_triples(triple):
    with pytest.raises((dv.FormatError, dv.LayoutError)):
        dv.Format(triple)


@pytest.mark.parametrize("triple", [(2, 32), (2, 32, 1.0), (), ("f", 4, 1)])
def test_other_tuples_are_type_errors(triple):
    with pytest.raises(TypeError, match="three ints"):
        dv.Format(triple)


@pytest.mark.parametrize(
    "spec", ["T{i:a:}", "g", "Zg", "(2,2)f", "(0)f", SWAPPED + "f", "c", "3s", "P", "O", "(2)int4"]
)
def test_to_dlpack_refuses_what_dlpack_has_not(spec):
    if spec == "(2)int4":
        spec = "(2)T{B:int4:}"
    with pytest.raises(dv.FormatError, match="to_dlpack"):
        dv.Format(spec).to_dlpack()


def test_python_types():
    for cls, code in ((bool, "?"), (int, "q"), (float, "d"), (complex, "Zd"), (object, "O")):
        assert dv.Format(cls) == dv.Format(code)
    for cls in (str, bytes):
        assert "no fixed size" in str(refused(cls))


@pytest.mark.parametrize("spec", [None, 5, 1.5, type(None), dict, {"a": "i"}, bytearray(b"i")])
def test_other_objects_are_type_errors(spec):
    with pytest.raises(TypeError, match="expected a format string"):
        dv.Format(spec)


def test_examples_of_the_manual():
    manual = Path(__file__).parents[2] / "docs" / "concepts" / "formats.md"
    examples = doctest.DocTestParser().get_examples(manual.read_text(encoding="utf-8"))
    assert examples
    space = {}
    for example in examples:
        code = compile(example.source, str(manual), "single")
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(code, space)
        assert out.getvalue().replace("```\n", "") == example.want.replace("```\n", "")


# --- Every format argument takes all of it ---


def test_format_arguments():
    triple, descr = (2, 32, 1), [("a", "<i4")]
    with dv.empty(3, float) as v, v.cast("B").cast(triple) as w:
        assert (v.format, w.format, w.shape) == ("d", "f", (6,))
    with dv.zeros(2, descr) as v:
        assert v[1] == (0,)
    with dv.from_buffer(bytes(8), format=dv.Format("d")) as v:
        assert v.format == "d"
    allocation = dv.Allocation(8)
    assert allocation.view("int32").shape == (2,)
    keep = array.array("d", [1.0])
    with dv.from_pointer(keep.buffer_info()[0], 1, float, device="cpu", owner=keep) as v:
        assert v[0] == 1.0


def test_text_imports_nothing():
    out = run_clean(
        """
        before = set(sys.modules)
        dv.empty(3, "B"); dv.Format("T{i:a:}"); dv.Format("float32"); dv.Format((2, 32, 1))
        dv.Format([("a", "<i4")]); dv.calcsize("<f4")
        print(sorted(name for name in set(sys.modules) - before if "devview" in name))
        """,
        emulate=False,
    )
    assert out.strip() == "[]"


def test_foreign_packages_are_not_imported():
    script = (
        "import sys, devview as dv\n"
        "assert not any(name.startswith('devview.formats') for name in sys.modules)\n"
        "dv.Format(int); dv.Format('i').to_struct(); dv.Format('i').to_typestr()\n"
        "try: dv.Format(dict)\n"
        "except TypeError: pass\n"
        "print(sorted({'numpy', 'ctypes', 'ml_dtypes'} & set(sys.modules)))\n"
    )
    package = str(Path(dv.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": package},
        check=False,
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


# --- Hostile input ---


@pytest.mark.parametrize(
    "spec",
    [
        "10000000000000000000000i",
        "(10000000000000000000000)i",
        "i\0",
        b"\xff",
        "T{i:\xff\0:}",
        "\ud800",
        "T{i:\udfff:}",
        "T{" * 1000,
        "(" * 1000,
        "i" * (1 << 21),
        "|" + "9" * 40,
        "{}",
        ":",
        [("a", "<i4", (-1,))],
        [("a", "<i4", (1 << 62, 1 << 62))],
        [("a:b:d", "<i4")],
        [("a\0", "<i4")],
        [("\ud800", "<i4")],
        [("a", "\ud800")],
        [("a", "<i4"), ("a", "<i4")],
        [("a",)],
        [("a", "<i4", (), 1)],
        [["a", "<i4"]],
        [("a", 5)],
        [(5, "<i4")],
        ["<i4"],
    ],
    ids=lambda spec: ascii(spec)[:30],
)
def test_hostile_descriptions(spec):
    assert isinstance(refused(spec).position, int)


def test_position_of_a_surrogate():
    assert refused("ab\ud800").position == 2


def test_descr_that_holds_itself():
    descr = []
    descr += [("a", descr), ("b", descr)]
    assert "nested deeper" in str(refused(descr))
    wide = [("", "|u1")] * 4
    for _ in range(40):
        wide = [("a", wide), ("b", wide)]
    assert "more than" in str(refused(wide))


def test_descr_that_is_emptied_while_it_is_read():
    class Extent:
        def __index__(self):
            descr.clear()
            return 2

    descr = [("a", "<i4", (Extent(),)), ("b", "<i4")]
    assert dv.Format(descr) == dv.Format("T{<(2)i:a:i:b:}")


class Boom(Exception):  # noqa: N818
    pass


class RaisingDtype:
    @property
    def dtype(self):
        raise Boom


class RaisingIndex:
    def __index__(self):
        raise Boom


@pytest.mark.parametrize(
    "spec", [RaisingDtype(), (RaisingIndex(), 8, 1), [("a", "<i4", (RaisingIndex(),))]]
)
def test_errors_of_user_code_are_kept(spec):
    with pytest.raises(Boom):
        dv.Format(spec)
    with pytest.raises(Boom):
        dv.empty(1, spec)


def test_a_dtype_that_is_none_of_numpys():
    class Other:
        dtype = "i"

    for spec in (Other, Other()):
        with pytest.raises(TypeError):
            dv.Format(spec)


def test_user_code_that_releases_the_view_under_cast():
    class Releasing:
        @property
        def dtype(self):
            v.release()
            raise AttributeError

    v = dv.empty(4)
    with pytest.raises(TypeError):
        v.cast(Releasing())
    v = dv.empty(4)
    with pytest.raises(BufferError, match="1 export"):
        dv.from_buffer(v, format=Releasing())


@given(st.text(max_size=12))
def test_any_text_is_a_format_or_an_error(text):
    try:
        format = dv.Format(text)
    except dv.FormatError:
        position = refused(text).position
        assert 0 <= position <= len(text.encode("utf-8", "surrogatepass"))
    else:
        assert dv.Format(format.str) == format
