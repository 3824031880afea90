"""Small files in the form of the public sets that the embedded model is trained on."""

from __future__ import annotations

import json
from pathlib import Path

from leanbert_training.data import Example, Target

POSITIVE, NEGATIVE, NEUTRAL = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)


def example(text: str, target: Target = NEUTRAL) -> Example:
    return Example(text, target)


def write_twitter(path: Path, rows: list[tuple[str, int]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f'"{text}",{label}' for text, label in rows]
    path.write_text("\n".join(["text,label", *lines, ""]), encoding="utf-8")


def write_phrasebank(path: Path, rows: list[tuple[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(f"{text}@{label}\r\n" for text, label in rows).encode("latin-1"))


def write_finbert(path: Path, rows: list[tuple[str, float, float, float]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    names = ("text", "p_positive", "p_negative", "p_neutral")
    lines = [json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows]
    path.write_text("".join(lines), encoding="utf-8")


def write_sets(tmp_path: Path) -> None:
    twitter, phrasebank = tmp_path / "twitter_financial_news", tmp_path / "phrasebank"
    write_twitter(
        twitter / "sent_train.csv",
        [("only in train", 1), ("In VALID too!", 0), ("in phrasebank too", 2)],
    )
    write_twitter(twitter / "sent_valid.csv", [("in valid too", 0)])
    write_phrasebank(phrasebank / "Sentences_AllAgree.txt", [("sure", "neutral")])
    write_phrasebank(
        phrasebank / "Sentences_50Agree.txt",
        [("sure", "neutral"), ("In phrasebank too .", "neutral")],
    )
    write_finbert(
        tmp_path / "finbert_reference" / "finbert_probs.jsonl",
        [(f"soft {i}", 0.2, 0.3, 0.5) for i in range(5)] + [("Sure!", 0.2, 0.3, 0.5)],
    )
