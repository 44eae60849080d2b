"""``python -m devview demo`` as users run it; NumPy and zlib are the oracles for what it writes."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest

from devview.demo import main

LEDGER_ENTRY = re.compile(r"^   ([a-z' ]+?) +(\d+)$", re.MULTILINE)


def python(*arguments, cwd, **environment):
    """Run this Python in an empty folder, on an emulated device."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "DEVVIEW_EMULATE_CUDA": "1", **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def demo(*arguments, cwd, **environment):
    return python("-m", "devview", "demo", *arguments, cwd=cwd, **environment)


def assert_all_given_back(result):
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    ledger = result.stdout[result.stdout.index("\nLedger\n") :]
    entries = dict(LEDGER_ENTRY.findall(ledger))
    assert {"live allocations", "device bytes", "pinned bytes", "emulator's device blocks"} <= {
        *entries
    }
    assert set(entries.values()) == {"0"}
    assert ledger.rstrip().endswith("every byte was given back")


def assert_refused(result, message):
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert message in result.stderr
    assert "Traceback" not in result.stdout + result.stderr


def middle(array):
    """Return what the demo cuts out, by NumPy."""
    key = tuple(slice(n // 8, n - n // 8, 2) for n in array.shape[:2])
    cut = array[key]
    return cut.swapaxes(0, 1) if array.ndim > 1 else cut


def framed(array):
    array = array.copy()
    for edge in (array[:2], array[-2:], array[:, :2], array[:, -2:]):
        edge[...] = 255
    return array


def png_lines(data):
    """Return (width, height, colour type, decompressed lines) of a PNG file with one IDAT."""
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    at, chunks = 8, {}
    while at < len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        content = data[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", data, at + 8 + length)[0] == zlib.crc32(name + content)
        chunks[name] = content
        at += 12 + length
    assert [*chunks] == [b"IHDR", b"IDAT", b"IEND"]
    width, height, bits, colour, *zeros = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert (bits, zeros) == (8, [0, 0, 0])
    return width, height, colour, zlib.decompress(chunks[b"IDAT"])


def read_png(data):
    width, height, colour, lines = png_lines(data)
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    lines = np.frombuffer(lines, np.uint8).reshape(height, 1 + width * channels)
    assert not lines[:, 0].any()
    pixels = lines[:, 1:].reshape(height, width, channels)
    return pixels[:, :, 0] if channels == 1 else pixels


def chunk(name, content):
    return (
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
    )


def png(pixels, filters=(0, 1, 2, 3, 4), bits=8, interlaced=0):
    """Return a PNG file of (height, width, channels) bytes, its lines filtered in turn."""
    height, width, channels = pixels.shape
    above = np.zeros(width * channels, int)
    lines = b""
    for y, line in enumerate(pixels.reshape(height, -1).astype(int)):
        left = np.concatenate([np.zeros(channels, int), line[:-channels]])
        corner = np.concatenate([np.zeros(channels, int), above[:-channels]])
        estimate = left + above - corner
        a, b, c = (np.abs(estimate - neighbour) for neighbour in (left, above, corner))
        paeth = np.where((a <= b) & (a <= c), left, np.where(b <= c, above, corner))
        kind = filters[y % len(filters)]
        predicted = (0, left, above, (left + above) // 2, paeth)[min(kind, 4)]
        lines += bytes([kind]) + ((line - predicted) & 255).astype(np.uint8).tobytes()
        above = line
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced)
    packed = zlib.compress(lines)
    parts = [chunk(b"IHDR", header), chunk(b"tEXt", b"Comment\0made by a test")]
    parts += [chunk(b"IDAT", packed[:50]), chunk(b"IDAT", packed[50:]), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.fixture
def random():
    return np.random.default_rng(1)


def test_default_picture_is_told_step_by_step(tmp_path):
    result = demo(cwd=tmp_path)
    assert_all_given_back(result)
    told = result.stdout
    assert "cuda:0 (emulated): no GPU is used; CUDA is emulated in this process" in told
    assert re.findall(r"^(\d+)\. ", told, re.MULTILINE) == [str(n) for n in range(1, 10)]
    assert "192,000 B host to device" in told
    assert "cudaLaunchKernel" in told
    assert "release: View has 1 export" in told
    assert max(map(len, told.splitlines())) <= 100
    assert told.isascii()
    assert [*tmp_path.iterdir()] == []


def test_default_picture_without_a_gpu_is_emulated_unasked(tmp_path):
    result = demo(cwd=tmp_path, DEVVIEW_EMULATE_CUDA="")
    assert result.returncode == 0, result.stderr
    assert "every byte was given back" in result.stdout


def test_strided_crop_and_transpose_move_no_data(tmp_path):
    told = demo(cwd=tmp_path).stdout
    step = told[told.index("\n3. ") : told.index("\n4. ")]
    assert "calls   none" in step
    assert "not dense" in step


def test_hash_of_a_strided_view_is_one_kernel_one_copy_one_wait(tmp_path):
    told = demo(cwd=tmp_path).stdout
    step = told[told.index("\n4. ") : told.index("\n5. ")]
    calls = re.search(r"calls +(.*?)\n   alive", step, re.DOTALL)[1]
    names = re.sub(r"\s+", " ", calls).split(", ")
    for name in ("cudaLaunchKernel", "cudaMemcpyAsync", "cudaEventSynchronize"):
        assert names.count(name) == 1, calls


def test_written_files_hold_the_crop_and_the_edited_picture(tmp_path):
    result = demo("--output", tmp_path / "new" / "out", cwd=tmp_path)
    assert_all_given_back(result)
    folder = tmp_path / "new" / "out"
    crop = np.load(folder / "demo-crop.npy")
    assert crop.shape == (120, 75, 3)
    assert crop.dtype == np.uint8
    picture = read_png((folder / "demo-framed.png").read_bytes())
    np.testing.assert_array_equal(picture, framed(crop))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_png_with_all_filters(tmp_path, random, channels):
    pixels = random.integers(0, 256, (23, 17, channels), dtype=np.uint8)
    (tmp_path / "in.png").write_bytes(png(pixels))
    result = demo("in.png", "--output", "out", cwd=tmp_path)
    assert_all_given_back(result)
    expected = middle(pixels[:, :, 0] if channels == 1 else pixels)
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "in-crop.npy"), expected)
    written = read_png((tmp_path / "out" / "in-framed.png").read_bytes())
    np.testing.assert_array_equal(written, framed(expected))


@pytest.mark.parametrize(("magic", "channels"), [(b"P5", 1), (b"P6", 3)])
def test_pnm_with_comments(tmp_path, random, magic, channels):
    pixels = random.integers(0, 256, (9, 14, channels), dtype=np.uint8)
    header = magic + b"\n# made by a test 1 2 3\n14 # width\n9\t255\n"
    (tmp_path / "in.pnm").write_bytes(header + pixels.tobytes())
    result = demo("in.pnm", "--output", "out", cwd=tmp_path)
    assert_all_given_back(result)
    expected = middle(pixels[:, :, 0] if channels == 1 else pixels)
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "in-crop.npy"), expected)


RECORD = np.dtype([("a", "<i4"), ("b", ">f8", (2,)), ("c", "S3")], align=True)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(60, dtype="<f4").reshape(6, 10),
        np.arange(60, dtype=">f8").reshape(6, 10),
        np.asfortranarray(np.arange(120, dtype="<i2").reshape(5, 6, 4)),
        np.asfortranarray(np.arange(60, dtype=">u4").reshape(6, 10)),
        np.arange(33, dtype="<c16"),
        np.array(7.5),
        np.zeros((0, 5), "<f4"),
        np.array([["ab", "cde"], ["f", "x"]]),
        np.array([b"ab", b"cde"]),
        np.arange(8) % 2 == 0,
        np.arange(20, dtype="<f2").reshape(4, 5),
        np.array([(i, (i, -i), b"xyz") for i in range(12)], RECORD).reshape(4, 3),
    ],
    ids=lambda array: f"{array.dtype.str}-{array.shape}-{'F' if array.flags.fnc else 'C'}",
)
def test_npy(tmp_path, array):
    np.save(tmp_path / "in.npy", array)
    result = demo("in.npy", "--output", "out", cwd=tmp_path)
    assert_all_given_back(result)
    written = np.load(tmp_path / "out" / "in-crop.npy")
    expected = middle(array if array.ndim else array.reshape(1))
    assert written.dtype == expected.dtype
    np.testing.assert_array_equal(written, expected)


def npy(header, items=b"", version=1, length=None):
    text = header.encode() if isinstance(header, str) else header
    size = len(text) if length is None else length
    prefix = struct.pack("<H" if version == 1 else "<I", size)
    return b"\x93NUMPY" + bytes([version, 0]) + prefix + text + items


def npy_of(descr="'<f4'", shape="(2,)", order="False", items=b"\0" * 8):
    return npy(f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}}}", items)


def pickled():
    array = np.array([None, 1], dtype=object)
    head = "{'descr': '|O', 'fortran_order': False, 'shape': (2,)}"
    return npy(head, array.dumps())


PIXELS = np.zeros((4, 4, 3), np.uint8)
BAD = {
    "empty": (b"", "neither a picture nor"),
    "text": (b"hello, world\n" * 9, "neither a picture nor"),
    "pnm header": (b"P6\n4", "no header"),
    "pnm truncated": (b"P6 4 4 255\n" + bytes(47), "truncated: 47 of 48"),
    "pnm 16 bit": (b"P5 4 4 65535\n" + bytes(32), "65535"),
    "pnm no pixels": (b"P5 0 4 255\n", "0 x 4"),
    "pnm huge": (b"P5 999999999 999999999 255\n", "truncated"),
    "png truncated": (png(PIXELS)[:60], "truncated"),
    "png end": (png(PIXELS)[:-12], "truncated"),
    "png checksum": (png(PIXELS).replace(b"made", b"mode"), "wrong checksum"),
    "png filter": (png(PIXELS, filters=(5,)), "filter 5"),
    "png 16 bit": (png(PIXELS, bits=16), "16 bits"),
    "png interlaced": (png(PIXELS, interlaced=1), "interlaced"),
    "png only magic": (b"\x89PNG\r\n\x1a\n", "PNG"),
    "png few lines": (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 9, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", zlib.compress(bytes(99)))
        + chunk(b"IEND", b""),
        "truncated: 99 of 252",
    ),
    "png not zlib": (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 9, 8, 2, 0, 0, 0))
        + chunk(b"IDAT", b"no")
        + chunk(b"IEND", b""),
        "PNG: Error",
    ),
    "png huge": (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 2**31, 9, 8, 2, 0, 0, 0))
        + chunk(b"IEND", b""),
        "more than",
    ),
    "npy pickled": (pickled(), "pickled"),
    "npy pickled field": (npy_of("[('a', '|O')]"), "pickled"),
    "npy truncated": (npy_of(items=bytes(7)), "truncated: 7 of 8"),
    "npy header truncated": (npy("{'descr'", length=500), "truncated header"),
    "npy huge header": (npy("{}", version=2, length=2**31), "header of 2147483648 bytes"),
    "npy version": (b"\x93NUMPY\x09\x00", "version 9"),
    "npy only magic": (b"\x93NUMPY", "version"),
    "npy no literal": (npy("__import__('os').getpid()"), "no Python literal"),
    "npy odd escape": (npy("'\\d'"), "no dict"),
    "npy nested": (npy("(" * 5000), "no Python literal"),
    "npy no dict": (npy("[1]"), "no dict"),
    "npy extra key": (
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (), 'x': 1}"),
        "no dict",
    ),
    "npy negative": (npy_of(shape="(-1, 2)"), "no tuple of extents"),
    "npy bool extent": (npy_of(shape="(True, 2)"), "no tuple of extents"),
    "npy many axes": (npy_of(shape=str((1,) * 65)), "no tuple of extents"),
    "npy huge shape": (npy_of(shape=str((2**62,) * 64)), "truncated"),
    "npy order": (npy_of(order="0"), "fortran_order"),
    "npy datetime": (npy_of("'<M8[ns]'"), "no PEP 3118 format"),
    "npy odd type": (npy_of("'<f3'"), "no PEP 3118 format"),
    "npy no items": (npy_of("'|S0'"), "0 or of too many bytes"),
    "npy field": (npy_of("[('a:b', '<f4')]"), "field name"),
}


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD.keys())
def test_bad_file(tmp_path, monkeypatch, capsys, content, message):
    monkeypatch.setitem(sys.modules, "PIL", None)  # as where Pillow is not installed
    (tmp_path / "bad").write_bytes(content)
    assert main(str(tmp_path / "bad"), None) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert len(told.err.splitlines()) == 1, told.err
    assert message in told.err


def test_shape_that_overflows_is_refused(tmp_path):
    (tmp_path / "bad").write_bytes(npy_of(shape=f"({2**62}, 0, {2**62})"))
    assert_refused(demo("bad", cwd=tmp_path), "bad: ")


def test_truncated_picture_is_refused_by_the_command(tmp_path):
    (tmp_path / "bad.png").write_bytes(png(PIXELS)[:60])
    assert_refused(demo("bad.png", cwd=tmp_path), "bad.png: PNG: truncated")


def test_other_pictures_are_read_through_pillow(tmp_path, random):
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    pixels = random.integers(0, 256, (8, 16, 3), dtype=np.uint8)
    image.fromarray(pixels).save(tmp_path / "in.bmp")
    result = demo("in.bmp", "--output", "out", cwd=tmp_path)
    assert_all_given_back(result)
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "in-crop.npy"), middle(pixels))


def test_missing_file(tmp_path):
    assert_refused(demo("nowhere.png", cwd=tmp_path), "nowhere.png: No such file")


def test_folder_is_no_file(tmp_path):
    assert_refused(demo(tmp_path, cwd=tmp_path), "not a regular file")


def test_output_that_is_a_file(tmp_path):
    (tmp_path / "out").write_text("in the way")
    assert_refused(demo("--output", "out", cwd=tmp_path), "out: ")


RUN = "import sys, devview as dv; from devview.demo import main; {}; sys.exit(main(None, None))"


def test_runtime_error_is_told_in_one_line(tmp_path):
    fault = RUN.format("dv.devices(); dv.emulation.fail('cudaMemcpyAsync', 1, 719)")
    result = python("-c", fault, cwd=tmp_path)
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert "cudaErrorLaunchFailure" in result.stderr


def test_memory_that_somebody_else_keeps_fails_the_check(tmp_path):
    result = python("-c", RUN.format("kept = dv.zeros(8, device='cuda')"), cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr == "devview demo: check failed: device memory is left: 8 B\n"
