"""Two extension modules, built apart, in one process: one allocation, one release."""

from __future__ import annotations

import gc
import importlib.util
import shutil
import sysconfig
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import devview as dv
from built_once import built_once
from clients.contract import require
from outsiders import PACKAGE, ROOT, compiler, folder, run
from support import CUDA_DEVICES

pytestmark = [pytest.mark.native, pytest.mark.timeout(600)]

SOURCE = ROOT / "tests" / "extension" / "shared_views.cpp"


def clang() -> str | None:
    """Return a clang++; none is no fault: the two modules are then built by one compiler."""
    return next(filter(None, map(shutil.which, ("clang++", "clang++-14"))), None)


def module_file(name, work):
    return work / (name + sysconfig.get_config_var("EXT_SUFFIX"))


def build(name, program, work):
    """Compile the source as module `name`."""
    run(
        *(program, "-std=c++20", "-O1", "-fPIC", "-shared", "-fvisibility=hidden"),
        *(f"-DMODULE={name}", SOURCE, "-o", module_file(name, work)),
        *("-isystem", require("pybind11", "pybind11").get_include()),
        *("-isystem", sysconfig.get_path("include")),
        *("-I", folder("--include-dir"), "-L", PACKAGE, "-ldevview_cuda", "-ldevview_core"),
    )


def load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build both at once, the second with clang where it is."""
    folder("--include-dir")
    programs = {"first": compiler(), "second": clang() or compiler()}

    def build_both(work):
        with ThreadPoolExecutor() as pool:
            list(pool.map(lambda item: build(*item, work), programs.items()))

    work = built_once(tmp_path_factory, "modules", build_both)
    return {name: load(name, module_file(name, work)) for name in programs}


@pytest.fixture(params=["first to second", "second to first"])
def pair(request, built):
    one, _, other = request.param.partition(" to ")
    return built[one], built[other]


def test_modules_are_of_two_compilers(built):
    if clang() is None:
        pytest.skip("missing: clang++")
    assert "Clang" in built["second"].compiler
    assert "Clang" not in built["first"].compiler


def test_view_goes_from_one_to_the_other_and_back(pair):
    maker, user = pair
    view = maker.make(10)
    assert user.sum(view) == 45
    part = user.every_other(view)
    assert part.tolist() == [0, 2, 4, 6, 8]
    assert part.ptr == view.ptr
    assert maker.sum(part) == 20


def test_allocation_is_one(pair):
    maker, user = pair
    view = maker.make(10)
    part = user.every_other(view)
    assert maker.allocation(view) == user.allocation(view) == user.allocation(part)
    assert view.allocation is part.allocation
    before = maker.views(view)
    user.keep(view)
    assert maker.views(view) == user.views(view) == before + 1
    user.drop()
    assert maker.views(view) == before


def test_memory_is_given_back_once_by_the_last_holder(pair):
    maker, user = pair
    counts = maker.releases(), user.releases()
    view = maker.make(10)
    user.keep(user.every_other(view))
    view.release()
    gc.collect()
    assert (maker.releases(), user.releases()) == counts
    assert user.kept().tolist() == [0, 2, 4, 6, 8]
    user.drop()
    assert (maker.releases(), user.releases()) == (counts[0] + 1, counts[1])


def test_both_hold_one_block_and_one_lets_go(pair):
    maker, user = pair
    count = maker.releases()
    view = maker.make(3)
    maker.keep(view)
    user.keep(view)
    del view
    maker.drop()
    assert maker.releases() == count
    user.drop()
    assert maker.releases() == count + 1


@pytest.mark.parametrize("device", ["cpu", CUDA_DEVICES[-1], "pinned", "managed"])
def test_memory_of_a_device(pair, device):
    maker, user = pair
    live = dv.memory_info(device).live_bytes
    view = maker.allocate(8, device)
    assert dv.memory_info(device).live_bytes == live + 64
    view.copy_from(np.arange(8.0))
    user.keep(user.every_other(view))
    view.release()
    assert dv.memory_info(device).live_bytes == live + 64
    assert user.kept().to("cpu").tolist() == [0, 2, 4, 6]
    user.drop()
    assert dv.memory_info(device).live_bytes == live


def test_array_goes_to_both(pair):
    one, other = pair
    array = np.arange(6.0)
    one.keep(dv.view(array))
    assert other.sum(one.kept()) == other.sum(array) == 15
    one.drop()


def test_errors_of_the_library_are_one_class(pair):
    maker, user = pair
    view = maker.make(2)
    assert maker.catches(view)
    assert user.catches(view)
    with pytest.raises(dv.LayoutError, match="axis 7"):
        user.refuse(view)
