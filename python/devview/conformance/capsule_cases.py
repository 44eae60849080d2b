"""What a producer of capsules can do wrong around a good tensor: names, calls, exceptions."""

from __future__ import annotations

import threading

from . import abi
from .case import ACCEPT, EITHER, RAISE, REFUSE, Case, Memory, Probe, ProducerError
from .dlpack_cases import Producer
from .tensor import ITEMS, SHAPE, Managed, Tensor

CPU_DEVICE = (abi.CPU, 0)
GOOD = {"shape": SHAPE, "items": ITEMS}


def _named(name: bytes | None, versioned: bool = True):
    def make(memory: Memory) -> Probe:
        managed = Managed(Tensor(versioned=versioned), memory)
        return Probe(Producer(managed.in_capsule(name), CPU_DEVICE), releases=[managed])

    return make


def _answer(value):
    """Return a maker of producers whose `__dlpack__` gives `value`."""

    def make(_memory: Memory) -> Probe:
        return Probe(Producer(value, CPU_DEVICE))

    return make


def _device(value):
    """Return a maker of good capsules beside a `__dlpack_device__` that gives `value`."""

    def make(memory: Memory) -> Probe:
        managed = Managed(Tensor(), memory)
        return Probe(Producer(managed.in_capsule(), value), releases=[managed])

    return make


def _class(versioned: bool = True, **members):
    """Return a maker of producers of a class with other methods; `self.capsule` is good."""

    def make(memory: Memory) -> Probe:
        managed = Managed(Tensor(versioned=versioned), memory)
        kind = type("Producer", (Producer,), members)
        return Probe(kind(managed.in_capsule(), CPU_DEVICE), releases=[managed], **GOOD)

    return make


def _raising(method: str, exception: type[BaseException], *arguments):
    """Return a maker of producers one method of which raises."""

    def make(memory: Memory) -> Probe:
        managed = Managed(Tensor(), memory)

        def raises(self, **_options):
            raise probe.fails(exception(*arguments))

        kind = type("Producer", (Producer,), {method: raises})
        probe = Probe(kind(managed.in_capsule(), CPU_DEVICE), releases=[managed])
        return probe

    return make


def _raising_property(exception: type[BaseException]):
    def make(_memory: Memory) -> Probe:
        class Raising:
            @property
            def __dlpack__(self):
                raise probe.fails(exception("the attribute's own"))

            def __dlpack_device__(self):
                return CPU_DEVICE

        probe = Probe(Raising())
        return probe

    return make


def taken_twice(memory: Memory) -> Probe:
    """Give the same capsule to two imports; the first one is good."""
    managed = Managed(Tensor(), memory)
    probe = Probe(Producer(managed.in_capsule(), CPU_DEVICE), releases=[managed])
    held = []

    def drive(importer):
        held.append(importer(probe.producer))
        try:
            return importer(probe.producer)
        finally:
            held.clear()

    probe.drive = drive
    return probe


def taken_while_asked(memory: Memory) -> Probe:
    """`__dlpack__` has the capsule imported by the same importer before it is returned."""
    managed = Managed(Tensor(), memory)
    inner = Producer(managed.in_capsule(), CPU_DEVICE)

    class Reentrant(Producer):
        def __dlpack__(self, **_options):
            self.view = self.importer(inner)
            return self.capsule

    producer = Reentrant(managed.capsule, CPU_DEVICE)
    probe = Probe(producer, releases=[managed])

    def drive(importer):
        producer.importer = importer
        try:
            return importer(producer)
        finally:
            producer.__dict__.pop("view", None)

    probe.drive = drive
    return probe


def renamed_by_the_device(memory: Memory) -> Probe:
    """`__dlpack_device__`, asked after the capsule, calls that one used."""
    managed = Managed(Tensor(), memory)

    class Renaming(Producer):
        def __dlpack__(self, **_options):
            self.asked = True
            return self.capsule

        def __dlpack_device__(self):
            if vars(self).get("asked"):
                abi.rename(self.capsule, b"taken")
            return CPU_DEVICE

    return Probe(Renaming(managed.in_capsule(), CPU_DEVICE), releases=[managed])


def _changed_after(change):
    """Return a maker of tensors that `change(managed)` overwrites while the result lives."""

    def make(memory: Memory) -> Probe:
        managed = Managed(Tensor(), memory)
        producer = Producer(managed.in_capsule(), CPU_DEVICE)
        return Probe(producer, releases=[managed], accepted=lambda _: change(managed), **GOOD)

    return make


def _overwrite_shape(managed: Managed) -> None:
    managed.shape[:] = [1 << 40, -5]


def _overwrite_strides(managed: Managed) -> None:
    managed.strides[:] = [1 << 60, 1 << 60]


def _overwrite_tensor(managed: Managed) -> None:
    tensor = managed.tensor
    tensor.data, tensor.ndim, tensor.shape, tensor.strides = 8, 1 << 20, None, None
    tensor.code, tensor.bits, tensor.lanes, tensor.byte_offset = 99, 0, 0, 1 << 63


def dropped_elsewhere(memory: Memory) -> Probe:
    """Give the result back in another thread."""
    managed = Managed(Tensor(), memory)
    probe = Probe(Producer(managed.in_capsule(), CPU_DEVICE), releases=[managed], **GOOD)

    def drop(held: list) -> None:
        thread = threading.Thread(target=held.clear)
        thread.start()
        thread.join()

    probe.drop = drop
    return probe


def asked_without_end(_memory: Memory) -> Probe:
    """Every spelling of the call is answered by TypeError."""
    calls = []

    class Refusing:
        def __dlpack__(self, **options):
            calls.append(options)
            raise TypeError("no spelling is right")

        def __dlpack_device__(self):
            return CPU_DEVICE

    def unmask():
        return [f"asked {len(calls)} times"] if len(calls) > 16 else []

    return Probe(Refusing(), unmask=unmask)


NAMES = (
    ("name of the wrong case", "DLTensor_Versioned", _named(b"DLTensor_Versioned")),
    ("name 'used_dltensor_versioned'", "taken over already", _named(abi.USED_VERSIONED)),
    ("name NULL", "no name at all", _named(None)),
    ("name empty", "no name at all", _named(b"")),
    ("name with a space behind", "names are compared whole", _named(abi.VERSIONED + b" ")),
    ("name of an Arrow array", "another protocol's capsule", _named(b"arrow_array")),
    ("name of an exchange table", "another protocol's capsule", _named(abi.EXCHANGE)),
    ("same capsule twice", "the second import finds it used", taken_twice),
    ("capsule taken while it is asked for", "re-entrant consumption", taken_while_asked),
)  # fmt: skip

ANSWERS = (
    ("__dlpack__ gives None", "no capsule", _answer(None)),
    ("__dlpack__ gives an int", "no capsule", _answer(0x1000)),
    ("__dlpack__ gives bytes", "no capsule", _answer(b"dltensor_versioned")),
    ("__dlpack__ gives a tuple", "no capsule", _answer((1, 2))),
    ("__dlpack__ is no function", "cannot be called", _class(__dlpack__=5)),
    ("__dlpack__ is None", "the usual way to take a method away", _class(__dlpack__=None)),
    ("__dlpack__ takes no call", "TypeError for every spelling", asked_without_end),
    ("the attribute raises AttributeError", "not offered", _raising_property(AttributeError)),
)

CALLS = (
    ("__dlpack__ without arguments", "as before the standard", EITHER,
     _class(__dlpack__=lambda self: self.capsule)),
    ("__dlpack__ with stream only", "as in 2021", ACCEPT,
     _class(__dlpack__=lambda self, stream=None: self.capsule)),
    ("__dlpack__ with keywords only", "any of them", ACCEPT,
     _class(__dlpack__=lambda self, **options: self.capsule)),
    ("__dlpack__ on the instance", "protocols are looked up on the type, or not", EITHER,
     lambda memory: _on_the_instance(memory)),
    ("legacy capsule whatever is asked", "a producer without versions", ACCEPT,
     _class(versioned=False)),
    ("__dlpack_device__ missing", "the pair belongs together", EITHER,
     _class(__dlpack_device__=property(lambda self: self.missing))),
    ("__dlpack_device__ gives None", "no pair; it need not be asked", EITHER, _device(None)),
    ("__dlpack_device__ gives an int", "no pair", EITHER, _device(1)),
    ("__dlpack_device__ gives one number", "no pair", EITHER, _device((1,))),
    ("__dlpack_device__ gives three", "no pair", EITHER, _device((1, 0, 0))),
    ("__dlpack_device__ gives names", "no numbers", EITHER, _device(("cpu", "0"))),
    ("__dlpack_device__ gives floats", "no numbers", EITHER, _device((1.5, 0.5))),
    ("__dlpack_device__ gives 2**70", "no int32", EITHER, _device((1 << 70, 1 << 70))),
    ("__dlpack_device__ contradicts the capsule", "cuda told, cpu given", EITHER,
     _device((abi.CUDA, 0))),
    ("capsule contradicts __dlpack_device__", "cpu told, cuda given, memory of the host", REFUSE,
     lambda memory: _other_device(memory)),
    ("renamed while the device is asked", "if it is asked afterwards", EITHER,
     renamed_by_the_device),
    ("shape overwritten afterwards", "read once", ACCEPT, _changed_after(_overwrite_shape)),
    ("strides overwritten afterwards", "read once", ACCEPT, _changed_after(_overwrite_strides)),
    ("tensor overwritten afterwards", "read once", ACCEPT, _changed_after(_overwrite_tensor)),
    ("dropped in another thread", "the deleter may run anywhere", ACCEPT, dropped_elsewhere),
)  # fmt: skip

EXCEPTIONS = (
    ("__dlpack__ raises KeyError", RAISE, _raising("__dlpack__", KeyError, "key")),
    ("__dlpack__ raises RuntimeError", RAISE, _raising("__dlpack__", RuntimeError, "text")),
    ("__dlpack__ raises MemoryError", RAISE, _raising("__dlpack__", MemoryError)),
    ("__dlpack__ raises its own exception", RAISE, _raising("__dlpack__", ProducerError, 1, 2)),
    ("__dlpack__ raises KeyboardInterrupt", RAISE, _raising("__dlpack__", KeyboardInterrupt)),
    ("__dlpack__ raises BufferError", RAISE, _raising("__dlpack__", BufferError, "not now")),
    ("__dlpack__ raises ValueError", RAISE, _raising("__dlpack__", ValueError, "not now")),
    ("__dlpack_device__ raises KeyError", RAISE, _raising("__dlpack_device__", KeyError, "key")),
    ("__dlpack_device__ raises its own", RAISE, _raising("__dlpack_device__", ProducerError)),
    ("the attribute raises KeyError", RAISE, _raising_property(KeyError)),
    ("the attribute raises its own exception", RAISE, _raising_property(ProducerError)),
)


def _on_the_instance(memory: Memory) -> Probe:
    class Bare:
        pass

    managed = Managed(Tensor(), memory)
    capsule, bare = managed.in_capsule(), Bare()
    bare.__dlpack__ = lambda **options: capsule
    bare.__dlpack_device__ = lambda: CPU_DEVICE
    return Probe(bare, releases=[managed])


def _other_device(memory: Memory) -> Probe:
    managed = Managed(Tensor(device=(abi.CUDA, 0), host_pointer=True), memory)
    return Probe(Producer(managed.in_capsule(), CPU_DEVICE), releases=[managed])


def _legacy_name(name: bytes, why: str, told: str) -> Case:
    return Case(f"name {told}", "dlpack-legacy", why, REFUSE, _named(name, versioned=False))


def cases() -> list[Case]:
    """Return the cases of producers of capsules."""
    return [
        *(Case(name, "dlpack", why, REFUSE, make) for name, why, make in (*NAMES, *ANSWERS)),
        *(Case(name, "dlpack", why, expect, make) for name, why, expect, make in CALLS),
        *(Case(name, "dlpack", "kept as it is", expect, make) for name, expect, make in EXCEPTIONS),
        _legacy_name(abi.USED_LEGACY, "taken over already", "'used_dltensor'"),
        _legacy_name(b"dltensor_", "names are compared whole", "'dltensor_'"),
    ]
