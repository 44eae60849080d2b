"""PyAV: planes of video and audio frames, rows padded to the codec's taste; packets."""

from __future__ import annotations

import io
from fractions import Fraction

import numpy as np
import pytest

import devview as dv
from clients.contract import CUDA, Case, Contract, require

av = require("av", "av")

WIDTH, HEIGHT, COUNT = 64, 48, 6


def plane_view(frame, *, channels: int = 0, item: str = "B", plane: int = 0) -> dv.View:
    """View the picture in a plane, without the padding at the end of its rows."""
    p = frame.planes[plane]
    itemsize = np.dtype(item).itemsize
    pixel = channels * itemsize or itemsize
    return dv.from_buffer(
        p,
        format=item,
        shape=(p.height, p.width, channels) if channels else (p.height, p.width),
        strides=(p.line_size, pixel, itemsize) if channels else (p.line_size, pixel),
    )


def set_in_plane(frame, offset: int, data: bytes) -> None:
    plane = frame.planes[0]
    content = bytearray(plane)
    content[offset : offset + len(data)] = data
    plane.update(content)


def video_frame(format: str) -> av.VideoFrame:
    frame = av.VideoFrame(5, 3, format)
    for p in frame.planes:
        p.update(bytes(i % 251 for i in range(p.buffer_size)))
    return frame


def audio_frame(format: str) -> av.AudioFrame:
    frame = av.AudioFrame(format=format, layout="stereo", samples=4)
    for p in frame.planes:
        p.update(bytes(i % 60 for i in range(p.buffer_size)))
    return frame


def read_video(frame) -> list:
    return frame.to_ndarray().tolist()


CASES = [
    Case(
        name="rgb24",
        make=lambda: video_frame("rgb24"),
        view=lambda frame: plane_view(frame, channels=3),
        address=lambda frame: frame.planes[0].buffer_ptr,
        read=read_video,
        format="B",
        shape=(3, 5, 3),
        strides=(video_frame("rgb24").planes[0].line_size, 3, 1),
        index=(1, 4, 2),
        value=255,
        write=lambda frame, value: set_in_plane(
            frame, frame.planes[0].line_size + 4 * 3 + 2, bytes([value])
        ),
    ),
    Case(
        name="gray16le",
        make=lambda: video_frame("gray16le"),
        view=lambda frame: plane_view(frame, item="H"),
        address=lambda frame: frame.planes[0].buffer_ptr,
        read=read_video,
        format="H",
        shape=(3, 5),
        strides=(video_frame("gray16le").planes[0].line_size, 2),
        index=(2, 1),
        value=0xABCD,
        write=lambda frame, value: set_in_plane(
            frame, 2 * frame.planes[0].line_size + 2, value.to_bytes(2, "little")
        ),
    ),
    Case(
        name="s16, channels interleaved",
        make=lambda: audio_frame("s16"),
        view=lambda frame: dv.from_buffer(frame.planes[0], format="h", shape=(4, 2)),
        address=lambda frame: frame.planes[0].buffer_ptr,
        read=lambda frame: frame.to_ndarray().reshape(4, 2).tolist(),
        format="h",
        shape=(4, 2),
        strides=(4, 2),
        index=(3, 1),
        value=-30000,
        write=lambda frame, value: set_in_plane(
            frame, 14, value.to_bytes(2, "little", signed=True)
        ),
    ),
    Case(
        name="fltp, a channel per plane",
        make=lambda: audio_frame("fltp"),
        view=lambda frame: dv.from_buffer(frame.planes[0], format="f"),
        address=lambda frame: frame.planes[0].buffer_ptr,
        read=lambda frame: frame.to_ndarray()[0].tolist(),
        format="f",
        shape=(4,),
        strides=(4,),
        index=(2,),
        value=0.5,
        write=lambda frame, value: set_in_plane(frame, 8, np.float32(value).tobytes()),
    ),
    Case(
        name="packet",
        make=lambda: av.Packet(b"abcdef"),
        address=lambda packet: packet.buffer_ptr,
        read=lambda packet: list(bytes(packet)),
        format="B",
        shape=(6,),
        strides=(1,),
        index=(2,),
        value=0,
        write=lambda packet, value: packet.update(b"ab" + bytes([value]) + b"def"),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
class TestFrame(Contract):
    pass


def test_rows_are_padded_and_the_padding_is_left_alone():
    frame = video_frame("yuv420p")
    for i, p in enumerate(frame.planes):
        assert p.line_size > p.width
        whole, picture = dv.view(p), plane_view(frame, plane=i)
        padding = [bytes(whole)[y * p.line_size :][p.width : p.line_size] for y in range(p.height)]
        d = picture.to(CUDA)
        d.fill(200)
        d.copy_to(picture)
        rows = [bytes(whole)[y * p.line_size :][: p.line_size] for y in range(p.height)]
        assert rows == [p.width * b"\xc8" + rest for rest in padding]


@pytest.mark.parametrize("device", ["cpu", CUDA])
def test_a_plane_is_updated_from_a_view(device):
    frame = video_frame("gray")
    plane = frame.planes[0]
    content = dv.view(bytes(range(plane.buffer_size))).to(device)
    plane.update(content)
    assert dv.view(plane).tolist() == content.tolist()
    with pytest.raises(ValueError, match=f"need {plane.buffer_size} bytes"):
        plane.update(content[1:])
    assert bytes(av.Packet(content)) == bytes(content)


# --- Video that was encoded and decoded ---


def encode(codec: str, container: str, pix_fmt: str, frames) -> io.BytesIO:
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pix_fmt
        for frame in frames:
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    file.seek(0)
    return file


def moving_square(y: dv.View, i: int) -> None:
    y.fill(100)
    y[8:24, 8 * i : 8 * i + 16].fill(220)


def luma_frames():
    for i in range(COUNT):
        frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
        moving_square(plane_view(frame), i)
        for plane in (1, 2):
            plane_view(frame, plane=plane).fill(128)
        yield frame


def test_raw_video_decodes_to_what_was_drawn_on_views():
    drawn = []

    def frames():
        for i in range(COUNT):
            frame = av.VideoFrame(WIDTH, HEIGHT, "rgb24")
            v = plane_view(frame, channels=3)
            d = dv.zeros(v.shape, device=CUDA)  # drawn on the device
            d[:, 8 * i : 8 * i + 8, i % 3].fill(255)
            d.copy_to(v)
            drawn.append(d.tolist())
            yield frame

    file = encode("rawvideo", "nut", "rgb24", frames())
    with av.open(file) as video:
        decoded = [plane_view(frame, channels=3).tolist() for frame in video.decode(video=0)]
    assert decoded == drawn


def test_mpeg4_is_edited_in_decoded_frames():
    file = encode("mpeg4", "mp4", "yuv420p", luma_frames())
    with av.open(file) as video:
        for i, frame in enumerate(video.decode(video=0)):
            v = plane_view(frame)
            inside, outside = v[12:20, 8 * i + 4 : 8 * i + 12], v[32:]
            assert all(abs(int(x) - 220) < 10 for x in np.asarray(inside).flat)
            assert all(abs(int(x) - 100) < 10 for x in np.asarray(outside).flat)
            v[:] = v.copy()[:, ::-1]
            assert np.array_equal(frame.to_ndarray()[:HEIGHT], np.asarray(v))
            frame.to_image().close()
            break


def test_a_decoder_still_reads_its_frames_unless_they_are_made_writable():
    """A decoded frame is the reference of those after it: editing in place changes them too."""
    file = encode("mpeg4", "mp4", "yuv420p", luma_frames())

    def decode(edit) -> list:
        file.seek(0)
        content = []
        with av.open(file) as video:
            for frame in video.decode(video=0):
                content.append(plane_view(frame).tobytes())
                edit(frame)
        return content

    def clear(frame) -> None:
        plane_view(frame).fill(0)

    def clear_copy(frame) -> None:
        frame.make_writable()
        clear(frame)

    untouched = decode(lambda frame: None)
    assert decode(clear_copy) == untouched
    assert decode(clear) != untouched


def test_a_flipped_frame_has_its_rows_before_its_address():
    """The vflip filter turns a frame over by a negative line size alone; PyAV counts bytes on."""
    frame = video_frame("rgb24")
    graph = av.filter.Graph()
    source = graph.add_buffer(width=5, height=3, format="rgb24", time_base=Fraction(1, 25))
    flip, sink = graph.add("vflip"), graph.add("buffersink")
    source.link_to(flip)
    flip.link_to(sink)
    graph.configure()
    source.push(frame)
    flipped = sink.pull()
    plane = flipped.planes[0]
    stride = -frame.planes[0].line_size
    assert plane.line_size == stride
    # By the buffer that PyAV exports the rows would lie outside of it.
    with pytest.raises(dv.LayoutError):
        plane_view(flipped, channels=3)
    v = dv.from_pointer(
        plane.buffer_ptr, (3, 5, 3), "B", device="cpu", strides=(stride, 3, 1), owner=plane
    )
    assert v.tolist() == plane_view(frame, channels=3)[::-1].tolist()
    v[0, 0, 0] = 255
    assert plane_view(frame, channels=3)[2, 0, 0] == 255  # the same memory, turned over
    assert v.to(CUDA).tolist() == v.tolist()
