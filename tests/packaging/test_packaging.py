"""The wheel and the sdist, each installed into an empty environment, predict there."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from tests.packaging.binaries import read_binary
from tests.packaging.wheels import checkout

ROOT = Path(__file__).parents[2]
LEAN = {"numpy", "onnxruntime", "tokenizers"}
# What our three dependencies bring; a heavy package here would fail the test.
HEAVY = {"torch", "transformers", "optimum", "onnx", "onnx-ir", "pandas", "matplotlib", "datasets"}

LIBRARY = "leanbert/engines/_native/libleanbert_native.so"
COMPILES = platform.machine() == "x86_64" and sys.platform == "linux" and shutil.which("c++")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Build as ``python -m build`` does; what has a compiler must give the native engine."""
    source = tmp_path_factory.mktemp("source")
    checkout(source)
    out = tmp_path_factory.mktemp("dist")
    switch = "require" if COMPILES else "auto"
    command = [sys.executable, "-m", "build", "--outdir", str(out), str(source)]
    run(command, cwd=source, LEANBERT_NATIVE=switch)
    return {"wheel": next(out.glob("*.whl")), "sdist": next(out.glob("*.tar.gz"))}


@pytest.fixture(scope="session")
def backend(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A Python with the build backend, for builds that need no environment of their own."""
    environment = tmp_path_factory.mktemp("backend")
    venv.create(environment, with_pip=True)
    python = str(environment / "bin" / "python")
    run([python, "-m", "pip", "install", "--quiet", "scikit-build-core"], cwd=environment)
    return python


def run(command: list[str], cwd: Path, **variables: str) -> str:
    done = attempt(command, cwd, **variables)
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def attempt(command: list[str], cwd: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    environment["PIP_CONSTRAINT"] = str(ROOT / "constraints.txt")
    environment.update(variables)
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_installed_into_an_empty_environment_it_predicts(
    built: dict[str, Path], kind: str, tmp_path: Path
) -> None:
    environment = tmp_path / "env"
    venv.create(environment, with_pip=True)
    python = str(environment / "bin" / "python")
    run([python, "-m", "pip", "install", "--quiet", str(built[kind])], cwd=tmp_path)

    listed = run([python, "-m", "pip", "list", "--format=freeze"], cwd=tmp_path)
    installed = {line.split("==")[0].lower() for line in listed.splitlines()}
    assert installed >= LEAN | {"leanbert"}
    assert not installed & HEAVY

    code = (
        "from leanbert import pipeline; import sys;"
        "answer = pipeline('text-classification')('Operating profit rose to EUR 13.1 mn.');"
        "assert answer[0]['label'] == 'positive' and answer[0]['score'] > 0.5, answer;"
        "assert 'torch' not in sys.modules"
    )
    run([python, "-c", code], cwd=tmp_path)
    leanbert = str(environment / "bin" / "leanbert")
    answer = run([leanbert, "predict", "Sales fell and the firm cut 400 jobs."], cwd=tmp_path)
    assert answer.startswith("negative\t")
    assert "golden texts within" in run([leanbert, "verify"], cwd=tmp_path)

    refused = subprocess.run(
        [leanbert, "export", "x", "-o", "y"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 2
    assert "pip install 'leanbert[export]'" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_the_wheel_is_whole_and_holds_nothing_else(built: dict[str, Path]) -> None:
    names = zipfile.ZipFile(built["wheel"]).namelist()
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {"leanbert", "leanbert_export", "leanbert_bench", "leanbert_models"}
    assert not any(name.endswith((".cpp", ".h", ".inl")) for name in names)
    for package in tops:
        assert f"{package}/py.typed" in names
    assert "leanbert_models/financial_sentiment/model.onnx.data" in names
    assert built["wheel"].stat().st_size < 11_000_000
    assert "leanbert_export/sample_texts.txt" in names
    assert "leanbert/_pyinstaller/hook-leanbert_models.py" in names
    assert "leanbert_bench/sample_headlines.csv" in names
    for text in ("LICENSE", "NOTICE"):
        assert any(name.endswith(f"licenses/{text}") for name in names)
    metadata = zipfile.ZipFile(built["wheel"]).read(
        next(name for name in names if name.endswith("METADATA"))
    )
    entries = next(name for name in names if name.endswith("entry_points.txt"))
    assert b"[pyinstaller40]\nhook-dirs" in zipfile.ZipFile(built["wheel"]).read(entries)
    required = [
        re.split(r"[<>=!~;]", line.decode().split(" ")[1])[0]
        for line in metadata.splitlines()
        if line.startswith(b"Requires-Dist") and b"extra ==" not in line
    ]
    assert set(required) == LEAN


@pytest.mark.skipif(not COMPILES, reason="no C++ compiler for x86-64 Linux here")
def test_the_wheel_holds_the_native_engine(built: dict[str, Path]) -> None:
    assert built["wheel"].name.endswith("-py3-none-linux_x86_64.whl")
    library = zipfile.ZipFile(built["wheel"]).read(LIBRARY)
    assert 100_000 < len(library) <= 1_100_000  # stripped
    binary = read_binary(library)
    assert (binary.format, binary.machine) == ("ELF", "x86_64")
    assert all(name.startswith("lb_") for name in binary.exports)
    assert not any("c++" in name for name in binary.libraries)


def test_the_sdist_holds_the_native_sources(built: dict[str, Path]) -> None:
    with tarfile.open(built["sdist"]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"runtime/native/CMakeLists.txt", "runtime/native/src/x86/avx2.cpp"} <= names
    assert "runtime/native/include/leanbert_native.h" in names
    assert not any(name.endswith(".so") for name in names)
    assert {"models/leanbert_training/make.py", "models/leanbert_training/README.md"} <= names


def make_wheel(
    python: str, sdist: Path, out: Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    command = ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(out), str(sdist)]
    return attempt([python, "-m", "pip", *command], cwd=sdist.parent, **variables)


NO_COMPILER = {"CC": "/bin/false", "CXX": "/bin/false"}


def test_without_a_compiler_the_wheel_is_pure_and_predicts(
    built: dict[str, Path], backend: str, tmp_path: Path
) -> None:
    done = make_wheel(backend, built["sdist"], tmp_path, **NO_COMPILER)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")
    assert LIBRARY not in zipfile.ZipFile(wheel).namelist()
    environment = tmp_path / "env"
    venv.create(environment, with_pip=True)
    python = str(environment / "bin" / "python")
    run([python, "-m", "pip", "install", "--quiet", str(wheel)], cwd=tmp_path)
    leanbert = str(environment / "bin" / "leanbert")
    assert run([leanbert, "predict", "Sales fell."], cwd=tmp_path).startswith("negative\t")
    assert "no, the native library is not installed" in run([leanbert, "doctor"], cwd=tmp_path)


def test_where_the_engine_is_required_no_wheel_is_pure(
    built: dict[str, Path], backend: str, tmp_path: Path
) -> None:
    done = make_wheel(backend, built["sdist"], tmp_path, LEANBERT_NATIVE="require", **NO_COMPILER)
    assert done.returncode != 0
    assert "/bin/false" in done.stdout + done.stderr  # CMake's own message
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not COMPILES, reason="no C++ compiler for x86-64 Linux here")
def test_an_unknown_switch_is_refused(built: dict[str, Path], backend: str, tmp_path: Path) -> None:
    done = make_wheel(backend, built["sdist"], tmp_path, LEANBERT_NATIVE="yes")
    assert done.returncode != 0
    assert 'LEANBERT_NATIVE is "yes"; expected one of auto, require, off' in " ".join(
        (done.stdout + done.stderr).split()
    )
    assert not list(tmp_path.iterdir())


def test_the_engine_can_be_left_out(built: dict[str, Path], backend: str, tmp_path: Path) -> None:
    done = make_wheel(backend, built["sdist"], tmp_path, LEANBERT_NATIVE="off")
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")
