"""Back ends for tests: quick, without torch; each runs in a real worker process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from leanbert_bench.backends import Backend

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Fake(Backend):
    """Calls a text positive if it says so; prints where a careless library would."""

    @classmethod
    def prepare(cls, model: Path, folder: Path) -> Path:
        (folder / "made").write_text(model.name)
        return folder

    def import_libraries(self) -> None:
        print("noise among the answers")

    def load(self) -> None:
        assert (self.model / "made").is_file()
        assert os.environ["OMP_NUM_THREADS"] == str(self.threads)

    def one(self, text: str) -> object:
        return self.answers([text])

    def many(self, texts: Sequence[str]) -> object:
        os.write(1, b"noise of a C library\n")
        return self.answers(texts)

    def answers(self, texts: Sequence[str]) -> list[dict[str, float]]:
        good = [0.75 if "good" in text else 0.25 for text in texts]
        return [{"positive": p, "negative": 1 - p} for p in good]

    def size(self) -> int:
        return 2_000_000


class DiesInTurn(Fake):
    def many(self, texts: Sequence[str]) -> object:
        os.write(2, b"first line\nout of luck\n")
        os._exit(3)


class RaisesAtLoad(Fake):
    def load(self) -> None:
        raise ValueError("two\nlines")


class Killed(Fake):
    def load(self) -> None:
        os.kill(os.getpid(), 9)
