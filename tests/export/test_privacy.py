"""A bundle says nothing of the machine that it was made on."""

from __future__ import annotations

import getpass
import json
import os
import platform
import re
import shutil
import socket
import sys
import tempfile
from pathlib import Path

import onnx
import pytest

from leanbert.pipelines import embedded_bundle
from leanbert_export.exporting import export
from leanbert_export.samples import sample_texts
from tests.export.checkpoint.test_tokenizer import edit
from tests.export.conftest import Workshop
from tests.export.test_failures import edit_config
from tests.helpers.sentence_directories import describe, write_dense

pytestmark = pytest.mark.slow
SECRET = "zanzibar-7351"  # noqa: S105 - a word that no model has


def traces(*folders: Path) -> set[str]:
    """What of this machine would be telling."""
    words = {str(Path.cwd()), str(Path.home()), sys.prefix, socket.gethostname(), SECRET}
    words |= {os.environ.get("TMPDIR", "/tmp"), getpass.getuser(), *map(str, folders)}  # noqa: S108
    # A short name, such as root, is a word of every vocabulary.
    return {word for word in words if len(word) > 4 or "/" in word}


def check_bytes(bundle: Path, words: set[str]) -> None:
    """Look for the words in every byte of a bundle, and in the texts of its graph."""
    files = [path for path in bundle.rglob("*") if path.is_file()]
    assert {"README.md", "leanbert.json", "model.onnx"} <= {path.name for path in files}
    for path in files:
        content = path.read_bytes()
        for word in words:
            for form in (word, json.dumps(word)[1:-1]):
                assert form.encode() not in content, f"{path.name} holds {word}"
    model = onnx.load(bundle / "model.onnx", load_external_data=False)
    parts = [model, model.graph, *model.graph.node, *model.graph.initializer]
    said = {part.doc_string for part in parts}
    said |= {p.value for part in parts for p in part.metadata_props}
    assert not {text for text in said if "/" in text or "\\" in text}


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A user, a machine and folders with a name that no model has."""
    for name in ("USER", "LOGNAME", "USERNAME", "HOSTNAME"):
        monkeypatch.setenv(name, SECRET)
    monkeypatch.setattr(socket, "gethostname", lambda: SECRET)
    monkeypatch.setattr(platform, "node", lambda: SECRET)
    place = tmp_path / SECRET
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    monkeypatch.chdir(place)
    return place


@pytest.mark.parametrize("recipe", ["int8", "fp32"])
def test_no_file_names_this_machine(checkpoint_copy: Path, planted: Path, recipe: str) -> None:
    place = f"/home/{SECRET}/model"
    edit_config(checkpoint_copy, _name_or_path=place, owner=SECRET, trained={"on": SECRET})
    edit(checkpoint_copy, name_or_path=place, special_tokens_map_file=place, author=SECRET)
    (checkpoint_copy / "README.md").write_text(f"# by {SECRET}\n", encoding="utf-8")
    texts = list(sample_texts()[::20])
    (planted / "news.txt").write_text("\n".join(texts), encoding="utf-8")
    output = planted / "bundle"
    export(
        str(checkpoint_copy),
        output,
        recipe=recipe,
        texts=texts,
        calibration=planted / "news.txt" if recipe == "int8" else None,
    )
    check_bytes(output, traces(planted.parent))


def test_no_file_of_embeddings_does(workshop: Workshop, planted: Path) -> None:
    folder = planted / "checkpoint"
    shutil.copytree(workshop.tiny("features"), folder)
    settings = {"prompts": {"query": "query: "}, "trained_by": SECRET}
    describe(folder, steps=("2_Dense",), transformer={"model_args": {}}, settings=settings)
    write_dense(folder / "2_Dense", 32, 8)
    output = planted / "bundle"
    export(str(folder), output, recipe="fp32", texts=list(sample_texts()[::20]))
    assert (output / "2_Dense" / "model.safetensors").is_file()
    check_bytes(output, traces(planted.parent))


def test_configs_keep_what_transformers_knows(checkpoint_copy: Path, tmp_path: Path) -> None:
    edit_config(
        checkpoint_copy,
        owner="somebody",
        problem_type="single_label_classification",
        function_to_apply="sigmoid",
        sentence_transformers={"activation_fn": "torch.nn.modules.activation.Tanh"},
        classifier_dropout=0.3,
    )
    output = tmp_path / "bundle"
    export(str(checkpoint_copy), output, recipe="fp32", texts=list(sample_texts()[::20]))
    config = json.loads((output / "config.json").read_text(encoding="utf-8"))
    assert "owner" not in config
    assert config["problem_type"] == "single_label_classification"
    assert config["function_to_apply"] == "sigmoid"
    assert config["sentence_transformers"] == {"activation_fn": "torch.nn.modules.activation.Tanh"}
    assert config["classifier_dropout"] == 0.3
    assert config["id2label"] == {"0": "positive", "1": "negative", "2": "neutral"}


def test_the_shared_bundles_too(workshop: Workshop) -> None:
    for recipe in ("int8", "fp32"):
        check_bytes(workshop.bundle("classifier", recipe), {str(workshop.root)})


def test_the_embedded_bundle_too() -> None:
    for path in embedded_bundle().rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        assert not re.search(rb"/(home|root|Users|tmp|work|mnt)/", content), path.name
