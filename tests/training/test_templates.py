"""Sentences of our own, and that none of them is measured on."""

from __future__ import annotations

from leanbert_training import negations, templates


def test_own_sentences_are_seeded_and_of_every_label() -> None:
    rows = templates.generate(300, seed=1)

    assert rows == templates.generate(300, seed=1) != templates.generate(300, seed=2)
    assert [sum(label == i for _, label in rows) for i in range(3)] == [100, 100, 100]
    assert not any("{" in text for text, _ in rows)
    measured = {text for text, _ in negations.sentences()}
    assert len(measured) == 60
    assert not measured & {text for text, _ in templates.generate(5000)}
