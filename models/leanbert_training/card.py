"""Write the card of the embedded model and the results table from what was measured."""

from __future__ import annotations

from typing import Any

from leanbert_training.challenge import SURE
from leanbert_training.distilling import LESSONS, STUDENT
from leanbert_training.evaluate import PYTORCH
from leanbert_training.refining import MIX
from leanbert_training.stages import HELD_SHARE, OWN_SENTENCES, TEACHERS, Shape

NAMES = {
    "twitter_valid": "Twitter validation",
    "phrasebank_all_agree": "PhraseBank AllAgree",
    "phrasebank_50_agree": "PhraseBank 50Agree",
    "finbert_held_out": "FinBERT's own labels",
}
"""What the card and its readers call each evaluation set."""
HELD = {
    "tweet": "tweets",
    "finbert": "answers of FinBERT",
    "case": "challenge wordings",
    "wording": "sentences in other voices",
}
"""What the card calls the sources of the rows held back."""
LARGER = "leanbert export ProsusAI/finbert -o finbert-int8"
"""The command that the card names to those who want a larger model."""


def results_table(rows: list[dict[str, Any]]) -> str:
    """The measurements as a Markdown table: one line per set, PyTorch fp32 beside int8."""
    lines = [
        "| set | rows | accuracy fp32 | int8 | macro-F1 fp32 | int8 | ECE int8 | same label "
        "| mean, largest difference of probability |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        fp32, int8 = row[PYTORCH], row["int8"]
        lines.append(
            f"| {row['dataset']} | {row['rows']} | {fp32['accuracy']:.2%} | {int8['accuracy']:.2%} "
            f"| {fp32['macro_f1']:.3f} | {int8['macro_f1']:.3f} | {int8['ece']:.3f} "
            f"| {row['agreement']:.2%} "
            f"| {row['mean_difference']:.4f}, {row['max_difference']:.3f} |"
        )
    return "\n".join(lines)


def _quality(rows: list[dict[str, Any]]) -> str:
    parts = []
    for row in rows:
        int8 = row["int8"]
        what = "agreement" if row["dataset"] == "finbert_held_out" else "accuracy"
        parts.append(
            f"{NAMES[row['dataset']]} ({row['rows']}) {what} {int8['accuracy']:.2%}, macro-F1 "
            f"{int8['macro_f1']:.3f}, ECE {int8['ece']:.3f}"
        )
    return "; ".join(parts)


def _int8(rows: list[dict[str, Any]]) -> str:
    parts = []
    for row in rows:
        points = 100 * (row["int8"]["accuracy"] - row[PYTORCH]["accuracy"])
        parts.append(f"{NAMES[row['dataset']]} {points:+.2f} points, {row['agreement']:.2%} alike")
    return "; ".join(parts)


def _challenge(own: dict[str, Any]) -> dict[str, str]:
    """What the model does with the sentences of our own."""
    found = own["challenge"]
    held = found["held_out"]
    sure = held["sure_accuracy"]
    phenomena = ", ".join(
        f"{row['phenomenon'].replace('_', ' ')} {row['held_out']:.0%}" for row in found["phenomena"]
    )
    every = own["not_finance"][-1]
    shares = ", ".join(f"{label} {every[label]:.1%}" for label in ("positive", "negative"))
    return {
        "challenge set": f"wordings never trained on: accuracy {held['accuracy']:.1%} of "
        f"{held['rows']}, opposite sign {held['opposite']:.1%}, ECE {held['ece']:.3f}"
        + (f", right where confidence is at least {SURE} {sure:.1%}" if sure is not None else "")
        + f"; by phenomenon, of 14 to 17 cases each: {phenomena}",
        "not about finance": f"{every['rows']} texts on films, politics, recipes, sport and so on: "
        f"neutral {every['neutral']:.1%}, {shares}; mean confidence {every['confidence']:.2f}",
    }


def _refined(calibration: dict[str, Any]) -> dict[str, str]:
    """How the weights were refined, and what the temperature was fitted on."""
    rows = calibration["rows"]
    fitted = f"{calibration['temperature']:.2f}, fitted on "
    if "source" not in calibration:
        return {
            "temperature": f"{fitted}{rows} training tweets held back ({HELD_SHARE:.0%}), folded "
            "into the weights",
        }
    return {
        "refined": f"from the bundle with the seal {calibration['source']['bundle'][:12]}: on two "
        "of three wordings of the challenge set, on sentences in eight voices and on patterns of "
        f"its phenomena and of plain news, filled anew in each stage ({MIX.rounds} times, weak "
        f"ones {2 * MIX.rounds}, neutral ones {MIX.neutral_rounds}; Apache-2.0), beside the rows "
        "before with that bundle's answers; "
        f"{calibration['share']:.0%} of the way, chosen on rows held back",
        "temperature": fitted
        + ", ".join(f"{rows[kind]} {name}" for kind, name in HELD.items())
        + f" held back ({HELD_SHARE:.0%} of the public rows), the last two with half the weight of "
        "the others; folded into the weights with a bias of each label: "
        + ", ".join(f"{label} {bias:+.2f}" for label, bias in calibration["bias"].items()),
    }


def make_card(
    rows: list[dict[str, Any]],
    robust: list[dict[str, Any]],
    own: dict[str, Any],
    calibration: dict[str, Any],
    sizes: dict[str, int],
    calibration_texts: int,
) -> dict[str, str]:
    """The card: one entry per line of ``leanbert info``.

    Args:
        rows: the result of :func:`leanbert_training.evaluate.evaluate`.
        robust: the result of :func:`leanbert_training.robustness.measure`.
        own: the result of :func:`leanbert_training.challenge.measure`.
        calibration: the result of ``calibrate`` in :mod:`leanbert_training.distilling` or, for a
            refined bundle, in :mod:`leanbert_training.refining`.
        sizes: the bytes of the bundle's parts by name.
        calibration_texts: how many training texts the export took for ranges and gate.
    """
    shape = Shape()
    weakest = sorted(
        (r for r in robust if r["measure"] == "accuracy"), key=lambda row: float(row["share"])
    )[:2]
    weak = ", ".join(f"{row['kind']} {row['share']:.1%}" for row in weakest)
    return {
        "model": "LeanBERT financial sentiment: positive, negative, neutral",
        "licence": "Apache-2.0",
        "base": "sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0): 6 layers x 384, feed-forward "
        f"1536 cut to {shape.width}, vocabulary 30522 cut to {shape.pieces} pieces",
        "data": "zeroshot/twitter-financial-news-sentiment, train (MIT); recorded answers of "
        "ProsusAI/finbert to news, calls and the same tweets (outputs public, texts by their "
        f"publishers); {OWN_SENTENCES} sentences from patterns of our own (Apache-2.0)",
        "teachers": f"{TEACHERS} fine-tunings of all-MiniLM-L6-v2 with its whole vocabulary, and "
        "one with ours, in full width; their mean answers to the same rows and to "
        f"{max(lesson.transfer for lesson in LESSONS)} unlabelled tweets and sentences taught "
        f"{len(LESSONS)} students, whose weights were averaged",
        "vocabulary": "counted in the training texts, Fed speeches and FOMC minutes (public "
        "domain), earnings21/22 (CC BY-SA 4.0), stocknet tweets (MIT)",
        "not trained on": "Twitter validation set, Financial PhraseBank (CC BY-NC-SA 3.0), 500 "
        "held-out answers of FinBERT, the third wordings of the challenge set; but FinBERT, whose "
        "answers were learnt from, was trained on PhraseBank",
        "size": ", ".join(f"{name} {size / 1e6:.2f} MB" for name, size in sizes.items()),
        "quality": _quality(rows),
        "int8 - fp32": _int8(rows),
        **_challenge(own),
        **_refined(calibration),
        "robustness": "; ".join(
            f"{r['kind']} {r['share']:.1%}"
            + (" same label" if r["measure"] == "same label" else "")
            + f" of {r['rows']}"
            for r in robust
        ),
        "bad at": f"its weakest kinds of text above ({weak}); irony, two opinions in one text, "
        "whole documents, numbers that must be compared, languages other than English (scripts "
        "other than Latin become unknown words); a text that is not about finance gets a label too",
        "seed": f"0; the students' {STUDENT.epochs} epochs (models/leanbert_training/README.md)",
        "calibration": f"{calibration_texts} of the training texts; a third of them held back for "
        "the gate",
        "larger": LARGER,
        "use": "not investment advice",
    }
