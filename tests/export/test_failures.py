"""Each failure has its own error of one line, and leaves nothing behind."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leanbert.bundle import MANIFEST, Bundle
from leanbert.errors import InputError
from leanbert_export import exporting, quantizing, source, writing
from leanbert_export.architectures.describing import describe
from leanbert_export.architectures.description import Encoder
from leanbert_export.checkpoint.finding import find_checkpoint
from leanbert_export.checkpoint.loading import LoadedCheckpoint
from leanbert_export.errors import (
    CheckpointError,
    ExportError,
    OutputExistsError,
    ProofError,
)
from leanbert_export.exporting import export
from leanbert_export.int8 import rounding, weights
from tests.export.conftest import Workshop

Check = Callable[[], None]
TEXTS = ["profit rose", "sales fell a lot", "the board met on Monday"]


def error_of(kind: type[Exception], *arguments: Any, **options: Any) -> str:
    """The message of the export's failure, which must be one line."""
    with pytest.raises(kind) as caught:
        export(*arguments, **options)
    assert type(caught.value) is kind
    message = str(caught.value)
    assert message
    assert "\n" not in message
    return message


def edit_config(checkpoint: Path, **changes: Any) -> None:
    path = checkpoint / "config.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**content, **changes}), encoding="utf-8")


# The output is in the way.


def test_existing_output_is_kept(workshop: Workshop, tmp_path: Path, nothing_left: Check) -> None:
    message = error_of(OutputExistsError, str(workshop.tiny()), tmp_path)
    assert message == f"{tmp_path}: exists already; pass --force to replace it"
    nothing_left()


@pytest.mark.parametrize("what", ["directory", "file"])
def test_force_replaces_only_bundles(workshop: Workshop, tmp_path: Path, what: str) -> None:
    output = tmp_path / "mine"
    precious = output / "thesis.txt" if what == "directory" else output
    precious.parent.mkdir(exist_ok=True)
    precious.write_text("years of work", encoding="utf-8")
    message = error_of(OutputExistsError, str(workshop.tiny()), output, force=True)
    assert message.startswith(f"{output}: is not a bundle")
    assert precious.read_text(encoding="utf-8") == "years of work"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.slow
def test_force_replaces_a_bundle_whole(workshop: Workshop, sealed_copy: Path) -> None:
    (sealed_copy / "stray.txt").write_text("of the old bundle", encoding="utf-8")
    export(str(workshop.tiny()), sealed_copy, force=True, texts=TEXTS, calibration=TEXTS)
    manifest = Bundle.open(sealed_copy).manifest
    assert manifest is not None
    assert manifest.recipe["name"] == "int8"
    assert not (sealed_copy / "stray.txt").exists()
    assert [path.name for path in sealed_copy.parent.iterdir()] == [sealed_copy.name]


@pytest.mark.slow
def test_force_takes_an_empty_directory(workshop: Workshop, tmp_path: Path) -> None:
    output = tmp_path / "empty"
    output.mkdir()
    export(str(workshop.tiny()), output, recipe="fp32", force=True)
    assert Bundle.open(output).manifest is not None
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


@pytest.mark.slow
def test_a_failed_replacement_keeps_the_old_bundle(
    workshop: Workshop,
    sealed_copy: Path,
    nothing_left: Check,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = (sealed_copy / MANIFEST).read_bytes()
    monkeypatch.setattr(exporting, "make_golden", _raises(ProofError("no")))
    options: dict[str, Any] = {"force": True, "recipe": "fp32", "texts": TEXTS}
    assert error_of(ProofError, str(workshop.tiny()), sealed_copy, **options) == "no"
    assert (sealed_copy / MANIFEST).read_bytes() == before
    nothing_left()


def test_a_failed_rename_puts_the_old_bundle_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "bundle"
    output.mkdir()
    (output / "leanbert.json").touch()  # a bundle, so that force may replace it
    rename = Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise PermissionError("held open")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(PermissionError), writing.new_directory(output, force=True) as folder:
        (folder / "new").touch()
    assert [path.name for path in output.iterdir()] == ["leanbert.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_a_directory_that_appears_meanwhile_stays(tmp_path: Path) -> None:
    output = tmp_path / "out"
    with (
        pytest.raises(OutputExistsError, match="exists already"),
        writing.new_directory(output, force=False) as folder,
    ):
        (folder / "new").touch()
        output.mkdir()
        (output / "mine").touch()
    assert [path.name for path in output.iterdir()] == ["mine"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


# The checkpoint cannot be used.


def test_no_config(checkpoint_copy: Path, tmp_path: Path, nothing_left: Check) -> None:
    (checkpoint_copy / "config.json").rename(checkpoint_copy / "else.json")
    message = error_of(CheckpointError, str(checkpoint_copy), tmp_path / "out")
    assert message.startswith(f"{checkpoint_copy}: no config.json")
    (checkpoint_copy / "else.json").rename(checkpoint_copy / "config.json")
    nothing_left()


def test_config_that_is_no_json(checkpoint_copy: Path, tmp_path: Path) -> None:
    (checkpoint_copy / "config.json").write_text("{", encoding="utf-8")
    message = error_of(CheckpointError, str(checkpoint_copy), tmp_path / "out")
    assert message.startswith(f"{checkpoint_copy / 'config.json'}: not valid JSON")


def test_no_weights(checkpoint_copy: Path, tmp_path: Path) -> None:
    (checkpoint_copy / "model.safetensors").unlink()
    message = error_of(CheckpointError, str(checkpoint_copy), tmp_path / "out")
    assert message.startswith(f"{checkpoint_copy}: no model.safetensors; save it with ")
    assert not (tmp_path / "out").exists()


def test_truncated_weights(checkpoint_copy: Path, tmp_path: Path, nothing_left: Check) -> None:
    weights = checkpoint_copy / "model.safetensors"
    data = weights.read_bytes()
    weights.write_bytes(data[: len(data) // 2])
    message = error_of(CheckpointError, str(checkpoint_copy), tmp_path / "out")
    assert message.startswith(f"{weights}: cannot be read (")
    nothing_left()


def test_a_head_of_another_task(workshop: Workshop, tmp_path: Path, nothing_left: Check) -> None:
    copy = Path(shutil.copytree(workshop.tiny(), tmp_path.parent / f"{tmp_path.name}-choice"))
    edit_config(copy, architectures=["BertForMultipleChoice"])
    message = error_of(CheckpointError, str(copy), tmp_path / "out")
    assert "architecture BertForMultipleChoice" in message
    assert "--task" in message
    nothing_left()


@pytest.mark.parametrize("architectures", [[], None, ["BertForMultipleChoice"], ["T5Stack"]])
def test_architectures_without_a_task(checkpoint_copy: Path, architectures: Any) -> None:
    edit_config(checkpoint_copy, architectures=architectures)
    with pytest.raises(CheckpointError, match="LeanBERT exports heads for text-classification"):
        find_checkpoint(str(checkpoint_copy), revision=None, task=None)
    found = find_checkpoint(str(checkpoint_copy), revision=None, task="feature-extraction")
    assert found.task == "feature-extraction"


@pytest.mark.slow
def test_a_head_made_up_at_random_is_refused(
    workshop: Workshop, tmp_path: Path, nothing_left: Check
) -> None:
    with pytest.raises(ExportError) as caught:
        export(str(workshop.tiny("features")), tmp_path / "out", task="text-classification")
    assert "\n" not in str(caught.value)
    nothing_left()


def test_code_of_the_checkpoint_is_never_run(
    checkpoint_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit_config(checkpoint_copy, auto_map={"AutoModel": "evil.Evil"})
    mark = tmp_path / "ran"
    (checkpoint_copy / "evil.py").write_text(f"open({str(mark)!r}, 'w')\n", encoding="utf-8")
    message = error_of(CheckpointError, str(checkpoint_copy), tmp_path / "out")
    assert "auto_map" in message
    assert not mark.exists()
    assert not (tmp_path / "out").exists()


def test_a_local_directory_has_no_revision(
    checkpoint_copy: Path, tmp_path: Path, nothing_left: Check
) -> None:
    message = error_of(CheckpointError, str(checkpoint_copy), tmp_path / "out", revision="main")
    assert message == f"{checkpoint_copy}: is a local directory; --revision is for hub ids"
    nothing_left()


@pytest.mark.parametrize("model", ["nobody/has-this-model", "no such/ name", "../not/there"])
def test_a_model_that_is_nowhere(model: str, tmp_path: Path, nothing_left: Check) -> None:
    message = error_of(CheckpointError, model, tmp_path / "out")
    start = f"{model}: no such directory, and the hub did not give it"
    assert message.startswith(start)
    if model != "nobody/has-this-model":
        assert message == f"{start} (its models are named owner/name)"
    nothing_left()


@pytest.mark.parametrize("transport", ["httpx", "httpx2", "requests"])
def test_a_hub_that_cannot_be_reached_is_one_line(
    transport: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nothing_left: Check
) -> None:
    """What a transport raises is no error of huggingface_hub, and need not be an OSError."""
    kind = type("ConnectError", (Exception,), {"__module__": transport})

    def fail(*_: Any, **__: Any) -> None:
        raise kind("[Errno -2] Name or service not known")

    monkeypatch.setattr("huggingface_hub.HfApi.list_repo_files", fail)
    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    message = error_of(CheckpointError, "nobody/has-this-model", tmp_path / "out")
    assert message == (
        "nobody/has-this-model: no such directory, and the hub did not give it (the hub cannot be "
        "reached ([Errno -2] Name or service not known))"
    )
    nothing_left()


def test_a_fault_of_another_kind_is_not_laid_on_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("huggingface_hub.HfApi.list_repo_files", fail)
    with pytest.raises(ZeroDivisionError):
        export("nobody/has-this-model", tmp_path / "out")


@pytest.mark.parametrize("options", [{"recipe": "int4"}, {"task": "translation"}])
def test_arguments(options: dict[str, str], workshop: Workshop, tmp_path: Path) -> None:
    message = error_of(InputError, str(workshop.tiny()), tmp_path / "out", **options)
    (name, value), *_ = options.items()
    assert message.startswith(f"{name} is {value!r}; expected one of ")
    assert not (tmp_path / "out").exists()


# The graph does not say what PyTorch says.


@pytest.mark.slow
def test_a_model_that_does_not_bear_int8(
    workshop: Workshop,
    tmp_path: Path,
    nothing_left: Check,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = rounding.quantize_compensated

    def coarse(weight: Any, gram: Any, limit: int) -> Any:
        return honest(weight, gram, 1)  # three values per weight

    monkeypatch.setattr(weights, "quantize_compensated", coarse)
    options = {"texts": TEXTS, "calibration": TEXTS}
    message = error_of(ProofError, str(workshop.tiny()), tmp_path / "out", **options)
    assert message.startswith("values: int8 is ")
    assert message.endswith("use --recipe fp32")
    nothing_left()


@pytest.mark.slow
def test_a_graph_that_computes_something_else(
    workshop: Workshop,
    tmp_path: Path,
    nothing_left: Check,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def wrong(loaded: LoadedCheckpoint) -> Encoder:
        encoder = describe(loaded)
        last = encoder.head.classifier
        assert last is not None
        assert last.bias is not None
        changed = replace(last, bias=last.bias + np.float32(0.01))
        return replace(encoder, head=replace(encoder.head, classifier=changed))

    monkeypatch.setattr(source, "describe", wrong)
    message = error_of(ProofError, str(workshop.tiny()), tmp_path / "out", recipe="fp32")
    assert message.startswith("values: an fp32 output is 0.01 away")
    nothing_left()


# Something fails in the middle.


def _raises(error: BaseException) -> Callable[..., Any]:
    def step(*_: Any, **__: Any) -> Any:
        raise error

    return step


STEPS = {
    exporting: (
        "load_checkpoint", "find_source", "replace_graph", "compare",
        "check_tokenization", "check_independence", "make_golden",
    ),
    quantizing: ("record_inputs", "quantize_matmuls", "quantize_graph", "pass_gate", "compare"),
    writing: ("write_parts", "write_manifest"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("error", [ExportError("broken"), KeyboardInterrupt(), OSError(28, "full")])
@pytest.mark.parametrize(
    ("where", "step"), [(module, step) for module, steps in STEPS.items() for step in steps]
)
def test_failure_in_the_middle(
    where: Any,
    step: str,
    error: BaseException,
    workshop: Workshop,
    tmp_path: Path,
    nothing_left: Check,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(where, step, _raises(error))
    with pytest.raises(type(error)):
        export(str(workshop.tiny()), tmp_path / "out", texts=TEXTS, calibration=TEXTS)
    nothing_left()


@pytest.mark.slow
def test_failure_below_new_directories(
    workshop: Workshop,
    tmp_path: Path,
    nothing_left: Check,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exporting, "make_golden", _raises(ExportError("broken")))
    output = tmp_path / "a" / "b" / "out"
    error_of(ExportError, str(workshop.tiny()), output, recipe="fp32", texts=TEXTS)
    nothing_left()


@pytest.mark.slow
def test_no_tokenizer(checkpoint_copy: Path, tmp_path: Path, nothing_left: Check) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        (checkpoint_copy / name).unlink()
    with pytest.raises(ExportError) as caught:
        export(str(checkpoint_copy), tmp_path / "out", texts=TEXTS)
    assert str(checkpoint_copy) in str(caught.value)
    assert "tokenizer" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_no_texts_to_compare_on(workshop: Workshop, tmp_path: Path, nothing_left: Check) -> None:
    with pytest.raises(InputError, match="texts is empty"):
        export(str(workshop.tiny()), tmp_path / "out", texts=[])
    nothing_left()
