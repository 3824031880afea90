"""The wheel and the sdist, each installed into an empty environment, predict there."""

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

ROOT = Path(__file__).parents[2]
LEAN = {"numpy", "onnxruntime", "tokenizers"}
# What our three dependencies bring; a heavy package here would fail the test.
HEAVY = {"torch", "transformers", "optimum", "onnx", "onnx-ir", "pandas", "matplotlib", "datasets"}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Build from a copy of the sources as git sees them, so that nothing left around leaks in."""
    source = tmp_path_factory.mktemp("source")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        target = source / name
        if (ROOT / name).is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target)
    out = tmp_path_factory.mktemp("dist")
    run([sys.executable, "-m", "build", "--outdir", str(out), str(source)], cwd=source)
    return {"wheel": next(out.glob("*.whl")), "sdist": next(out.glob("*.tar.gz"))}


def run(command: list[str], cwd: Path, **variables: str) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    environment["PIP_CONSTRAINT"] = str(ROOT / "constraints.txt")
    environment.update(variables)
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


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
    assert "leanbert_bench/sample_headlines.csv" in names
    for text in ("LICENSE", "NOTICE"):
        assert any(name.endswith(f"licenses/{text}") for name in names)
    metadata = zipfile.ZipFile(built["wheel"]).read(
        next(name for name in names if name.endswith("METADATA"))
    )
    required = [
        re.split(r"[<>=!~;]", line.decode().split(" ")[1])[0]
        for line in metadata.splitlines()
        if line.startswith(b"Requires-Dist") and b"extra ==" not in line
    ]
    assert set(required) == LEAN


LIBRARY = "leanbert/engines/_native/libleanbert_native.so"
COMPILES = platform.machine() == "x86_64" and sys.platform == "linux" and shutil.which("c++")


@pytest.mark.skipif(not COMPILES, reason="no C++ compiler for x86-64 Linux here")
def test_the_wheel_holds_the_native_engine(built: dict[str, Path]) -> None:
    assert built["wheel"].name.endswith("-py3-none-linux_x86_64.whl")
    library = zipfile.ZipFile(built["wheel"]).getinfo(LIBRARY)
    assert 100_000 < library.file_size <= 400_000  # stripped


def test_the_sdist_holds_the_native_sources(built: dict[str, Path]) -> None:
    with tarfile.open(built["sdist"]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"runtime/native/CMakeLists.txt", "runtime/native/src/x86/avx2.cpp"} <= names
    assert "runtime/native/include/leanbert_native.h" in names
    assert not any(name.endswith(".so") for name in names)
    assert {"models/leanbert_training/make.py", "models/leanbert_training/README.md"} <= names


def test_without_a_compiler_the_wheel_is_pure_and_predicts(
    built: dict[str, Path], tmp_path: Path
) -> None:
    run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", str(built["sdist"])],
        cwd=tmp_path,
        CC="/bin/false",
        CXX="/bin/false",
    )
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
