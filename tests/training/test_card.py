"""The card of the bundle that ships."""

from __future__ import annotations

from pathlib import Path

from leanbert.bundle import Bundle
from leanbert_bench.sections import split_section
from leanbert_models import default_model
from leanbert_training import card, challenge, distilling

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "models" / "leanbert_training" / "README.md"


def test_the_placed_card_is_complete() -> None:
    manifest = Bundle.open(default_model()).manifest
    assert manifest is not None
    placed = manifest.card
    for name in ("model", "licence", "base", "data", "not trained on", "size", "quality"):
        assert placed[name]
    for name in ("int8 - fp32", "temperature", "robustness", "bad at", "larger", "accuracy gate"):
        assert placed[name]
    assert placed["larger"] == card.LARGER
    assert str(max(lesson.transfer for lesson in distilling.LESSONS)) in placed["teachers"]
    assert {row["dataset"] for row in manifest.evidence} == set(card.NAMES)
    for row in manifest.evidence:
        assert f"{row['int8']['accuracy']:.2%}" in placed["quality"]
        assert f"ECE {row['int8']['ece']:.3f}" in placed["quality"]
        assert row["agreement"] >= 0.99
        worse = row["pytorch"]["accuracy"] - row["int8"]["accuracy"]
        assert abs(worse) <= 0.003


def test_the_placed_card_says_what_the_model_does_with_sentences_of_our_own() -> None:
    manifest = Bundle.open(default_model()).manifest
    assert manifest is not None
    _, section, _ = split_section(PAGE, challenge.START, challenge.END)
    cells = [line.strip("| ").split(" | ") for line in section.splitlines() if " | " in line]
    held = {cell[0]: cell[2] for cell in cells if len(cell) == 4}
    for phenomenon in {case.phenomenon for case in challenge.load_cases()}:
        name = phenomenon.replace("_", " ")
        assert f"{name} {float(held[name].rstrip('%')):.0f}%" in manifest.card["challenge set"]
    (every,) = (cell for cell in cells if cell[0] == "all")
    assert f"{every[1]} texts on" in manifest.card["not about finance"]
    assert f"neutral {every[4]}" in manifest.card["not about finance"]
    assert manifest.card["not about finance"].endswith(f"mean confidence {every[5]}")


def test_the_placed_card_names_the_page_that_describes_the_recipe() -> None:
    manifest = Bundle.open(default_model()).manifest
    assert manifest is not None
    page = manifest.card["seed"].partition("(")[2].rstrip(")")
    assert page == "models/leanbert_training/README.md"
    assert (ROOT / page).is_file()


def test_the_card_of_refined_weights_tells_bias_and_sources() -> None:
    calibration = {
        "source": {"bundle": "0123456789abcdef"},
        "share": 0.8,
        "temperature": 1.03,
        "bias": {"positive": -0.2, "negative": -0.31, "neutral": 0.51},
        "rows": {"tweet": 5, "finbert": 6, "case": 7, "wording": 8},
    }

    found = card._refined(calibration)

    assert "the seal 0123456789ab:" in found["refined"]
    assert "80% of the way" in found["refined"]
    assert found["temperature"].startswith("1.03, fitted on 5 ")
    assert found["temperature"].endswith("positive -0.20, negative -0.31, neutral +0.51")
