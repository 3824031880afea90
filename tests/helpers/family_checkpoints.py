"""Seeded tiny checkpoints of every family and head, and what other tools export of them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from leanbert_export.checkpoint.finding import find_checkpoint
from leanbert_export.checkpoint.loading import load_checkpoint
from leanbert_export.quiet import quiet
from leanbert_export.samples import sample_texts
from leanbert_export.tracing.pytorch import export_with_torch
from leanbert_export.tracing.tracers import optimum_version
from tests.helpers.families import FAMILIES, HEADS, SEED, model_type
from tests.helpers.family_tokenizers import tokenizer
from tests.helpers.parity import is_newer


def checkpoint(family: str, task: str, folder: Path, data: Path | None = None) -> Path:
    """Write the family's checkpoint with the task's head into ``folder``; its answers vary."""
    made = tokenizer(family, data)
    kind, options = HEADS[task]
    ids = {
        name: getattr(made, name)
        for name in ("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id")
    }
    with quiet():
        config = transformers.AutoConfig.for_model(
            model_type(family),
            vocab_size=len(made),
            **{name: value for name, value in ids.items() if value is not None},
            **{**FAMILIES[family].config, **options},
        )
        torch.manual_seed(SEED)
        model = getattr(transformers, kind).from_config(config).eval()
        _spread(model, made)
        model.save_pretrained(folder)
        made.save_pretrained(folder)
    return folder


def _spread(model: Any, made: Any) -> None:
    """Let logits differ from token to token and label to label, so that nothing is nearly a tie."""
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.endswith("bias"):
                value.normal_(0.0, 0.1)  # zeros would hide a bias that gets lost
            if "word_embeddings" in name or "tok_embeddings" in name:
                value.mul_(3.0)  # over the position's and the type's
        linear = [module for module in model.modules() if isinstance(module, torch.nn.Linear)]
        if not hasattr(model, "num_labels") or linear[-1].out_features > 16:
            return
        batch = made(list(sample_texts()[:24]), padding=True, truncation=True, return_tensors="pt")
        real = batch["attention_mask"].bool()
        seen: list[torch.Tensor] = []
        hook = linear[-1].register_forward_hook(lambda _, __, output: seen.append(output))
        model(**{name: batch[name] for name in made.model_input_names})
        hook.remove()
        logits = seen[0][real] if seen[0].ndim == 3 else seen[0]
        scale = 3.0 / logits.std(dim=0)
        linear[-1].weight.mul_(scale[:, None])
        linear[-1].bias.copy_((linear[-1].bias - logits.mean(dim=0)) * scale)


def plain_export(source: Path, folder: Path, task: str) -> Path:
    """The ONNX graph that another tool makes of a checkpoint, without our manifest.

    The tool is Optimum, or PyTorch where no Optimum works with this transformers.
    """
    if optimum_version() is None:
        loaded = load_checkpoint(find_checkpoint(str(source), revision=None, task=task))
        export_with_torch(loaded, folder, "this is a test")
        with quiet():
            loaded.tokenizer.save_pretrained(folder)
        shutil.copyfile(source / "config.json", folder / "config.json")
        return folder
    from optimum.exporters.onnx import main_export

    with quiet():
        main_export(str(source), folder, task=task, opset=18, do_validation=False)
    return folder


@dataclass
class Workshop:
    """Makes each checkpoint, and a plain export of it, at most once: copy it to change it."""

    root: Path
    data: Path | None = None
    """Real data; ``None`` for trained tokenizers."""

    def checkpoint(self, family: str, task: str) -> Path:
        """A tiny seeded checkpoint."""
        folder = self.root / "checkpoints" / f"{family}-{task}"
        if not folder.exists():
            checkpoint(family, task, folder, self.data)
        return folder

    def plain(self, family: str, task: str) -> Path:
        """Its ONNX graph by another tool, which LeanBERT opens as it is."""
        folder = self.root / "plain" / f"{family}-{task}"
        if not folder.exists():
            plain_export(self.checkpoint(family, task), folder, task)
        return folder

    def reference(self, family: str, task: str) -> Any:
        """transformers' pipeline of the checkpoint; version 5 has none for question answering."""
        if task == "question-answering" and is_newer():
            pytest.skip("transformers 5 has no pipeline for question-answering")
        with quiet():
            return transformers.pipeline(task, str(self.checkpoint(family, task)), device="cpu")
