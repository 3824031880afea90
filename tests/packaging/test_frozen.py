"""Apps frozen by PyInstaller answer as the library does, without the sources and elsewhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from leanbert import pipeline
from leanbert.engines.native.binding import why_no_library
from tests.helpers import frozen_apps
from tests.helpers.frozen_apps import CONSOLE, WINDOW, answer, install, recipe, size_mb

TEXTS = ["Operating profit rose to EUR 13.1 mn.", "Sales fell.", "The firm is in Espoo."]
MOST_MB = {"app": 95, "app-in-one-file": 42}
"""On Linux without ONNX Runtime, as docs/frozen.md promises; tkinter brings 12 more."""
FREEZER = frozen_apps.freezer()


def lacks(module: str) -> bool:
    words = [FREEZER, "-c", f"import {module}"]
    return subprocess.run(words, capture_output=True, check=False).returncode != 0


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        lacks("PyInstaller"), reason="no PyInstaller here; LEANBERT_FREEZER may name a Python"
    ),
    pytest.mark.skipif(why_no_library() is not None, reason="the native library is not compiled"),
]


@pytest.fixture(scope="module")
def wanted() -> list[tuple[str, float]]:
    classify = pipeline("text-classification", engine="native")
    return [(row["label"], row["score"]) for row in classify(TEXTS)]


@pytest.fixture(scope="module")
def display() -> Iterator[None]:
    """A screen for window apps."""
    if "DISPLAY" in os.environ:
        yield
        return
    server = shutil.which("Xvfb")
    if server is None:
        pytest.skip("no screen and no Xvfb here")
    readable, writable = os.pipe()
    process = subprocess.Popen(
        [server, "-displayfd", str(writable), "-screen", "0", "640x480x24"],
        pass_fds=[writable], stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(writable)
    os.environ["DISPLAY"] = f":{os.read(readable, 20).decode().strip()}"
    try:
        yield
    finally:
        del os.environ["DISPLAY"]
        os.close(readable)
        process.terminate()
        process.wait()


def freeze(work: Path, app: str, *words: str, spec: str | None = None) -> Path:
    """Freeze an app with the sources in a place that is gone afterwards; its folder ``dist``."""
    work.mkdir()
    (work / "app.py").write_text(app, encoding="utf-8")
    if spec is not None:
        (work / "app.spec").write_text(spec, encoding="utf-8")
    sources = install(work / "sources")
    given = [*words, "app.py" if spec is None else "app.spec"]
    done = subprocess.run(
        [FREEZER, "-m", "PyInstaller", "--noconfirm", "--log-level", "WARN", *given],
        cwd=work,
        env={**os.environ, "PYTHONPATH": str(sources)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    shutil.rmtree(sources)
    shutil.rmtree(work / "build")
    (work / "app.py").unlink()
    return work / "dist"


def test_a_console_app_needs_no_flags(wanted: list[tuple[str, float]], tmp_path: Path) -> None:
    dist = freeze(tmp_path / "work", CONSOLE)
    found = answer(dist / "app" / "app", TEXTS, tmp_path)
    assert found.rows == wanted
    assert found.engines == {"native"}
    names = {path.name.partition(".")[0] for path in dist.rglob("*")}
    assert "onnxruntime" in names  # other bundles may need it
    assert not names & {"huggingface_hub", "hf_xet", "torch", "transformers", "pyarrow"}


def test_small_console_apps(wanted: list[tuple[str, float]], tmp_path: Path) -> None:
    dist = freeze(tmp_path / "work", CONSOLE, spec=recipe("spec"))
    for name, most in MOST_MB.items():
        moved = tmp_path / "elsewhere" / name
        moved.parent.mkdir(exist_ok=True)
        shutil.move(dist / name, moved)
        started = moved / "app" if moved.is_dir() else moved
        found = [answer(started, TEXTS, tmp_path) for _ in range(3)]
        assert all(answered.rows == wanted for answered in found)
        assert all(answered.engines == {"native"} for answered in found)
        size = size_mb(moved)
        seconds = min(answered.seconds for answered in found)
        sys.stderr.write(f"{name}: {size:.1f} MB, {seconds:.2f} s from start to end\n")
        if sys.platform == "linux":
            assert size <= most


def test_without_onnx_runtime_other_bundles_are_refused(tmp_path: Path, tiny_bundle: Path) -> None:
    app = "import sys\nfrom leanbert.cli import main\nsys.exit(main(sys.argv[1:]))\n"
    dist = freeze(tmp_path / "work", app, "--exclude-module", "onnxruntime")
    program = str(dist / "app" / "app")

    def run(*words: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *map(str, words)], cwd=tmp_path, capture_output=True, text=True, check=False
        )

    done = run("predict", "Sales fell.")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("negative\t")
    for words in (["predict", "-m", tiny_bundle, "a"], ["predict", "-m", "owner/name", "a"]):
        done = run(*words)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
        assert "onnxruntime" in done.stderr or "need huggingface_hub" in done.stderr
    for command in ("info", "verify", "doctor", "--version"):
        done = run(command)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(lacks("tkinter"), reason="no tkinter here")
@pytest.mark.usefixtures("display")
@pytest.mark.parametrize("layout", ["--onedir", "--onefile"])
def test_a_window_app(layout: str, wanted: list[tuple[str, float]], tmp_path: Path) -> None:
    words = ("--windowed", layout, "--exclude-module", "onnxruntime")
    dist = freeze(tmp_path / "work", WINDOW, *words)
    program = dist / "app" / "app" if layout == "--onedir" else dist / "app"
    found = answer(program, TEXTS, tmp_path, tmp_path / "label.txt")
    assert found.rows == wanted
    assert found.engines == {"native"}
    sys.stderr.write(f"window, {layout}: {size_mb(dist):.1f} MB, {found.seconds:.2f} s\n")
