"""What is in the wheel of each platform; ``make wheels`` runs this on what it built.

Here nothing is built, so without wheels these tests are skipped: ``LEANBERT_WHEELS`` is the folder
where they are.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from tests.helpers.zig import find_zig
from tests.packaging.binaries import Binary, read_binary
from tests.packaging.wheels import TARGETS, Target

if not os.environ.get("LEANBERT_WHEELS"):
    pytest.skip("no wheels here: `make wheels` builds and reads them", allow_module_level=True)
pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
MOST = 11_000_000  # bytes
FOLDER = "leanbert/engines/_native/"
HEADERS = (ROOT / "runtime" / "native" / "include").glob("*.h")
EXPORTS = {
    name
    for path in HEADERS
    for name in re.findall(r"^LB_API [^;(]*?(\w+)\(", path.read_text("utf-8"), re.MULTILINE)
}
NAMES = {"ELF": "libleanbert_native.so", "Mach-O": "libleanbert_native.dylib"}
SYSTEM = {  # what a library may need of each system, by the start of the wheel's platform tag
    "manylinux": r"lib(c|dl|m|pthread)\.so\.\d|ld-linux-(aarch64|x86-64)\.so\.\d",
    "musllinux": r"libc\.so",
    "macosx": r"/usr/lib/libSystem\.B\.dylib",
    "win": r"KERNEL32\.dll|api-ms-win-(crt|core-synch)-[a-z0-9-]+\.dll",
}
FORMATS = {"manylinux": "ELF", "musllinux": "ELF", "macosx": "Mach-O", "win": "PE"}
RUNS: dict[str, list[str]] = {
    "manylinux_2_17_x86_64": [],
    "manylinux_2_17_aarch64": ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu"],
    "musllinux_1_2_x86_64": [],
    "win_amd64": [next(filter(shutil.which, ("wine64", "/usr/lib/wine/wine64")), "wine")],
}
"""What starts a program for a platform on x86-64 Linux."""
X86 = {"avx512_vnni", "avx_vnni", "avx2", "none"}
ARM = {"neon_i8mm", "neon_dotprod", "neon"}
LINKER = {"_mh_dylib_header", "__dso_handle"}
"""What zig's linker exports from every Mach-O library."""


@pytest.fixture(scope="module")
def wheels() -> Path:
    return Path(os.environ["LEANBERT_WHEELS"])


@pytest.fixture(scope="module", params=TARGETS, ids=lambda target: target.tag)
def target(request: pytest.FixtureRequest) -> Target:
    found: Target = request.param
    return found


@pytest.fixture(scope="module")
def wheel(wheels: Path, target: Target) -> Path:
    (path,) = wheels.glob(f"leanbert-*-py3-none-{target.tag}.whl")
    return path


@pytest.fixture(scope="module")
def library(wheel: Path) -> tuple[str, bytes]:
    """The only file below ``_native``: its name and its bytes."""
    with zipfile.ZipFile(wheel) as archive:
        ((name, data),) = [
            (name.removeprefix(FOLDER), archive.read(name))
            for name in archive.namelist()
            if name.startswith(FOLDER)
        ]
    return name, data


@pytest.fixture(scope="module")
def binary(library: tuple[str, bytes]) -> Binary:
    return read_binary(library[1])


def system(target: Target) -> str:
    return next(start for start in SYSTEM if target.tag.startswith(start))


def metadata(wheel: Path, name: str) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        (path,) = [path for path in archive.namelist() if path.endswith(f".dist-info/{name}")]
        return archive.read(path).decode().splitlines()


def test_nothing_is_missing_and_nothing_else_is_there(wheels: Path) -> None:
    tags = {path.name.partition("-py3-none-")[2] for path in wheels.glob("*.whl")}
    assert tags == {f"{target.tag}.whl" for target in TARGETS}
    (sdist,) = [path for path in wheels.iterdir() if path.suffix != ".whl"]
    assert sdist.name.endswith(".tar.gz")
    assert sdist.stat().st_size <= MOST


def test_a_wheel_is_small_and_says_its_platform(wheel: Path, target: Target) -> None:
    assert wheel.stat().st_size <= MOST
    assert f"Tag: py3-none-{target.tag}" in metadata(wheel, "WHEEL")
    assert "Root-Is-Purelib: false" in metadata(wheel, "WHEEL")
    with zipfile.ZipFile(wheel) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
    tops = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"leanbert", "leanbert_export", "leanbert_bench", "leanbert_models"}


def test_only_what_exists_there_is_required(wheel: Path, target: Target) -> None:
    required = [
        line.removeprefix("Requires-Dist: ")
        for line in metadata(wheel, "METADATA")
        if line.startswith("Requires-Dist: ") and "extra ==" not in line
    ]
    names = {re.split(r"[<>=!~; ]", line)[0] for line in required}
    musl = system(target) == "musllinux"
    assert names == {"numpy", "tokenizers"} | (set() if musl else {"onnxruntime"})


def test_the_library_is_for_that_system_and_cpu(
    library: tuple[str, bytes], binary: Binary, target: Target
) -> None:
    assert binary.format == FORMATS[system(target)]
    assert library[0] == NAMES.get(binary.format, "libleanbert_native.dll")
    arm = target.tag.endswith(("aarch64", "arm64"))
    assert binary.machine == ("aarch64" if arm else "x86_64")
    if system(target) == "manylinux":
        assert binary.oldest <= (2, 17)
        assert binary.oldest
    elif system(target) == "macosx":
        assert binary.oldest == (11, 0)
    else:
        assert binary.oldest == ()  # musl has no versions, and Windows tells none


def test_it_needs_the_systems_libraries_alone(binary: Binary, target: Target) -> None:
    assert binary.libraries
    for name in binary.libraries:
        assert re.fullmatch(SYSTEM[system(target)], name), name


def test_it_exports_the_interface_alone(binary: Binary) -> None:
    assert "lb_run" in EXPORTS
    assert binary.exports - LINKER == EXPORTS
    if binary.format != "Mach-O":
        assert not binary.exports & LINKER


def test_nothing_of_the_building_machine_is_in_it(
    library: tuple[str, bytes], binary: Binary
) -> None:
    name, data = library
    assert binary.paths == {f"@rpath/{name}" if binary.format == "Mach-O" else name}
    for word in (b"runtime/native", b"/src/", b".cpp", b"/tmp", b"/home", b"/root"):
        assert word not in data, word
    assert len(data) < 1_400_000  # without debug information


def test_macos_on_arm_gets_a_signature(library: tuple[str, bytes], binary: Binary) -> None:
    if (binary.format, binary.machine) == ("Mach-O", "aarch64"):
        assert binary.signed  # it ends a process that loads code without one
        changed = bytearray(library[1])
        changed[len(changed) // 2] ^= 1
        assert not read_binary(bytes(changed)).signed


def test_it_is_loaded_and_says_its_version(
    wheel: Path, library: tuple[str, bytes], target: Target, tmp_path: Path
) -> None:
    starter = RUNS.get(target.tag)
    zig = find_zig()
    if starter is None or zig is None or (starter and shutil.which(starter[0]) is None):
        pytest.skip(f"nothing here runs what is for {target.tag}")
    if system(target) == "musllinux" and not Path("/lib/ld-musl-x86_64.so.1").exists():
        pytest.skip("musl is not installed here")
    (tmp_path / library[0]).write_bytes(library[1])
    program = tmp_path / "load.exe"
    flags = ["-target", target.zig, *([] if system(target) == "win" else ["-dynamic", "-ldl"])]
    source = Path(__file__).with_name("load.c")
    subprocess.run([zig, "cc", *flags, "-O1", "-o", program, source], check=True)
    done = subprocess.run(
        [*starter, program, f"./{library[0]}"],
        cwd=tmp_path,
        env={**os.environ, "WINEDEBUG": "-all"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = re.fullmatch(r"(\d+\.\d+\.\d+) (\w+) \d+\n", done.stdout)
    assert found is not None, done.stdout
    (version,) = [line for line in metadata(wheel, "METADATA") if line.startswith("Version: ")]
    assert version.startswith(f"Version: {found[1]}")
    assert found[2] in (ARM if target.tag.endswith("aarch64") else X86)


def test_the_sdist_says_that_dependencies_may_differ(wheels: Path) -> None:
    (sdist,) = wheels.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        (name,) = [name for name in archive.getnames() if name.endswith("/PKG-INFO")]
        file = archive.extractfile(name)
        assert file is not None
        lines = file.read().decode().splitlines()
    assert "Dynamic: Requires-Dist" in lines


def test_this_machines_wheel_is_chosen_and_predicts(wheels: Path, tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "LEANBERT"))}
    venv.create(tmp_path, with_pip=True)
    paths = sysconfig.get_paths(vars={"base": str(tmp_path), "platbase": str(tmp_path)})
    python, scripts = Path(paths["scripts"]) / "python", Path(paths["scripts"])

    def run(*command: str) -> str:
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    pip = (str(python), "-m", "pip", "install", "--quiet")
    run(*pip, "--no-index", "--no-deps", "--find-links", str(wheels), "leanbert")
    run(*pip, "leanbert")  # its dependencies
    leanbert = str(scripts / "leanbert")
    assert "native engine   yes, " in run(leanbert, "doctor")
    assert run(leanbert, "predict", "Sales fell.").startswith("negative\t")
    assert "golden texts within" in run(leanbert, "verify", "--engine", "native")
