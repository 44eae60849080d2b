"""Runs Doxygen on every public header and writes a page for each: a new header needs no edit."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from xml.etree import ElementTree

from sphinx.addnodes import desc_signature
from sphinx.errors import ExtensionError

ROOT = Path(__file__).resolve().parents[2]
PARTS = {
    "core": "The library `devview::core`: neither CUDA nor Python.",
    "cuda": "The library `devview::cuda`: device memory, streams, copies.",
    "python": "For extension modules: headers that need pybind11.",
}
# Written as code for compilers and for the library itself: there is nothing to call in them.
UNLISTED = {
    "devview/bits.hpp",
    "devview/cuda/abi.hpp",
    "devview/export.hpp",
    "devview/format_spelling.hpp",
    "devview/host_device.hpp",
}
# What a page shows, in this order: nothing private.
SECTIONS = (
    "briefdescription detaileddescription innernamespace define enum typedef innerclass"
    " user-defined public-type public-func public-static-func public-attrib public-static-attrib"
    " func var"
)


def headers(part: str) -> list[str]:
    """Return what a user writes between the angle brackets of an #include, for one part."""
    folder = ROOT / part / "include"
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*.h*"))
    return sorted(set(found) - UNLISTED)


def escaped(text: str) -> str:
    """Return a comment as reStructuredText: `x` is code, all else means itself."""
    halves = re.split(r"(`[^`]+`)", text)
    return "".join(
        f"`{half}`" if half.startswith("`") else re.sub(r"([*|_\\])", r"\\\1", half)
        for half in halves
    )


def introduction(header: Path) -> str:
    """Return the comment at the top of a header, as paragraphs."""
    text = header.read_text(encoding="utf-8")
    if text.startswith("/*"):
        comment = text[2 : text.index("*/")]
        lines = [line.removeprefix(" *").strip() for line in comment.splitlines()]
    else:
        top = re.match(r"(?://(?!/).*\n)+", text)
        lines = [line[2:].strip() for line in top.group().splitlines()] if top else []
    return escaped("\n".join(lines))


def page(part: str, header: str) -> str:
    """Return the page of one header."""
    title = f"``<{header}>``"
    return (
        f"{title}\n{'=' * len(title)}\n\n"
        f"{introduction(ROOT / part / 'include' / header)}\n\n"
        f".. doxygenfile:: {part}/include/{header}\n"
        f"   :sections: {SECTIONS}\n"
    )


def stem(header: str) -> str:
    """Return the name of a header's page."""
    return header.removeprefix("devview/").replace("/", "-").replace(".", "-")


def index() -> str:
    """Return the page that lists all headers."""
    lines = ["Headers", "=======", ""]
    for part, told in PARTS.items():
        if not headers(part):
            continue
        lines += [f"``{part}/``", "-" * (len(part) + 5), "", told.replace("`", "``"), ""]
        lines += [".. toctree::", "   :maxdepth: 1", ""]
        lines += [f"   {stem(header)}" for header in headers(part)] + [""]
    return "\n".join(lines)


def write(path: Path, text: str) -> None:
    """Write a page unless it is the same: Sphinx reads again what is newer."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def run_doxygen(output: Path) -> None:
    """Make Doxygen's XML; its warnings are errors."""
    output.mkdir(parents=True, exist_ok=True)
    inputs = [str(ROOT / part / "include") for part in PARTS if headers(part)]
    environment = {
        **os.environ,
        "DEVVIEW_DOXYGEN_INPUT": " ".join(inputs),
        "DEVVIEW_DOXYGEN_OUTPUT": str(output),
        "DEVVIEW_ROOT": str(ROOT),
    }
    try:
        done = subprocess.run(
            ["doxygen", str(ROOT / "docs" / "Doxyfile")],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise ExtensionError("doxygen is not installed") from error
    if done.returncode or done.stderr:
        raise ExtensionError(f"doxygen: {done.stderr[-8000:]}")
    name_files_by_path(output / "xml")
    adapt_to_breathe(output / "xml")


def name_files_by_path(folder: Path) -> None:
    """Put paths into Doxygen's index, where two headers of one name cannot be told apart."""
    path = folder / "index.xml"
    index = ElementTree.parse(path)
    for file in index.iterfind("compound[@kind='file']"):
        location = ElementTree.parse(folder / f"{file.get('refid')}.xml").find(
            "compounddef/location"
        )
        file.find("name").text = location.get("file")
    index.write(path, encoding="UTF-8", xml_declaration=True)


def adapt_to_breathe(folder: Path) -> None:
    """Leave out links to the pages of files, which are not made, and spell aliases anew.

    Of `using F = R (*)(A)` Doxygen may tell type, name and arguments in an order that is no C++.
    """
    for path in folder.glob("*.xml"):
        tree = ElementTree.parse(path)
        for compound in tree.iterfind("compounddef"):
            for line in compound.findall("includes"):
                compound.remove(line)
        for link in tree.iterfind(".//ref[@kindref='compound']"):
            if link.get("refid").endswith(("_8h", "_8hpp")):
                link.tag = "computeroutput"
                link.attrib.clear()
        for alias in tree.iterfind(".//memberdef[@kind='typedef']"):
            result, star, arguments = "".join(alias.find("type").itertext()).partition("(*)")
            if star and not alias.findtext("definition").startswith("using "):
                alias.find("type").clear()
                alias.find("type").text = f"{result}(*"
                alias.find("argsstring").text = f"){arguments}"
        tree.write(path, encoding="UTF-8", xml_declaration=True)


def prepare(app, config) -> None:
    """config-inited: Doxygen's XML and the pages, before Sphinx looks for pages."""
    run_doxygen(Path(config.breathe_projects["devview"]).parent)
    folder = Path(app.srcdir) / "reference" / "cpp" / "headers"
    folder.mkdir(exist_ok=True)
    pages = {
        f"{stem(header)}.rst": page(part, header) for part in PARTS for header in headers(part)
    }
    pages["index.rst"] = index()
    for path in folder.iterdir():
        if path.name not in pages:
            path.unlink()
    for name, text in pages.items():
        write(folder / name, text)


def name_anonymous(app, doctree) -> None:
    """doctree-read, before contents are collected: C's enumerations without a name."""
    for signature in doctree.findall(desc_signature):
        if signature.get("_toc_name", "").startswith("@"):
            signature["_toc_name"] = "enum"


def setup(app):
    """Run before everything that reads the configuration or the pages."""
    app.connect("config-inited", prepare, priority=100)
    app.connect("doctree-read", name_anonymous, priority=400)
    return {"parallel_read_safe": True}
