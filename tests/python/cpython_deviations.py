"""Where CPython's tests of memoryview assert what a View is not: the whole list, with reasons.

Each entry names one statement of a test function and what is asserted instead, so that the rest of
the function runs as CPython wrote it. `test_cpython_suites.py` shows for every entry that its case
fails without it. Four kinds of reasons are allowed, and no other:

- UNFINISHED: memoryview raises NotImplementedError, or refuses what View is there for.
- NEVER_EQUAL: memoryview cannot read the format, and finds such views unequal to themselves.
- REPR, EXACT_TYPE: text and size of memoryview itself, or a result that is one by definition.

One rule more is in `cpython_suites.ExactMemoryview`: `__buffer__` methods return memoryviews.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

UNFINISHED = "memoryview's unfinished part"
NEVER_EQUAL = "a format that memoryview never finds equal"
REPR = "memoryview's repr"
EXACT_TYPE = "memoryview's exact type"


@dataclass(frozen=True)
class Deviation:
    """`function` asserts `expects`; View is asserted to do `instead` (one for each occurrence)."""

    suite: str
    function: str
    expects: str
    instead: tuple[str | None, ...]  # None: this occurrence holds for View too
    kind: str
    reason: str
    shown_by: str  # a case that fails without this entry
    since: tuple[int, int] = (3, 10)
    before: tuple[int, int] = (4, 0)

    def applies(self) -> bool:
        """Return whether this interpreter's version of the suite has the statement."""
        return self.since <= sys.version_info[:2] < self.before


def raises(error: str, call: str) -> str:
    return f"self.assertRaises({error}, {call})"


def unfinished(call: str) -> str:
    return raises("NotImplementedError", call)


BASE = "AbstractMemoryTests"
MAIN = "TestBufferProtocol"
SET = "m.__setitem__"
GET = "m.__getitem__"
FITTING_CAST = """
if struct.calcsize(dfmt) * (32 // dsize) == ex.nbytes:
    self.assertEqual(msrc.cast(dfmt, [32 // dsize]).tobytes(), ex.tobytes())
else:
    self.assertRaises({error}, msrc.cast, dfmt, [32 // dsize])
"""
TWO_SLICES = "(slice(0, 2, 1), slice(0, 2, 1))"

DEVIATIONS = (
    # --- test_memoryview ---
    Deviation(
        "test_memoryview",
        f"{BASE}.check_getitem_with_type",
        raises("TypeError", "lambda: m[None]"),
        ("self.assertEqual(m[None].tolist(), [m.tolist()])",),
        UNFINISHED,
        "None inserts an axis",
        "BytesMemoryviewTest.test_getitem",
    ),
    Deviation(
        "test_memoryview",
        f"{BASE}.test_setitem_writable",
        unfinished("setitem, slices, b'a'"),
        (raises("TypeError", "setitem, slices, b'a'"),),
        UNFINISHED,
        "slices of several axes work; two of them are one too many for a vector",
        "BytesMemoryviewTest.test_setitem_writable",
    ),
    Deviation(
        "test_memoryview",
        "OtherTest.test_copy",
        "with self.assertRaises(TypeError):\n    copy.copy(m)",
        ("self.assertEqual(copy.copy(m), m)",),
        UNFINISHED,
        "a View is pickled, and so copied",
        "OtherTest.test_copy",
    ),
    Deviation(
        "test_memoryview",
        "OtherTest.test_pickle",
        "with self.assertRaises(TypeError):\n    pickle.dumps(m, proto)",
        ("self.assertEqual(pickle.loads(pickle.dumps(m, proto)), m)",),
        UNFINISHED,
        "a View is pickled",
        "OtherTest.test_pickle",
    ),
    # --- test_buffer: keys ---
    Deviation(
        "test_buffer",
        f"{MAIN}.test_ndarray_slice_invalid",
        unfinished("mv.__getitem__, (slice(0, 1, 1), slice(0, 1, 0))"),
        (raises("ValueError", "mv.__getitem__, (slice(0, 1, 1), slice(0, 1, 0))"),),
        UNFINISHED,
        "slices of several axes work; a step of zero is wrong in any of them",
        f"{MAIN}.test_ndarray_slice_invalid",
    ),
    Deviation(
        "test_buffer",
        f"{MAIN}.test_ndarray_slice_invalid",
        unfinished("ml.__setitem__, slice(0, 1, 1), mr[7:8]"),
        (raises("ValueError", "ml.__setitem__, slice(0, 1, 1), mr[7:8]"),),
        UNFINISHED,
        "slices of several axes are assigned; shape (1,) does not go into (1, 4)",
        f"{MAIN}.test_ndarray_slice_invalid",
    ),
    Deviation(
        "test_buffer",
        f"{MAIN}.test_memoryview_index",
        unfinished(f"{GET}, ()"),
        ("self.assertEqual(m[()], (1, 2, 3))", "self.assertEqual(m[()].tolist(), m.tolist())"),
        UNFINISHED,
        "items of several members are tuples; () of a view with axes is that view",
        f"{MAIN}.test_memoryview_index",
    ),
    Deviation(
        "test_buffer",
        f"{MAIN}.test_memoryview_index",
        unfinished(f"{GET}, 0"),
        ("self.assertEqual(m[0].tolist(), [0, 1, 2, 3])",),
        UNFINISHED,
        "an index gives a sub-view",
        f"{MAIN}.test_memoryview_index",
    ),
    Deviation(
        "test_buffer",
        f"{MAIN}.test_memoryview_slice",
        unfinished(f"{GET}, ()"),
        ("self.assertEqual(m[()].tolist(), m.tolist())",),
        UNFINISHED,
        "() of a view with axes is that view",
        f"{MAIN}.test_memoryview_slice",
    ),
    Deviation(
        "test_buffer",
        f"{MAIN}.test_memoryview_slice",
        unfinished(f"{GET}, {TWO_SLICES}"),
        (raises("TypeError", f"{GET}, {TWO_SLICES}"),),
        UNFINISHED,
        "slices of several axes work; two of them are one too many for a vector",
        f"{MAIN}.test_memoryview_slice",
    ),
    Deviation(
        "test_buffer",
        f"{MAIN}.test_memoryview_slice",
        unfinished(f"{SET}, {TWO_SLICES}, bytearray([1, 2])"),
        (raises("TypeError", f"{SET}, {TWO_SLICES}, bytearray([1, 2])"),),
        UNFINISHED,
        "slices of several axes work; two of them are one too many for a vector",
        f"{MAIN}.test_memoryview_slice",
    ),
    # --- test_buffer: items ---
    Deviation(
        "test_buffer",
        f"{MAIN}.test_memoryview_assign",
        unfinished(f"{SET}, 0, 1"),
        (raises("TypeError", f"{SET}, 0, 1"),) * 2,
        UNFINISHED,
        "'xL' and 's' are written; an int is no value of theirs",
        f"{MAIN}.test_memoryview_assign",
    ),
    Deviation(
        "test_buffer",
        f"{MAIN}.test_memoryview_assign",
        unfinished(f"{SET}, 0, [2, 3]"),
        (raises("TypeError", f"{SET}, 0, [2, 3]"),),
        UNFINISHED,
        "sub-views are assigned; a list is no exporter",
        f"{MAIN}.test_memoryview_assign",
    ),
    Deviation(
        "test_buffer",
        f"{MAIN}.test_memoryview_tolist",
        unfinished("m.tolist"),
        ("self.assertEqual(m.tolist(), ex.tolist())",) * 3,
        UNFINISHED,
        "every format is read",
        f"{MAIN}.test_memoryview_tolist",
    ),
    Deviation(
        "test_buffer",
        f"{MAIN}.test_memoryview_cast_invalid",
        unfinished(f"{GET}, 0"),
        ("self.assertEqual(m[0], (1, 2))",),
        UNFINISHED,
        "every format is read",
        f"{MAIN}.test_memoryview_cast_invalid",
    ),
    Deviation(
        "test_buffer",
        f"{MAIN}.test_memoryview_cast_invalid",
        unfinished(f"{SET}, 0, 8"),
        (raises("TypeError", f"{SET}, 0, 8"),),
        UNFINISHED,
        "every format is written; an int is no value of 'II'",
        f"{MAIN}.test_memoryview_cast_invalid",
    ),
    Deviation(
        "test_buffer",
        f"{MAIN}.test_memoryview_cast_invalid",
        unfinished("m.tolist"),
        ("self.assertEqual(m.tolist(), [(1, 2), (3, 4)])",),
        UNFINISHED,
        "every format is read",
        f"{MAIN}.test_memoryview_cast_invalid",
    ),
    # --- test_buffer: casts ---
    Deviation(
        "test_buffer",
        f"{MAIN}.test_memoryview_cast_invalid",
        raises("TypeError", "msrc.cast, dfmt, [32 // dsize]"),
        (
            "self.assertEqual(msrc.cast(dfmt, [32 // dsize]).tobytes(), ex.tobytes())",
            FITTING_CAST.format(error="TypeError"),
        ),
        UNFINISHED,
        "cast goes between any formats of fitting sizes, without bytes between them",
        f"{MAIN}.test_memoryview_cast_invalid",
    ),
    Deviation(
        "test_buffer",
        f"{MAIN}.test_memoryview_cast_invalid",
        raises("ValueError", "msrc.cast, dfmt, [32 // dsize]"),
        (FITTING_CAST.format(error="ValueError"),),
        UNFINISHED,
        "cast goes to any format of a fitting size",
        f"{MAIN}.test_memoryview_cast_invalid",
    ),
    *(
        Deviation(
            "test_buffer",
            f"{MAIN}.test_memoryview_cast_invalid",
            raises("ValueError", f"m.cast, '{format}'"),
            (f"self.assertEqual(m.cast('{format}').tobytes(), ex.tobytes())",),
            UNFINISHED,
            "cast goes to any format",
            f"{MAIN}.test_memoryview_cast_invalid",
        )
        for format in ("=B", "!L", "<P", ">l", "BI", "xBI")
    ),
    Deviation(
        "test_buffer",
        f"{MAIN}.test_memoryview_cast_invalid",
        raises("TypeError", "msrc.cast, shape=[2, 2, size_h], format='d'"),
        ("self.assertEqual(msrc.cast(shape=[2, 2, size_h], format='d').tobytes(), ex.tobytes())",),
        UNFINISHED,
        "cast goes from any number of axes to any other",
        f"{MAIN}.test_memoryview_cast_invalid",
    ),
    Deviation(
        "test_buffer",
        f"{MAIN}.test_memoryview_cast_zero_strides",
        raises("TypeError", "msrc.cast, 'c'"),
        ("self.assertEqual(msrc.cast('c').tolist(), [b'\\1'] * 3)",),
        UNFINISHED,
        "cast between items of one size takes any strides",
        f"{MAIN}.test_memoryview_cast_zero_strides",
    ),
    # --- test_buffer: equality ---
    Deviation(
        "test_buffer",
        f"{MAIN}.test_memoryview_compare_special_cases",
        "self.assertNotEqual(a, v)",
        (None, "self.assertEqual(a, v)"),
        NEVER_EQUAL,
        "array('u') is text of four bytes a character (its first occurrence: a released view)",
        f"{MAIN}.test_memoryview_compare_special_cases",
        before=(3, 13),
    ),
    Deviation(
        "test_buffer",
        f"{MAIN}.test_memoryview_compare_special_cases",
        "self.assertNotEqual(v, a)",
        (None, "self.assertEqual(v, a)"),
        NEVER_EQUAL,
        "array('u') is text of four bytes a character (its first occurrence: a released view)",
        f"{MAIN}.test_memoryview_compare_special_cases",
        before=(3, 13),
    ),
    *(
        Deviation(
            "test_buffer",
            f"{MAIN}.test_memoryview_compare_special_cases_deprecated_u_type_code",
            f"self.assertNotEqual({sides})",
            (f"self.assertEqual({sides})",),
            NEVER_EQUAL,
            "array('u') is text of four bytes a character",
            f"{MAIN}.test_memoryview_compare_special_cases_deprecated_u_type_code",
            since=(3, 13),
        )
        for sides in ("a, v", "v, a")
    ),
    *(
        Deviation(
            "test_buffer",
            f"{MAIN}.test_memoryview_compare_special_cases",
            f"self.assertNotEqual({sides})",
            (f"self.assertEqual({sides})",),
            NEVER_EQUAL,
            "structures of ctypes are read, so their equal values are equal",
            f"{MAIN}.test_memoryview_compare_special_cases",
        )
        for sides in ("a, b", "a, point", "point, a")
    ),
    Deviation(
        "test_buffer",
        f"{MAIN}.test_memoryview_compare_special_cases",
        unfinished("a.tolist"),
        ("self.assertEqual(a.tolist(), (100, 200))",),
        UNFINISHED,
        "structures of ctypes are read",
        f"{MAIN}.test_memoryview_compare_special_cases",
    ),
    # --- test_buffer: memoryview itself ---
    Deviation(
        "test_buffer",
        f"{MAIN}.test_memoryview_repr",
        "self.assertTrue(r.startswith('<memory'))",
        ("self.assertTrue(r.startswith('<devview.View '))",),
        REPR,
        "a View tells its device, format and layout",
        f"{MAIN}.test_memoryview_repr",
    ),
    Deviation(
        "test_buffer",
        f"{MAIN}.test_memoryview_repr",
        "self.assertTrue(r.startswith('<released'))",
        ("self.assertIn('released', r)",),
        REPR,
        "the type's name comes first",
        f"{MAIN}.test_memoryview_repr",
    ),
    *(
        Deviation(
            "test_buffer",
            f"{MAIN}.test_memoryview_sizeof",
            f"check(memoryview({made}), vsize(base_struct + {axes} * per_dim))",
            (f"self.assertGreater(sys.getsizeof(memoryview({made})), {axes} * vsize(per_dim))",)
            * times,
            EXACT_TYPE,
            "the size of memoryview's own struct",
            f"{MAIN}.test_memoryview_sizeof",
        )
        # Three axes make memoryview's as large as a View of up to three.
        for made, axes, times in (("b''", 1, 1), ("a", 2, 1))
    ),
    Deviation(
        "test_buffer",
        "TestPythonBufferProtocol.test_c_buffer",
        "self.assertIsInstance(mv, memoryview)",
        ("self.assertIsInstance(mv, exact_memoryview)",),
        EXACT_TYPE,
        "the slot's own `__buffer__` gives a memoryview",
        "TestPythonBufferProtocol.test_c_buffer",
        since=(3, 12),
    ),
)
