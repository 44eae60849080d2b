"""The main job on one source: device, crop, hash, file, edit, release; every step is checked."""

from __future__ import annotations

import gc
import hashlib
import math
from typing import TYPE_CHECKING

import devview as dv
from devview.demo import npy, png
from devview.demo.report import Report, alive_text, size

if TYPE_CHECKING:
    from pathlib import Path

    from typing_extensions import Buffer

    from devview.demo.source import Source

FRAME = 2


class CheckError(Exception):
    """The demo has seen something that must not be."""


def run(source: Source, folder: Path, stem: str, report: Report) -> None:
    """Do the job, tell each step, and leave nothing behind; raises CheckError."""
    gc.disable()  # what is freed below is freed by the last reference, not by the collector
    try:
        _Job(source, folder, stem, report).run()
    finally:
        gc.enable()


class _Job:
    """The views of the job, and one method for each step."""

    def __init__(self, source: Source, folder: Path, stem: str, report: Report) -> None:
        self.source = source
        self.report = report
        self.npy_path = folder / f"{stem}-crop.npy"
        self.png_path = folder / f"{stem}-framed.png"
        self.key, self.axes = crop_of(source.shape)
        self.stream = dv.Stream("cuda")

    def run(self) -> None:
        self.load()
        self.to_device()
        self.crop_there()
        self.hash()
        self.write()
        self.read_back()
        self.edit()
        if self.source.picture:
            self.write_picture()
        self.release()
        self.count()

    def load(self) -> None:
        source = self.source
        order = ".T" if source.fortran and len(source.shape) > 1 else ""
        with self.report.step(
            "The array becomes a view: memory of somebody else, here a bytearray",
            f"host = dv.view(data)[...].cast({source.format!r}, shape){order}",
        ):
            shape = source.shape[::-1] if source.fortran else source.shape
            nbytes = math.prod(shape) * source.itemsize
            items = dv.view(source.data)[source.offset : source.offset + nbytes]
            self.host = items.cast(source.format, shape)
            if source.fortran:
                self.host = self.host.T
            del items
            self.report.view("host", self.host)
            check(self.host.obj is source.data, "the view's owner is not the bytearray")
            try:
                source.data.append(0)
            except BufferError:
                refused = "a bytearray cannot be resized while it is viewed: BufferError, rightly"
            else:
                raise CheckError("the bytearray was resized under a view")
            self.report.row("moved", "nothing: the view shares the bytearray's memory")
            self.report.row("owner", refused)

    def to_device(self) -> None:
        with self.report.step(
            "To the device, ordered on a stream",
            "stream = dv.Stream('cuda')",
            "gpu = host.to('cuda', stream=stream)",
        ):
            self.gpu = self.host.to("cuda", stream=self.stream)
            self.report.view("gpu", self.gpu)
            self.report.row("moved", f"{size(self.host.nbytes)} host to device")

    def crop_there(self) -> None:
        with self.report.step(
            "Every second item of the middle, two axes swapped: arithmetic on the layout",
            f"crop = gpu[{key_text(self.key)}].transpose{self.axes}",
        ):
            self.crop = self.gpu[self.key].transpose(self.axes)
            self.report.view("crop", self.crop)
            check(self.crop.allocation is self.gpu.allocation, "the crop has memory of its own")
            self.report.row("moved", "nothing: the same block, seen in another way")

    def hash(self) -> None:
        with self.report.step(
            "Hashed: a plain buffer consumer reads device memory through a pinned staging copy",
            "with memoryview(crop) as m: digest = hashlib.sha256(m)",
        ):
            with memoryview(self.crop) as m:
                self.digest = hashlib.sha256(m).hexdigest()
                pinned = dv.memory_info("pinned").pinned_live_bytes
                try:
                    self.crop.release()
                except BufferError as error:
                    refused = str(error)
                else:
                    raise CheckError("crop.release() did not mind the living memoryview")
            after = dv.memory_info("pinned").pinned_live_bytes
            expected = self.host[self.key].transpose(self.axes).tobytes()
            check(self.digest == hashlib.sha256(expected).hexdigest(), "the hashes differ")
            check(after == 0, f"{after} bytes of pinned memory are still in use")
            self.report.row("sha256", self.digest[:32] + "..., the same as on the host")
            self.report.row("moved", f"{size(self.crop.nbytes)} device to host, packed there")
            self.report.row("freed", f"pinned {size(pinned)} -> {size(after)} with the memoryview")
            self.report.row("refused", f"crop.release() meanwhile: BufferError: {refused}")

    def write(self) -> None:
        header = npy.write_header(self.source.descr, self.crop.shape)
        self.header_bytes = len(header)
        with self.report.step(
            f"Written as an array: {self.npy_path.name}", "file.write(header); file.write(crop)"
        ):
            with self.npy_path.open("wb") as file:
                file.write(header)
                file.write(self.crop)
            written = self.npy_path.stat().st_size
            check(written == len(header) + self.crop.nbytes, f"{written} bytes were written")
            self.report.row("file", f"{size(written)}, {size(len(header))} of them the header")
            self.report.row("moved", f"{size(self.crop.nbytes)} device to host")

    def read_back(self) -> None:
        with self.report.step(
            "Read back, straight into device memory",
            "back = dv.empty(crop.shape, crop.format, device='cuda', stream=stream)",
            "file.readinto(back)",
        ):
            crop = self.crop
            self.back = dv.empty(crop.shape, crop.format, device="cuda", stream=self.stream)
            with self.npy_path.open("rb") as file:
                file.seek(self.header_bytes)
                count = file.readinto(self.back)
            check(count == crop.nbytes, f"readinto read {count} of {crop.nbytes} bytes")
            check(sha256(self.back) == self.digest, "what was read back differs")
            self.report.view("back", self.back)
            self.report.row(
                "moved", f"{size(count)} each way (a writable staging), and once to hash"
            )
            self.report.row("sha256", "the same")

    def edit(self) -> None:
        with self.report.step(
            "Edited on the host through a writable staging, written back at its end",
            "with back.stage(writable=True) as m, dv.view(m) as items: draw(items)",
        ):
            expected = self.back.to("cpu")
            with self.back.stage(writable=True) as m, dv.view(m) as items:
                draw(items, self.source.picture)
            draw(expected, self.source.picture)
            check(sha256(self.back) == sha256(expected), "the edit has not reached the device")
            check(self.back.exports == 0, "the staging is still counted")
            expected.release()
            drawn = f"a white frame, {FRAME} wide" if self.source.picture else "the first row"
            self.report.row("drawn", f"{drawn}; device memory has it, by hash")
            self.report.row("moved", f"{size(self.back.nbytes)} each way (the check: twice more)")

    def write_picture(self) -> None:
        height, width, *rest = self.back.shape
        channels = rest[0] if rest else 1
        with self.report.step(
            f"Written as a picture: {self.png_path.name}, its lines put together on the device",
            f"lines = dv.zeros(({height}, {1 + width * channels}), 'B', device='cuda', ...)",
            f"dv.copyto(lines[:, 1:].reshape({self.back.shape}), back)",
            "zlib.compress(lines)",
        ):
            lines = dv.zeros((height, 1 + width * channels), device="cuda", stream=self.stream)
            dv.copyto(lines[:, 1:].reshape(self.back.shape), self.back)
            with self.png_path.open("wb") as file:
                for part in png.write(lines, width, height, channels):
                    file.write(part)
            again = png.read(bytearray(self.png_path.read_bytes()))
            check(dv.view(again.data) == self.back.to("cpu").reshape(-1), "the picture differs")
            nbytes = lines.nbytes
            lines.release()
            self.report.row("file", f"{width} x {height}, {size(self.png_path.stat().st_size)}")
            self.report.row(
                "moved",
                f"{size(nbytes)} on the device, the same to the host, "
                f"{size(self.back.nbytes)} to check",
            )

    def release(self) -> None:
        with self.report.step("Released: each figure is taken in the next statement"):
            for name in ("back", "crop", "gpu"):
                before = on_device()
                getattr(self, name).release()
                after = on_device()
                note = " (gpu still holds the block)" if name == "crop" else ""
                self.report.row("freed", f"{name + '.release()':<15} {before} -> {after}{note}")
                if name == "gpu":
                    check(after == "0 B", f"device memory is left: {after}")
            self.host.release()
            self.source.data.append(0)
            self.report.row("freed", "host.release()  the bytearray can be resized again")
            cached = dv.memory_info("pinned").pinned_cached_bytes
            trimmed = dv.trim()
            check(trimmed == cached, f"trim freed {trimmed} of {cached} cached bytes")
            self.report.row("freed", f"dv.trim()       {size(trimmed)} of cached pinned memory")
            self.stream.synchronize()
            del self.stream

    def count(self) -> None:
        device, pinned = dv.memory_info("cuda"), dv.memory_info("pinned")
        figures = {
            "live allocations": len(dv.live()),
            "device bytes": device.live_bytes,
            "device blocks": device.blocks,
            "exports": device.exports + pinned.exports + dv.memory_info("cpu").exports,
            "pinned bytes": pinned.pinned_live_bytes + pinned.pinned_cached_bytes,
            "failed releases": dv.release_errors(),
        }
        if dv.emulation.active:
            told = dv.emulation.ledger()
            names = ("device_blocks", "pinned_blocks", "managed_blocks", "streams", "queued")
            figures |= {f"emulator's {name.replace('_', ' ')}": told[name] for name in names}
        print("\nLedger")
        for name, figure in figures.items():
            print(f"   {name:<27} {figure}")
        left = [name for name, figure in figures.items() if figure]
        check(not left, f"the ledger is not at zero: {', '.join(left)}; {alive_text()}")
        print("   all at zero: every byte was given back")


def check(true: bool, otherwise: str) -> None:
    """Raise CheckError unless true; an assert would be left out under -O."""
    if not true:
        raise CheckError(otherwise)


def sha256(buffer: Buffer) -> str:
    """Return the hash of any buffer, device views included."""
    return hashlib.sha256(buffer).hexdigest()


def on_device() -> str:
    """Return the bytes of living device blocks, without asking the runtime."""
    return size(sum(row.nbytes for row in dv.live() if row.device.type == "cuda"))


def crop_of(shape: tuple[int, ...]) -> tuple[tuple[slice, ...], tuple[int, ...]]:
    """Return the crop (the middle of the first two axes, step 2) and the order of the axes."""
    key = tuple(slice(n // 8, n - n // 8, 2) for n in shape[:2])
    first = (1, 0) if len(shape) > 1 else (0,)
    return key, first + tuple(range(len(first), len(shape)))


def key_text(key: tuple[slice, ...]) -> str:
    """Return slices as they are written."""
    return ", ".join(f"{s.start}:{s.stop}:{s.step}" for s in key)


def draw(items: dv.View, picture: bool) -> None:
    """Change items on the host: a white frame, or the first row of an array from its last."""
    if not picture:
        items[:1].copy_from(items[-1:])
        return
    for edge in (items[:FRAME], items[-FRAME:], items[:, :FRAME], items[:, -FRAME:]):
        edge.fill(255)
