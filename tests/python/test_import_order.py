"""dv.view asks the protocols in order, takes the first that answers, and remembers nothing."""

from __future__ import annotations

import ctypes
import re
import sys

import pytest

import devview as dv
from support import CUDA_DEVICES, no_gc

CUDA = CUDA_DEVICES[0]
EXCHANGE = "DLPack C exchange API"
BUFFER = "buffer protocol"
DLPACK = "__dlpack__"
CUDA_ARRAY = "__cuda_array_interface__"
ARRAY = "__array_interface__"
ARROW = "Arrow"
ORDER = (EXCHANGE, BUFFER, DLPACK, CUDA_ARRAY, ARRAY, ARROW)


# --- An exchange table without a line of C ---

_capsule_new = ctypes.PYFUNCTYPE(
    ctypes.py_object, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p
)(("PyCapsule_New", ctypes.pythonapi))
_capsule_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)
_capsule_rename = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_SetName", ctypes.pythonapi)
)
_FromObject = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.POINTER(ctypes.c_void_p))
_USED = b"used_dltensor_versioned"
_TABLE = b"dlpack_exchange_api"


class ExchangeTable(ctypes.Structure):
    """DLPackExchangeAPI of DLPack 1.3: a header, then five functions."""

    _fields_ = (
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("previous", ctypes.c_void_p),
        ("allocator", ctypes.c_void_p),
        ("from_object", ctypes.c_void_p),
        ("to_object", ctypes.c_void_p),
        ("borrow", ctypes.c_void_p),
        ("current_work_stream", ctypes.c_void_p),
    )


@_FromObject
def give_tensor(obj, out):
    """managed_tensor_from_py_object_no_sync, by the object's own capsule."""
    capsule = obj.tensor()
    out[0] = _capsule_pointer(capsule, b"dltensor_versioned")
    _capsule_rename(capsule, _USED)
    return 0


def address_of(function) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value


SERVING = ExchangeTable(major=1, minor=3, from_object=address_of(give_tensor))
# A ctypes callback cannot leave an exception behind. PyObject_IsTrue can: it calls `__bool__`.
REFUSING = ExchangeTable(major=1, minor=3, from_object=address_of(ctypes.pythonapi.PyObject_IsTrue))


def table_capsule(table: ExchangeTable):
    return _capsule_new(ctypes.addressof(table), _TABLE, None)


# --- Objects that offer what a test wants ---


class Memory:
    """Four bytes of their own for each protocol, all of them the protocol's place in the order."""

    def __init__(self, protocol: str):
        self.number = ORDER.index(protocol) + 1
        self.view = dv.zeros(4, device=CUDA if protocol == CUDA_ARRAY else "cpu")
        self.view.fill(self.number)
        self.give = {
            EXCHANGE: lambda: self.view.__dlpack__(max_version=(1, 3)),
            BUFFER: lambda: memoryview(self.view),
            DLPACK: lambda: self.view.__dlpack__(max_version=(1, 3)),
            CUDA_ARRAY: lambda: self.view.__cuda_array_interface__,
            ARRAY: lambda: self.view.__array_interface__,
            ARROW: lambda: self.view.__arrow_c_array__(),
        }[protocol]


def members(protocol: str, answer, refuses: bool) -> dict:
    """Give the class members that offer a protocol; each calls `answer` once when asked."""
    return {
        EXCHANGE: {
            "__dlpack_c_exchange_api__": table_capsule(REFUSING if refuses else SERVING),
            "__bool__": lambda self: answer(),
            "tensor": lambda self: answer(),
        },
        BUFFER: {"__buffer__": lambda self, flags: answer()},
        DLPACK: {
            "__dlpack__": lambda self, **_: answer(),
            "__dlpack_device__": lambda self: (1, 0),
        },
        CUDA_ARRAY: {"__cuda_array_interface__": property(lambda self: answer())},
        ARRAY: {"__array_interface__": property(lambda self: answer())},
        ARROW: {"__arrow_c_array__": lambda self, requested_schema=None: answer()},
    }[protocol]


def producer(answers: dict):
    """Give an object that offers the protocols named, and the list of what it was asked for.

    An answer is a Memory or the exception that is raised.
    """
    asked: list = []

    def answer_of(protocol: str):
        def answer():
            asked.append(protocol)
            if isinstance(answers[protocol], BaseException):
                raise answers[protocol]
            return answers[protocol].give()

        return answer

    namespace = {}
    for protocol, given in answers.items():
        refuses = isinstance(given, BaseException)
        namespace.update(members(protocol, answer_of(protocol), refuses))
    # A Python class exports buffers on every Python only over devview's base.
    bases = (dv.Exporter,) if BUFFER in answers else ()
    return type("Producer", bases, namespace)(), asked


def all_of(protocols=ORDER) -> dict:
    return {protocol: Memory(protocol) for protocol in protocols}


# --- The first that answers ---


def test_the_first_protocol_is_taken_and_no_other_is_asked():
    obj, asked = producer(all_of())
    v = dv.view(obj)
    assert asked == [EXCHANGE]
    assert v.tolist() == [1] * 4


@pytest.mark.parametrize("first", range(len(ORDER)), ids=ORDER)
def test_what_is_not_offered_is_passed_over(first):
    answers = all_of(ORDER[first:])
    obj, asked = producer(answers)
    v = dv.view(obj)
    assert asked == [ORDER[first]]
    assert v.tolist() == [first + 1] * 4
    assert v.ptr == answers[ORDER[first]].view.ptr
    v.fill(77) if not v.readonly else None
    assert v.tolist() == answers[ORDER[first]].view.tolist()


@pytest.mark.parametrize("error", [BufferError, ValueError, TypeError, UnicodeError])
@pytest.mark.parametrize("first", range(1, len(ORDER)), ids=ORDER[1:])
def test_a_refusal_moves_on_to_the_next(first, error):
    answers = {p: error(f"no {p} today") for p in ORDER[:first]} | all_of(ORDER[first:])
    obj, asked = producer(answers)
    v = dv.view(obj)
    assert asked == list(ORDER[: first + 1])
    assert v.tolist() == [first + 1] * 4


def test_a_view_is_taken_as_it_is():
    v = dv.zeros(4)
    w = dv.view(v)
    assert w.allocation is v.allocation
    assert v.allocation.exports == 0  # by none of the protocols that count an export


def test_options_do_not_change_the_order():
    for options in ({"readonly": True}, {"copy": True}, {"device": CUDA}, {"copy": False}):
        obj, asked = producer(all_of())
        assert dv.view(obj, **options).tolist() == [1] * 4
        assert asked == [EXCHANGE]


# --- Refusals ---


def test_a_refusal_names_every_protocol_in_order_and_why():
    obj, asked = producer({p: BufferError(f"reason {i}") for i, p in enumerate(ORDER)})
    with pytest.raises(dv.ImportRefused) as raised:
        dv.view(obj)
    assert asked == list(ORDER)
    text = str(raised.value)
    assert "'Producer'" in text
    places = [text.index(f"{p}: reason {i}") for i, p in enumerate(ORDER)]
    assert places == sorted(places)


def test_what_is_not_offered_is_named_too():
    obj, asked = producer({ARRAY: ValueError("mine")})
    with pytest.raises(dv.ImportRefused) as raised:
        dv.view(obj)
    assert asked == [ARRAY]
    for protocol in ORDER:
        why = "mine" if protocol == ARRAY else "not offered"
        assert f"{protocol}: {why}" in str(raised.value)


def test_a_plain_object_offers_nothing():
    with pytest.raises(dv.ImportRefused) as raised:
        dv.view(object())
    assert re.findall(r"(?:: |; )([^:;]+): not offered", str(raised.value)) == [
        p for p in ORDER if p != BUFFER or "buffer protocol: not offered" in str(raised.value)
    ]


def test_a_refusal_is_a_buffer_error_and_a_value_error():
    for error in (BufferError, ValueError, dv.Error):
        with pytest.raises(error):
            dv.view(object())


def test_an_answer_that_makes_no_sense_is_a_refusal():
    """What a producer gives is checked, and found wrong, before anything is taken over."""
    good = Memory(ARROW)

    class Confused:
        __dlpack_c_exchange_api__ = 5
        __cuda_array_interface__ = "a dict"
        __array_interface__ = ()

        def __dlpack__(self, **_):
            return None

        def __dlpack_device__(self):
            return (1, 0)

        def __arrow_c_array__(self, requested_schema=None):
            return good.give()

    assert dv.view(Confused()).tolist() == [6] * 4
    del Confused.__arrow_c_array__
    with pytest.raises(dv.ImportRefused) as raised:
        dv.view(Confused())
    text = str(raised.value)
    for protocol in (EXCHANGE, DLPACK, CUDA_ARRAY, ARRAY):
        assert f"{protocol}: " in text
        assert f"{protocol}: not offered" not in text


class MineError(Exception):
    """An error that devview knows nothing of."""


@pytest.mark.parametrize(
    "error",
    [
        KeyError("k"),
        RuntimeError("r"),
        MineError("m"),
        MemoryError(),
        KeyboardInterrupt(),
        OSError(5),
    ],
    ids=lambda e: type(e).__name__,
)
@pytest.mark.parametrize("first", range(len(ORDER)), ids=ORDER)
def test_any_other_exception_ends_the_import_and_is_the_same_object(first, error):
    answers = {p: BufferError("no") for p in ORDER[:first]} | {ORDER[first]: error}
    obj, asked = producer(answers | all_of(ORDER[first + 1 :]))
    with pytest.raises(type(error)) as raised:
        dv.view(obj)
    assert raised.value is error
    assert asked == list(ORDER[: first + 1])
    error.__traceback__ = error.__context__ = None


def test_a_getattr_that_fails_ends_the_import():
    class Broken:
        def __getattr__(self, name):
            raise MineError(name)

    with pytest.raises(MineError, match="__dlpack__"):
        dv.view(Broken())


def test_a_property_that_raises_attribute_error_offers_nothing():
    obj, asked = producer({CUDA_ARRAY: AttributeError("not here"), ARRAY: Memory(ARRAY)})
    assert dv.view(obj).tolist() == [5] * 4
    assert asked == [CUDA_ARRAY, ARRAY]


def test_none_offers_nothing():
    class Nothing:
        __dlpack_c_exchange_api__ = None
        __dlpack__ = None

    with pytest.raises(dv.ImportRefused) as raised:
        dv.view(Nothing())
    for protocol in (EXCHANGE, DLPACK):
        assert f"{protocol}: not offered" in str(raised.value)


def test_a_refused_object_is_left_as_it_was():
    answers = {p: BufferError("no") for p in ORDER}
    obj, asked = producer(answers)
    with no_gc():
        with pytest.raises(dv.ImportRefused):
            dv.view(obj)
        before = sys.getrefcount(obj)
        for _ in range(5):
            with pytest.raises(dv.ImportRefused):
                dv.view(obj)
            for error in answers.values():
                error.__traceback__ = None  # raised again, it grows by frames that hold the object
        assert sys.getrefcount(obj) <= before
    assert asked == list(ORDER) * 6


# --- One protocol alone ---


@pytest.mark.parametrize(
    ("function", "protocol"),
    [
        (dv.from_buffer, BUFFER),
        (dv.from_dlpack, DLPACK),
        (dv.from_cuda_array, CUDA_ARRAY),
    ],
)
def test_the_functions_of_one_protocol_ask_no_other(function, protocol):
    obj, asked = producer(all_of())
    assert function(obj).tolist() == [ORDER.index(protocol) + 1] * 4
    assert asked == [protocol]
    obj, asked = producer({p: Memory(p) for p in ORDER if p != protocol})
    with pytest.raises((BufferError, TypeError)):
        function(obj)
    assert asked == []


# --- Nothing is remembered ---


def changing_class():
    class Changing(dv.Exporter):
        pass

    return Changing


def test_a_class_that_gains_and_loses_protocols_is_asked_anew():
    kind = changing_class()
    memories = all_of()
    obj = kind()
    for _ in range(3):
        with pytest.raises(dv.ImportRefused):
            dv.view(obj)
        for protocol in reversed(ORDER):
            for name, member in members(protocol, memories[protocol].give, False).items():
                setattr(kind, name, member)
            assert dv.view(obj).tolist() == [memories[protocol].number] * 4
            assert dv.view(kind()).tolist() == [memories[protocol].number] * 4
        for protocol in ORDER:
            assert dv.view(obj).tolist() == [memories[protocol].number] * 4
            for name in members(protocol, None, False):
                delattr(kind, name)


def test_a_protocol_that_appears_in_a_base_class_is_seen():
    class Base:
        pass

    class Child(Base):
        pass

    obj = Child()
    memory = Memory(DLPACK)
    for _ in range(2):
        with pytest.raises(dv.ImportRefused):
            dv.view(obj)
        for name, member in members(DLPACK, memory.give, False).items():
            setattr(Base, name, member)
        assert dv.view(obj).tolist() == [3] * 4
        del Base.__dlpack__, Base.__dlpack_device__


def test_an_object_that_changes_its_class_is_asked_by_its_new_one():
    one, _ = producer({DLPACK: Memory(DLPACK)})
    two, _ = producer({ARRAY: Memory(ARRAY)})
    first, second = type(one), type(two)
    for _ in range(2):
        assert dv.view(one).tolist() == [3] * 4
        one.__class__ = second
        assert dv.view(one).tolist() == [5] * 4
        one.__class__ = first


def test_an_answer_that_changes_is_taken_as_it_is_now():
    memories = [Memory(DLPACK), Memory(ARRAY)]
    device = [(1, 0)]

    class Restless:
        def __dlpack__(self, **_):
            if device[0] is None:
                raise BufferError("not now")
            return memories[0].give()

        def __dlpack_device__(self):
            return device[0] or (1, 0)

        @property
        def __array_interface__(self):
            return memories[1].give()

    obj = Restless()
    assert dv.view(obj).tolist() == [3] * 4
    device[0] = None
    assert dv.view(obj).tolist() == [5] * 4
    device[0] = (1, 0)
    assert dv.view(obj).tolist() == [3] * 4


def test_each_of_two_types_with_one_name_is_asked_itself():
    one, asked_one = producer({DLPACK: Memory(DLPACK)})
    two, asked_two = producer({DLPACK: BufferError("no"), ARRAY: Memory(ARRAY)})
    assert type(one).__name__ == type(two).__name__
    for _ in range(2):
        assert dv.view(one).tolist() == [3] * 4
        assert dv.view(two).tolist() == [5] * 4
    assert asked_one == [DLPACK] * 2
    assert asked_two == [DLPACK, ARRAY] * 2


# --- Instances and types ---


def test_what_an_instance_has_of_its_own_is_asked_too():
    class Plain:
        pass

    for protocol in (DLPACK, CUDA_ARRAY, ARRAY, ARROW):
        obj, memory = Plain(), Memory(protocol)
        with pytest.raises(dv.ImportRefused):
            dv.view(obj)
        if protocol in (CUDA_ARRAY, ARRAY):
            setattr(obj, protocol, memory.give())
        elif protocol == DLPACK:
            obj.__dlpack__ = lambda memory=memory, **_: memory.give()
            obj.__dlpack_device__ = lambda: (1, 0)
        else:
            obj.__arrow_c_array__ = lambda memory=memory: memory.give()
        assert dv.view(obj).tolist() == [memory.number] * 4
        with pytest.raises(dv.ImportRefused):
            dv.view(Plain())


def test_an_exchange_table_is_the_type_s_never_the_instance_s():
    """It holds for objects of exactly the type that has it."""
    obj, asked = producer({ARRAY: Memory(ARRAY)})
    obj.__dlpack_c_exchange_api__ = table_capsule(SERVING)
    assert dv.view(obj).tolist() == [5] * 4
    assert asked == [ARRAY]


def test_a_class_is_no_array_because_its_instances_are():
    for protocol in ORDER:
        obj, asked = producer({protocol: Memory(protocol)})
        assert dv.view(obj).tolist() == [ORDER.index(protocol) + 1] * 4
        with pytest.raises(dv.ImportRefused):
            dv.view(type(obj))
        assert asked == [protocol]


def test_a_class_whose_metaclass_offers_memory_is_viewed():
    memory = Memory(ARRAY)

    class Meta(type):
        @property
        def __array_interface__(cls):
            return memory.give()

    class Kind(metaclass=Meta):
        pass

    assert dv.view(Kind).tolist() == [5] * 4
    with pytest.raises(dv.ImportRefused):
        dv.view(Kind())
