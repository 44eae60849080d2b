"""Writes format_oracle.inc: what struct, ctypes and NumPy say about sizes and offsets of formats.

Usage: python make_format_oracle.py [PYTHON ...] > format_oracle.inc

Needs NumPy. Each further PYTHON gives its ctypes' formats too (they changed in CPython 3.12).
"""

import ctypes
import json
import random
import struct
import subprocess
import sys

STRUCT_TEXT = """
b B h H i I l L q Q n N P e f d ? c s p x 5s 5p 5x 0s 0x 3i 0i h3i llh0l bi ib bib hq qh cd dc ?d fd
ef he n? bP Pb bN 3s2h 10s i10s 1i i0q b0i b0q0b <l >l =l !l <L <q <bi >bi =bi !bi ^x
@bi @bq @llh0l <llh0l =3h0q 2x3xi xi ix bxh bxi bxxi c0xi bhilqfd dqlihb <bhilqfd >bhilqfd
"""
STRUCT_CASES = STRUCT_TEXT.split()
STRUCT_CASES += ["", " ", "b i", "< b i", "@ 3s  i", "\t3h\n2b"]


def struct_rows(rng):
    specs = list(STRUCT_CASES)
    while len(specs) < 300:
        prefix = rng.choice(["", "", "", "@", "=", "<", ">", "!"])
        codes = "xcbB?hHiIlLqQefdsp" + ("nNP" if prefix in ("", "@") else "")
        spec = prefix
        for _ in range(rng.randint(1, 8)):
            spec += rng.choice(["", "", "", " "]) + rng.choice(
                ["", "", "", "0", "1", "2", "3", "7"]
            )
            spec += rng.choice(codes)
        specs.append(spec)
    for spec in specs:
        try:
            yield spec, struct.calcsize(spec)
        except struct.error:
            continue


def ctypes_type(rng, depth):
    scalars = [
        ctypes.c_byte, ctypes.c_ubyte, ctypes.c_short, ctypes.c_ushort, ctypes.c_int,
        ctypes.c_uint, ctypes.c_long, ctypes.c_ulong, ctypes.c_longlong, ctypes.c_float,
        ctypes.c_double, ctypes.c_longdouble, ctypes.c_bool, ctypes.c_char, ctypes.c_wchar,
        ctypes.c_char_p, ctypes.c_wchar_p, ctypes.c_void_p, ctypes.py_object,
        ctypes.CFUNCTYPE(ctypes.c_int), ctypes.POINTER(ctypes.c_int),
        ctypes.POINTER(ctypes.c_int * 3),
    ]  # fmt: skip
    kind = rng.random()
    if depth < 3 and kind < 0.2:
        return ctypes_struct(rng, depth + 1)
    if depth < 3 and kind < 0.35:
        return ctypes_type(rng, depth + 1) * rng.randint(1, 3)
    return rng.choice(scalars)


def ctypes_struct(rng, depth=0):
    fields = [(f"m{i}", ctypes_type(rng, depth)) for i in range(rng.randint(1, 5))]
    simple = [f for f in fields if isinstance(f[1], type(ctypes.c_int))]
    base = ctypes.Structure
    if rng.random() < 0.2:
        fields = [f for f in simple if f[1]._type_ in "bBhHiIqQlLfd"] or [("m0", ctypes.c_int)]
        base = ctypes.BigEndianStructure
    return type("S", (base,), {"_fields_": fields})


def ctypes_rows(rng):
    for _ in range(150):
        kind = ctypes_struct(rng)
        view = memoryview(kind())
        yield view.format, view.itemsize, [getattr(kind, n).offset for n, _ in kind._fields_]


NUMPY_SCALARS = """
i1 u1 <i2 >i2 <i4 >i4 <u4 <i8 >i8 <f2 >f2 <f4 >f8 <f8 <c8 >c16 g G ? S3 S0 U2 >U2 V5 l L
"""
NUMPY_CODES = "b B h i I l q f d Zf Zd ? s w x e"


def numpy_field(rng, np, depth):
    if depth < 3 and rng.random() < 0.25:
        base = numpy_dtype(rng, np, depth + 1)
    else:
        base = rng.choice(NUMPY_SCALARS.split())
    shape = (rng.randint(1, 3),) * rng.randint(1, 2)
    return (base, shape) if rng.random() < 0.2 and np.dtype(base).itemsize else base


def numpy_dtype(rng, np, depth=0):
    count = rng.randint(1, 5)
    names = [f"m{i}" for i in range(count)]
    formats = [np.dtype(numpy_field(rng, np, depth)) for _ in names]
    how = rng.random()
    if how < 0.3:
        offsets, end = [], 0
        for item in formats:
            offsets.append(end + rng.randint(0, 5))
            end = offsets[-1] + item.itemsize
        spec = {"names": names, "formats": formats, "offsets": offsets}
        return np.dtype({**spec, "itemsize": end + rng.randint(0, 5)})
    return np.dtype({"names": names, "formats": formats}, align=how < 0.65)


def numpy_rows(rng):
    import numpy as np

    for _ in range(250):
        dtype = numpy_dtype(rng, np)
        if dtype.itemsize == 0:
            continue
        view = memoryview(np.zeros(1, dtype))
        yield view.format, view.itemsize, [dtype.fields[name][1] for name in dtype.names]


def numpy_spec(rng, depth=0):
    spec = ""
    for i in range(rng.randint(1, 4)):
        spec += rng.choice(["", "", "", "(2)", "(2,3)"])
        spec += rng.choice(["", "", "", "", "@", "=", "<", ">", "^"])
        spec += rng.choice(["", "", "", "2", "3"])
        if depth < 3 and rng.random() < 0.25:
            spec += "T{" + numpy_spec(rng, depth + 1) + "}"
        else:
            spec += rng.choice(NUMPY_CODES.split())
        spec += f":m{i}:"
    return spec


def numpy_parser_rows(rng):
    from numpy._core._internal import _dtype_from_pep3118

    for _ in range(250):
        spec = "T{" + numpy_spec(rng) + "}"
        dtype = _dtype_from_pep3118(spec)
        yield spec, dtype.itemsize, [dtype.fields[name][1] for name in dtype.names]


def emit_records(name, rows):
    print(f"constexpr RecordRow {name}[] = {{")
    for spec, itemsize, offsets in rows:
        text = json.dumps(spec)
        places = ",".join(str(offset) for offset in offsets)
        print(f'    {{{text}, {itemsize}, "{places}"}},')
    print("};\n")


def main():
    if sys.argv[1:] == ["--ctypes"]:
        print(json.dumps(list(ctypes_rows(random.Random(3118)))))
        return
    print("// Generated by make_format_oracle.py; do not edit.")
    print("// clang-format off")
    print("constexpr SizeRow kStructSizes[] = {")
    for spec, size in struct_rows(random.Random(3118)):
        print(f"    {{{json.dumps(spec)}, {size}}},")
    print("};\n")
    for number, python in enumerate([sys.executable, *sys.argv[1:]]):
        rows = json.loads(subprocess.check_output([python, __file__, "--ctypes"]))
        emit_records(f"kCtypesRecords{number}", rows)
    emit_records("kNumpyRecords", numpy_rows(random.Random(1)))
    emit_records("kNumpyParsed", numpy_parser_rows(random.Random(2)))
    print("// clang-format on")


if __name__ == "__main__":
    main()
