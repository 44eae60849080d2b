"""Pillow: images over buffers, and the pixels of an image by its Arrow array."""

from __future__ import annotations

import ctypes
import gc
import struct

import pytest

import devview as dv
from clients.consumer import Lent
from clients.contract import CUDA, Case, Contract, require
from support import no_gc

Image = require("PIL.Image", "pillow")

WIDTH, HEIGHT = 5, 3


class ArrowArray(ctypes.Structure):
    """The Arrow C data interface: the buffers of an array, or of its children."""


ArrowArray._fields_ = (
    ("length", ctypes.c_int64),
    ("null_count", ctypes.c_int64),
    ("offset", ctypes.c_int64),
    ("n_buffers", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(ArrowArray))),
    ("dictionary", ctypes.c_void_p),
    ("release", ctypes.c_void_p),
    ("private_data", ctypes.c_void_p),
)

_capsule_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)


def arrow_pixels(image) -> tuple:
    """Give the address of an image's pixels, and the capsules that keep them."""
    capsules = image.__arrow_c_array__()
    array = ArrowArray.from_address(_capsule_pointer(capsules[1], b"arrow_array"))
    if array.n_children:
        array = array.children[0][0]
    return array.buffers[1], capsules


def image_view(image, format: str = "B", channels: int = 0) -> dv.View:
    address, capsules = arrow_pixels(image)
    shape = (image.height, image.width, *([channels] if channels else []))
    return dv.from_pointer(address, shape, format, device="cpu", owner=capsules)


def gradient(mode: str, *shades):
    image = Image.new(mode, (WIDTH, HEIGHT))
    for y in range(HEIGHT):
        for x in range(WIDTH):
            image.putpixel((x, y), tuple(s + 10 * y + x for s in shades) if shades else 10 * y + x)
    return image


def rows_of(image) -> list:
    pixel = image.getpixel
    rows = [[pixel((x, y)) for x in range(WIDTH)] for y in range(HEIGHT)]
    return [[list(p) if isinstance(p, tuple) else p for p in row] for row in rows]


def set_pixel(image, value) -> None:
    image.putpixel((2, 1), value)


def set_alpha(image, value) -> None:
    image.putpixel((2, 1), (*image.getpixel((2, 1))[:3], value))


def image_case(mode: str, format: str, value, shades=(), write=set_pixel) -> Case:
    itemsize = struct.calcsize(format)
    axes, index = (HEIGHT, WIDTH), (1, 2)
    strides = (WIDTH * itemsize, itemsize)
    channels = len(shades)
    if channels:
        axes, index, strides = (*axes, channels), (1, 2, 3), (4 * WIDTH, 4, 1)
    return Case(
        name=mode,
        make=lambda: gradient(mode, *shades),
        view=lambda image: image_view(image, format, channels),
        address=lambda image: arrow_pixels(image)[0],
        read=rows_of,
        format=format,
        shape=axes,
        strides=strides,
        index=index,
        value=value,
        write=write,
    )


CASES = [
    image_case("L", "B", 200),
    image_case("I", "i", -70000),
    image_case("F", "f", 0.5),
    image_case("RGBA", "B", 99, (10, 20, 30, 40), set_alpha),
    image_case("CMYK", "B", 99, (10, 20, 30, 40), set_alpha),
]


@pytest.mark.parametrize("case", CASES, ids=str)
class TestImage(Contract):
    def test_the_client_is_given_back_with_the_last_view(self, case):
        freed = lambda: Image.core.get_stats()["freed_blocks"]  # noqa: E731
        image = case.make()
        v = case.view(image)
        before = freed()
        del image
        gc.collect()
        assert freed() == before
        del v
        assert freed() == before + 1


def test_the_interface_of_an_image_is_a_copy():
    """Its __array_interface__ holds the pixels as bytes in the place of an address."""
    image = gradient("L")
    v = dv.view(image)
    assert v.readonly
    assert v.tolist() == rows_of(image)
    assert isinstance(v.obj, bytes)
    image.putpixel((0, 0), 255 - image.getpixel((0, 0)))
    assert v.tolist() != rows_of(image)


# --- Images over the memory of views ---


def test_an_image_over_a_buffer_reads_it_and_copies_before_it_writes():
    v = dv.zeros((HEIGHT, WIDTH, 4))
    image = Image.frombuffer("RGBA", (WIDTH, HEIGHT), v, "raw", "RGBA", 0, 1)
    assert image.readonly == 1
    v[1, 2] = dv.view(b"\x01\x02\x03\x04")
    assert image.getpixel((2, 1)) == (1, 2, 3, 4)
    image.putpixel((0, 0), (9, 9, 9, 9))
    assert image.readonly == 0
    assert v[0, 0].tolist() == [0, 0, 0, 0]
    del image
    gc.collect()
    v.release()


def test_an_image_holds_the_buffer_that_it_reads():
    v = dv.zeros((HEIGHT, WIDTH))
    image = Image.frombuffer("L", (WIDTH, HEIGHT), v, "raw", "L", 0, 1)
    with pytest.raises(BufferError, match="1 export"):
        v.release()
    del image
    gc.collect()
    v.release()


def test_an_image_is_made_of_a_device_view_and_moved_back():
    image = gradient("RGBA", 10, 20, 30, 40)
    d = image_view(image, "B", 4).to(CUDA)
    d[:, :, 0].fill(255)
    red = Image.frombuffer("RGBA", (WIDTH, HEIGHT), d, "raw", "RGBA", 0, 1)
    assert rows_of(red) == d.tolist()
    assert set(red.getchannel("R").tobytes()) == {255}
    assert red.getchannel("B").tobytes() == image.getchannel("B").tobytes()
    copy = Image.frombytes("RGBA", (WIDTH, HEIGHT), memoryview(d[::-1]))
    assert rows_of(copy) == rows_of(red.transpose(Image.Transpose.FLIP_TOP_BOTTOM))
    del red, copy
    gc.collect()


def test_an_image_is_turned_and_saved_by_views(tmp_path):
    image = gradient("L")
    v = image_view(image)
    turned = Image.frombytes("L", (HEIGHT, WIDTH), bytes(v.T))
    assert turned.tobytes() == image.transpose(Image.Transpose.TRANSPOSE).tobytes()
    v[:] = v.copy()[::-1, ::-1]
    image.save(tmp_path / "turned.png")
    with Image.open(tmp_path / "turned.png") as saved:
        assert saved.tobytes() == gradient("L").transpose(Image.Transpose.ROTATE_180).tobytes()


# --- Arrow and the array interface ---


@pytest.mark.parametrize(("mode", "format"), [("L", "B"), ("I", "i"), ("F", "f")])
def test_the_pixels_of_an_image_come_by_arrow_as_they_are(mode, format):
    image = gradient(mode)
    v = dv.from_arrow(image)
    assert v.ptr == arrow_pixels(image)[0]
    assert (v.format, v.shape, v.readonly) == (format, (WIDTH * HEIGHT,), True)
    image.putpixel((2, 1), 99)
    assert v[WIDTH + 2] == 99
    assert v.reshape(HEIGHT, WIDTH).tolist() == rows_of(image)


def test_an_image_lives_as_long_as_the_view_of_its_pixels():
    freed = lambda: Image.core.get_stats()["freed_blocks"]  # noqa: E731
    image = gradient("RGBA", 10, 20, 30, 40)
    expected = rows_of(image)
    v = dv.from_arrow(image)
    before = freed()
    del image
    gc.collect()
    assert v.reshape(HEIGHT, WIDTH, 4).tolist() == expected
    assert freed() == before
    v.release()
    del v
    assert freed() == before + 1


FROM_ARROW = [("L", "B", ()), ("I", "i", ()), ("F", "f", ()), ("RGBA", "B", (4,))]


@pytest.mark.parametrize(("mode", "format", "channels"), FROM_ARROW)
def test_an_image_from_arrow_is_the_memory_of_a_view(mode, format, channels):
    lent = Lent((WIDTH * HEIGHT, *channels), format)
    v = lent.view
    image = Image.fromarrow(v, mode, (WIDTH, HEIGHT))
    assert lent.exports == 1
    v[WIDTH + 2] = dv.view(b"\x01\x02\x03\x04") if channels else 7
    assert image.getpixel((2, 1)) == ((1, 2, 3, 4) if channels else 7)
    image.putpixel((0, 0), (9, 9, 9, 9) if channels else 9)  # it copies before it writes
    assert v.tobytes().count(9) == 0
    gc.collect()
    assert lent.exports == 0


def test_an_image_from_arrow_holds_the_memory():
    lent = Lent((WIDTH * HEIGHT,), "B")
    lent.view.fill(5)
    with no_gc():
        image = Image.fromarrow(lent.view, "L", (WIDTH, HEIGHT))
        lent.give_up()
        assert image.getpixel((4, 2)) == 5
        assert lent.released == []
        del image
        assert lent.released == [None]


def test_an_image_is_not_made_of_memory_that_arrow_cannot_say():
    v = dv.zeros((HEIGHT, WIDTH))
    with pytest.raises(BufferError, match="contiguous"):
        Image.fromarrow(v.reshape(15)[::2], "L", (WIDTH, HEIGHT))
    with pytest.raises(ValueError, match="size mismatch"):
        Image.fromarrow(v, "L", (WIDTH, HEIGHT))  # a list of rows
    with pytest.raises(BufferError, match="on cuda"):
        Image.fromarrow(dv.zeros(15, device=CUDA), "L", (WIDTH, HEIGHT))
    gc.collect()
    assert v.allocation.exports == 0


@pytest.mark.parametrize(("format", "channels", "mode"), [("B", (), "L"), ("B", (4,), "RGBA")])
def test_fromarray_shares_a_dense_view_and_holds_it(format, channels, mode):
    """It asks __array_interface__ what the view is, and takes it as a buffer."""
    v = dv.zeros((HEIGHT, WIDTH, *channels), format)
    image = Image.fromarray(v)
    assert (image.mode, image.size, image.readonly) == (mode, (WIDTH, HEIGHT), 1)
    v[1, 2] = dv.view(b"\x01\x02\x03\x04") if channels else 7
    assert image.getpixel((2, 1)) == ((1, 2, 3, 4) if channels else 7)
    with pytest.raises(BufferError, match="1 export"):
        v.release()
    del image
    gc.collect()
    v.release()


def test_fromarray_copies_strided_views_and_refuses_device_views():
    v = dv.view(bytearray(range(15))).cast("B", (HEIGHT, WIDTH))
    image = Image.fromarray(v[:, ::-1])
    assert v.exports == 0
    assert rows_of(image) == v[:, ::-1].tolist()
    with pytest.raises(AttributeError, match="cannot read"):
        Image.fromarray(v.to(CUDA))
