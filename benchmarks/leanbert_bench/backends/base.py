"""What every back end can do: be prepared once, be loaded, and answer in a few ways."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from leanbert.bundle.config import parse_config
from leanbert.bundle.reading import read_json
from leanbert_bench.provenance import installed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from leanbert.bundle import ModelConfig
    from leanbert_bench.run.preparing import Preparation

    Floats = npt.NDArray[np.float32]
    Ids = npt.NDArray[np.int64]


TEXT_TASKS = frozenset({"text-classification", "feature-extraction"})
TOKENIZER_FILES = ("config.json", "tokenizer.json", "vocab.txt")


@dataclass(frozen=True)
class Model:
    """What a worker loads."""

    path: Path
    """What :meth:`Backend.prepare` gave."""
    checkpoint: Path | None
    """The Hugging Face checkpoint, for its tokenizer and config; ``None`` where only a bundle is
    measured."""
    task: str
    threads: int
    """The threads that the engine may use."""


class Backend(ABC):
    """One engine with one model, in a process of its own.

    ``load`` makes ready what answers single texts; what answers many at once may be made by the
    first call of :meth:`many`.
    """

    name: ClassVar[str]
    """In tables."""
    family: ClassVar[str]
    precision: ClassVar[str] = "fp32"
    requires: ClassVar[tuple[str, ...]] = ()
    """Distributions that it runs on. With all that they require they are its installed size."""
    makes_with: ClassVar[tuple[str, ...]] = ()
    """Further distributions that :meth:`prepare` needs."""
    tasks: ClassVar[frozenset[str]] = TEXT_TASKS
    arrangement: ClassVar[str]
    """How :meth:`many` arranges its texts, in words."""
    only_if_named: ClassVar[bool] = False
    """Whether a run leaves it out unless ``--backends`` names it."""
    seconds_to_prepare: ClassVar[float] = 0.0
    """About how long it takes for BERT-base; ``--quick`` plans with it."""
    seconds_if_random: ClassVar[float | None] = None
    """The same for random weights, where that is less."""
    takes_ids: ClassVar[bool] = True
    """Whether :meth:`forward` exists; those that only take texts have no times of single shapes."""
    seconds_to_load: ClassVar[float] = 4.0
    """About how long it takes to its first answers."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.threads_set: dict[str, int | str] = {}
        """The settings that gave the engine its budget of threads."""

    @classmethod
    def why_not(cls, config: ModelConfig) -> str | None:  # noqa: ARG003 - for those that refuse some
        """Say in a clause why it cannot run a model of this config; ``None`` if it can."""
        return None

    @classmethod
    def prepare(cls, preparation: Preparation) -> Path:
        """Make what is loaded later, in a process of its own; by default it is the checkpoint."""
        return preparation.checkpoint

    @classmethod
    def installed_folders(cls) -> tuple[Path, ...]:
        """Return what it needs on the disk beside the distributions of :attr:`requires`."""
        return ()

    @property
    def imports(self) -> tuple[str, ...]:
        """The modules that are imported before :meth:`load` is timed."""
        return ()

    @abstractmethod
    def load(self) -> None:
        """Set the threads and make ready to answer single texts."""

    @abstractmethod
    def forward(self, inputs: dict[str, Ids]) -> Floats:
        """Compute one padded batch: token ids in, the task's output out.

        *Shape:* each input ``(batch_size, seq_len)`` int64 -> logits ``(batch_size, labels)`` or
        hidden states ``(batch_size, seq_len, width)``, float32.
        """

    @abstractmethod
    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of each text, special tokens included, cut at the model's length."""

    @abstractmethod
    def answer(self, items: Sequence[Any]) -> object:
        """Answer a few items that came together, called as a user would call it."""

    @abstractmethod
    def many(self, items: Sequence[Any]) -> object:
        """Answer very many items in the best arrangement that its documentation shows."""

    @abstractmethod
    def size(self) -> int:
        """Return how many bytes of the model it needs on disk; called after :meth:`load`."""

    def about(self) -> dict[str, str | None]:
        """Return what else is to be recorded of it once it is loaded."""
        return {}

    @property
    def config(self) -> ModelConfig:
        """The config of the checkpoint, or of what was prepared where there is none."""
        folder = self.model.checkpoint or self.model.path
        path = folder / "config.json"
        return parse_config(read_json(path), path)

    def collate(self, rows: Sequence[Sequence[int]]) -> dict[str, Ids]:
        """Pad the ids of single texts to the longest of them."""
        import numpy as np

        width = max(len(row) for row in rows)
        ids = np.full((len(rows), width), self.config.pad_token_id, np.int64)
        mask = np.zeros_like(ids)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = row
            mask[i, : len(row)] = 1
        return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}

    def scores_of_texts(self, texts: Sequence[str], batches: Iterable[Sequence[int]]) -> Floats:
        """Compute :meth:`scores` of texts; the batches are indices into ``texts``."""
        return self.scores(self.tokenize(texts), batches)

    def scores(self, rows: Sequence[Sequence[int]], batches: Iterable[Sequence[int]]) -> Floats:
        """Compute what answers are made of: probabilities of labels, or mean-pooled embeddings.

        Args:
            rows: the ids of each text.
            batches: indices into ``rows``; every one stands in exactly one batch.

        *Shape:* ``(len(rows), labels or width)`` float32, in the order of ``rows``.
        """
        import numpy as np

        from leanbert.numerics import apply_function, mean_pool

        function = self.config.default_function
        found: dict[int, Floats] = {}
        for batch in batches:
            inputs = self.collate([rows[i] for i in batch])
            outputs = self.forward(inputs)
            made = (
                [mean_pool(row[: len(rows[i])]) for i, row in zip(batch, outputs, strict=True)]
                if outputs.ndim == 3
                else apply_function(function, outputs)
            )
            found.update(zip(batch, made, strict=True))
        return np.stack([found[i] for i in range(len(rows))])


def missing_packages(names: Iterable[str]) -> list[str]:
    """Return those of the distributions that are not installed, without importing any."""
    return [name for name in names if installed(name) is None]


def random_inputs(rows: int, length: int, vocabulary: int) -> dict[str, Ids]:
    """Draw the same token ids each time, without padding and mostly without special tokens.

    *Shape:* each ``(rows, length)`` int64.
    """
    import numpy as np

    low = min(1000, vocabulary // 2)  # below are special and unused tokens
    ids = np.random.default_rng(0).integers(low, vocabulary, (rows, length), dtype=np.int64)
    return {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "token_type_ids": np.zeros_like(ids),
    }


def sorted_batches(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Return the indices of all texts in batches of like length, the longest first."""
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    return [order[i : i + size] for i in range(0, len(order), size)]


def file_bytes(paths: Iterable[Path]) -> int:
    """Return the bytes of those files that exist."""
    return sum(path.stat().st_size for path in paths if path.is_file())


def checkpoint_bytes(folder: Path) -> int:
    """Return the bytes of a checkpoint's weights, tokenizer and config."""
    for pattern in ("model*.safetensors", "pytorch_model*.bin"):
        weights = sorted(folder.glob(pattern))
        if weights:
            return file_bytes([*weights, *(folder / name for name in TOKENIZER_FILES)])
    return file_bytes(folder.rglob("*"))


def transformers_modules(config: ModelConfig) -> tuple[str, ...]:
    """Return the modules that ``from_pretrained`` imports lazily, apart from torch."""
    family = config.model_type.replace("-", "_")
    return (
        "transformers.models.auto.modeling_auto",
        "transformers.models.auto.tokenization_auto",
        f"transformers.models.{family}",
    )


def use_compiler_cache(folder: Path) -> None:
    """Let ``torch.compile`` keep what it makes in ``folder``, unless the user said where."""
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(folder))
