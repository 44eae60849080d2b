"""Malformed, and odd but legal, tensors in capsules: what stands in the struct."""

from __future__ import annotations

from . import abi
from .case import ACCEPT, EITHER, REFUSE, Case, Expect, Memory, Probe
from .tensor import ITEMS, Managed, Tensor

TOP = 1 << 63
WRAP = 1 << 64


class Producer:
    """An object with `__dlpack__` and `__dlpack_device__`, and nothing else."""

    def __init__(self, capsule, device):
        self.capsule, self.device = capsule, device

    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        return self.capsule

    def __dlpack_device__(self):
        return self.device


def probe_of(told: Tensor, memory: Memory, **shown) -> Probe:
    """Return a probe whose producer gives `told` in a capsule of its proper name."""
    managed = Managed(told, memory)
    producer = Producer(managed.in_capsule(), told.device)
    return Probe(producer, releases=[managed], **shown)


# A member and what is wrong with it. Wherever an importer may have a limit of its own, or a type
# that it does not have, the case is EITHER: it may refuse, at once; not later.
Row = tuple[str, str, Expect, dict, dict]


def row(name: str, why: str, expect: Expect = REFUSE, shown: dict | None = None, **told) -> Row:
    """Return one row of a table of cases."""
    return (name, why, expect, told, shown or {})


def _inverse(odd: int, product: int) -> int:
    """Return the factor that makes `product`, modulo 2**64, of an odd number."""
    return pow(odd, -1, WRAP) * product % WRAP


AXES = (
    row("ndim -1", "a negative number of axes", ndim=-1),
    row("ndim -2147483648", "the least int32", ndim=-(1 << 31)),
    row("ndim 65", "more axes than most libraries have", EITHER, shape=(1,) * 65),
    row("ndim 64", "the most axes that buffers have", ACCEPT, {"shape": (1,) * 64},
        shape=(1,) * 64),
    row("ndim 1000000", "a million axes, each there", EITHER, shape=(1,) * 1_000_000),
    row("ndim 2147483647", "the largest int32: an array of 16 GB nobody has", ndim=(1 << 31) - 1),
    row("shape NULL, ndim 1", "no extents to read", shape=None, strides=(1,), ndim=1),
    row("shape NULL, ndim 2, strides NULL", "neither array", shape=None, strides=None, ndim=2),
    row("shape NULL, ndim 64", "no extents to read", shape=None, strides=(1,) * 64, ndim=64),
    row("strides NULL, minor 0", "C-contiguous before 1.2", ACCEPT, {"shape": (2, 3),
        "items": ITEMS}, strides=None, version=(1, 0)),
    row("strides NULL, minor 3", "not allowed from 1.2 on", EITHER, {"shape": (2, 3),
        "items": ITEMS}, strides=None),
    row("0-d, arrays NULL", "one item needs neither array", ACCEPT, {"shape": (), "items": 0.0},
        shape=None, strides=None, ndim=0),
    row("0-d, arrays given", "arrays that nobody reads", ACCEPT, {"shape": (), "items": 0.0},
        shape=(), strides=()),
)  # fmt: skip

EXTENTS = (
    row("extent -1", "negative", shape=(-1, 3), strides=(3, 1)),
    row("last extent -4", "negative", shape=(2, -4), strides=(4, 1)),
    row("extent INT64_MIN", "its negation wraps", shape=(-TOP,), strides=(1,)),
    row("two negative extents", "their product is positive", shape=(-2, -3), strides=(3, 1)),
    row("extent 0 beside -1", "size 0 does not excuse it", shape=(0, -1), strides=(1, 1)),
    row("extent -1 beside 0", "size 0 does not excuse it", shape=(-1, 0), strides=(1, 1)),
    row("product wraps to 0", "2**32 * 2**32", shape=(1 << 32, 1 << 32), strides=(1 << 32, 1)),
    row("product wraps to 6", "9 * (6 / 9 modulo 2**64)", shape=(9, _inverse(9, 6)),
        strides=(1, 1)),
    row("product of three wraps to 16", "2**32 * 2**32 * 16",
        shape=(1 << 32, 1 << 32, 16), strides=(1, 1, 1)),
    row("product is 2**63", "negative as int64", shape=(1 << 62, 2), strides=(2, 1)),
    row("product is 2**64 - 1", "-1 as int64", shape=((1 << 32) + 1, (1 << 32) - 1),
        strides=(1, 1)),
    row("bytes wrap to 0", "2**62 items of 4 bytes", shape=(1 << 62,)),
    row("bytes wrap to 4", "2**62 + 1 items of 4 bytes", shape=((1 << 62) + 1,)),
    row("bytes are 2**63", "more than an object can have", shape=(1 << 61,)),
    row("broadcast, 2**64 bytes told", "strides 0 span 4 bytes", EITHER,
        shape=(1 << 31, 1 << 31), strides=(0, 0)),
    row("extent 0 beside 2**63 - 1", "size 0, each extent an int64", EITHER,
        shape=(0, TOP - 1), strides=(1, 1)),
    row("extent 0 beside 2**62 twice", "the others' product wraps", EITHER,
        shape=(1 << 62, 0, 1 << 62), strides=(1, 1, 1)),
    row("size 0, data NULL", "as the standard wants it", ACCEPT, {"shape": (0, 3)},
        shape=(0, 3), data=0),
    row("size 0, data given", "as NumPy does it", ACCEPT, {"shape": (2, 0)}, shape=(2, 0)),
    row("extents of 1", "strides that mean nothing", ACCEPT, {"shape": (1, 1), "items": [[0.0]]},
        shape=(1, 1), strides=(-7, 1000)),
)  # fmt: skip

STRIDES = (
    row("stride 2**62", "its bytes wrap to 0", strides=(1 << 62, 1)),
    row("last stride 2**62", "its bytes wrap to 0", strides=(3, 1 << 62)),
    row("stride INT64_MIN", "its bytes wrap to 0", strides=(-TOP, 1)),
    row("stride INT64_MAX", "its bytes wrap", strides=(TOP - 1, 1)),
    row("stride 2**62 + 1", "its bytes wrap to 4", strides=((1 << 62) + 1, 1)),
    row("stride -2**60", "before the address space", strides=(-(1 << 60), 1)),
    row("strides whose reaches add up past int64", "three times 2**62 bytes",
        shape=(2, 2, 2, 2), strides=(1 << 60, 1 << 60, 1 << 60, 1)),
    row("reach wraps by the extent", "2**32 steps of 2**32 items",
        shape=((1 << 32) + 1, 2), strides=(1 << 32, 1)),
    row("stride 2**62 of an extent of 1", "never stepped", ACCEPT, {"shape": (1, 3)},
        shape=(1, 3), strides=(1 << 62, 1)),
    row("stride 2**62 of an empty tensor", "never stepped", EITHER, {"shape": (0, 3)},
        shape=(0, 3), strides=(1 << 62, 1)),
    row("strides 0", "a broadcast item", ACCEPT, {"shape": (2, 3), "items": [[0.0] * 3] * 2},
        strides=(0, 0)),
    row("negative strides", "from the last item back", ACCEPT,
        {"shape": (2, 3), "items": [[5.0, 4.0, 3.0], [2.0, 1.0, 0.0]]},
        strides=(-3, -1), byte_offset=20),
    row("transposed", "Fortran order", ACCEPT,
        {"shape": (2, 3), "items": [[0.0, 2.0, 4.0], [1.0, 3.0, 5.0]]}, strides=(1, 2)),
    row("strided", "gaps between rows and items", ACCEPT,
        {"shape": (2, 3), "items": [[0.0, 2.0, 4.0], [10.0, 12.0, 14.0]]}, strides=(10, 2)),
    row("overlapping rows", "a sliding window", ACCEPT,
        {"shape": (2, 3), "items": [[0.0, 1.0, 2.0], [1.0, 2.0, 3.0]]}, strides=(1, 1)),
)  # fmt: skip

DATA = (
    row("data NULL", "24 bytes at address 0", data=0),
    row("data NULL, byte_offset 256", "24 bytes at address 256", data=0, byte_offset=256),
    row("data at 2**64 - 8", "24 bytes end past the address space", data=WRAP - 8),
    row("byte_offset 2**63", "more than an object can have", byte_offset=TOP),
    row("byte_offset 2**64 - 256", "wraps to before the data", byte_offset=WRAP - 256),
    row("byte_offset 2**64 - 1", "wraps to one byte before the data", byte_offset=WRAP - 1),
    row("byte_offset 8", "counted in bytes", ACCEPT,
        {"shape": (2, 3), "items": [[2.0, 3.0, 4.0], [5.0, 6.0, 7.0]]}, byte_offset=8),
    row("byte_offset 2", "items at odd addresses", EITHER, {"shape": (2, 3)}, byte_offset=2),
)  # fmt: skip

DTYPES = (
    row("code 18", "no DLPack 1.3 code", dtype=(18, 64, 1)),
    row("code 99", "no code", dtype=(99, 32, 1)),
    row("code 255", "no code", dtype=(255, 8, 1)),
    row("bits 0", "items of no size", dtype=(abi.FLOAT, 0, 1)),
    row("uint of 0 bits", "items of no size", dtype=(abi.UINT, 0, 1)),
    row("bits 7", "no float has them", dtype=(abi.FLOAT, 7, 1)),
    row("float of 8 bits", "which of the eight?", dtype=(abi.FLOAT, 8, 1)),
    row("float of 255 bits", "no whole bytes", dtype=(abi.FLOAT, 255, 1)),
    row("int of 12 bits", "no whole bytes", dtype=(abi.INT, 12, 1)),
    row("int of 24 bits", "whole bytes, but no usual type", EITHER, dtype=(abi.INT, 24, 1)),
    row("lanes 0", "items of no size", dtype=(abi.FLOAT, 32, 0)),
    row("uint8 with lanes 0", "items of no size", dtype=(abi.UINT, 8, 0)),
    row("lanes 4", "a vector type", EITHER, shape=(2, 3), dtype=(abi.FLOAT, 32, 4)),
    row("lanes 65535", "a vector type of 262140 bytes", EITHER, shape=(1,),
        dtype=(abi.FLOAT, 32, 65535)),
    row("complex of 8 bits", "halves of 4 bits", dtype=(abi.COMPLEX, 8, 1)),
    row("bfloat of 32 bits", "bfloat has 16", dtype=(abi.BFLOAT, 32, 1)),
    row("float8 of 16 bits", "the code says 8", dtype=(abi.FLOAT8_E4M3FN, 16, 1)),
    row("float6 of 8 bits", "the standard: bits must be 6", dtype=(abi.FLOAT6_E2M3FN, 8, 1)),
    row("float4 of 8 bits", "the standard: bits must be 4", dtype=(abi.FLOAT4_E2M1FN, 8, 1)),
    row("opaque handle", "memory that only its producer understands", EITHER,
        dtype=(abi.OPAQUE, 64, 1)),
    row("bool of 1 bit", "the standard gives bool 8", EITHER, shape=(8,), dtype=(abi.BOOL, 1, 1)),
    row("bool of 32 bits", "the standard gives bool 8", EITHER, dtype=(abi.BOOL, 32, 1)),
    row("bfloat16", "a type that NumPy does not have", EITHER, dtype=(abi.BFLOAT, 16, 1)),
    row("float8", "a type that few have", EITHER, dtype=(abi.FLOAT8_E4M3FN, 8, 1)),
    row("float4, padded", "one item a byte", EITHER, dtype=(abi.FLOAT4_E2M1FN, 4, 1),
        flags=abi.SUBBYTE_PADDED),
    row("float4, packed, 7 items", "the last byte is half used", EITHER, shape=(7,),
        dtype=(abi.FLOAT4_E2M1FN, 4, 1)),
    row("int64", "", ACCEPT, {"shape": (2, 3)}, dtype=(abi.INT, 64, 1)),
    row("uint8", "", ACCEPT, {"shape": (2, 3)}, dtype=(abi.UINT, 8, 1)),
    row("bool", "", ACCEPT, {"shape": (2, 3)}, dtype=(abi.BOOL, 8, 1)),
    row("complex64", "", ACCEPT, {"shape": (2, 3)}, dtype=(abi.COMPLEX, 64, 1)),
)  # fmt: skip

DEVICES = (
    row("device type 0", "no such device", device=(0, 0)),
    row("device type -1", "no such device", device=(-1, 0)),
    row("device type 5", "a number that was taken back", device=(5, 0)),
    row("device type 99", "no such device", device=(99, 0)),
    row("cpu, id -1", "an id that means nothing", EITHER, device=(abi.CPU, -1)),
    row("cpu, id 7", "an id that means nothing", EITHER, device=(abi.CPU, 7)),
    row("cuda, id -1", "no such device", device=(abi.CUDA, -1)),
    row("cuda, id 2147483647", "no such device", device=(abi.CUDA, (1 << 31) - 1)),
    row("cuda, pointer of the host", "a kernel would fault", device=(abi.CUDA, 0),
        host_pointer=True),
    row("managed, pointer of the host", "cannot be told apart without a driver", EITHER,
        device=(abi.CUDA_MANAGED, 0)),
    row("pinned, pointer of the host", "cannot be told apart without a driver", EITHER,
        device=(abi.CUDA_HOST, 0)),
    row("rocm, pointer of the host", "cannot be told apart without a driver", EITHER,
        device=(abi.ROCM, 0)),
)  # fmt: skip

STRUCT = (
    row("major 0", "no such version", version=(0, 3)),
    row("major 2", "another layout behind the flags", version=(2, 0)),
    row("major 99", "another layout behind the flags", version=(99, 0)),
    row("major 4294967295", "-1", version=(0xFFFFFFFF, 0)),
    row("minor 99", "newer enumerators, none used", ACCEPT, {"shape": (2, 3), "items": ITEMS},
        version=(1, 99)),
    row("read-only", "the flag must be kept", ACCEPT, {"shape": (2, 3), "readonly": True},
        flags=abi.READ_ONLY),
    row("is-copied", "the importer is the only owner", ACCEPT, {"shape": (2, 3), "items": ITEMS},
        flags=abi.IS_COPIED),
    row("flag 2**40", "a flag of a later version", EITHER, flags=1 << 40),
    row("all flags", "", EITHER, flags=WRAP - 1),
    row("deleter NULL", "nothing to be called", ACCEPT, {"shape": (2, 3), "items": ITEMS},
        deleter=False),
    row("deleter NULL, ndim -1", "nothing to be called, on refusal", deleter=False, ndim=-1),
)  # fmt: skip

# The legacy struct lies otherwise in memory; what it shares with the versioned one is not repeated
# in full.
LEGACY_NAMES = {
    *("ndim -1", "ndim -2147483648", "ndim 65", "ndim 2147483647", "shape NULL, ndim 1"),
    *("0-d, arrays NULL", "last extent -4", "two negative extents", "product wraps to 0"),
    *("product of three wraps to 16", "bytes wrap to 0", "bytes wrap to 4", "size 0, data NULL"),
    *("stride 2**62", "stride INT64_MIN", "stride -2**60", "negative strides", "data NULL"),
    *("byte_offset 2**63", "byte_offset 2**64 - 256", "code 99", "bits 0", "bits 7", "lanes 0"),
    *("lanes 4", "device type 99", "cuda, pointer of the host", "deleter NULL", "minor 99"),
    *("float8 of 16 bits", "extent 0 beside -1", "deleter NULL, ndim -1"),
}
LEGACY_ONLY = (
    row("strides NULL", "C-contiguous", ACCEPT, {"shape": (2, 3), "items": ITEMS}, strides=None),
)

GROUPS = (AXES, EXTENTS, STRIDES, DATA, DTYPES, DEVICES, STRUCT)


def _case(family: str, row: Row, versioned: bool) -> Case:
    name, why, expect, told, shown = row

    def make(memory: Memory) -> Probe:
        return probe_of(Tensor(versioned=versioned, **told), memory, **shown)

    return Case(name, family, why, expect, make)


def device_memory_called_host(memory: Memory) -> Probe:
    """Return a tensor of the CPU whose pointer the CPU cannot read."""
    return probe_of(Tensor(data=memory.device), memory)


def cases() -> list[Case]:
    """Return the cases of both kinds of capsules."""
    rows = [row for group in GROUPS for row in group]
    legacy = [row for row in rows if row[0] in LEGACY_NAMES and row[0] != "minor 99"]
    return [
        *(_case("dlpack", row, True) for row in rows),
        Case("cpu, pointer of a device", "dlpack", "the host would fault", REFUSE,
             device_memory_called_host, needs_device=True),
        *(_case("dlpack-legacy", row, False) for row in (*legacy, *LEGACY_ONLY)),
    ]  # fmt: skip
