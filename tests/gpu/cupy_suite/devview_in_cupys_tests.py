"""A pytest plugin for CuPy's own tests: devview's views stand where foreign arrays stand.

`python -m pytest -p devview_in_cupys_tests .../core_tests/test_dlpack.py` with this folder on
PYTHONPATH; `tests/gpu/test_cupy_suite.py` does that. Nothing of CuPy's tests is here: their modules
are imported as they are, and some of their names are replaced.

- test_dlpack.py: what `cupy.from_dlpack` imports is devview's view of it, and what arrays export
  by `__dlpack__` is devview's capsule.
- test_ndarray_cuda_array_interface.py: the dummies, and the arrays whose interface is looked at,
  are devview's views.
"""

from __future__ import annotations

import types

import cupy
import numpy as np
import pytest

import devview as dv

# Test and why devview is not asked the same.
DOES_NOT_APPLY = {
    "TestDLPackConversion": "toDlpack and fromDlpack are deprecated, CuPy to CuPy",
    "test_from_dlpack_and_conv_errors": "CuPy refuses to copy; devview copies",
    "test_stream_zero_legacy_compat": "CuPy takes stream 0 with a warning; devview refuses it",
    "test_multiple_consumption_error": "toDlpack and fromDlpack are deprecated, CuPy to CuPy",
    "test_stream_export": "CuPy tells its current stream; devview the memory's",
}

imported = {"views": 0}


def viewed(obj) -> dv.View:
    imported["views"] += 1
    return dv.view(obj)


class Through(cupy.ndarray):
    """An array that exports by devview."""

    def __dlpack__(self, **keywords):
        return viewed(self.view(cupy.ndarray)).__dlpack__(**keywords)

    def __dlpack_device__(self):
        return viewed(self.view(cupy.ndarray)).__dlpack_device__()


def through(array) -> Through:
    return array.view(Through)


def from_dlpack(obj, **keywords):
    """Import by devview, and CuPy from devview."""
    if isinstance(obj, Through):
        obj = obj.view(cupy.ndarray)
    view = dv.from_dlpack(getattr(obj, "capsule", obj))  # a capsule, or a dummy that holds one
    imported["views"] += 1
    return cupy.from_dlpack(view, **keywords)


class Random:
    """NumPy's numbers: cuRAND needs a library of its own."""

    randint = staticmethod(lambda *args, **kw: cupy.asarray(np.random.randint(*args, **kw)))
    rand = staticmethod(lambda *args: cupy.asarray(np.random.rand(*args)))
    random = staticmethod(lambda *args: cupy.asarray(np.random.random(*args)))


class Foreign:
    """What the array interface of a view is looked at through."""

    def __init__(self, array, version: int = 3, view: dv.View | None = None):
        self.stream = cupy.cuda.get_current_stream()
        self.view = viewed(array) if view is None else view
        self.version = version

    @property
    def __cuda_array_interface__(self) -> dict:
        told = self.view.__cuda_array_interface__ | {"version": self.version}
        if self.version < 3:
            del told["stream"]
            dv.Stream("cuda").wait(self.view)
            self.stream.synchronize()
        return told

    @property
    def data(self):
        return types.SimpleNamespace(ptr=self.view.ptr)

    def __getitem__(self, key) -> Foreign:
        return Foreign(None, self.version, self.view[key])


class Substitute(types.ModuleType):
    """A module with some names replaced."""

    def __init__(self, module, **names):
        super().__init__(module.__name__)
        self.__dict__.update(module=module, **names)

    def __getattr__(self, name):
        return getattr(self.module, name)


def replace_in_dlpack_tests(module) -> None:
    module.cupy = Substitute(
        cupy,
        from_dlpack=from_dlpack,
        random=Random,
        empty=lambda *args: through(cupy.empty(*args)),
        array=lambda *args, **kw: through(cupy.array(*args, **kw)),
    )
    made = module._gen_array
    module._gen_array = lambda dtype: through(made(dtype))


def replace_in_interface_tests(module) -> None:
    module.DummyObjectWithCudaArrayInterface = Foreign
    module.cupy = Substitute(cupy, zeros=lambda *args, **kw: Foreign(cupy.zeros(*args, **kw)))


REPLACE = {
    "test_dlpack": replace_in_dlpack_tests,
    "test_ndarray_cuda_array_interface": replace_in_interface_tests,
}


def pytest_collection_modifyitems(items):
    for module in {item.module for item in items}:
        REPLACE[module.__name__.rpartition(".")[2]](module)
    for item in items:
        for name, reason in DOES_NOT_APPLY.items():
            if name in item.nodeid:
                item.add_marker(pytest.mark.skip(reason=reason))


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(f"views of devview made: {imported['views']}")
