"""Formats of others: what NumPy, ctypes, struct and Python call the type of an item.

``devview.Format`` comes here for everything but text. No module of this package imports NumPy,
ctypes or struct before it is asked to convert to them: an object of theirs shows that they are
loaded.
"""

from __future__ import annotations

import sys

from devview._devview import Format

_PYTHON_TYPES = {bool: "?", int: "q", float: "d", complex: "Zd", object: "O"}

_EXPECTED = (
    "a format string, a typestr or descr, the name of a scalar, a DLPack triple, a dv.Format or "
    "View, a NumPy dtype or scalar type, a ctypes type, a struct.Struct, or one of "
    "bool, int, float, complex, object"
)


def read(spec: object) -> Format:
    """Return the Format of a foreign description; TypeError if it is none."""
    is_type = isinstance(spec, type)
    format = _of_type(spec) if is_type else _of_dtype(spec) or _of_struct(spec)
    if format is None:
        found = f"the type {spec.__qualname__}" if is_type else type(spec).__name__
        raise TypeError(f"format: expected {_EXPECTED}, got {found}")
    return format


def _of_type(spec: type) -> Format | None:
    code = _PYTHON_TYPES.get(spec)
    if code is not None:
        return Format(code)
    if spec is str or spec is bytes:
        from devview.formats.refusal import refuse

        refuse(f"format: {spec.__name__} has no fixed size; say '10s' (bytes) or '10w' (str)")
    ctypes = sys.modules.get("_ctypes")
    if ctypes is not None and issubclass(spec, ctypes.Structure.__base__):
        from devview.formats.ctypes_type import of_ctypes

        return of_ctypes(spec)
    numpy = sys.modules.get("numpy")
    if numpy is not None and issubclass(spec, numpy.generic):
        from devview.formats.numpy_dtype import of_scalar_type

        return of_scalar_type(spec)
    return _of_dtype(spec)


def _of_dtype(spec: object) -> Format | None:
    """Return the format of a dtype, or of something that has one as its attribute ``dtype``."""
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return None
    dtype = spec if isinstance(spec, numpy.dtype) else getattr(spec, "dtype", None)
    if not isinstance(dtype, numpy.dtype):
        return None
    from devview.formats.numpy_dtype import of_dtype

    return of_dtype(dtype)


def _of_struct(spec: object) -> Format | None:
    struct = sys.modules.get("_struct")
    if struct is None or not isinstance(spec, struct.Struct):
        return None
    return Format(spec.format)
