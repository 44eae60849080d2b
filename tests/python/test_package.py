"""What an installation holds for C++ users, and how they find it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

import devview as dv
from outsiders import EXAMPLES, PACKAGE, ROOT, compiler, folder, run, tool

pytestmark = [pytest.mark.native, pytest.mark.timeout(600)]

# What stands below the package's folder beside Python files, the module and the headers.
WHEEL_FILES = {
    "libdevview_core.so",
    "libdevview_cuda.so",
    "py.typed",
    "share/cmake/devview/devview-core-release.cmake",
    "share/cmake/devview/devview-core.cmake",
    "share/cmake/devview/devview-cuda-release.cmake",
    "share/cmake/devview/devview-cuda.cmake",
    "share/cmake/devview/devviewConfig.cmake",
    "share/cmake/devview/devviewConfigVersion.cmake",
    "share/pkgconfig/devview-core.pc",
    "share/pkgconfig/devview-cuda.pc",
}
HEADERS = {".h", ".hpp", ".cuh"}

PROBE = """
cmake_minimum_required(VERSION 3.18)
project(probe LANGUAGES CXX)
foreach(asked "" core cuda core_static cuda_static gpu "core;gpu")
    find_package(devview CONFIG QUIET COMPONENTS ${asked})
    message(STATUS "[${asked}] ${devview_FOUND} ${devview_VERSION} ${devview_NOT_FOUND_MESSAGE}")
    set(devview_NOT_FOUND_MESSAGE "")
endforeach()
find_package(devview CONFIG QUIET COMPONENTS core OPTIONAL_COMPONENTS gpu)
message(STATUS "[optional] ${devview_FOUND} core ${devview_core_FOUND} gpu ${devview_gpu_FOUND}")
foreach(version 0.0 0.1 0.1.0 0.1.9 0.2 1.0)
    unset(devview_DIR CACHE)  # the answer to the question before
    find_package(devview ${version} CONFIG QUIET PATHS "${FOLDER}" NO_DEFAULT_PATH)
    message(STATUS "[${version}] ${devview_FOUND}")
endforeach()
"""


def answers(said: str) -> dict[str, str]:
    """Return what the probe says, by the question in brackets."""
    lines = (line.removeprefix("-- [") for line in said.splitlines() if line.startswith("-- ["))
    return {
        question: answer.strip() for question, answer in (line.split("] ", 1) for line in lines)
    }


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Ask for devview in every way, in one project."""
    source = tmp_path_factory.mktemp("probe")
    (source / "CMakeLists.txt").write_text(PROBE)
    return answers(
        run(
            tool("cmake"),
            *("-S", source, "-B", source / "build"),
            f"-Ddevview_DIR={folder('--cmake-dir')}",
            f"-DFOLDER={folder('--cmake-dir')}",
            f"-DCMAKE_CXX_COMPILER={compiler()}",
        )
    )


@pytest.mark.parametrize("component", ["", "core", "cuda"])
def test_shared_components_are_found(found, component):
    assert found[component] == f"1 {dv.__version__}"


@pytest.mark.parametrize("component", ["core_static", "cuda_static"])
def test_static_component_is_not_in_a_wheel(found, component):
    assert found[component].startswith(f"0 {dv.__version__} devview {dv.__version__}: component")
    assert f"'{component}' is not installed in " in found[component]
    assert "DEVVIEW_STATIC=ON" in found[component]


@pytest.mark.parametrize("asked", ["gpu", "core;gpu"])
def test_unknown_component_is_refused_by_name(found, asked):
    assert found[asked].endswith(
        "there is no component 'gpu', only core, cuda, core_static, cuda_static"
    )
    assert found[asked].startswith("0 ")


def test_optional_component_that_is_unknown_is_told(found):
    assert found["optional"] == "1 core TRUE gpu FALSE"


def test_version_of_another_minor_is_refused(found):
    versions = {
        version: found[version] for version in ("0.0", "0.1", "0.1.0", "0.1.9", "0.2", "1.0")
    }
    assert versions == {"0.0": "0", "0.1": "1", "0.1.0": "1", "0.1.9": "0", "0.2": "0", "1.0": "0"}


def test_command_line_prints_folders():
    assert folder("--cmake-dir") == PACKAGE / "share" / "cmake" / "devview"
    assert folder("--pkg-config-dir") == PACKAGE / "share" / "pkgconfig"
    assert (folder("--include-dir") / "devview" / "view.hpp").is_file()


def test_command_line_tells_of_a_build_tree(tmp_path):
    copy = tmp_path / "devview"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("share", "include", "conformance"))
    said = run(
        *(sys.executable, "-m", "devview", "--cmake-dir"),
        environment={"PYTHONPATH": str(tmp_path), "PYTHONSAFEPATH": "1"},
        code=1,
    )
    assert said == (
        f"python -m devview: no share/cmake/devview in {copy}: pip has not installed this devview\n"
    )


def test_every_file_of_the_package_is_known():
    include = folder("--include-dir")
    others = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*")
        if path.is_file()
        and path.suffix not in {".py", ".pyi", ".pyc"}
        and not path.name.startswith("_devview.")
        and include not in path.parents
    }
    assert others == WHEEL_FILES


def test_headers_are_those_of_devview_and_no_one_elses():
    include = folder("--include-dir")
    installed = {path.relative_to(include) for path in include.rglob("*") if path.is_file()}
    ours = {
        path.relative_to(ROOT / part / "include")
        for part in ("core", "cuda", "python")
        for path in (ROOT / part / "include").rglob("*")
        if path.suffix in HEADERS
    }
    assert installed == ours
    assert {path.parts[0] for path in installed} == {"devview"}


def test_no_file_names_the_folder_of_its_build():
    folder("--cmake-dir")
    found = [
        path
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix != ".pyc" and bytes(ROOT) in path.read_bytes()
    ]
    assert found == []


def test_entry_point_names_the_package():
    folder("--cmake-dir")
    from importlib.metadata import entry_points

    (entry,) = (entry for entry in entry_points(group="cmake.prefix") if entry.name == "devview")
    assert entry.load() is dv


def test_program_by_pkg_config(tmp_path):
    environment = {
        "PKG_CONFIG_PATH": str(folder("--pkg-config-dir")),
        "LD_LIBRARY_PATH": str(PACKAGE),
    }
    flags = run(
        tool("pkg-config", "pkgconf"), "--cflags", "--libs", "devview-cuda", environment=environment
    )
    program = tmp_path / "program"
    source = EXAMPLES / "host_program" / "main.cpp"
    run(compiler(), "-std=c++17", source, "-o", program, *flags.split())
    assert "item [1, 2] is 10" in run(program, environment=environment)


def test_pkg_config_files_are_relative_to_themselves(tmp_path):
    moved = tmp_path / "devview" / "share" / "pkgconfig"
    shutil.copytree(folder("--pkg-config-dir"), moved)
    flags = run(
        *(tool("pkg-config", "pkgconf"), "--cflags", "--libs", "devview-core"),
        environment={"PKG_CONFIG_PATH": str(moved)},
    ).split()
    assert Path(flags[0].removeprefix("-I")).resolve() == tmp_path / "devview" / "include"
    assert Path(flags[1].removeprefix("-L")).resolve() == tmp_path / "devview"
    assert flags[2:] == ["-ldevview_core"]
