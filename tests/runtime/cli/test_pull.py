"""``leanbert pull``: a model of the hub in a directory of its own, whole or not at all."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from leanbert import Bundle, pipeline
from leanbert.errors import InputError
from tests.helpers.command import Command
from tests.helpers.hub_server import COMMIT, Hub, Repository, ask_it, serving
from tests.helpers.processes import begin, environment, leanbert
from tests.helpers.tiny_bundles import MAX_LENGTH

pytest.importorskip("huggingface_hub")


@pytest.fixture
def hub(tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving(owner__tiny=Repository.of(tiny_bundle)) as served:
        ask_it(served, tmp_path / "home", monkeypatch)
        yield served


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "home")


def test_a_bundle(hub: Hub, tiny_bundle: Path, tmp_path: Path) -> None:
    done = leanbert("pull", "owner/tiny", "-o", "deep/er", cwd=tmp_path)
    assert done.stderr == ""
    assert done.returncode == 0
    assert done.stdout == f"deep/er: a bundle of owner/tiny at {COMMIT[:12]}, 4 files, 0.01 MB\n"
    pulled = tmp_path / "deep" / "er"
    assert {path.name: path.read_bytes() for path in pulled.iterdir()} == {
        path.name: path.read_bytes() for path in tiny_bundle.iterdir()
    }
    assert not any(path.is_symlink() for path in pulled.iterdir())
    shutil.rmtree(tmp_path / "home")
    assert Bundle.open(pulled).manifest is not None
    assert names(tmp_path / "deep") == ["er"]


def test_what_is_there_stays(hub: Hub, tmp_path: Path) -> None:
    pull = ("pull", "owner/tiny", "-o", "out")
    (tmp_path / "out").mkdir()
    done = leanbert(*pull, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "leanbert: out: exists already; pass --force to replace it\n"
    assert hub.requests == []
    assert leanbert(*pull, "--force", cwd=tmp_path).returncode == 0  # empty
    assert leanbert(*pull, "--force", cwd=tmp_path).returncode == 0  # a bundle
    (tmp_path / "out" / "leanbert.json").unlink()
    assert leanbert(*pull, "--force", cwd=tmp_path).returncode == 0  # a model
    (tmp_path / "out" / "leanbert.json").unlink()
    (tmp_path / "out" / "config.json").unlink()
    done = leanbert(*pull, "--force", cwd=tmp_path)
    assert done.returncode == 2
    assert "out: is no model, so it is not replaced" in done.stderr
    assert names(tmp_path / "out") == ["model.onnx", "tokenizer.json"]
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["owner/none"], "owner/none: there is no such directory here, and no such repository"),
        (["tiny"], "'tiny' names no repository of the hub; give it as owner/name"),
        (["owner/tiny", "--revision", "v2"], "owner/tiny: it has no revision 'v2' (404)"),
        (["owner/tiny", "--file-name", "m.onnx"], "--file-name is 'm.onnx'; owner/tiny is a"),
        (["owner/torch"], "by: leanbert export owner/torch -o DIR"),
    ],
)
def test_refusals(hub: Hub, tmp_path: Path, words: list[str], said: str) -> None:
    hub.repositories["owner/torch"] = Repository({"config.json": b"{}", "model.safetensors": b"x"})
    done = leanbert("pull", *words, "-o", "new/out", cwd=tmp_path)
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert names(tmp_path) == []


def test_a_model_that_cannot_be_opened_is_not_placed(hub: Hub, tmp_path: Path) -> None:
    repository = hub.repositories["owner/tiny"]
    repository.files.pop("leanbert.json")
    repository.files["config.json"] = b"[]"
    done = leanbert("pull", "owner/tiny", "-o", "out", cwd=tmp_path)
    assert done.returncode == 1
    assert "config.json: not a JSON object" in done.stderr
    assert names(tmp_path) == []


@pytest.mark.filterwarnings("ignore:.*nothing of it is verified")
def test_an_export_for_transformers_js(
    hub: Hub, make_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    repository = Repository.of(make_bundle(manifest=False))
    repository.files["onnx/model_quantized.onnx"] = repository.files.pop("model.onnx")
    repository.files["onnx/model_q4.onnx"] = b"other"
    hub.repositories["owner/js"] = repository
    done = leanbert("pull", "owner/js", "-o", "js", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["name"], found["commit"], found["path"]) == ("owner/js", COMMIT, "js")
    assert set(found) == {"name", "commit", "path", "graph", "files", "size"}
    assert found["graph"] == "onnx/model_quantized.onnx"
    assert found["files"] == ["config.json", "tokenizer.json", "onnx/model_quantized.onnx"]
    assert found["size"] == sum(len(repository.files[name]) for name in found["files"])
    classify = pipeline("text-classification", tmp_path / "js")
    assert classify("profit rose")[0]["label"] == "positive"
    card = leanbert("info", "js", cwd=tmp_path).stdout
    assert "graph         onnx/model_quantized.onnx" in card
    assert f"up to {MAX_LENGTH} tokens" in card


@pytest.mark.filterwarnings("ignore:.*nothing of it is verified")
def test_the_choice_of_a_local_graph_travels(make_bundle: Callable[..., Path]) -> None:
    plain = make_bundle(manifest=False)
    (plain / "onnx").mkdir()
    shutil.copy(plain / "model.onnx", plain / "onnx" / "model_q4.onnx")
    choices: tuple[dict[str, Any], ...] = ({"file_name": "model_q4.onnx"}, {"subfolder": "onnx"})
    for choice in choices:
        opened = pipeline("text-classification", plain, **choice)
        assert opened.bundle.model_path == plain / "onnx" / "model_q4.onnx"
        copied = pickle.loads(pickle.dumps(opened))  # noqa: S301 - our own
        assert copied.bundle.model_path == opened.bundle.model_path
        assert pipeline("text-classification", opened.bundle, **choice).bundle == opened.bundle
    wrong: tuple[dict[str, Any], ...] = ({"file_name": "x"}, {"subfolder": "x"})
    for choice in wrong:
        with pytest.raises(InputError, match=r"is 'x'; the bundle was opened with"):
            pipeline("text-classification", opened.bundle, **choice)
    assert pipeline("text-classification", plain).bundle.model_path == plain / "model.onnx"


def test_predict_with_a_repository(hub: Hub, tmp_path: Path) -> None:
    hub.repositories["owner/tiny"].revisions["v1"] = COMMIT
    words = ("predict", "-m", "owner/tiny", "--revision", "v1", "profit rose")
    done = leanbert(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("positive\t")
    assert done.stderr == ""  # no bar where nobody watches
    for command in ("info", "verify"):
        done = leanbert(command, "owner/tiny", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert f"snapshots/{COMMIT}" in done.stdout


def test_flags_that_make_no_sense_are_refused(
    command: Command, tiny_bundle: Path, tmp_path: Path
) -> None:
    for name in ("info", "verify"):
        said = command.wrong(name, tiny_bundle, "--revision", "v1")
        assert "--revision is of a repository on the hub; name it as owner/name" in said
        said = command.wrong(name, tiny_bundle, "--file-name", "a.onnx")
        assert "--file-name is 'a.onnx'; the graph of a bundle is model.onnx" in said
    said = command.wrong("predict", "-m", tiny_bundle, "--revision", "v1", "a")
    assert "--revision is 'v1'; a bundle is of one revision" in said
    (tmp_path / "int8").symlink_to(tiny_bundle)
    for name in ("info", "verify"):
        assert command(name, tmp_path, "--subfolder", "int8")[0] == 0


def test_ctrl_c_leaves_nothing_half(hub: Hub, tmp_path: Path) -> None:
    hub.hold = threading.Event()
    process = begin("-m", "leanbert", "pull", "owner/tiny", "-o", "new/out", cwd=tmp_path)
    while not any(path.startswith("/large/") for _, path, _ in [*hub.requests]):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    hub.hold.set()
    assert process.returncode == 130
    assert names(tmp_path) == []
    hub.requests.clear()
    assert leanbert("pull", "owner/tiny", "-o", "new/out", cwd=tmp_path).returncode == 0
    assert hub.fetched() == ["model.onnx"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pty")
def test_progress_is_shown_on_a_terminal(hub: Hub, tmp_path: Path) -> None:
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    words = [sys.executable, "-m", "leanbert", "pull", "owner/tiny", "-o", "out"]
    env = {**environment(), "TERM": "xterm"}
    process = subprocess.Popen(words, cwd=tmp_path, env=env, stderr=theirs, stdout=subprocess.PIPE)
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux, once the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(ours)
    assert process.wait(60) == 0
    assert b"model.onnx" in shown
    assert b"100%" in shown
