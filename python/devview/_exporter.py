"""The base class of Python classes that export buffers, and its metaclass."""

from __future__ import annotations

from abc import ABCMeta

from devview._devview import _ExporterBase, _install_slots

OWNERS = ("self", "delegate")

# What an assignment to the class can change the slots by; None: a `__dict__` has no such name.
SLOT_NAMES = frozenset(
    ("__buffer__", "__release_buffer__", "__getbuffer__", "__releasebuffer__", "__bases__")
)


def takes_flags(method, /) -> bool:
    """Whether a bound buffer method takes the flags; one that tells no signature does."""
    import inspect

    try:
        signature = inspect.signature(method)
    except (TypeError, ValueError):
        return True
    kinds = inspect.Parameter
    takers = (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD, kinds.VAR_POSITIONAL)
    return any(parameter.kind in takers for parameter in signature.parameters.values())


def _install(cls) -> None:
    """Give a class and those below it the slots that their methods call for."""
    exports = _install_slots(cls)
    if exports and not hasattr(cls, "__buffer__"):
        _register(cls)
    for below in type.__subclasses__(cls):
        _install(below)


def _register(cls) -> None:
    """Tell collections.abc.Buffer (3.12+) of a class that has `__getbuffer__` alone."""
    import _collections_abc

    if buffer := getattr(_collections_abc, "Buffer", None):
        buffer.register(cls)


class ExporterType(ABCMeta):
    """Keeps the buffer slots of a class in step with its methods.

    From Python 3.12 on the interpreter fills these slots itself whenever ``__buffer__`` is defined
    or assigned; here that is undone. An ABCMeta, so that exporters mix with abstract base classes.
    """

    def __new__(mcls, name, bases, namespace, /, *, owner: str | None = None, **keywords):
        if owner is not None:
            if owner not in OWNERS:
                raise ValueError(f"{name}: owner {owner!r}, expected 'self' or 'delegate'")
            # In the class's dict, where subclasses and copies of the class find it.
            namespace = {**namespace, "__buffer_owner__": owner}
        cls = super().__new__(mcls, name, bases, namespace, **keywords)
        _install(cls)
        return cls

    def __setattr__(cls, name, value):
        super().__setattr__(name, value)
        if name in SLOT_NAMES:
            _install(cls)

    def __delattr__(cls, name):
        super().__delattr__(name)
        if name in SLOT_NAMES:
            _install(cls)


class Exporter(_ExporterBase, metaclass=ExporterType):
    """Base of Python classes that export buffers, on every Python alike.

    A subclass defines one pair of methods; the second of each pair may be missing.

    ``__buffer__(self, flags)`` or ``__buffer__(self)``, and ``__release_buffer__(self, buffer)``
        PEP 688's spelling. Returns a memoryview, or a View on any device.
    ``__getbuffer__(self, flags)``, and ``__releasebuffer__(self, buffer)``
        The same in the spelling of the proposal of 2012.

    What the first method returned is asked again with the consumer's own flags and answers it; the
    release method gets that very object, once, when the consumer is done. A device View is staged
    for consumers of buffers; ``dv.view(x)`` views the device memory itself.

    Parameters
    ----------
    owner : {"self", "delegate"}, class keyword
        "self": ``memoryview(x).obj is x``, which stays alive as long as its buffers.
        "delegate": the method returns any exporter, and the buffer is that object's own; no release
        method is called.

    Raises
    ------
    TypeError
        Out of the consumer's call: the class has no such method, or it returned something else.
        What the method itself raises passes on; BufferError where flags cannot be answered.

    Notes
    -----
    An exception in a release method goes to ``sys.unraisablehook`` and counts in
    ``dv.release_errors()``. Methods assigned to the class later on are followed. Combine with
    another metaclass by ``class M(type(dv.Exporter), Other)``.

    Source: PEP 688, PEP 3118, cpython#58006.
    """

    __slots__ = ()
