"""A bundle says nothing of the machine that it was made on."""

from __future__ import annotations

import getpass
import json
import os
import socket
import sys
from pathlib import Path

import pytest

from leanbert_export.exporting import export
from leanbert_export.samples import sample_texts
from tests.export.checkpoint.test_tokenizer import edit
from tests.export.conftest import Workshop
from tests.export.test_failures import edit_config

pytestmark = pytest.mark.slow
SECRET = "zanzibar-7351"  # noqa: S105 - a word that no model has


def traces(folder: Path) -> set[str]:
    """What of this machine would be telling."""
    words = {str(folder), str(Path.cwd()), str(Path.home()), sys.prefix, socket.gethostname()}
    words |= {os.environ.get("TMPDIR", "/tmp"), getpass.getuser(), SECRET}  # noqa: S108
    # A short name, such as root, is a word of every vocabulary.
    return {word for word in words if len(word) > 4 or "/" in word}


@pytest.mark.parametrize("recipe", ["int8", "fp32"])
def test_no_file_names_this_machine(checkpoint_copy: Path, tmp_path: Path, recipe: str) -> None:
    place = f"/home/{SECRET}/model"
    edit_config(checkpoint_copy, _name_or_path=place, owner=SECRET, trained={"on": SECRET})
    edit(checkpoint_copy, name_or_path=place, special_tokens_map_file=place, author=SECRET)
    (checkpoint_copy / "README.md").write_text(f"# by {SECRET}\n", encoding="utf-8")
    texts = list(sample_texts()[::20])
    calibration = tmp_path / SECRET
    calibration.mkdir()
    (calibration / "news.txt").write_text("\n".join(texts), encoding="utf-8")
    output = tmp_path / "bundle"
    export(
        str(checkpoint_copy),
        output,
        recipe=recipe,
        texts=texts,
        calibration=calibration / "news.txt" if recipe == "int8" else None,
    )
    for path in output.iterdir():
        content = path.read_bytes()
        for word in traces(tmp_path):
            assert word.encode() not in content, f"{path.name} holds {word}"


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
        for path in workshop.bundle("classifier", recipe).iterdir():
            assert str(workshop.root).encode() not in path.read_bytes(), path.name
