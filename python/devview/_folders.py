"""Where an installation keeps what C++ code is built with: ``python -m devview --cmake-dir``."""

from __future__ import annotations

import argparse
from pathlib import Path

# Below the package's folder, as the build installs them.
CMAKE = "share/cmake/devview"
INCLUDE = "include"
PKG_CONFIG = "share/pkgconfig"


def find(folder: str) -> Path:
    """Return a folder of the installed package; FileNotFoundError if this one was not installed."""
    import devview

    # An editable installation has two folders: its Python files stay in the source tree.
    for root in devview.__path__:
        if (Path(root) / folder).is_dir():
            return Path(root) / folder
    roots = ", ".join(devview.__path__)
    raise FileNotFoundError(f"no {folder} in {roots}: pip has not installed this devview")


class PrintFolder(argparse.Action):
    """An option that prints a folder and ends, as ``--version`` does."""

    def __init__(self, option_strings, dest, const, **others):
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, const=const, **others)

    def __call__(self, parser, namespace, values, option_string=None):
        try:
            print(find(self.const))
        except FileNotFoundError as error:
            parser.exit(1, f"{parser.prog}: {error}\n")
        parser.exit()
