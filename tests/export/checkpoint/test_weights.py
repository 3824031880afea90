"""The files of a checkpoint: which hold its weights, and which are not what their names say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from leanbert_export.checkpoint.finding import find_checkpoint
from leanbert_export.checkpoint.weights import find_weights
from leanbert_export.errors import CheckpointError
from leanbert_export.exporting import export
from tests.export.conftest import load

POINTER = (
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)


def find(folder: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        find_checkpoint(str(folder), revision=None, task=None)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "name", ["model.safetensors", "config.json", "tokenizer.json", "vocab.txt"]
)
def test_pointers_of_git_lfs(checkpoint_copy: Path, name: str) -> None:
    (checkpoint_copy / name).write_text(POINTER, encoding="utf-8")
    assert find(checkpoint_copy) == (
        f"{checkpoint_copy / name}: is a Git LFS pointer and not the file itself; fetch it with: "
        "git lfs pull"
    )


def pickled(folder: Path) -> Path:
    torch.save(load(folder).model.state_dict(), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    return folder


def test_a_pickle_is_refused_and_its_conversion_works(checkpoint_copy: Path) -> None:
    pickled(checkpoint_copy)
    message = find(checkpoint_copy)
    assert message.startswith(f"{checkpoint_copy}: its weights are pickled only (pytorch_model.bin")
    assert "pass --allow-pickle" in message
    found = re.search(r'python -c "(.*)"$', message)
    assert found is not None
    command = [sys.executable, "-c", found[1]]
    done = subprocess.run(command, cwd=checkpoint_copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert load(checkpoint_copy).notes == {}


def test_a_pickle_may_be_read(checkpoint_copy: Path) -> None:
    pickled(checkpoint_copy)
    found = find_checkpoint(str(checkpoint_copy), revision=None, task=None, allow_pickle=True)
    assert [path.name for path in found.weights] == ["pytorch_model.bin"]


def test_a_pickle_that_runs_code_runs_none(checkpoint_copy: Path, tmp_path: Path) -> None:
    mark = tmp_path / "ran"

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str, str]]:
            return open, (str(mark), "w")

    torch.save({"classifier.bias": Evil()}, checkpoint_copy / "pytorch_model.bin")
    (checkpoint_copy / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="transformers cannot load it"):
        export(str(checkpoint_copy), tmp_path / "out", allow_pickle=True)
    assert not mark.exists()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("tf_model.h5", "TensorFlow"),
        ("flax_model.msgpack", "Flax"),
        ("adapter_model.safetensors", "an adapter (PEFT)"),
    ],
)
def test_weights_for_others(tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(CheckpointError, match=re.escape(f"(it has weights for {kind})")):
        find_weights(tmp_path)


def test_one_file_goes_before_others(checkpoint_copy: Path) -> None:
    (checkpoint_copy / "pytorch_model.bin").touch()
    (checkpoint_copy / "model-00001-of-00002.safetensors").touch()
    assert find_weights(checkpoint_copy) == [checkpoint_copy / "model.safetensors"]


@pytest.mark.parametrize(
    "content", ["{}", '{"weight_map": {}}', '{"weight_map": {"a": "../model.safetensors"}}', "["]
)
def test_an_index_that_is_wrong(tmp_path: Path, content: str) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(content, encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"model\.safetensors\.index\.json"):
        find_weights(tmp_path)
