"""The emulated CPUs, and the Python that runs in them.

An emulator of user programs (qemu-user) runs a Python of the CPU's architecture. For the machine's
own architecture that is the Python that runs the check; for the other one it is Debian's, unpacked
into a folder with the wheels that PyPI publishes for it. Nothing is installed, no root is needed.
"""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from leanbert.errors import LeanBertError

ROOT = Path(__file__).resolve().parents[3]
SOURCES = (ROOT / "runtime", ROOT / "models")
ANSWERS = Path(__file__).with_name("answers.py")
WHEELS = ("numpy", "onnxruntime", "tokenizers")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

_SUITE, _PYTHON = "bookworm", "3.11"
_PACKAGES = (f"python{_PYTHON}-minimal", f"libpython{_PYTHON}-stdlib", "libstdc++6")
_DEBIAN = {"x86_64": "amd64", "aarch64": "arm64"}  # Linux's names: Debian's
_GLIBC = ("manylinux2014", "manylinux_2_27", "manylinux_2_28", "manylinux_2_34")
# The pytorch/cpuinfo library in onnxruntime's Arm wheel crashes on the host's x86 text, which
# qemu before 8.1 shows. Features come from the auxiliary vector, so any Arm core will do here.
_ARM_CPUINFO = """processor\t: 0
Features\t: fp asimd
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: 0xd08
CPU revision\t: 3

"""


class EmulationError(LeanBertError):
    """Something that emulation needs is missing; the message says what to install."""


@dataclass(frozen=True)
class Cpu:
    """A CPU that qemu knows."""

    machine: str
    """The architecture as Linux names it."""
    name: str
    """As ``qemu-… -cpu help`` lists it."""
    has: str
    """What matters for int8 matmuls."""
    since: tuple[int, int] = (0, 0)
    """The first release of qemu that computes it rightly, of those tried."""


CPUS = (
    Cpu("x86_64", "Nehalem", "SSE4.2, no AVX"),
    Cpu("x86_64", "Haswell-noTSX", "AVX2, no VNNI"),
    Cpu("aarch64", "cortex-a72", "NEON, no dot product"),
    Cpu("aarch64", "neoverse-n1", "dot product"),
    Cpu("aarch64", "neoverse-n2", "dot product, i8mm, SVE"),
    # qemu 7.2 computes SME wrongly, which onnxruntime's Arm kernels use
    Cpu("aarch64", "max", "dot product, i8mm, SVE, SME", since=(10, 0)),
)


@dataclass(frozen=True)
class Qemu:
    """One emulator: ``qemu-x86_64`` or ``qemu-aarch64``."""

    path: Path
    version: str
    cpus: frozenset[str]

    @classmethod
    def find(cls, machine: str, folder: Path | None) -> Qemu:
        """Find the emulator of an architecture in a folder, or on the PATH.

        Raises:
            EmulationError: there is none, or it does not start.
        """
        names = (f"qemu-{machine}", f"qemu-{machine}-static")
        found = [shutil.which(name, path=folder and str(folder)) for name in names]
        if not any(found):
            raise EmulationError(
                f"{names[0]}: not found in {folder or 'PATH'}; "
                "apt install qemu-user, or give --qemu-dir"
            )
        path = Path(next(filter(None, found)))
        version = re.search(r"version (\S+)", output_of([path, "--version"]))
        names_of_cpus = output_of([path, "-cpu", "help"], fine=(0, 1)).split()  # 10.0 exits 1
        return cls(path, version.group(1) if version else "unknown", frozenset(names_of_cpus))

    def refuses(self, cpu: Cpu) -> str | None:
        """Say why this emulator cannot be trusted with a CPU; ``None`` if it can."""
        if cpu.name not in self.cpus:
            return f"qemu {self.version} does not know it"
        have = tuple(int(part) for part in re.findall(r"\d+", self.version)[:2])
        if have < cpu.since:
            wanted = ".".join(map(str, cpu.since))
            return f"qemu {self.version} computes it wrongly, {wanted} does not"
        return None


@dataclass(frozen=True)
class Interpreter:
    """A Python with LeanBERT's three libraries, for one architecture."""

    python: Path
    import_path: tuple[Path, ...]
    root: Path | None = None
    """The folder that stands for ``/``; ``None`` for this machine's own."""
    libraries: tuple[Path, ...] = ()
    """Where its shared libraries lie, seen from inside."""

    def command(
        self, words: Sequence[object], qemu: Qemu | None = None, cpu: str = ""
    ) -> list[str]:
        """Return the command that runs Python, in an emulated CPU if ``qemu`` is given."""
        found = [str(self.python), *map(str, words)]
        inside = {"PYTHONPATH": ":".join(map(str, self.import_path))}
        if qemu is None:
            return ["env", *(f"{name}={value}" for name, value in inside.items()), *found]
        if self.root:
            inside["LD_LIBRARY_PATH"] = ":".join(map(str, self.libraries))
        settings = [item for name, value in inside.items() for item in ("-E", f"{name}={value}")]
        prefix = ["-L", str(self.root)] if self.root else []
        return [str(qemu.path), "-cpu", cpu, *prefix, *settings, *found]


def own_interpreter() -> Interpreter:
    """Return the Python that runs this."""
    return Interpreter(Path(sys.executable), SOURCES)


def interpreter(machine: str, work: Path, versions: Mapping[str, str], mirror: str) -> Interpreter:
    """Return a Python for an architecture; another machine's is downloaded into ``work`` once.

    Args:
        machine: the architecture.
        work: a folder for downloads, kept for the next time.
        versions: the release of each of :data:`WHEELS`.
        mirror: of Debian's archive.

    Raises:
        EmulationError: a tool is missing, or a download fails.
    """
    if machine == platform.machine():
        return own_interpreter()
    root = work / machine / f"debian-{_SUITE}"
    if not root.exists():
        _unpack_debian(machine, root, mirror)
    site = work / machine / "-".join(f"{name}-{versions[name]}" for name in WHEELS)
    if not site.exists():
        _download_wheels(machine, site, versions)
    triplet = f"{machine}-linux-gnu"
    return Interpreter(
        root / "usr" / "bin" / f"python{_PYTHON}",
        (site, *SOURCES),
        root,
        (Path("/usr/lib") / triplet, Path("/lib") / triplet),
    )


def apt_options(machine: str, state: Path) -> list[str]:
    """Return options with which apt works in a folder of its own without root."""
    return [
        word
        for option in (
            f"APT::Architecture={_DEBIAN[machine]}",
            f"APT::Architectures={_DEBIAN[machine]}",
            f"Dir::State={state}",
            f"Dir::State::status={state / 'status'}",
            f"Dir::Cache={state}",
            f"Dir::Etc::sourcelist={state / 'sources.list'}",
            "Dir::Etc::sourceparts=/dev/null",
            "Dir::Etc::preferencesparts=/dev/null",
            "APT::Install-Recommends=false",
            "APT::Sandbox::User=",
            "Acquire::Languages=none",
            "Debug::NoLocking=true",
        )
        for word in ("-o", option)
    ]


def _unpack_debian(machine: str, root: Path, mirror: str) -> None:
    """Unpack Debian's Python and all it needs, signatures checked by apt."""
    if machine not in _DEBIAN:
        raise EmulationError(f"{machine}: this check knows {' and '.join(_DEBIAN)} only")
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise EmulationError(f"{tool}: not found; a Python for {machine} comes from Debian")
    if not KEYRING.exists():
        raise EmulationError(f"{KEYRING}: not found; apt install debian-archive-keyring")
    state = root.with_name("apt")
    for part in ("lists/partial", "archives/partial"):
        (state / part).mkdir(parents=True, exist_ok=True)
    (state / "status").write_text("")
    source = f"deb [signed-by={KEYRING}] {mirror} {_SUITE} main\n"
    (state / "sources.list").write_text(source)
    apt = ["apt-get", *apt_options(machine, state), "--quiet", "--yes"]
    output_of([*apt, "update"])
    output_of([*apt, "--download-only", "install", *_PACKAGES])
    partial = root.with_name(f"{root.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    for package in sorted((state / "archives").glob("*.deb")):
        output_of(["dpkg-deb", "--extract", package, partial])
    if machine == "aarch64":
        (partial / "proc").mkdir()
        (partial / "proc" / "cpuinfo").write_text(_ARM_CPUINFO)
    partial.rename(root)


def _download_wheels(machine: str, site: Path, versions: Mapping[str, str]) -> None:
    partial = site.with_name(f"{site.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    platforms = [word for glibc in _GLIBC for word in ("--platform", f"{glibc}_{machine}")]
    wanted = [f"{name}=={versions[name]}" for name in WHEELS]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    options = ["--no-deps", "--only-binary=:all:", "--python-version", _PYTHON]
    output_of([*pip, *options, *platforms, "--target", partial, *wanted])
    partial.rename(site)


def output_of(command: Sequence[object], timeout: float = 600, fine: Sequence[int] = (0,)) -> str:
    """Return what a command prints.

    Raises:
        EmulationError: its exit code is not a ``fine`` one, or it takes more than ``timeout``
            seconds.
    """
    words = list(map(str, command))
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=timeout, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EmulationError(f"{words[0]}: {error}") from error
    if done.returncode not in fine:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines()
        raise EmulationError(
            f"{Path(words[0]).name}: exit code {done.returncode}"
            + (f" ({said[-1]})" if said else "")
        )
    return done.stdout
