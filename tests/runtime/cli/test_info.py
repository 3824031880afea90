"""``leanbert info``, ``verify`` and ``doctor``: what they say of bundles and of this machine."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from leanbert import __version__
from leanbert.cli.info import _lines, _not_negative
from leanbert.engines.saturation import Matmuls
from tests.helpers.command import Command
from tests.helpers.processes import python
from tests.helpers.tiny_bundles import Tiny, build


def test_info(command: Command, tiny_bundle: Path, tiny_features: Path) -> None:
    code, out, err = command("info", tiny_bundle)
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == str(tiny_bundle)
    for part in (
        "text-classification",
        "bert, up to 32 tokens",
        "0 positive, 1 negative, 2 neutral",
        "fp32",
        "opset: 17",
        "measured on words (5 texts)",
        "Apache-2.0",
        "5; allowed distance from PyTorch fp32: largest 1e-05, mean 1e-05",
    ):
        assert part in out
    assert "labels" not in command("info", tiny_features)[1]


def test_info_as_json(command: Command, tiny_bundle: Path) -> None:
    card = json.loads(command("info", tiny_bundle, "--json")[1])
    assert card["path"] == str(tiny_bundle)
    assert card["labels"] == {"0": "positive", "1": "negative", "2": "neutral"}
    assert card["labels_named"] is True
    assert card["verified"] is True
    assert card["golden_texts"] == 5


def test_many_labels_are_a_few_lines(command: Command, make_bundle: Callable[..., Path]) -> None:
    names = tuple(f"topic number {i}" for i in range(470))
    bundle = make_bundle(labels=names)
    out = command("info", bundle)[1]
    assert max(map(len, out.splitlines()[1:])) <= 100
    assert "0 topic number 0, 1 topic number 1" in out
    assert "... 470 in all; --json lists them" in out
    assert "topic number 25" not in out
    card = json.loads(command("info", bundle, "--json")[1])
    assert list(card["labels"].values()) == list(names)


def test_a_directory_without_a_manifest(
    command: Command, make_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    """Its task is the head's, and no labels are invented."""
    bundle = Path(shutil.copytree(make_bundle(manifest=False), tmp_path / "plain"))
    card = json.loads(command("info", bundle, "--json")[1])
    assert (card["verified"], card["task"]) == (False, None)
    path = bundle / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["architectures"] = ["BertForSequenceClassification"]
    config["id2label"] = {str(i): f"LABEL_{i}" for i in range(3)}
    path.write_text(json.dumps(config), encoding="utf-8")
    out = command("info", bundle)[1]
    assert "task          text-classification (by the checkpoint's head)" in out
    assert "labels        3, without names in the checkpoint's config" in out
    assert "LABEL_0" not in out
    assert "verified      no" in out
    del config["architectures"]
    path.write_text(json.dumps(config), encoding="utf-8")
    assert "task          not said by the files" in command("info", bundle)[1]


def test_no_difference_is_negative(tiny_bundle: Path) -> None:
    """One less the cosine of two equal embeddings may round to less than 0."""
    assert _not_negative("mean_difference", -1.2e-07) == 0.0
    assert _not_negative("mean_difference", 1.2e-07) == 1.2e-07
    card: dict[str, Any] = {
        "path": "p", "task": "feature-extraction", "head_task": None, "model_type": "bert",
        "max_length": 8, "size_mb": 1.0, "engine": "native", "no_native_engine": None,
        "matmuls": "m",
        "sentence_transformers": None, "verified": True, "source": {}, "recipe": {},
        "operators": {}, "golden_texts": 1,
        "atol": 1e-5, "mean_atol": 1e-5, "card": {}, "versions": {},
        "evidence": [{"dataset": "d", "rows": 2, "mean_difference": -1e-7}],
    }  # fmt: skip
    [line] = [line for line in _lines(card) if "mean_difference" in line]
    assert line.split()[-1] == "0"


def test_info_does_not_call_a_plain_fp32_export_int8(command: Command, tmp_path: Path) -> None:
    folder = build(tmp_path / "plain", Tiny(manifest=False))
    [line] = [line for line in command("info", folder)[1].splitlines() if "matmuls here" in line]
    assert line.split() == ["matmuls", "here", "fp32"]


def test_control_characters_never_reach_the_terminal(
    command: Command, make_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    evil = "\x1b]0;owned\x07\x9b2J\u202egnp\u2028\x7f"
    bundle = Path(shutil.copytree(make_bundle(labels=(evil, "b", "c")), tmp_path / "a\x1b[2J\nb"))
    outputs = [
        command("info", bundle)[1],
        command("info", bundle, "--json")[1],
        command("verify", bundle)[1],
        command("predict", "-m", bundle, "--table", "profit \x1b[2J rose")[1],
        command("predict", "-m", bundle, "--json", "--top-k", "all", "profit \x9b2J")[1],
        command("predict", "-m", bundle, "profit \x1b[2J rose")[1],
        command.wrong("info", tmp_path / evil, code=1),
        command.wrong("predict", "-m", bundle, "-i", tmp_path / f"{evil}.csv"),
        command.wrong("predict", "-m", bundle, "-o", tmp_path / f"{evil}.xml", "profit"),
    ]
    obeyed = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u202e]")
    for out in outputs:
        assert out
        assert not obeyed.search(out), out
    assert "\\x1b]0;owned\\x07" in outputs[0]
    assert json.loads(outputs[1])["labels"]["0"] == evil
    assert json.loads(outputs[4])["text"] == "profit \x9b2J"


def test_verify(command: Command, tiny_bundle: Path) -> None:
    code, out, err = command("verify", tiny_bundle, "--threads", 1)
    assert (code, err) == (0, "")
    assert out.startswith(f"{tiny_bundle}: 3 files intact; 5 golden texts within ")
    found = json.loads(command("verify", tiny_bundle, "--json")[1])
    assert found["files"] == 3
    assert f"({found['products']})" in out
    assert f"native: not run ({found['not_run']['native']})" in out
    assert found["max_difference"] <= found["atol"]


def test_doctor(command: Command) -> None:
    code, out, err = command("doctor", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["leanbert"] == __version__
    assert re.fullmatch(r"[1-9][0-9]* usable \((no )?quota.*\)", found["cores"])
    native = found["native engine"].startswith("yes, ")
    assert found["engine"] == ("native" if native else "onnxruntime")
    assert found["matmuls"] in {Matmuls.INT8.value, Matmuls.UINT8.value}
    assert all(found[name][0].isdigit() for name in ("numpy", "onnxruntime", "tokenizers"))
    shown = command("doctor")[1]
    for line, name in zip(shown.splitlines(), found, strict=True):
        assert line.startswith(f"{name} ")


def test_doctor_shows_what_a_framework_asks_for(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    found = json.loads(command("doctor", "--json")[1])
    assert re.fullmatch(r"1 usable \((no )?quota.*, OMP_NUM_THREADS 1\)", found["cores"])


HIDING = """
import importlib.util, sys
hidden = set({names!r})
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name in hidden else find(name, *rest)
from leanbert.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_export_without_its_extra(tmp_path: Path) -> None:
    script = HIDING.format(names=["torch", "optimum"])
    done = python(["-c", script, "export", "model", "-o", "out"], tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("leanbert: leanbert export needs torch")
    assert "pip install 'leanbert[export]'" in done.stderr
    assert list(tmp_path.iterdir()) == []
    found = json.loads(python(["-c", script, "doctor", "--json"], tmp_path).stdout)
    assert found["export"] == "not installed; pip install 'leanbert[export]'"


def test_doctor_without_the_engine(tmp_path: Path) -> None:
    script = HIDING.format(names=["onnxruntime"])
    found = json.loads(python(["-c", script, "doctor", "--json"], tmp_path).stdout)
    assert found["matmuls"] == "unknown without onnxruntime"


@pytest.mark.parametrize("name", ["info", "verify"])
def test_a_bundle_that_is_not_there(command: Command, tmp_path: Path, name: str) -> None:
    assert "does not exist" in command.wrong(name, tmp_path / "no", code=1)
