"""Back ends for tests: quick, without torch; each runs in a real worker process."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from leanbert_bench.backends import Backend
from leanbert_bench.backends.base import TEXT_TASKS
from leanbert_bench.backends.text_only import TextOnlyBackend
from leanbert_bench.run.worker import serve

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from leanbert.bundle import ModelConfig
    from leanbert_bench.backends.base import Floats, Ids
    from leanbert_bench.run.preparing import Preparation

GOOD = 7
"""The id of the word "good", which makes a text positive."""


class Fake(Backend):
    """Calls a text positive if it says so; prints where a careless library would."""

    name = "Fake"
    family = "pytorch"
    requires: ClassVar[tuple[str, ...]] = ("numpy",)
    arrangement = "as they come"

    @classmethod
    def prepare(cls, preparation: Preparation) -> Path:
        def make(folder: Path) -> None:
            (folder / "made").write_text(cls.__name__)

        return preparation.once(cls.__name__, ("numpy",), make)

    def load(self) -> None:
        print("noise among the answers")
        assert (self.model.path / "made").is_file()
        assert os.environ["OMP_NUM_THREADS"] == str(self.model.threads)
        self.threads_set = {"threads": self.model.threads}

    def forward(self, inputs: dict[str, Ids]) -> Floats:
        good = (inputs["input_ids"] == GOOD).any(axis=1)
        # Three labels; the width of the batch shows a little, as with one scale a tensor.
        width = inputs["input_ids"].shape[1] / 1000
        logits = np.zeros((len(good), 3), np.float32)
        logits[:, 0] = np.where(good, 2.0, 0.0) + width
        logits[:, 1] = np.where(good, 0.0, 1.0)
        return logits

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        return [[2, *(GOOD if word == "good" else 9 for word in text.split())] for text in texts]

    def answer(self, items: Sequence[Any]) -> object:
        return self.forward(self.collate(self.tokenize(items))).tolist()

    def many(self, items: Sequence[Any]) -> object:
        os.write(1, b"noise of a C library\n")
        return self.answer(items)

    def size(self) -> int:
        return 2_000_000


class Doubtful(Fake):
    """Sees nothing good."""

    name = "Doubtful"
    precision = "int8"

    def forward(self, inputs: dict[str, Ids]) -> Floats:
        return np.asarray(super().forward(inputs) * np.array([0, 1, 1]), np.float32)


class DiesOffline(Fake):
    def many(self, items: Sequence[Any]) -> object:
        os.write(2, b"first line\nout of luck\n")
        os._exit(3)


class Hangs(Fake):
    def forward(self, inputs: dict[str, Ids]) -> Floats:
        if len(inputs["input_ids"]) > 1:  # a batch of MultiStream or the grid
            time.sleep(600)
        return super().forward(inputs)


class RaisesAtLoad(Fake):
    def load(self) -> None:
        raise ValueError("two\nlines")


class Killed(Fake):
    def load(self) -> None:
        os.kill(os.getpid(), 9)


class FailsToPrepare(Fake):
    @classmethod
    def prepare(cls, preparation: Preparation) -> Path:
        raise OSError(28, "No space left on device")


class Absent(Fake):
    requires = ("no-such-peer", "numpy")


class Refuses(Fake):
    @classmethod
    def why_not(cls, config: ModelConfig) -> str | None:
        return f"it knows no {config.model_type}"


class TextsAlone(TextOnlyBackend):
    """Knows of a text how long it is, and of a batch how many they are."""

    name = "Texts alone"
    family = "fake"
    tasks = TEXT_TASKS

    def load(self) -> None:
        self.threads_set = {"threads": self.model.threads}

    def compute(self, texts: Sequence[str]) -> Floats:
        return np.array([[len(text), len(texts), 0] for text in texts], np.float32)

    def size(self) -> int:
        return 1


class SlowToMake(Fake):
    seconds_to_prepare = 1e12


if __name__ == "__main__":  # the machine's limit, without torch
    serve(
        {
            "load": lambda _: {"library": "none"},
            "measure": lambda _: {"int8_gops": 2.0, "fp32_gflops": 1.0, "bandwidth_gbs": 3.0},
        }
    )
    sys.exit(0)
