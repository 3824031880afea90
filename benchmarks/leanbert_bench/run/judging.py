"""How good the answers are that a back end gave, by the measures of the task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from leanbert_bench import metrics
from leanbert_bench.run.answering import answer_rows
from leanbert_bench.run.workload import match_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from leanbert_bench.run.participants import Bench


Json = dict[str, Any]
Floats = npt.NDArray[np.float64]


def batch_invariance(bench: Bench, id_: str) -> Json | None:
    """Measure how far any text's scores move with its batch; ``None`` if that was not asked.

    Of embeddings it also gives the worst cosine between a text alone and in a shuffled batch, of
    labels how many changed although the reference held them.
    """
    kept = [bench.journal.get(id_, f"scores {way}") for way in ("alone", "sorted", "shuffled")]
    if any(scores is None for scores in kept):
        return None
    rows = len(kept[1])
    alone, ordered, shuffled = (np.array(scores[:rows]) for scores in kept)
    found: Json = {"rows": rows, **metrics.batch_changes(alone, ordered, shuffled)}
    base = bench.journal.get(bench.reference, "scores alone")
    if bench.subject.task == "feature-extraction":
        found["worst_cosine"] = float(metrics.cosines(alone, shuffled).min())
    elif alone.shape[1] > 1 and base is not None:
        best = np.stack([scores.argmax(axis=1) for scores in (alone, ordered, shuffled)])
        held = metrics.held(np.array(base[:rows]))
        found |= {
            "held": int(held.sum()),
            "held_flipped": int((held & (best != best[0])).any(0).sum()),
        }
    return found


def accuracy(bench: Bench, id_: str) -> Json | None:
    """Measure the task's accuracy and the nearness to the reference; ``None`` if not asked."""
    task = bench.subject.task
    if task == "token-classification":
        return _tag_accuracy(bench, id_)
    if task == "question-answering":
        return _answer_accuracy(bench, id_)
    return _score_accuracy(bench, id_)


def _score_accuracy(bench: Bench, id_: str) -> Json | None:
    kept, base = (bench.journal.get(name, "scores alone") for name in (id_, bench.reference))
    if kept is None:
        return None
    workload, rows = bench.workload, answer_rows(bench.workload, bench.plan)
    scores = np.array(kept)
    found: Json = {"rows": len(rows)}
    classifies = bench.subject.task == "text-classification" and scores.shape[1] > 1
    labels = list(bench.subject.config.id2label.values())
    if classifies and workload.labels is not None:
        truth = np.array(match_labels(workload, labels, workload.name))[rows]
        found |= {
            "accuracy": metrics.accuracy(scores, truth),
            "macro_f1": metrics.macro_f1(scores, truth),
            "ece": metrics.calibration_error(scores, truth),
        }
    if base is not None:
        found |= _nearness(bench, scores, np.array(base), id_ == bench.reference)
    others = bench.journal.get(id_, "scores of pairs")
    if others is not None and workload.labels is not None:
        cosines = metrics.cosines(scores, np.array(others))
        expected = [float(workload.labels[i]) for i in rows]
        found["spearman"] = metrics.spearman(cosines.tolist(), expected)
    return found


def _nearness(bench: Bench, scores: Floats, reference: Floats, itself: bool) -> Json:
    """How near scores are to the reference's; of the reference itself which labels it held."""
    found: Json = {} if itself else dict(metrics.nearness(scores, reference))
    if bench.subject.task == "feature-extraction":
        cosines = metrics.cosines(scores, reference)
        found |= {"mean_cosine": float(cosines.mean()), "worst_cosine": float(cosines.min())}
    elif scores.shape[1] > 1:
        held = metrics.held(reference)
        flipped = held & (scores.argmax(axis=1) != reference.argmax(axis=1))
        found |= {"held": int(held.sum()), "held_flipped": int(flipped.sum())}
        if not itself:
            rows = answer_rows(bench.workload, bench.plan)
            texts = [bench.workload.texts[i] for i in rows]
            labels = list(bench.subject.config.id2label.values())
            count, listed = metrics.flips(scores, reference, texts, labels)
            agreement = 1 - count / len(rows)
            found |= {"agreement": agreement, "flips": listed, "flips_count": count}
    return found


def _tag_accuracy(bench: Bench, id_: str) -> Json | None:
    answers = bench.journal.get(id_, "answers")
    workload, rows = bench.workload, answer_rows(bench.workload, bench.plan)
    if answers is None or workload.words is None:
        return None
    ours = [tags_of(found, workload.words[i]) for i, found in zip(rows, answers, strict=True)]
    result: Json = {"rows": len(rows)}
    if workload.tags is not None:
        result["entity_f1"] = metrics.entity_f1(ours, [workload.tags[i] for i in rows])
    base = bench.journal.get(bench.reference, "answers")
    if base is not None and id_ != bench.reference:
        theirs = [tags_of(found, workload.words[i]) for i, found in zip(rows, base, strict=True)]
        result["agreement"] = sum(a == b for a, b in zip(ours, theirs, strict=True)) / len(rows)
    return result


def _answer_accuracy(bench: Bench, id_: str) -> Json | None:
    answers = bench.journal.get(id_, "answers")
    workload, rows = bench.workload, answer_rows(bench.workload, bench.plan)
    if answers is None:
        return None
    ours = [str(found["answer"]) for found in answers]
    result: Json = {"rows": len(rows)}
    if workload.truths is not None:
        truths = [workload.truths[i] for i in rows]
        both = list(zip(ours, truths, strict=True))
        result["exact_match"] = sum(metrics.exact_match(a, t) for a, t in both) / len(rows)
        result["f1"] = sum(metrics.token_f1(a, t) for a, t in both) / len(rows)
    base = bench.journal.get(bench.reference, "answers")
    if base is not None and id_ != bench.reference:
        same = sum(a == str(b["answer"]) for a, b in zip(ours, base, strict=True))
        result["agreement"] = same / len(rows)
    return result


def tags_of(found: Sequence[Json], words: Sequence[str]) -> list[str]:
    """Turn entities, which are placed by character, into a tag per word of a joined sentence."""
    tags = ["O"] * len(words)
    begin = 0
    spans = []
    for word in words:
        spans.append((begin, begin + len(word)))
        begin += len(word) + 1
    for entity in found:
        inside = [i for i, (a, b) in enumerate(spans) if a < entity["end"] and entity["start"] < b]
        for k, i in enumerate(inside):
            tags[i] = f"{'I' if k else 'B'}-{entity['entity_group']}"
    return tags
