"""CPython's own tests of memoryview, loaded from the running interpreter with View in its place.

Only names inside the loaded module change: its `memoryview` is `dv.View`, and what a deviation
names is replaced in its syntax tree. The interpreter's modules stay as they are.
"""

from __future__ import annotations

import ast
import builtins
import importlib.util
import os
import random
import types
import unittest
from pathlib import Path

import pytest

import devview as dv
from cpython_deviations import DEVIATIONS, Deviation

SUITES = ("test_memoryview", "test_buffer")


def missing() -> str | None:
    """Name what this interpreter lacks to run the suites."""
    names = (*(f"test.{suite}" for suite in SUITES), "_testbuffer", "_testcapi", "ctypes")
    for name in names:
        try:
            found = importlib.util.find_spec(name)
        except ModuleNotFoundError:
            found = None
        if found is None:
            return name
    return None


def require() -> None:
    """Skip the calling module, naming what is missing; in CI nothing may be missing."""
    lacking = missing()
    if lacking is None:
        return
    told = f"missing: {lacking}, of CPython's own test suite (Debian: libpython3.x-testsuite)"
    if os.environ.get("CI"):
        raise ModuleNotFoundError(told)
    pytest.skip(told, allow_module_level=True)


class ExactMemoryview(ast.NodeTransformer):
    """PEP 688 wants nothing but a memoryview from `__buffer__`: there the name keeps its meaning.

    `ndarray.tostring` went in NumPy 2.3; CPython 3.12's copy of these tests says `tobytes`.
    """

    def visit_FunctionDef(self, node):
        if node.name == "__buffer__":
            for name in ast.walk(node):
                if isinstance(name, ast.Name) and name.id == "memoryview":
                    name.id = "exact_memoryview"
        return self.generic_visit(node)

    def visit_Attribute(self, node):
        if node.attr == "tostring":
            node.attr = "tobytes"
        return self.generic_visit(node)


class Adapted(ast.NodeTransformer):
    """Replaces the statements that deviations name, and counts them."""

    def __init__(self, deviations):
        self.at = []
        self.deviations = deviations
        self.seen = dict.fromkeys(deviations, 0)

    def inside(self, node):
        self.at.append(node.name)
        result = self.generic_visit(node)
        self.at.pop()
        return result

    visit_ClassDef = visit_FunctionDef = inside  # noqa: N815

    def statement(self, node):
        for deviation in self.deviations:
            if deviation.function == ".".join(self.at) and same_code(node, deviation.expects):
                instead = deviation.instead[self.seen[deviation]]
                self.seen[deviation] += 1
                if instead is not None:
                    return [ast.copy_location(new, node) for new in ast.parse(instead).body]
        return self.generic_visit(node)

    visit_Expr = visit_With = statement  # noqa: N815


def same_code(node: ast.stmt, text: str) -> bool:
    """Compare a statement with source text, whatever their layout."""
    return ast.dump(node) == ast.dump(ast.parse(text).body[0])


def deviations_of(suite: str) -> tuple[Deviation, ...]:
    """Return those of one suite that this interpreter's version of it has."""
    return tuple(d for d in DEVIATIONS if d.suite == suite and d.applies())


def load(suite: str, deviations=None, standing_in=dv.View) -> types.ModuleType:
    """Execute a fresh copy of `test.<suite>`; every deviation must find all its statements."""
    deviations = deviations_of(suite) if deviations is None else deviations
    path = Path(importlib.util.find_spec(f"test.{suite}").origin)
    tree = ExactMemoryview().visit(ast.parse(path.read_text(encoding="utf-8")))
    adapted = Adapted(deviations)
    tree = ast.fix_missing_locations(adapted.visit(tree))
    for deviation, seen in adapted.seen.items():
        assert seen == len(deviation.instead), f"{seen} times in {path}: {deviation}"
    module = types.ModuleType(f"cpython_{suite}")
    module.__file__ = str(path)
    module.memoryview = standing_in
    module.exact_memoryview = builtins.memoryview
    exec(compile(tree, str(path), "exec"), vars(module))
    return module


def cases(module: types.ModuleType) -> dict[str, unittest.TestCase]:
    """Return the module's test cases by `Class.method`."""
    suite = unittest.defaultTestLoader.loadTestsFromModule(module)
    return {case.id().partition(".")[2]: case for group in suite for case in group}


def run(case: unittest.TestCase) -> unittest.TestResult:
    """Run one case with random numbers of its own, the same in every run."""
    state = random.getstate()
    random.seed(case.id())
    try:
        result = unittest.TestResult()
        case.run(result)
        return result
    finally:
        random.setstate(state)


def problems(result: unittest.TestResult) -> str:
    """Return the tracebacks of a result, empty if the case passed or was skipped."""
    return "\n".join(text for _, text in result.failures + result.errors)
