"""``leanbert export`` and then ``leanbert verify``, as a user calls them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from leanbert.cli import main
from leanbert_export import cli as export_cli
from leanbert_export import exporting
from leanbert_export.errors import ExportError

if TYPE_CHECKING:
    from tests.export.conftest import Workshop

Capture = pytest.CaptureFixture[str]


def failure(captured: Any) -> str:
    """The one line on stderr of a command that failed."""
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "Traceback" not in captured.err
    line: str = captured.err.rstrip("\n")
    assert line.startswith("leanbert: ")
    return line.removeprefix("leanbert: ")


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["int8", "fp32"])
def test_card_then_verify(recipe: str, workshop: Workshop, tmp_path: Path, capsys: Capture) -> None:
    output = tmp_path / "bundle"
    default = [] if recipe == "int8" else ["--recipe", recipe]
    assert main(["export", str(workshop.tiny()), "-o", str(output), *default]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    path, *rows = captured.out.splitlines()
    assert path == str(output)
    card = {row[2:13].strip(): row[13:].strip() for row in rows}
    assert card["task"] == "text-classification, bert"
    assert card["recipe"] == recipe
    before = (workshop.tiny() / "model.safetensors").stat().st_size / 1e6
    after = sum(path.stat().st_size for path in output.iterdir()) / 1e6
    assert card["size"] == f"{before:.1f} MB -> {after:.1f} MB"
    assert card["operators"].startswith("2 MultiHeadAttention, 5 LayerNormalization")
    assert ("10 MatMulIntegerToFloat" in card["operators"]) == (recipe == "int8")
    assert ("10 MatMul" in card["operators"].split(", ")) == (recipe == "fp32")
    assert ("(67 texts held back)" if recipe == "int8" else "(200 texts)") in card[recipe]
    if recipe == "int8":
        assert card["calibration"] == "LeanBERT's own sample"
        assert card["gate"].startswith("not set; agreement ")
        assert "100.00% in fp32 on 67 texts held back; " in card["gate"]
        assert " of 67 decisions differ from PyTorch's, " in card["gate"]
    else:
        assert not {"calibration", "gate"} & set(card)
    same_label = float(card[recipe].partition("same label ")[2].partition("%")[0])
    assert same_label == 100 if recipe == "fp32" else 80 < same_label <= 100
    assert f"leanbert predict -m {output}" in card["try it"]

    assert main(["verify", str(output)]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith(f"{output}: 6 files intact; 25 golden texts within ")
    assert captured.err == ""


@pytest.mark.slow
def test_json_card(workshop: Workshop, tmp_path: Path, capsys: Capture) -> None:
    output = tmp_path / "bundle"
    arguments = ["export", str(workshop.tiny()), "-o", str(output), "--json", "--reduce-range"]
    assert main(arguments) == 0
    captured = capsys.readouterr()
    assert captured.out.count("\n") == 1
    card = json.loads(captured.out)
    assert card["path"] == str(output)
    assert (card["task"], card["recipe"]) == ("text-classification", "int8")
    assert card["bundle_bytes"] == sum(path.stat().st_size for path in output.iterdir())
    assert card["checkpoint_bytes"] == (workshop.tiny() / "model.safetensors").stat().st_size
    assert card["operators"]["MatMulIntegerToFloat"] == 10
    assert 0 < card["fp32_max_output_difference"] <= 1e-4
    assert 0 < card["mean_difference"] <= card["max_difference"]
    assert 0.8 < card["agreement"] <= 1
    assert card["rows"] == card["gate"]["rows"] == 67
    assert card["gate"]["passed"] is True
    assert card["gate"]["max_drop"] is None
    manifest = json.loads((output / "leanbert.json").read_text(encoding="utf-8"))
    assert manifest["recipe"]["reduce_range"] is True


@pytest.mark.slow
def test_features_without_labels(workshop: Workshop, tmp_path: Path, capsys: Capture) -> None:
    output = tmp_path / "features"
    checkpoint = str(workshop.tiny())  # its head is for classification
    arguments = ["--task", "feature-extraction", "--recipe", "fp32"]
    assert main(["export", checkpoint, "-o", str(output), *arguments]) == 0
    out = capsys.readouterr().out
    assert "feature-extraction, bert" in out
    assert "same label" not in out
    assert main(["verify", str(output)]) == 0


@pytest.mark.slow
def test_a_changed_bundle_does_not_verify(sealed_copy: Path, capsys: Capture) -> None:
    with (sealed_copy / "model.onnx.data").open("r+b") as file:
        file.write(b"\x01")
    assert main(["verify", str(sealed_copy)]) == 1
    assert "model.onnx.data" in failure(capsys.readouterr())


def test_a_hub_id_offline(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert main(["export", "nobody/has-this-model", "-o", str(tmp_path / "out")]) == 1
    line = failure(capsys.readouterr())
    assert line.startswith("nobody/has-this-model: no such directory, and the hub did not give it")
    assert not list(tmp_path.iterdir())


def test_output_in_the_way(workshop: Workshop, tmp_path: Path, capsys: Capture) -> None:
    assert main(["export", str(workshop.tiny()), "-o", str(tmp_path)]) == 2
    assert failure(capsys.readouterr()).endswith("exists already; pass --force to replace it")


def test_wrong_use(tmp_path: Path, capsys: Capture) -> None:
    for arguments in ([], ["model"], ["model", "-o", str(tmp_path), "--recipe", "int4"]):
        with pytest.raises(SystemExit) as caught:
            main(["export", *arguments])
        assert caught.value.code == 2
        assert "usage: leanbert export" in capsys.readouterr().err


def test_without_the_extra(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = {"torch", "onnx_ir"}
    monkeypatch.setattr(export_cli, "find_spec", lambda name: None if name in absent else name)
    assert main(["export", "model", "-o", str(tmp_path / "out")]) == 2
    line = failure(capsys.readouterr())
    assert line == (
        "leanbert export needs torch, onnx_ir; install with: pip install 'leanbert[export]'"
    )


@pytest.mark.slow
def test_ctrl_c(
    workshop: Workshop,
    tmp_path: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(exporting, "compare", interrupt)
    assert main(["export", str(workshop.tiny()), "-o", str(tmp_path / "out")]) == 130
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")
    assert not list(tmp_path.iterdir())


def test_progress_names_each_step_and_its_share(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def steps(*_: object, on_step: Callable[[str], None], **__: object) -> None:
        for name in exporting.STEPS:
            on_step(name)
        raise ExportError("enough")

    monkeypatch.setattr(exporting, "export", steps)
    monkeypatch.setattr("leanbert.cli.progress._watched", lambda stream: stream is not None)
    assert main(["export", "model", "-o", str(tmp_path / "out")]) == 1
    told = capsys.readouterr().err
    assert "quantizing (about 39% of the time)" in told
    assert "95/100 %  writing the bundle (about 5% of the time)" in told
