"""The command line, ``python -m devview``: each command is a module of its own."""

from __future__ import annotations

import argparse
import os
import sys

from devview import __version__, _folders
from devview.bench import command as bench


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    top = argparse.ArgumentParser(
        prog="python -m devview",
        description="Device-tagged array views: one view type for memory wherever it lives.",
    )
    top.add_argument("--version", action="version", version=f"devview {__version__}")
    for option, folder, what in (
        ("--cmake-dir", _folders.CMAKE, "find_package(devview CONFIG), as -Ddevview_DIR"),
        ("--include-dir", _folders.INCLUDE, "the C and C++ headers"),
        ("--pkg-config-dir", _folders.PKG_CONFIG, "devview-core.pc and devview-cuda.pc"),
    ):
        top.add_argument(
            option,
            action=_folders.PrintFolder,
            const=folder,
            help=f"print the folder for {what}",
        )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    demo = commands.add_parser(
        "demo",
        help="the main job on a picture or array, told step by step",
        description="Take a picture or array to the device, crop and transpose it there, hash it, "
        "write it to a file and read it back, edit it through a staging copy and give everything "
        "back. Runs on a GPU where there is one, otherwise on an emulated one.",
    )
    demo.add_argument(
        "file",
        nargs="?",
        metavar="FILE",
        help="a PNG, PGM or PPM picture (others through Pillow) or a .npy file; "
        "default: a small picture made by the demo",
    )
    demo.add_argument("--output", metavar="DIR", help="keep the files that are written, in DIR")
    commands.add_parser(
        "info",
        help="devices, runtime, protocols and memory",
        description="Show devices, runtime, protocols and memory; works without a GPU.",
    )
    bench.add_parser(commands)
    return top


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the process' exit code."""
    chosen = parser().parse_args(arguments)
    if chosen.command == "demo":
        from devview import demo

        return demo.main(chosen.file, chosen.output)
    if chosen.command == "bench":
        return bench.main(chosen)
    from devview import info

    return info.main()


if __name__ == "__main__":
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has gone, as `head` does; nothing more can be told
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code)
