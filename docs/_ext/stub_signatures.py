"""Signatures of the native module as its stub has them; autodoc cannot read all of C's."""

from __future__ import annotations

import ast
import builtins
from pathlib import Path

from sphinx.addnodes import pending_xref

import devview

STUB = Path(devview.__file__).with_name("_devview.pyi")


def spelled(arguments: ast.arguments, bound: bool) -> str:
    """Return '(obj, /, *, device=None)': names and defaults, no types."""
    bare = ast.parse(f"def f({ast.unparse(arguments)}): ...").body[0].args
    every = [*bare.posonlyargs, *bare.args, *bare.kwonlyargs, bare.vararg, bare.kwarg]
    for argument in filter(None, every):
        argument.annotation = None
    if bound:
        first = bare.posonlyargs or bare.args
        del first[0]
    return f"({ast.unparse(bare)})"


def signatures(body: list[ast.stmt], prefix: str = "") -> dict[str, tuple[str, str | None]]:
    """Return (arguments, result) of every function, method and constructor, by dotted name."""
    found = {}
    for node in body:
        if isinstance(node, ast.ClassDef):
            inner = signatures(node.body, f"{prefix}{node.name}.")
            found.update(inner)
            if f"{prefix}{node.name}.__new__" in inner:
                found[prefix + node.name] = (inner[f"{prefix}{node.name}.__new__"][0], None)
        elif isinstance(node, ast.FunctionDef) and not node.decorator_list:
            result = ast.unparse(node.returns) if node.returns else None
            if result == "Self":
                result = prefix.rstrip(".")
            elif result and result.startswith("_"):
                result = None  # a name of the stub's own
            found[prefix + node.name] = (spelled(node.args, bool(prefix)), result)
    return found


SIGNATURES = signatures(ast.parse(STUB.read_text(encoding="utf-8")).body)


def signature(app, what, name, obj, options, arguments, result):
    """autodoc-process-signature: the stub's, where it has one."""
    # `emulation` is the one object of its type.
    name = name.removeprefix("devview.").replace("emulation.", "_Emulation.")
    return SIGNATURES.get(name)


def docstring(app, what, name, obj, options, lines):
    """autodoc-process-docstring: without pybind11's first line, which is a signature.

    Napoleon takes what stands before a colon in an attribute's first line for its type: it gets an
    empty comment there.
    """
    if lines and what in ("attribute", "data", "property"):
        lines[:0] = ["..", ""]
    if lines and "->" in lines[0] and lines[0].startswith(name.rpartition(".")[2] + "("):
        del lines[:2]


def plain_builtins(app, doctree):
    """doctree-read: in the phrase "str or Device", str is no attribute of ours of that name."""
    for node in list(doctree.findall(pending_xref)):
        if node.get("refdomain") == "py" and node["reftarget"] in vars(builtins):
            node.replace_self(node.children)


def setup(app):
    """Connect all."""
    app.connect("doctree-read", plain_builtins)
    app.connect("autodoc-process-signature", signature)
    app.connect("autodoc-process-docstring", docstring, priority=400)
    return {"parallel_read_safe": True}
