"""The tables of the study's fidelity and sizes, in Markdown."""

from __future__ import annotations

from studies.command_line import Json

_MB = 1e6
_MODELS = {
    "classifier": "embedded model",
    "embedder": "all-MiniLM-L6-v2",
    "BERT-base": "BERT-base",
}


def tables(results: Json) -> str:
    """Return both tables of a study's results."""
    return fidelity(results) + "\n\n" + sizes(results)


def fidelity(results: Json) -> str:
    """Return the table of labels, probabilities, cosines and correlation."""
    texts = results["texts"]
    lines = [
        f"| weights | same label, {texts['twitter']:,} tweets | mean diff. | with int4 embeddings "
        f"| same label, {texts['phrasebank']:,} sentences | mean diff. | mean cosine "
        "| worst cosine | STS-B, Spearman |",
        "| --- |" + " --: |" * 8,
        f"| fp32 | 100.00% | 0.0000 | | 100.00% | 0.0000 | 1.0000 | 1.0000 "
        f"| {results['fp32_spearman']['spearman']:.4f} |",
    ]
    for row in results["variants"]:
        tweets, sentences, pairs = row["twitter"], row["phrasebank"], row["stsb"]
        both = row.get("twitter, int4 embeddings")
        lines.append(
            f"| {row['name']} | {tweets['same_label']:.2f}% | {tweets['mean_difference']:.4f} "
            f"| {'' if both is None else format(both['same_label'], '.2f') + '%'} "
            f"| {sentences['same_label']:.2f}% | {sentences['mean_difference']:.4f} "
            f"| {pairs['mean_cosine']:.4f} | {pairs['worst_cosine']:.4f} "
            f"| {pairs['spearman']:.4f} |"
        )
    return "\n".join(lines)


def sizes(results: Json) -> str:
    """Return the table of bytes; ways of rounding that take the same bytes share a line."""
    heads = " | ".join(f"{name} | int4 embeddings" for name in _MODELS.values())
    lines = [f"| weights, MB | {heads} |", "| --- |" + " --: |" * (2 * len(_MODELS))]
    for row in results["variants"]:
        if "nearest" in row["name"]:
            continue
        cells = [
            f"{row['bytes'][model][embeddings] / _MB:.1f}"
            for model in _MODELS
            for embeddings in ("int8 embeddings", "int4 embeddings")
        ]
        name = row["name"].replace(", GPTQ", "").replace(", the recipe's rounding", "")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
