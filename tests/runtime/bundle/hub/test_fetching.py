"""Models of the hub, fetched from a server on this machine by whatever huggingface_hub is here."""

from __future__ import annotations

import ast
import json
import re
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from leanbert import pipeline
from leanbert.bundle.hub import fetch
from tests.helpers.hub_server import COMMIT, LARGE, Hub, Repository, ask_it, serving
from tests.helpers.processes import begin, python

pytest.importorskip("huggingface_hub")

TEXT = "profit rose in the quarter"
OTHER = "89abcdef" * 5

# Each call in a process of its own, as huggingface_hub reads the environment when it is imported.
ASK = """
import json, sys, warnings
from leanbert import pipeline
from leanbert.bundle.hub import fetch
answers = []
for call, options in json.loads(sys.argv[1]):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            if call == "fetch":
                found = fetch(**options)
                answer = {"commit": found.commit, "graph": found.graph, "files": found.files,
                          "path": str(found.path)}
            else:
                model = pipeline(None if options.pop("own", False) else "text-classification",
                                 **options)
                answer = {"scores": model(sys.argv[2]), "path": str(model.bundle.path),
                          "graph": str(model.bundle.model_path)}
        except Exception as error:
            answer = {"error": type(error).__name__, "said": str(error)}
    answer["warnings"] = [str(w.message) for w in caught if "Lean" in w.category.__name__]
    answers.append(answer)
print(json.dumps(answers))
"""


class Asking:
    """Asks the server in another process, with a cache of its own."""

    def __init__(self, hub: Hub, home: Path, cwd: Path, setenv: Callable[[str, str], None]) -> None:
        self.hub, self.home, self._cwd, self._setenv = hub, home, cwd, setenv

    def set(self, **variables: str) -> None:
        for name, value in variables.items():
            self._setenv(name, value)

    def each(self, *calls: tuple[str, dict[str, Any]]) -> list[dict[str, Any]]:
        self.hub.requests.clear()
        done = python(["-c", ASK, json.dumps(calls), TEXT], self._cwd)
        assert done.returncode == 0, done.stderr
        found: list[dict[str, Any]] = json.loads(done.stdout)
        assert all("\n" not in answer.get("said", "") for answer in found)
        return found

    def open(self, model: str = "owner/tiny", **options: Any) -> dict[str, Any]:
        return self.each(("open", {"model": model, **options}))[0]

    @property
    def snapshot(self) -> Path:
        return self.home / "hub" / "models--owner--tiny" / "snapshots" / COMMIT


@pytest.fixture
def hub(tiny_bundle: Path) -> Iterator[Hub]:
    with serving(owner__tiny=Repository.of(tiny_bundle)) as served:
        served.repositories["owner/tiny"].files["README.md"] = b"# A model"
        yield served


@pytest.fixture
def ask(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Asking:
    ask_it(hub, tmp_path / "home", monkeypatch)
    return Asking(hub, tmp_path / "home", tmp_path, monkeypatch.setenv)


def test_a_bundle_is_fetched_once(ask: Asking, tiny_bundle: Path) -> None:
    found = ask.open()
    assert found["scores"] == pipeline("text-classification", tiny_bundle)(TEXT)
    assert Path(found["path"]) == ask.snapshot
    assert sorted(ask.hub.fetched()) == sorted(path.name for path in tiny_bundle.iterdir())
    assert any("leanbert/" in agent for agent in ask.hub.agents)
    assert len([1 for path in ask.snapshot.iterdir() if path.is_symlink()]) == 4
    assert ask.open() == found
    assert ask.hub.fetched() == []
    assert ask.open(own=True, file_name="model.onnx", subfolder="") == found  # the manifest's task


def test_revisions(ask: Asking) -> None:
    repository = ask.hub.repositories["owner/tiny"]
    repository.revisions |= {"v1.0": COMMIT, "refs/pr/1": OTHER}
    found = ask.each(
        *(("fetch", {"name": "owner/tiny", "revision": r}) for r in ("v1.0", COMMIT, "refs/pr/1"))
    )
    assert [answer["commit"] for answer in found] == [COMMIT, COMMIT, OTHER]
    assert [answer["graph"] for answer in found] == [None] * 3
    refs = ask.snapshot.parents[1] / "refs"
    noted = {p.relative_to(refs).as_posix(): p.read_text() for p in refs.rglob("*") if p.is_file()}
    assert noted == {"v1.0": COMMIT, "refs/pr/1": OTHER}
    repository.revisions["v1.0"] = OTHER  # a tag that moved
    assert ask.open(revision="v1.0")["path"] == str(ask.snapshot.parent / OTHER)
    assert ask.hub.fetched() == []


def test_offline_and_unreachable(ask: Asking) -> None:
    [before] = ask.each(("fetch", {"name": "owner/tiny"}))
    assert before["warnings"] == []
    opened = ask.open()

    ask.hub.status = 503
    found = ask.open()
    assert found.pop("warnings") == ["owner/tiny: the hub answers 503; using commit "
                                     f"{COMMIT[:12]} of the cache"]  # fmt: skip
    assert found == {k: v for k, v in opened.items() if k != "warnings"}
    ask.hub.status = None

    ask.set(HF_HUB_OFFLINE="1")
    assert ask.open() == opened
    [by_commit, none, revision] = ask.each(
        ("open", {"model": "owner/tiny", "revision": COMMIT}),
        ("open", {"model": "owner/none"}),
        ("open", {"model": "owner/tiny", "revision": "v2"}),
    )
    assert by_commit == opened
    assert none["error"] == revision["error"] == "BundleNotFoundError"
    assert none["said"] == "owner/none: HF_HUB_OFFLINE is set, and the cache does not have it"
    assert revision["said"].startswith("owner/tiny: HF_HUB_OFFLINE is set")
    assert ask.hub.requests == []

    ask.set(HF_HUB_OFFLINE="0", HF_ENDPOINT="http://127.0.0.1:9")  # nobody listens there
    [cached, lost] = ask.each(("open", {"model": "owner/tiny"}), ("open", {"model": "owner/none"}))
    assert "cannot be reached (Connection refused); using commit" in cached.pop("warnings")[0]
    assert cached["scores"] == opened["scores"]
    assert lost["said"] == (
        "owner/none: the hub cannot be reached (Connection refused), and the cache does not have it"
    )


def test_refusals(ask: Asking, tiny_bundle: Path) -> None:
    ask.hub.repositories |= {
        "owner/gated": Repository.of(tiny_bundle, gated=True),
        "owner/private": Repository.of(tiny_bundle, token="hf_right"),  # noqa: S106
        "owner/torch": Repository({"config.json": b"{}", "model.safetensors": b"x"}),
    }
    calls: list[tuple[dict[str, Any], str, str]] = [
        ({"model": "owner/none"}, "BundleNotFoundError", r"no such directory .*the hub \(401\)"),
        ({"model": "owner/none", "token": "hf_x"}, "BundleNotFoundError", r"the hub \(404\)"),
        ({"model": "owner/tiny", "revision": "v9"}, "BundleNotFoundError", "no revision 'v9'"),
        ({"model": "owner/tiny", "revision": "../x"}, "InputError", "revision is '../x'"),
        ({"model": "owner/tiny", "file_name": "m.onnx"}, "InputError", "graph is model.onnx"),
        ({"model": "owner/gated"}, "BundleError", "its owner must let you in .*HF_TOKEN"),
        ({"model": "owner/private"}, "BundleNotFoundError", "for a private one set HF_TOKEN"),
        ({"model": "owner/private", "token": "hf_right"}, "", ""),
        ({"model": "owner/torch"}, "BundleError", "leanbert export owner/torch -o DIR"),
    ]
    found = ask.each(*(("open", options) for options, _, _ in calls))
    for (options, error, said), answer in zip(calls, found, strict=True):
        assert answer.get("error", "") == error, options
        assert re.search(said, answer.get("said", "")), options
        assert "hf_" not in answer.get("said", "")
    ask.set(HF_TOKEN="hf_right")  # noqa: S106
    [private, gated] = ask.each(
        ("open", {"model": "owner/private"}), ("open", {"model": "owner/gated"})
    )
    assert private["scores"] == gated["scores"]


def test_a_local_directory_goes_first(ask: Asking, tiny_bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_bundle, tmp_path / "owner" / "tiny")
    assert ask.open()["path"] == "owner/tiny"
    [missing, dotted] = ask.each(("open", {"model": "tiny"}), ("open", {"model": "./owner/none"}))
    assert missing["said"].startswith("tiny: does not exist; give a bundle directory")
    assert dotted["said"].startswith("owner/none: does not exist")
    assert ask.hub.requests == []
    assert not ask.home.exists()


@pytest.mark.filterwarnings("ignore:.*nothing of it is verified")
def test_plain_exports(ask: Asking, make_bundle: Callable[..., Path]) -> None:
    plain = make_bundle(manifest=False)
    repository = Repository.of(plain)
    graph = repository.files.pop("model.onnx")
    repository.files |= {"onnx/model.onnx": graph, "onnx/model_quantized.onnx": graph}
    repository.files["model.safetensors"] = b"x" * 2 * LARGE
    ask.hub.repositories["owner/tiny"] = repository
    [first, small] = ask.each(
        ("open", {"model": "owner/tiny"}),
        ("open", {"model": "owner/tiny", "file_name": "model_quantized.onnx"}),
    )
    assert first["graph"] == str(ask.snapshot / "onnx" / "model.onnx")
    assert small["graph"] == str(ask.snapshot / "onnx" / "model_quantized.onnx")
    assert "model.safetensors" not in ask.hub.fetched()
    assert small["scores"] == first["scores"] == pipeline("text-classification", plain)(TEXT)
    ask.set(HF_HUB_OFFLINE="1")
    again = ask.open(file_name="model_quantized.onnx")
    assert again["graph"] == small["graph"]


@pytest.mark.parametrize("file", ["config.json", "model.onnx"])
def test_a_file_that_is_not_what_is_listed(ask: Asking, file: str) -> None:
    repository = ask.hub.repositories["owner/tiny"]
    assert (len(repository.files[file]) > LARGE) == (file == "model.onnx")  # both kinds of hash
    content = repository.files[file]
    repository.wrong[file] = content[:-1] + bytes([content[-1] ^ 1])
    found = ask.open()
    assert found["error"] == "BundleCorruptError"
    assert f"{file} is not what the hub lists for commit {COMMIT[:12]}" in found["said"]
    repository.wrong.clear()
    assert "scores" in ask.open()


def test_a_damaged_cache_is_mended(ask: Asking, make_bundle: Callable[..., Path]) -> None:
    ask.hub.repositories["owner/tiny"] = Repository.of(make_bundle(manifest=False))
    wanted = ask.open()
    path = (ask.snapshot / "config.json").resolve()
    path.write_bytes(path.read_bytes().replace(b"bert", b"tree"))
    ask.set(HF_HUB_OFFLINE="1")
    found = ask.open()
    assert found["error"] == "BundleCorruptError"
    assert "config.json: is damaged; delete the folder" in found["said"]
    ask.set(HF_HUB_OFFLINE="0")
    assert ask.open() == wanted
    assert ask.hub.fetched() == ["config.json"]


COUNT = """
import contextlib, io, sys
from leanbert import pipeline
from leanbert.cli import main
opened = []
def note(event, args):
    if event == "open" and str(args[0]).endswith("model.onnx"):
        opened.append(args[0])
sys.addaudithook(note)
ways = {
    "pipeline": lambda model: pipeline("text-classification", model),
    "info": lambda model: main(["info", "--json", model]),
    "verify": lambda model: main(["verify", "--engine", "native", model]),
}
counts = {}
for way, call in ways.items():
    for model in sys.argv[1:]:
        opened.clear()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            call(model)
        counts.setdefault(way, []).append(len(opened))
print(counts)
"""


def test_a_large_file_is_hashed_once(ask: Asking, tiny_bundle: Path, tmp_path: Path) -> None:
    ask.open()  # the cache has it
    done = python(["-c", COUNT, tiny_bundle, "owner/tiny"], tmp_path)
    assert done.returncode == 0, done.stderr
    counts = ast.literal_eval(done.stdout)
    for way, (local, hub) in counts.items():  # of the hub it is hashed as it is of a directory
        assert local == hub > 0, way


def test_what_the_hub_lists_is_compared_with_the_manifest(ask: Asking) -> None:
    repository = ask.hub.repositories["owner/tiny"]
    content = repository.files["model.onnx"]
    repository.files["model.onnx"] = content[:-1] + bytes([content[-1] ^ 1])
    found = ask.open()
    assert found["error"] == "BundleCorruptError"
    assert "model.onnx: content differs from its sha256 in leanbert.json" in found["said"]


def test_a_download_that_breaks_off_goes_on(ask: Asking) -> None:
    ask.hub.break_off = LARGE // 2
    broken = ask.open()
    before = ask.hub.fetched()
    assert "config.json" in before
    if "error" in broken:  # some versions of huggingface_hub try again at once, and go on
        assert broken["error"] == "BundleError"
        assert re.search(r"the hub cannot be reached \(.*2500", broken["said"])
        assert "((" not in broken["said"]
    ask.hub.break_off = None
    assert "scores" in ask.open()
    assert ask.hub.fetched() == ["model.onnx"] * ("error" in broken)


def test_an_interrupted_fetch_goes_on(ask: Asking, tmp_path: Path) -> None:
    ask.hub.hold = threading.Event()
    script = "from leanbert import pipeline; pipeline('text-classification', 'owner/tiny')"
    process = begin("-c", script, cwd=tmp_path)
    while not any(path.startswith("/large/") for _, path, _ in [*ask.hub.requests]):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    ask.hub.hold.set()
    process.communicate(timeout=60)
    assert process.returncode != 0
    done = ask.hub.fetched()
    assert "config.json" in done
    assert "scores" in ask.open()
    assert ask.hub.fetched() == ["model.onnx"]


def test_the_hub_is_not_imported_before_it_is_asked(tiny_bundle: Path, tmp_path: Path) -> None:
    script = """
import sys
import leanbert
leanbert.pipeline("text-classification", sys.argv[1])("profit rose")
leanbert.pipeline("text-classification")("profit rose")
from leanbert.cli import main
main(["predict", "-m", sys.argv[1], "profit rose"])
main(["info", sys.argv[1]])
assert not any(name.startswith("leanbert.bundle.hub") for name in sys.modules)
import leanbert.bundle.hub
libraries = ("huggingface_hub", "requests", "httpx", "httpx2", "urllib3", "http", "ssl", "tqdm")
print([name for name in libraries if name in sys.modules])
"""
    folder = Path(shutil.copytree(tiny_bundle, tmp_path / "owner" / "name"))
    done = python(["-c", script, folder.relative_to(tmp_path)], tmp_path)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_a_message_where_huggingface_hub_is_missing(tmp_path: Path) -> None:
    script = """
import sys
sys.modules["huggingface_hub"] = None
from leanbert.cli import main
sys.exit(main(["predict", "-m", "owner/name", "profit"]))
"""
    done = python(["-c", script], tmp_path)
    assert done.returncode == 2
    assert "owner/name: models of the hub need huggingface_hub" in done.stderr
    assert "pip install huggingface_hub" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_the_arguments_are_checked_first() -> None:
    with pytest.raises(ValueError, match="give it as owner/name"):
        fetch("name")
