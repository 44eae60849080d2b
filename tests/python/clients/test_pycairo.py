"""pycairo: image surfaces with padded rows, drawn on by cairo and by us."""

from __future__ import annotations

import ctypes

import pytest

import devview as dv
from clients.contract import CUDA, Case, Contract, require

cairo = require("cairo", "pycairo")

WIDTH, HEIGHT = 5, 3


def surface_of(format) -> object:
    """Give a surface with a pattern in its pixels and 0xEE in the padding of its rows."""
    surface = cairo.ImageSurface(format, WIDTH, HEIGHT)
    surface.get_data()[:] = bytes(0xEE for _ in range(HEIGHT * surface.get_stride()))
    context = cairo.Context(surface)
    context.set_operator(cairo.Operator.SOURCE)
    for y in range(HEIGHT):
        for x in range(WIDTH):
            context.set_source_rgba(x / 5, y / 5, 1.0, 1.0)
            context.rectangle(x, y, 1, 1)
            context.fill()
    surface.flush()
    return surface


def address(surface) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(surface.get_data()))


def surface_case(name: str, format, item: str, value) -> Case:
    itemsize = {"I": 4, "H": 2, "B": 1}[item]
    stride = format.stride_for_width(WIDTH)

    def read(surface) -> list:
        data = memoryview(surface.get_data())
        return [
            data[y * stride : y * stride + WIDTH * itemsize].cast(item).tolist()
            for y in range(HEIGHT)
        ]

    def write(surface, new) -> None:
        at = stride + 2 * itemsize
        surface.get_data()[at : at + itemsize] = new.to_bytes(itemsize, "little")

    return Case(
        name=name,
        make=lambda: surface_of(format),
        view=lambda surface: dv.from_buffer(
            surface.get_data(),
            format=item,
            shape=(surface.get_height(), surface.get_width()),
            strides=(surface.get_stride(), itemsize),
        ),
        address=address,
        read=read,
        format=item,
        shape=(HEIGHT, WIDTH),
        strides=(stride, itemsize),
        index=(1, 2),
        value=value,
        write=write,
    )


CASES = [
    surface_case("ARGB32", cairo.Format.ARGB32, "I", 0x80402010),
    surface_case("RGB30", cairo.Format.RGB30, "I", 0x3FF00000),
    surface_case("RGB16_565", cairo.Format.RGB16_565, "H", 0xF800),
    surface_case("A8", cairo.Format.A8, "B", 0x80),
]


@pytest.mark.parametrize("case", CASES, ids=str)
class TestSurface(Contract):
    pass


def test_rows_are_padded_and_the_padding_is_left_alone():
    surface = surface_of(cairo.Format.A8)
    assert (surface.get_width(), surface.get_stride()) == (5, 8)
    flat = dv.view(surface.get_data())
    assert (flat.format, flat.shape) == ("B", (24,))
    v = CASES[-1].view(surface)
    v.fill(7)
    assert bytes(flat) == 3 * (5 * b"\x07" + 3 * b"\xee")
    d = v.to(CUDA)
    d.fill(9)
    d.copy_to(v)
    assert bytes(flat) == 3 * (5 * b"\x09" + 3 * b"\xee")


def test_cairo_draws_with_what_was_written_through_the_view():
    ours = cairo.ImageSurface(cairo.Format.ARGB32, 4, 4)
    channels = dv.from_buffer(ours.get_data(), shape=(4, 4, 4), strides=(ours.get_stride(), 4, 1))
    channels[:, :2, 2].fill(0xFF)  # the left half red: B, G, R, A in memory
    channels[:, :2, 3].fill(0xFF)
    ours.mark_dirty()
    target = cairo.ImageSurface(cairo.Format.ARGB32, 4, 4)
    context = cairo.Context(target)
    context.set_source_surface(ours, 1, 0)
    context.paint()
    target.flush()
    drawn = dv.from_buffer(target.get_data(), format="I", shape=(4, 4))
    assert drawn.tolist() == 4 * [[0, 0xFFFF0000, 0xFFFF0000, 0]]


def test_a_surface_over_a_view_holds_it_until_it_is_finished():
    v = dv.zeros((4, 8), "I")
    surface = cairo.ImageSurface.create_for_data(v, cairo.Format.ARGB32, 8, 4)
    context = cairo.Context(surface)
    context.set_source_rgb(0, 1, 0)
    context.rectangle(2, 1, 3, 2)
    context.fill()
    surface.flush()
    inside = [0, 0, *3 * [0xFF00FF00], 0, 0, 0]
    assert v.tolist() == [8 * [0], inside, inside, 8 * [0]]
    with pytest.raises(BufferError, match="1 export"):
        v.release()
    surface.finish()
    v.release()


def test_a_surface_over_a_device_view_is_written_back_when_it_is_finished():
    d = dv.zeros((4, 8), "I", device=CUDA)
    surface = cairo.ImageSurface.create_for_data(d, cairo.Format.ARGB32, 8, 4)
    context = cairo.Context(surface)
    context.set_source_rgb(1, 0, 0)
    context.paint()
    surface.flush()
    assert d.exports == 1
    surface.finish()
    assert d.exports == 0
    assert d.tolist() == 4 * [8 * [0xFFFF0000]]


def test_cairo_refuses_memory_that_it_cannot_draw_on():
    create = cairo.ImageSurface.create_for_data
    with pytest.raises(BufferError, match="not writable"):
        create(dv.view(bytes(128)), cairo.Format.ARGB32, 8, 4)
    with pytest.raises(BufferError, match="contiguous"):
        create(dv.zeros((4, 64))[:, :32], cairo.Format.ARGB32, 8, 4, 64)
    with pytest.raises(TypeError, match="buffer is not long enough"):
        create(dv.zeros((100,)), cairo.Format.ARGB32, 8, 4)
