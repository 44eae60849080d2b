"""One case of the matrix, the probe that it makes, and what must come of it."""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


class Expect(enum.Enum):
    """What an importer owes to a case."""

    REFUSE = "must be refused"
    ACCEPT = "must be accepted"
    EITHER = "may be refused"
    RAISE = "the producer's exception must arrive"


REFUSE, ACCEPT, EITHER, RAISE = Expect


class ProducerError(Exception):
    """An exception that only the producer of a case can have raised."""


@dataclass
class Probe:
    """A producer and what is known of it: made anew for every run of its case.

    The fields after `producer` say what an accepted view must show; None: not asked.
    """

    producer: Any
    shape: tuple[int, ...] | None = None
    items: Any = None
    readonly: bool | None = None
    raised: BaseException | None = None
    lost: BaseException | None = None  # pending when one of our callbacks was entered
    drive: Callable[[Any], Any] | None = None  # instead of importer(producer)
    accepted: Callable[[Any], None] | None = None  # runs while the result lives
    drop: Callable[[Any], None] | None = None  # gives the result back in another way
    unmask: Callable[[], list[str]] = list  # faults seen by callbacks
    releases: list[Release] = field(default_factory=list)

    def fails(self, exception: BaseException) -> BaseException:
        """Note the exception that the producer is about to raise."""
        self.raised = exception
        return exception


class Release:
    """Counts one thing that is owed exactly once: a deleter, a release of a buffer."""

    def __init__(self) -> None:
        self.given = 0  # how often it was handed out
        self.taken_back = 0
        self.without_owner = False  # a NULL deleter: nothing to count

    def faults(self, refused: bool) -> list[str]:
        """Return what is wrong after the result, if any, is gone."""
        owed = self.owed(refused)
        if self.without_owner or owed is None or self.taken_back in owed:
            return []
        told = " or ".join(str(count) for count in owed)
        return [f"released {self.taken_back} times, owed {told}"]

    def owed(self, refused: bool) -> tuple[int, ...] | None:
        """Return the counts that are right; None where any is."""
        return (self.given,)

    @property
    def early(self) -> bool:
        """Whether something went while a result was alive."""
        return self.taken_back > 0


@dataclass(frozen=True)
class Case:
    """A named producer: what is odd about it and what must come of it.

    `make(memory)` builds it; a case that `needs_device` is left out where the memory of CUDA
    devices is not given.
    """

    name: str
    family: str
    why: str
    expect: Expect
    make: Callable[[Memory], Probe]
    needs_device: bool = False


class Memory:
    """Where the cases' items lie: 0, 1, 2, ... as float32 on the host, and memory of a device."""

    COUNT = 4096

    def __init__(self, allocate: Callable[[int], tuple[int, Any]] | None = None):
        import ctypes

        # float32 as its bits: 256 bytes of alignment, which DLPack asks of a producer
        self._cells = (ctypes.c_float * (self.COUNT + 64))()
        start = ctypes.addressof(self._cells)
        self.host = (start + 255) // 256 * 256
        self.items = (ctypes.c_float * self.COUNT).from_address(self.host)
        self.reset()
        self._owner = None
        self.device: int | None = None
        if allocate is not None:
            self.device, self._owner = allocate(4 * self.COUNT)

    def reset(self) -> None:
        """Write the items anew: a case may have changed them."""
        self.items[:] = [float(index) for index in range(self.COUNT)]

    @property
    def cuda(self) -> int:
        """Memory to be called a CUDA device's: real where there is some, else the host's."""
        return self.host if self.device is None else self.device


@contextlib.contextmanager
def quiet():
    """Leave out what an attribute that is merely absent raises."""
    with contextlib.suppress(AttributeError, NotImplementedError):
        yield
