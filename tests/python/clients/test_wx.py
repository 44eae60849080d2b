"""wxPython: images by their data buffers. PyPI has no wheel of it for Linux, Debian a package."""

from __future__ import annotations

import ctypes

import pytest

import devview as dv
from clients.contract import CUDA

wx = pytest.importorskip("wx", reason="missing: wxPython, of which PyPI has no wheel for Linux")


def pixels_of(image) -> dv.View:
    return dv.from_buffer(image.GetDataBuffer(), shape=(image.GetHeight(), image.GetWidth(), 3))


def test_an_image_is_viewed_and_edited_in_place():
    image = wx.Image(5, 3)
    v = pixels_of(image)
    assert v.ptr == ctypes.addressof(ctypes.c_char.from_buffer(image.GetDataBuffer()))
    assert not v.readonly
    v[1, 2, 0] = 200
    assert image.GetRed(2, 1) == 200
    image.SetRGB(4, 2, 9, 8, 7)
    assert v[2, 4].tolist() == [9, 8, 7]


def test_an_image_moves_to_a_device_and_back():
    image = wx.Image(5, 3)
    v = pixels_of(image)
    d = v.to(CUDA)
    d[:, :, 1].fill(77)
    assert image.GetGreen(0, 0) == 0
    d.copy_to(v)
    assert {image.GetGreen(x, y) for x in range(5) for y in range(3)} == {77}
    assert bytes(image.GetData()) == bytes(d)


def test_an_image_works_in_the_memory_of_a_view():
    v = dv.zeros((3, 5, 3))
    image = wx.Image(5, 3)
    image.SetDataBuffer(v)
    image.SetRGB(4, 2, 9, 8, 7)
    assert v[2, 4].tolist() == [9, 8, 7]
    image.SetData(dv.view(bytes(range(45))).to(CUDA))
    assert image.GetRed(1, 0) == 3
