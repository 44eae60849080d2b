"""wave files: samples viewed in the file, channel by channel, and played backwards."""

from __future__ import annotations

import array
import ctypes
import io
import math
import mmap
import wave

import pytest

import devview as dv
from clients.contract import CUDA, Case, Contract

RATE, FRAMES = 8000, 64


def tone(frequency: float) -> list:
    return [round(12000 * math.sin(2 * math.pi * frequency * i / RATE)) for i in range(FRAMES)]


LEFT, RIGHT = tone(440.0), tone(660.0)
STEREO = array.array("h", (x for pair in zip(LEFT, RIGHT, strict=True) for x in pair))


def write_wave(file, samples, *, channels: int = 2, width: int = 2):
    with wave.open(file, "wb") as sound:
        sound.setnchannels(channels)
        sound.setsampwidth(width)
        sound.setframerate(RATE)
        sound.writeframes(samples)
    return file


def read_wave(file) -> bytes:
    """Give the samples as `wave` reads them."""
    if isinstance(file, io.BytesIO):
        file.seek(0)
    with wave.open(file, "rb") as sound:
        return sound.readframes(sound.getnframes())


def pairs(samples: bytes) -> list:
    flat = memoryview(samples).cast("h").tolist()
    return [list(pair) for pair in zip(flat[::2], flat[1::2], strict=True)]


def bytes_address(samples: bytes) -> int:
    return ctypes.cast(ctypes.c_char_p(samples), ctypes.c_void_p).value


def data_offset(content) -> int:
    return bytes(content).index(b"data") + 8


def view_in_file(file: io.BytesIO) -> dv.View:
    content = dv.view(file.getbuffer())
    return content[data_offset(content) :].cast("h", (FRAMES, 2))


def wave_in_memory() -> io.BytesIO:
    return write_wave(io.BytesIO(), STEREO)


def set_left_of_second(file: io.BytesIO, value: int) -> None:
    with file.getbuffer() as content:
        start = data_offset(content) + 4
        content[start : start + 2] = value.to_bytes(2, "little", signed=True)


def address_in_file(file: io.BytesIO) -> int:
    with file.getbuffer() as content:
        start = ctypes.addressof(ctypes.c_char.from_buffer(content))
    return start + data_offset(file.getvalue())


CASES = [
    Case(
        name="in memory",
        make=wave_in_memory,
        view=view_in_file,
        address=address_in_file,
        read=lambda file: pairs(read_wave(file)),
        format="h",
        shape=(FRAMES, 2),
        strides=(4, 2),
        index=(1, 0),
        value=-32768,
        write=set_left_of_second,
    ),
    Case(
        name="frames that were read",
        make=lambda: read_wave(wave_in_memory()),
        view=lambda samples: dv.from_buffer(samples, format="h", shape=(FRAMES, 2)),
        address=bytes_address,
        read=pairs,
        format="h",
        shape=(FRAMES, 2),
        strides=(4, 2),
        index=(1, 0),
        value=-32768,
        write=None,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
class TestWave(Contract):
    pass


def test_the_channels_of_a_stereo_file_are_columns():
    v = dv.from_buffer(read_wave(wave_in_memory()), format="h", shape=(FRAMES, 2))
    assert v[:, 0].tolist() == LEFT
    assert v[:, 1].tolist() == RIGHT
    assert v.T.tolist() == [LEFT, RIGHT]
    assert v.to(CUDA)[:, 1].tolist() == RIGHT


def test_channels_are_exchanged_and_silenced_in_a_mapped_file(tmp_path):
    path = tmp_path / "tone.wav"
    write_wave(str(path), STEREO)
    with path.open("r+b") as file:
        m = mmap.mmap(file.fileno(), 0)
    v = dv.view(m)[data_offset(m) :].cast("h", (FRAMES, 2))
    left = v[:, 0].copy()
    v[:, 0] = v[:, 1]
    v[:, 1] = left
    v[: FRAMES // 2, 0].fill(0)
    m.flush()
    half = FRAMES // 2
    expected = [0] * half + RIGHT[half:]
    assert pairs(read_wave(str(path))) == [list(p) for p in zip(expected, LEFT, strict=True)]
    with pytest.raises(BufferError):
        m.close()
    v.release()
    m.close()


@pytest.mark.parametrize("device", ["cpu", CUDA])
def test_a_file_is_played_backwards_by_a_negative_stride(device):
    v = dv.from_buffer(read_wave(wave_in_memory()), format="h", shape=(FRAMES, 2)).to(device)
    backwards = v[::-1]
    assert backwards.strides == (-4, 2)
    written = write_wave(io.BytesIO(), backwards.copy())
    assert pairs(read_wave(written)) == pairs(bytes(STEREO))[::-1]
    if device == "cpu":
        # `wave` casts what it is given to bytes, which memoryview does for dense items only.
        file = io.BytesIO()
        with pytest.raises(TypeError, match="C-contiguous"):
            write_wave(file, backwards)
    else:
        # What a device view stages is dense already.
        assert pairs(read_wave(write_wave(io.BytesIO(), backwards))) == pairs(bytes(STEREO))[::-1]


@pytest.mark.parametrize(("width", "item"), [(1, "B"), (2, "h"), (3, "3s"), (4, "i")])
def test_samples_of_every_width_are_viewed(width, item):
    content = bytes(i % 256 for i in range(12 * width))
    v = dv.from_buffer(
        read_wave(write_wave(io.BytesIO(), content, width=width)), format=item, shape=(6, 2)
    )
    assert v.itemsize == width
    assert v.tobytes() == content
    d = v.to(CUDA)
    assert b"".join(bytes(d[i, 1:]) for i in range(6)) == b"".join(
        content[(2 * i + 1) * width : (2 * i + 2) * width] for i in range(6)
    )


def test_a_file_in_memory_closes_once_its_views_are_gone():
    file = wave_in_memory()
    v = view_in_file(file)
    with pytest.raises(BufferError):
        file.close()
    with pytest.raises(BufferError):
        file.write(b"")
    v.release()
    file.close()
