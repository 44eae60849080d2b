#!/usr/bin/env python3
"""What the compiler made of the kernels: registers, spills, stack, and accesses of 128 bits.

    python cuda/kernels/report.py                        # compiles cuda/kernels/*.cu
    python cuda/kernels/report.py --arch 75,90 FILE...   # .cu, .cubin, or a library or object
    python cuda/kernels/report.py --json

Fails (1) on any spill or stack frame, and where a kernel that is there to move 16 bytes at a time
has no access of 128 bits; 2 where a tool is missing. nvcc is the toolkit's; cuobjdump too, or
PyPI's nvidia-cuda-cuobjdump with nvidia-cuda-nvdisasm.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ARCHITECTURES = "75,90,120"

# A kernel whose mangled name holds the key needs so many (loads, stores) of 128 bits; "either": one
# of the two. Fills load nothing, comparisons store nothing but a flag.
WIDE = [
    (re.compile(r"StridedFill.*Unit16"), "stores"),
    (re.compile(r"StridedCompare.*Unit16"), "loads"),
    (re.compile(r"Unit16"), "both"),
    (re.compile(r"PairCast"), "either"),
]


class ToolError(Exception):
    """A tool is missing or failed."""


@dataclasses.dataclass
class Kernel:
    """One kernel's machine code for one architecture."""

    name: str
    arch: str
    registers: int = 0
    stack: int = 0
    shared: int = 0
    spilled: int = 0  # bytes, as ptxas tells them
    local: int = 0  # accesses to local memory in the machine code
    loads: int = 0  # of 128 bits, of global memory
    stores: int = 0
    code: int = 0  # bytes

    def faults(self) -> list[str]:
        """Return what is wrong with it."""
        found = []
        if self.spilled:
            found.append(f"spills {self.spilled} bytes")
        if self.local:
            found.append(f"{self.local} accesses to local memory")
        if self.stack:
            found.append(f"a stack frame of {self.stack} bytes")
        return found + self.narrow()

    def narrow(self) -> list[str]:
        """Return which wide accesses are missing."""
        need = next((need for key, need in WIDE if key.search(self.name)), None)
        if need == "either":
            return [] if self.loads or self.stores else ["no 128-bit access"]
        missing = []
        if need in ("loads", "both") and not self.loads:
            missing.append("no 128-bit load")
        if need in ("stores", "both") and not self.stores:
            missing.append("no 128-bit store")
        return missing


def find_tool(name: str) -> str:
    """Return the tool's path: CUDA_HOME, PATH, the toolkit's usual place, or PyPI's wheels."""
    places = [
        Path(os.environ[key]) / "bin" for key in ("CUDA_HOME", "CUDA_PATH") if key in os.environ
    ]
    places.append(Path("/usr/local/cuda/bin"))
    for scheme in ("purelib", "platlib"):
        places += Path(sysconfig.get_path(scheme)).glob("nvidia/*/bin")
    found = shutil.which(name) or next(
        (str(p / name) for p in places if (p / name).is_file()), None
    )
    if not found:
        raise ToolError(
            f"{name}: not found (the CUDA toolkit has it, or PyPI's nvidia-cuda-{name})"
        )
    return found


def run(*command: object) -> str:
    """Return what the command printed, on both streams."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        raise ToolError(f"{Path(str(command[0])).name}: {done.stderr.strip()[-2000:]}")
    return done.stdout + done.stderr


def compile_kernels(source: Path, arch: str, folder: Path) -> tuple[Path, str]:
    """Return the source's machine code for one architecture, and what ptxas said."""
    cubin = folder / f"{source.stem}.sm_{arch}.cubin"
    includes = [ROOT / "cuda", ROOT / "cuda/include", ROOT / "core/include"]
    options = ["-std=c++17", "-O3", "--expt-relaxed-constexpr", "-Xptxas", "-v", "-cubin"]
    said = run(
        find_tool("nvcc"), *options, *(f"-I{path}" for path in includes),
        f"-arch=sm_{arch}", source, "-o", cubin,
    )  # fmt: skip
    return cubin, said


def assemble(ptx: Path, arch: str, folder: Path) -> tuple[Path, str]:
    """As compile_kernels()."""
    cubin = folder / f"{ptx.stem}.sm_{arch}.cubin"
    return cubin, run(find_tool("ptxas"), "-v", f"-arch=sm_{arch}", ptx, "-o", cubin)


def extract(binary: Path, archs: list[str], folder: Path) -> list[tuple[Path, str]]:
    """Return the machine code in a library or object; where it holds none, its PTX, assembled."""
    cuobjdump = find_tool("cuobjdump")
    place = Path(tempfile.mkdtemp(dir=folder))
    for kind in ("-xelf", "-xptx"):
        subprocess.run([cuobjdump, kind, "all", binary.resolve()], cwd=place, capture_output=True)
        if kind == "-xelf" and (cubins := sorted(place.glob("*.cubin"))):
            return [(cubin, "") for cubin in cubins]
    found = [(ptx, arch) for ptx in sorted(place.glob("*.ptx")) for arch in archs]
    if not found:
        raise ToolError(f"{binary}: holds no kernels")
    return [assemble(ptx, arch, place) for ptx, arch in found]


def spilled_bytes(said: str) -> dict[str, int]:
    """Read `ptxas -v`: bytes of spill stores and loads by kernel."""
    spilled: dict[str, int] = {}
    name = ""
    for line in said.splitlines():
        if match := re.search(r"Compiling entry function '(\S+)'", line):
            name = match[1]
        elif match := re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", line):
            spilled[name] = int(match[1]) + int(match[2])
    return spilled


def read_usage(kernels: dict[str, Kernel], arch: str, text: str) -> None:
    """Read `cuobjdump -res-usage`."""
    name = ""
    for line in text.splitlines():
        if match := re.match(r"\s*Function (\S+):$", line):
            name = match[1]
        elif match := re.search(r"REG:(\d+) STACK:(\d+) SHARED:(\d+)", line):
            numbers = (int(number) for number in match.groups())
            kernels[name] = Kernel(name, arch, *numbers)


def read_code(kernels: dict[str, Kernel], text: str) -> None:
    """Read `cuobjdump -sass`: which memory each instruction touches, and how wide."""
    kernel = None
    for line in text.splitlines():
        if match := re.search(r"Function : (\S+)", line):
            kernel = kernels.get(match[1])
        match = re.match(r"\s*/\*([0-9a-f]+)\*/\s+(?:@!?\w+\s+)?([A-Z][\w.]*)", line)
        if not match or kernel is None:
            continue
        kernel.code = int(match[1], 16) + 16
        operation = match[2].split(".")
        if operation[0] in ("LDL", "STL"):
            kernel.local += 1
        elif operation[0] in ("LDG", "LD") and "128" in operation:
            kernel.loads += 1
        elif operation[0] in ("STG", "ST") and "128" in operation:
            kernel.stores += 1


def read_cubin(cubin: Path, said: str) -> list[Kernel]:
    """Return the kernels of one file of machine code."""
    cuobjdump = find_tool("cuobjdump")
    code = run(cuobjdump, "-sass", cubin)
    arch = re.search(r"code for (sm_\w+)", code)
    kernels: dict[str, Kernel] = {}
    read_usage(kernels, arch[1] if arch else "?", run(cuobjdump, "-res-usage", cubin))
    read_code(kernels, code)
    for name, nbytes in spilled_bytes(said).items():
        if name in kernels:
            kernels[name].spilled = nbytes
    return list(kernels.values())


def read_file(path: Path, archs: list[str], folder: Path) -> list[Kernel]:
    """Return the kernels of a source, of machine code, or of a library or object."""
    if path.suffix == ".cu":
        made = [compile_kernels(path, arch, folder) for arch in archs]
    elif path.suffix == ".cubin":
        made = [(path, "")]
    else:
        made = extract(path, archs, folder)
    return [kernel for cubin, said in made for kernel in read_cubin(cubin, said)]


NOISE = re.compile(
    r"^void |\(anonymous namespace\)::|devview::(cuda::kernels::)?|\(unsigned long\)"
    r"|\(devview[^)]*\)|(?<=\d)ul\b|std::"
)
ARGUMENTS = re.compile(r"\((?:unsigned int, |const|devview::\S+Transpose).*\)$")


def plain_names(names: list[str]) -> dict[str, str]:
    """Return the names demangled and without what all share, where c++filt is there."""
    if not shutil.which("c++filt"):
        return {name: name for name in names}
    done = subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True)
    plain = done.stdout.splitlines()
    return {
        name: NOISE.sub("", ARGUMENTS.sub("", text))
        for name, text in zip(names, plain, strict=True)
    }


def print_table(kernels: list[Kernel]) -> None:
    """Print a line for each kernel and architecture."""
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        print("report: no table without rich (pip install rich); --json works", file=sys.stderr)
        return

    table = Table(title="Kernels", row_styles=["", "dim"])
    table.add_column("kernel", overflow="fold")
    for heading in (
        "arch",
        "registers",
        "spilled",
        "stack",
        "shared",
        "loads 128",
        "stores 128",
        "code",
    ):
        table.add_column(heading, justify="right")
    table.add_column("faults", style="bold red")
    names = plain_names(sorted({kernel.name for kernel in kernels}))
    for k in sorted(
        kernels, key=lambda kernel: (names[kernel.name], len(kernel.arch), kernel.arch)
    ):
        numbers = (k.registers, k.spilled, k.stack, k.shared, k.loads, k.stores, k.code)
        table.add_row(names[k.name], k.arch, *map(str, numbers), "; ".join(k.faults()))
    console = Console()
    if not console.is_terminal:
        console = Console(width=180)
    console.print(table)


def summary(kernels: list[Kernel]) -> str:
    """Return a line for each architecture."""
    lines = []
    for arch in sorted({kernel.arch for kernel in kernels}, key=lambda arch: (len(arch), arch)):
        of = [kernel for kernel in kernels if kernel.arch == arch]
        faulty = sum(bool(kernel.faults()) for kernel in of)
        lines.append(
            f"{arch}: {len(of)} kernels, {sum(kernel.code for kernel in of)} bytes of code, "
            f"at most {max(kernel.registers for kernel in of)} registers, {faulty} at fault"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Report, and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
    parser.add_argument(
        "--arch", default=ARCHITECTURES, help=f"of sources and PTX ({ARCHITECTURES})"
    )
    parser.add_argument(
        "--json", action="store_true", help="one object per kernel and architecture"
    )
    options = parser.parse_args(arguments)
    files = options.files or sorted((ROOT / "cuda/kernels").glob("*.cu"))
    try:
        with tempfile.TemporaryDirectory() as folder:
            kernels = [
                kernel
                for path in files
                for kernel in read_file(path, options.arch.split(","), Path(folder))
            ]
    except ToolError as error:
        print(f"report: {error}", file=sys.stderr)
        return 2
    if not kernels:
        print("report: no kernels", file=sys.stderr)
        return 2
    if options.json:
        rows = [{**dataclasses.asdict(kernel), "faults": kernel.faults()} for kernel in kernels]
        print(json.dumps(rows, indent=1))
    else:
        print_table(kernels)
        print(summary(kernels))
    return 1 if any(kernel.faults() for kernel in kernels) else 0


if __name__ == "__main__":
    sys.exit(main())
