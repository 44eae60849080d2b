"""What holds for every client that takes a view's memory over: shared, seen, held, given back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

import devview as dv
from support import no_gc


class Lent:
    """A view of memory with a release function: it tells when devview's last holder let go."""

    def __init__(self, shape=(2, 3), format: str = "f", device: str = "cpu"):
        self.memory = dv.zeros(shape, format, device=device)
        self.released: list = []
        self.view = dv.from_pointer(
            self.memory.ptr,
            shape,
            format,
            device=device,
            owner=self.memory,
            release=self.released.append,
        )
        self.allocation = self.view.allocation

    @property
    def exports(self) -> int:
        return self.allocation.exports

    def give_up(self) -> None:
        """Drop everything that is held here, so that only the client holds the memory."""
        self.view.release()
        del self.view, self.allocation


@dataclass(frozen=True)
class Consumer:
    """How a client takes a view, and what the client itself says of what it got."""

    name: str
    take: Callable[[dv.View], Any]
    address: Callable[[Any], int]
    read: Callable[[Any], Any]
    # Formats, each with values for six items.
    formats: dict[str, list]
    # Sets item [1, 2] by the client's own means; None if its arrays are never written.
    write: Callable[[Any, Any], object] | None
    # Whether read-only memory is taken as such, refused, or taken as if it could be written.
    readonly: str = "kept"
    is_readonly: Callable[[Any], bool] | None = None
    # What it raises for memory that is not dense; None if it takes any strides.
    strided: type[BaseException] | None = None

    def __str__(self) -> str:
        return self.name


def nested(values: list) -> list:
    return [values[:3], values[3:]]


def filled(consumer: Consumer, format: str, **more) -> Lent:
    lent = Lent((2, 3), format, **more)
    values = nested(consumer.formats[format])
    for y in range(2):
        for x in range(3):
            lent.view[y, x] = values[y][x]
    return lent


class ConsumerContract:
    """Subclasses set `consumer`."""

    consumer: Consumer

    @pytest.fixture(params=["first", "others"])
    def formats(self, request):
        known = list(self.consumer.formats)
        return known[:1] if request.param == "first" else known[1:]

    def test_the_array_is_the_memory_of_the_view(self, formats):
        for format in formats:
            lent = filled(self.consumer, format)
            array = self.consumer.take(lent.view)
            assert self.consumer.address(array) == lent.view.ptr
            assert self.consumer.read(array) == nested(self.consumer.formats[format]), format
            del array

    def test_a_change_in_the_view_is_seen_by_the_client(self, formats):
        for format in formats:
            lent = filled(self.consumer, format)
            array = self.consumer.take(lent.view)
            other = self.consumer.formats[format][0]
            assert lent.view[1, 2] != other
            lent.view[1, 2] = other
            assert self.consumer.read(array)[1][2] == other
            del array

    def test_a_change_by_the_client_is_seen_in_the_view(self, formats):
        if self.consumer.write is None:
            pytest.skip(f"{self.consumer}: its arrays are never written")
        for format in formats:
            lent = filled(self.consumer, format)
            array = self.consumer.take(lent.view)
            other = self.consumer.formats[format][0]
            assert lent.view[1, 2] != other
            self.consumer.write(array, other)
            assert lent.view[1, 2] == other
            del array

    def test_the_client_holds_the_memory_after_the_view_is_released(self):
        format = next(iter(self.consumer.formats))
        lent = filled(self.consumer, format)
        with no_gc():
            array = self.consumer.take(lent.view)
            assert lent.exports == 1
            lent.give_up()
            assert lent.released == []
            assert self.consumer.read(array) == nested(self.consumer.formats[format])
            assert lent.released == []
            del array
            assert lent.released == [None]

    def test_the_memory_is_given_back_in_the_statement_that_drops_the_array(self):
        lent = filled(self.consumer, next(iter(self.consumer.formats)))
        with no_gc():
            array = self.consumer.take(lent.view)
            again = self.consumer.take(lent.view)
            assert lent.exports == 2
            del array
            assert lent.exports == 1
            del again
            assert lent.exports == 0
            assert lent.released == []
            lent.give_up()
            assert lent.released == [None]

    def test_read_only_memory(self):
        lent = filled(self.consumer, next(iter(self.consumer.formats)))
        view = lent.view.toreadonly()
        if self.consumer.readonly == "refused":
            with pytest.raises((BufferError, ValueError, TypeError, RuntimeError)):
                self.consumer.take(view)
        else:
            array = self.consumer.take(view)
            assert self.consumer.address(array) == view.ptr
            if self.consumer.is_readonly is not None:
                assert self.consumer.is_readonly(array) == (self.consumer.readonly == "kept")
            del array
        assert lent.exports == 0

    def test_strided_memory(self):
        format = next(iter(self.consumer.formats))
        lent = filled(self.consumer, format)
        values = nested(self.consumer.formats[format])
        part = lent.view[:, ::2]
        if self.consumer.strided is not None:
            with pytest.raises(self.consumer.strided):
                self.consumer.take(part)
        else:
            array = self.consumer.take(part)
            assert self.consumer.address(array) == part.ptr
            assert self.consumer.read(array) == [row[::2] for row in values]
            del array
        assert lent.exports == 0
