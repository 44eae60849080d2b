"""Which lines of cuda/ were never executed: ``python tests/coverage_report.py BUILD [--list]``.

Reads gcov's counters of an instrumented build with gcovr. A line is missed if no test executes it
and tests/uncovered.txt does not list it; a listed line that a test does execute is told, too. Of a
line that only closes a scope nothing but unwinding is counted: it is left out. ``--list`` prints
what is missed in the form of that file.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LISTED = ROOT / "tests" / "uncovered.txt"


def executed(build: Path) -> dict[str, dict[int, int]]:
    """Count, per file of cuda/, how often each line with code ran."""
    # Of nvcc's own intermediate files gcov finds no sources.
    ignored = "--gcov-ignore-errors=no_working_dir_found"
    command = [sys.executable, "-m", "gcovr", ignored, "--gcov-suspicious-hits-threshold=0"]
    command += ["--root", str(ROOT), "--filter", "cuda/", "--json", "-"]
    report = subprocess.run(
        [*command, "-j", "2", str(build)], capture_output=True, text=True, check=True
    )
    counts = {}
    for entry in json.loads(report.stdout)["files"]:
        lines = counts.setdefault(entry["file"], {})
        text = (ROOT / entry["file"]).read_text().splitlines()
        # A template's line comes once for each instance.
        for line in entry["lines"]:
            number = line["line_number"]
            if set(text[number - 1].strip()) <= set("});,"):
                continue
            lines[number] = max(lines.get(number, 0), line["count"])
    return counts


def listed() -> dict[tuple[str, str], str]:
    """Read the reasons: ``# reason`` rules the lines ``file: text of the line`` that follow."""
    reasons, reason = {}, ""
    for entry in LISTED.read_text().splitlines():
        if entry.startswith("#"):
            reason = entry[1:].strip()
        elif entry.strip():
            file, _, text = entry.partition(": ")
            reasons[file, text.strip()] = reason
    return reasons


def main() -> int:
    """Print the table of files, then each missed line; 1 if there is one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=Path)
    parser.add_argument("--list", action="store_true", help="missed lines in the list's form")
    options = parser.parse_args()
    counts, reasons = executed(options.build), listed()
    total = sum(len(lines) for lines in counts.values())
    ran = sum(count > 0 for lines in counts.values() for count in lines.values())
    missed, used = [], set()
    for file, lines in sorted(counts.items()):
        text = (ROOT / file).read_text().splitlines()
        for number, count in sorted(lines.items()):
            if count:
                continue
            key = (file, text[number - 1].strip())
            used.add(key)
            if key not in reasons:
                missed.append((file, number, key[1]))
    for file, number, text in missed:
        print(f"{file}: {text}" if options.list else f"{file}:{number}: {text}")
    for file, text in sorted(set(reasons) - used):
        print(f"listed, but executed or gone: {file}: {text}", file=sys.stderr)
    print(
        f"cuda/: {ran} of {total} lines in {len(counts)} files executed, "
        f"{total - ran - len(missed)} listed, {len(missed)} missed",
        file=sys.stderr,
    )
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
