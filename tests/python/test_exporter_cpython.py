"""CPython's own tests of PEP 688, from the running interpreter, with every class a dv.Exporter."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
import unittest

import pytest

import devview as dv

if sys.version_info < (3, 12):
    pytest.skip(
        "missing: CPython's tests of PEP 688 (3.12); test_exporter.py has their cases",
        allow_module_level=True,
    )
test_buffer = pytest.importorskip("test.test_buffer", reason="missing: CPython's test package")

# What the interpreter's own slots do and Exporter's do not, each with the reason.
OTHERWISE = {
    "test_bad_buffer_method": "a __buffer__(self) without flags is one of the spellings",
}


class WithExporter(ast.NodeTransformer):
    """Adds dv.Exporter as the last base of every class inside a function."""

    def visit_ClassDef(self, node):
        self.generic_visit(node)
        if node.name != "TestPythonBufferProtocol":
            node.bases.append(ast.Name("Exporter", ast.Load()))
        return node


def converted(cls):
    """Give the test case with its classes below dv.Exporter."""
    tree = WithExporter().visit(ast.parse(textwrap.dedent(inspect.getsource(cls))))
    names = {**vars(test_buffer), "Exporter": dv.Exporter}
    exec(compile(ast.fix_missing_locations(tree), "<test_buffer>", "exec"), names)
    case = names[cls.__name__]
    case.__test__ = False  # run below, one test each
    return case


CASE = converted(test_buffer.TestPythonBufferProtocol)
NAMES = unittest.defaultTestLoader.getTestCaseNames(CASE)


@pytest.mark.parametrize("name", NAMES)
def test_case_of_cpython(name):
    result = unittest.TestResult()
    CASE(name).run(result)
    if result.skipped:
        pytest.skip(f"missing: {result.skipped[0][1]}")
    failed = [text for _, text in result.errors + result.failures]
    assert bool(failed) == (name in OTHERWISE), "\n".join(failed)


def test_the_classes_really_were_exporters():
    assert len(NAMES) > 15
    source = ast.unparse(
        WithExporter().visit(
            ast.parse(textwrap.dedent(inspect.getsource(test_buffer.TestPythonBufferProtocol)))
        )
    )
    assert source.count("Exporter") > 15
