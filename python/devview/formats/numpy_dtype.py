"""NumPy's dtypes, ml_dtypes' among them, to formats and back."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

from devview._devview import Format, FormatError
from devview.formats.refusal import cannot, refuse
from devview.formats.spelling import Member, Spelling

if TYPE_CHECKING:
    import numpy as np

_BIG = sys.byteorder == "big"
_INTEGERS = {1: "b", 2: "h", 4: "i", 8: "q"}
_FLOATS = {"e": "e", "f": "f", "d": "d", "g": "g"}
_COMPLEX = {"F": "Zf", "D": "Zd", "G": "Zg"}
_DATES = "mM"
# Classes that stand for many dtypes; numpy.dtype() takes some of them, and warns.
_ABSTRACT = frozenset(
    (
        *("generic", "number", "integer", "signedinteger", "unsignedinteger", "inexact"),
        *("floating", "complexfloating", "flexible", "character"),
    )
)
_NATIVE_NUMBERS = ("boolean", "integer", "unsigned_integer", "floating", "complex_floating")


def of_dtype(dtype: np.dtype[Any]) -> Format:
    """Return the Format of a dtype; titles and metadata are no part of it."""
    if dtype.names is None and dtype.subdtype is None:
        return _of_scalar(dtype)
    spelling = Spelling(f"format of dtype {_shown(dtype)}")
    _write(spelling, dtype)
    format = Format(str(spelling))
    # What is not aligned stays under '^'; all else is spelled as everybody reads it.
    unaligned = format.base.kind == "record" and not dtype.base.isalignedstruct
    return format if unaligned else Format(format.str)


@functools.lru_cache(256)
def _of_scalar(dtype: np.dtype[Any]) -> Format:
    spelling = Spelling("format")
    _write_scalar(spelling, dtype)
    return Format(Format(str(spelling)).str)


# Of equal dtypes one may be aligned: their formats are equal, their alignments are not.
@functools.lru_cache(256)
def _of_known_dtype(dtype: np.dtype[Any]) -> Format | None:
    try:
        return of_dtype(dtype)
    except FormatError:
        return None


def of_exporter(array: np.ndarray[Any, Any]) -> Format | None:
    """Return the format of an array's items as its dtype says it, None if it cannot be said."""
    return _of_known_dtype(array.dtype)


def of_unsaid(
    array: np.ndarray[Any, Any],
) -> tuple[np.ndarray[Any, Any], Format] | None:
    """Return an array's bytes, one void to each item, and the format of its dtype, if it has one.

    For dtypes that NumPy keeps out of the buffer protocol. Shares the memory.
    """
    import numpy as np

    format = _of_known_dtype(array.dtype)
    if format is None:
        return None
    return np.ndarray.view(array, np.dtype((np.void, array.dtype.itemsize)), np.ndarray), format


def of_scalar_type(cls: type[np.generic]) -> Format:
    """Return the Format of a class of NumPy scalars; FormatError if it has no one size."""
    import numpy as np

    if cls.__module__ == "numpy" and cls.__name__ in _ABSTRACT:
        refuse(f"format: numpy.{cls.__name__} stands for many types")
    dtype = np.dtype(cls)
    if dtype.itemsize == 0:
        refuse(f"format: numpy.{cls.__name__} has no fixed size; give a dtype of one size")
    return of_dtype(dtype)


def _shown(dtype: np.dtype[Any]) -> str:
    text = repr(dtype) if dtype.names is None else f"with {len(dtype.names)} fields"
    return text if len(text) <= 80 else text[:77] + "..."


def _write(spelling: Spelling, dtype: np.dtype[Any]) -> None:
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        spelling.shape(shape)
        _write(spelling, base)
    elif dtype.names is not None:
        spelling.record(map(functools.partial(_member, dtype), dtype.names), dtype.itemsize)
    else:
        _write_scalar(spelling, dtype)


def _member(dtype: np.dtype[Any], name: str) -> Member:
    field, offset = dtype.fields[name][:2]  # type: ignore[index]
    return name, offset, field.itemsize, lambda spelling: _write(spelling, field)


def _write_scalar(spelling: Spelling, dtype: np.dtype[Any]) -> None:
    kind, char, nbytes = dtype.kind, dtype.char, dtype.itemsize
    swapped = not dtype.isnative
    if dtype.type.__module__.partition(".")[0] == "ml_dtypes":
        _write_small(spelling, dtype)
    elif kind in _DATES:
        refuse(f"format: PEP 3118 has no {dtype.name}; view the items as int64")
    elif type(dtype).__module__ != "numpy.dtypes" and dtype.num > 23:
        refuse(f"format: PEP 3118 has no {dtype!r}")
    elif kind == "b":
        spelling.scalar("?")
    elif kind == "i":
        spelling.scalar(_INTEGERS[nbytes], swapped=swapped)
    elif kind == "u":
        spelling.scalar(_INTEGERS[nbytes].upper(), swapped=swapped)
    elif kind == "f" and char in _FLOATS:
        spelling.scalar(char, swapped=swapped)
    elif kind == "c" and char in _COMPLEX:
        spelling.scalar(_COMPLEX[char], swapped=swapped)
    elif kind == "S":
        spelling.scalar(f"{nbytes}s")
    elif kind == "U":
        spelling.scalar(f"{nbytes // 4}w", swapped=swapped)
    elif kind == "V":
        spelling.scalar(f"{nbytes}x")
    elif kind == "O":
        spelling.scalar("O")
    else:
        refuse(f"format: PEP 3118 has no {dtype!r}")


def _write_small(spelling: Spelling, dtype: np.dtype[Any]) -> None:
    try:
        known = Format(dtype.name)
    except FormatError:
        known = None
    if known is None or known.name != dtype.name:
        refuse(f"format: ml_dtypes' {dtype.name} has neither a letter nor a DLPack code")
    spelling.small(dtype.name, dtype.itemsize, swapped=not dtype.isnative)


def to_numpy(format: Format) -> np.dtype[Any]:
    """Return the dtype of a format; FormatError where NumPy has none."""
    import numpy as np

    try:
        return _dtype_of(np, format)
    except FormatError:
        raise
    except (ValueError, TypeError, OverflowError) as error:
        raise FormatError(f"to_numpy: format '{format.str[:80]}': NumPy: {error}") from error


def _dtype_of(np: Any, format: Format) -> Any:
    if format.kind == "array":
        return np.dtype((_dtype_of(np, format.base), format.shape))
    if format.kind == "record":
        return _record_dtype(np, format)
    return _scalar_dtype(np, format)


def _record_dtype(np: Any, format: Format) -> Any:
    fields = format.fields
    names = field_names(format)
    parts = {
        "names": names,
        "formats": [_dtype_of(np, format[i]) for i in range(len(fields))],
        "offsets": [field.offset for field in fields],
        "itemsize": format.itemsize,
    }
    if format.alignment > 1:
        try:
            return np.dtype(parts, align=True)
        except ValueError:
            pass  # some offset is no multiple of NumPy's alignment
    return np.dtype(parts)


def field_names(format: Format) -> list[str]:
    """Return the names of a record's members; those without one are named as NumPy would."""
    taken = {field.name for field in format.fields}
    names = []
    for i, field in enumerate(format.fields):
        name = field.name or f"f{i}"
        while not field.name and name in taken:
            name += "_"
        names.append(name)
    return names


def _scalar_dtype(np: Any, format: Format) -> Any:
    kind, nbytes = format.kind, format.itemsize
    if format.packed:
        cannot(
            "to_numpy", format, "NumPy has a byte to each item; Format(f, packed=False) has, too"
        )
    if kind in _NATIVE_NUMBERS:
        dtype = _number_dtype(np, format)
    elif kind == "bytes" or kind == "character":
        return np.dtype(f"S{nbytes}")
    elif kind == "unicode" and format.code == "w":
        dtype = np.dtype(f"U{nbytes // 4}")
    elif kind == "opaque":
        return np.dtype(f"V{nbytes}")
    elif kind == "object":
        return np.dtype("O")
    elif format.code == "P":
        return np.dtype("P")  # uintp, NumPy's own reading of this letter and of c_void_p
    else:
        cannot("to_numpy", format, _WHY_NOT[kind])
    swapped = format.byteorder is not None and (format.byteorder == "big") != _BIG
    return dtype.newbyteorder() if swapped else dtype


_WHY_NOT = {
    "pascal": "NumPy has no strings with a length byte",
    "unicode": "NumPy's strings are UCS-4, not UCS-2",
    "pointer": "NumPy has no typed pointers; cast to 'P' gives addresses",
    "function": "NumPy has no function pointers; cast to 'P' gives addresses",
    "bits": "NumPy has no bit fields",
}


def _number_dtype(np: Any, format: Format) -> Any:
    name = format.name
    if format.code is not None:
        return np.dtype(name)
    try:
        import ml_dtypes
    except ImportError:
        cannot("to_numpy", format, f"{name} needs the package ml_dtypes, which is not installed")
    if not hasattr(ml_dtypes, name):
        cannot("to_numpy", format, f"the installed ml_dtypes has no {name}")
    return np.dtype(getattr(ml_dtypes, name))
