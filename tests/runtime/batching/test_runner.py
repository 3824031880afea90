"""Inputs of any number of rows: ordered in groups, answered in their order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from leanbert import pipeline
from leanbert.batching import Prepared, Runner, grouping
from leanbert.engines import Batch
from leanbert.tokenization import segment


def windows(running: Runner, texts: Sequence[Any], **options: Any) -> Prepared[str, Any]:
    segments = segment(running.tokenizer, texts, stride=4, **options)
    return Prepared(texts, segments, segments.counts)


def logits(running: Runner, batch: Batch) -> list[list[float]]:
    rows: list[list[float]] = running.engine.run(batch)["logits"].tolist()
    return rows


def rows(running: Runner, texts: list[str], **options: Any) -> list[list[float]]:
    """The length of each text, the largest logit of each of its windows, and their number."""
    return list(
        running.map(
            texts,
            lambda part, _: windows(running, part, max_length=12),
            lambda batch: logits(running, batch),
            lambda text, _, own, found: [float(len(text)), *map(max, found), float(len(own))],
            **options,
        )
    )


@pytest.mark.parametrize("mode", ["latency", "throughput"])
def test_each_text_is_answered_from_all_its_windows(
    tiny_bundle: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = pipeline("text-classification", tiny_bundle, mode=mode, threads=2).runner
    texts = ["profit bad " * (i * 5 % 23) for i in range(300)]
    together = rows(running, texts)
    assert [int(row[0]) for row in together] == list(map(len, texts))
    assert any(row[-1] > 3 for row in together)
    for text, row in zip(texts[:50], together, strict=False):
        assert row == pytest.approx(rows(running, [text])[0], abs=1e-5)
    monkeypatch.setattr(grouping, "GROUP_TOKENS", 100)
    for row, other in zip(together, rows(running, texts, batch_size=3), strict=True):
        assert row == pytest.approx(other, abs=1e-5)


@pytest.mark.parametrize("mode", ["latency", "throughput"])
def test_rows_are_computed_in_batches_and_come_back_in_order(tiny_bundle: Path, mode: str) -> None:
    running = pipeline("text-classification", tiny_bundle, mode=mode, threads=2).runner
    texts = [("profit " if i % 3 else "loss ") * (i * 5 % 23) for i in range(300)]
    encodings = running.tokenizer.encode(texts)
    sizes: list[int] = []

    def forward(batch: Batch) -> list[list[float]]:
        sizes.append(len(batch))
        return logits(running, batch)

    found = running.compute(encodings, forward, 7, deduplicate=False)
    assert max(sizes) == 7
    assert sum(sizes) == 300
    for i, row in enumerate(found):
        alone = logits(running, running.tokenizer.encode([texts[i]]))
        assert row == pytest.approx(alone[0], abs=1e-5)


def test_groups_are_bounded_by_their_tokens(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grouping, "GROUP_TOKENS", 100)
    running = pipeline("text-classification", tiny_bundle, threads=1).runner
    drawn: list[int] = []

    def source() -> Any:
        for i in range(1000):
            drawn.append(i)
            yield "profit " * 9

    answers = running.map(
        source(),
        lambda part, _: windows(running, part),
        lambda batch: logits(running, batch),
        lambda *_: 0,
    )
    assert next(answers) == 0
    assert len(drawn) == 64
