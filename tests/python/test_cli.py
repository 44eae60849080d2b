"""``python -m devview``: the commands but for the demo, which has its own tests."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import devview as dv


def devview(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "devview", *arguments],
        env={**os.environ, "DEVVIEW_EMULATE_CUDA": "", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_version():
    result = devview("--version")
    assert result.returncode == 0
    assert result.stdout == f"devview {dv.__version__}\n"
    assert re.fullmatch(r"\d+\.\d+\.\d+", dv.__version__)


def test_help_names_the_commands():
    result = devview("--help")
    assert result.returncode == 0
    assert "demo" in result.stdout
    assert "info" in result.stdout


def test_no_command_is_a_usage_error():
    result = devview()
    assert result.returncode == 2
    assert "COMMAND" in result.stderr


def test_unknown_command_is_a_usage_error():
    result = devview("frobnicate")
    assert result.returncode == 2
    assert "frobnicate" in result.stderr


def test_info_needs_no_driver():
    result = devview("info", CUDA_VISIBLE_DEVICES="")
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    told = dict(
        line.split(maxsplit=1)
        for line in result.stdout.splitlines()
        if line[0] != " " and len(line.split()) > 1
    )
    assert told["devview"].startswith(dv.__version__)
    assert told["devices"] == "cpu"
    assert "emulate" in told["runtime"]


def test_info_shows_emulated_devices():
    result = devview("info", DEVVIEW_EMULATE_CUDA="2")
    assert result.returncode == 0, result.stderr
    assert re.search(r"devices +cpu, cuda:0 \(emulated\), cuda:1 \(emulated\)", result.stdout)
    assert "no GPU is used" in result.stdout


def test_info_lists_protocols_both_ways():
    told = devview("info").stdout
    assert re.search(r"buffer protocol +import and export", told)
    assert re.search(r"__array_interface__ +import", told)


def test_info_shows_the_pinned_limit():
    assert "limit 12,345,678 " in devview("info", DEVVIEW_PINNED_LIMIT="12345678").stdout


def test_reader_that_goes_away_gets_no_traceback():
    with subprocess.Popen(
        [sys.executable, "-m", "devview", "info"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 1
