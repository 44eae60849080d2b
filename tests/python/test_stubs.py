"""The stubs say what the native module has: the same names, members and parameters."""

from __future__ import annotations

import ast
import importlib.util
import inspect
from pathlib import Path
from typing import NamedTuple

import pytest

import devview as dv
from devview import _devview, _types

PACKAGE = Path(dv.__file__).parent
STUB = ast.parse((PACKAGE / "_devview.pyi").read_text(encoding="utf-8"))

# Type checkers need these spelled out; the types have them as slots without a name of their own.
SLOTS = {"__iter__", "__contains__", "__buffer__"}
# The C signature (*args, **kwargs) says nothing: their docstrings and behaviour tests do.
UNTOLD = {"View.hex", "View.transpose", "View.reshape"}


class Parameter(NamedTuple):
    name: str
    kind: str
    optional: bool


def is_public(name):
    return not name.startswith("_")


def stub_nodes(body):
    """Return what a stub's body defines, by name."""
    nodes = {}
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            nodes[node.name] = node
        elif isinstance(node, ast.AnnAssign):
            nodes[node.target.id] = node
    return nodes


NODES = stub_nodes(STUB.body)
CLASSES = {name: node for name, node in NODES.items() if isinstance(node, ast.ClassDef)}
NATIVE_CLASSES = {name: node for name, node in CLASSES.items() if hasattr(_devview, name)}


def parameters_of_node(node):
    """Return the parameters of an ast.FunctionDef, without self or cls."""
    arguments = node.args
    positional = [*arguments.posonlyargs, *arguments.args]
    kinds = ["positional"] * len(arguments.posonlyargs) + ["either"] * len(arguments.args)
    required = len(positional) - len(arguments.defaults)
    told = [
        Parameter(argument.arg, kind, i >= required)
        for i, (argument, kind) in enumerate(zip(positional, kinds, strict=True))
    ]
    if arguments.vararg:
        told.append(Parameter(arguments.vararg.arg, "many", True))
    told += [
        Parameter(argument.arg, "keyword", default is not None)
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    ]
    return [parameter for parameter in told if parameter.name not in ("self", "cls")]


def parameters_at_runtime(function):
    """Return the parameters as the docstring's first line tells them, pybind11's or C's."""
    line = (function.__doc__ or "").partition("\n")[0]
    if "->" in line:
        return parameters_of_node(ast.parse(f"def {line.partition('->')[0]}: ...").body[0])
    kinds = {"POSITIONAL_ONLY": "positional", "POSITIONAL_OR_KEYWORD": "either"}
    return [
        Parameter(p.name, kinds.get(p.kind.name, "keyword"), p.default is not p.empty)
        for p in inspect.signature(function).parameters.values()
        if p.name != "self"
    ]


def functions():
    """Return (qualified name, runtime function, stub) of every function and public method."""
    for name, node in NODES.items():
        if isinstance(node, ast.FunctionDef):
            yield name, node
        elif name in NATIVE_CLASSES:
            for member, inner in stub_nodes(node.body).items():
                if not isinstance(inner, ast.FunctionDef) or inner.decorator_list:
                    continue
                if is_public(member) and f"{name}.{member}" not in UNTOLD:
                    yield f"{name}.{member}", inner


def test_package_is_typed():
    assert (PACKAGE / "py.typed").exists()


def test_module_and_stub_have_the_same_names():
    runtime = {name for name in vars(_devview) if is_public(name)}
    assert {name for name in NODES if is_public(name)} == runtime


# Written in Python, with annotations of their own.
PYTHON = {"BufferFlags", "Exporter", "allocator"}


def test_every_exported_name_is_in_the_stub():
    assert set(dv.__all__) <= {*NODES} | PYTHON
    assert all(getattr(dv, name).__module__.startswith("devview._") for name in PYTHON)
    assert len(dv.__all__) == len(set(dv.__all__))
    modules = {name for name in vars(dv) if inspect.ismodule(vars(dv)[name])}
    public = {name for name in vars(dv) if is_public(name)} - modules - {"TYPE_CHECKING"}
    assert public | {"__version__"} == set(dv.__all__)


@pytest.mark.parametrize("name", [*NATIVE_CLASSES])
def test_class_and_stub_have_the_same_members(name):
    runtime = getattr(_devview, name)
    stub = stub_nodes(NATIVE_CLASSES[name].body)
    if issubclass(runtime, Exception):
        # Their attributes belong to instances: a test of its own below.
        stub = {
            member: node for member, node in stub.items() if not isinstance(node, ast.AnnAssign)
        }
        members = set()
    else:
        members = {member for member in vars(runtime) if is_public(member)}
    assert {member for member in stub if is_public(member)} == members
    special = {member for member in stub if not is_public(member)} - SLOTS
    assert {member for member in special if not hasattr(runtime, member)} == set()


@pytest.mark.parametrize("name", [*NATIVE_CLASSES])
def test_bases_are_those_of_the_stub(name):
    told = [base.id for base in NATIVE_CLASSES[name].bases]
    bases = [base.__name__ for base in getattr(_devview, name).__bases__]
    assert [base for base in bases if base not in ("object", "pybind11_object")] == told


@pytest.mark.parametrize("name", [*NATIVE_CLASSES])
def test_attributes_are_properties_and_methods_are_not(name):
    runtime = vars(getattr(_devview, name))
    for member, node in stub_nodes(NATIVE_CLASSES[name].body).items():
        if not is_public(member) or isinstance(node, ast.AnnAssign):
            continue
        is_property = any(getattr(d, "id", "") == "property" for d in node.decorator_list)
        assert inspect.isdatadescriptor(runtime[member]) == is_property, member


@pytest.mark.parametrize(
    ("name", "node"), [*functions()], ids=lambda x: x if type(x) is str else ""
)
def test_parameters_are_those_of_the_stub(name, node):
    function = _devview
    for part in name.split("."):
        function = getattr(function, part)
    assert parameters_of_node(node) == parameters_at_runtime(function)


@pytest.mark.parametrize("name", ["Allocation", "Device", "Event", "Format", "Stream", "View"])
def test_native_constructors_are_those_of_the_stub(name):
    node = stub_nodes(CLASSES[name].body)["__new__"]
    assert parameters_of_node(node) == parameters_at_runtime(getattr(_devview, name))


@pytest.mark.parametrize("name", sorted(UNTOLD))
def test_methods_that_tell_no_signature_exist(name):
    owner, member = name.split(".")
    assert callable(getattr(getattr(_devview, owner), member))


def raised(use):
    with pytest.raises(dv.Error) as caught:
        use()
    return caught.value


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("FormatError", lambda: dv.empty(1, "~")),
        ("DeviceError", lambda: dv.Device("gpu:x")),
        ("OutOfMemory", lambda: dv.empty(1 << 62)),
    ],
)
def test_attributes_of_errors(name, use):
    error = raised(use)
    assert isinstance(error, getattr(dv, name))
    told = {n: node.annotation.id for n, node in stub_nodes(CLASSES[name].body).items()}
    assert {n: type(getattr(error, n)).__name__ for n in told} == told


def test_stub_module_is_the_native_module():
    spec = importlib.util.find_spec("devview._devview")
    assert Path(spec.origin).parent == PACKAGE


def test_records_have_the_fields_that_the_native_part_fills():
    assert isinstance(dv.memory_info("cpu"), _types.MemoryInfo)
    with dv.empty(3) as v:
        row = next(row for row in dv.live() if row.ptr == v.ptr)
    assert isinstance(row, _types.LiveAllocation)
    assert all(type(figure) is int for figure in dv.memory_info("cpu"))
