"""``python -m devview demo``: the main job on a real picture or array, told step by step."""

from __future__ import annotations

import sys
import tempfile
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import devview as dv
from devview import _devview
from devview.demo import job
from devview.demo.load import load
from devview.demo.report import Report
from devview.demo.source import FileError, Source, generated

GONE = "a temporary folder, removed at the end; --output DIR keeps the files"


def main(file: str | None, output: str | None) -> int:
    """Run the demo; returns the process' exit code: 0, 1 (something went wrong), 2 (bad file)."""
    try:
        source = load(Path(file)) if file else generated()
        folder = _folder(output)
    except FileError as error:
        return _fail(2, f"{file}: {error}")
    except OSError as error:
        return _fail(2, f"{output}: {error.strerror or error}")
    report = Report()
    try:
        _introduce(file, output, source)
        with folder as path:
            job.run(source, Path(path), Path(file).stem if file else "demo", report)
    except job.CheckError as error:
        report.flush()
        return _fail(1, f"check failed: {error}")
    except (dv.FormatError, dv.LayoutError) as error:
        report.flush()
        return _fail(2, f"{file}: {error}")
    except (dv.Error, OSError) as error:
        report.flush()
        return _fail(1, str(error))
    return 0


def _folder(output: str | None) -> AbstractContextManager[str | Path]:
    """Return a context manager that gives the folder to write to."""
    if output is None:
        return tempfile.TemporaryDirectory(prefix="devview-demo-")
    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    return nullcontext(folder)


def _introduce(file: str | None, output: str | None, source: Source) -> None:
    if not any(device.type == "cuda" for device in dv.devices()):
        dv.emulate()
    device = next(device for device in dv.devices() if device.type == "cuda")
    version = ".".join(str(part) for part in sys.version_info[:3])
    print(f"devview {dv.__version__}, Python {version}: the main job, step by step\n")
    if device.emulated:
        print(f"device  {device}: no GPU is used; CUDA is emulated in this process")
    else:
        print(f"device  {device}: {_devview.runtime_info()['devices'][device.id]}")
    what = "picture" if source.picture else "array"
    print(f"input   {file or 'the default'}: {source.title}; {what} of shape {source.shape}")
    print(f"output  {output or GONE}")


def _fail(code: int, message: str) -> int:
    print(f"devview demo: {message}", file=sys.stderr)
    return code
