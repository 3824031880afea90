"""Tables of one measure each, for pages: chosen back ends, and their ratios to chosen peers.

Each takes one file of results or several, which become further columns (forward passes) or rows
(fidelity, one per set of texts).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from leanbert.errors import InputError
from leanbert_bench.report.markdown import row, rule
from leanbert_bench.results.access import dig, measured, name_of, reference_of, shapes_of
from leanbert_bench.results.per_turn import (
    estimated,
    first_answer_s,
    forward_ms,
    more,
    offline_texts_per_s,
)
from leanbert_bench.statistics import median, paired_ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from leanbert_bench.statistics import Estimate


Json = dict[str, Any]


@dataclass(frozen=True)
class Choice:
    """What a table shows of its results."""

    results: tuple[Mapping[str, Any], ...]
    backends: tuple[str, ...] = ()
    """Ids, in the order of the table; empty for all that gave a result."""
    against: tuple[str, ...] = ()
    """Ids of the peers that ratios refer to."""
    names: tuple[str, ...] = ()
    """What each file of results is called; by default the name of its back end or texts."""

    def shown(self, i: int) -> list[Json]:
        """Return the back ends of the ``i``-th results that are shown.

        Raises:
            InputError: one of :attr:`backends` gave no result there.
        """
        return [self.backend(i, id_) for id_ in self.backends] or measured(self.results[i])

    def peers(self, i: int) -> list[Json]:
        """Return the peers of the ``i``-th results.

        Raises:
            InputError: one of :attr:`against` gave no result there.
        """
        return [self.backend(i, id_) for id_ in self.against]

    def backend(self, i: int, id_: str) -> Json:
        """Return a back end of the ``i``-th results.

        Raises:
            InputError: it gave no result there.
        """
        have = {item["id"]: item for item in measured(self.results[i])}
        if id_ not in have:
            raise InputError(f"no result of {id_}; there are {', '.join(have) or 'none'}")
        return have[id_]


def peers_table(kind: str, choice: Choice) -> str:
    """Return the Markdown table of a kind of :data:`KINDS`.

    Raises:
        InputError: the results lack a back end that the choice names, or the figures of the kind.
    """
    head, rows = KINDS[kind](choice)
    if not rows:
        raise InputError(f"the results hold nothing for a table of kind {kind}")
    return "\n".join([row(head), rule(len(head)), *map(row, rows)]) + "\n"


_Table = tuple[list[str], list[list[str]]]


def _forward(choice: Choice) -> _Table:
    """Milliseconds of a forward pass by shape, and the share of each peer's time."""
    shapes = shapes_of(choice.results[0])
    head, columns = ["batch x tokens"], []
    for i in range(len(choice.results)):
        for item in choice.shown(i):
            head.append(f"{choice.names[i] if choice.names else name_of(item)}, ms")
            columns.append([_middle(forward_ms(item, shape), ".1f") for shape in shapes])
            for peer in choice.peers(i):
                if peer is item:
                    continue
                head.append(f"of {name_of(peer)}'s time")
                both = ((forward_ms(item, shape), forward_ms(peer, shape)) for shape in shapes)
                columns.append([_interval(paired_ratio(*two)) if all(two) else "" for two in both])
    return head, [
        [shape, *(column[k] for column in columns)]
        for k, shape in enumerate(shapes)
        if any(column[k] for column in columns)
    ]


def _offline(choice: Choice) -> _Table:
    """Texts per second, and how many times the rate of each peer LeanBERT's is."""
    peers = choice.peers(0)
    head = ["", "texts/s", *(f"× {name_of(peer)}" for peer in peers)]
    rows = []
    for item in choice.shown(0):
        rates, lean = offline_texts_per_s(item), item.get("family") == "leanbert"
        ratios = [more(rates, offline_texts_per_s(peer)) if lean else None for peer in peers]
        if rates:
            rows.append([name_of(item), _middle(rates, ".1f"), *map(_interval, ratios)])
    return head, rows


def _start(choice: Choice) -> _Table:
    """Seconds from loading to the first answer after the imports, and the memory then."""
    rows = [
        [
            name_of(item),
            _interval(estimated(first_answer_s(item))),
            _middle(item.get("first_answer_rss_mib") or [], ",.0f"),
        ]
        for item in choice.shown(0)
        if first_answer_s(item)
    ]
    return ["", "seconds to the first answer", "resident then, MiB"], rows


def _fidelity(choice: Choice) -> _Table:
    """How near each back end is to the reference, one row per back end and set of texts."""
    head = ["", "texts", "rows", "same label", "mean diff.", "max diff.", "accuracy", "held flips"]
    rows = []
    for item in choice.shown(0):
        for i, results in enumerate(choice.results):
            here = choice.backend(i, item["id"])
            found = here.get("accuracy")
            if not found:
                continue
            itself = here is reference_of(results)  # what it differs from itself by
            agreement, mean, largest = (
                0.0 if found.get(key) is None and itself else found.get(key)
                for key in ("agreement", "mean_difference", "max_difference")
            )
            agreement = 1.0 if itself else agreement
            name = choice.names[i] if choice.names else PurePath(results["data"]["name"]).stem
            rows.append(
                [
                    name_of(item), name, f"{found['rows']:,}", _number(agreement, ".2%"),
                    _number(mean, ".4f"), _number(largest, ".3f"),
                    _number(found.get("accuracy"), ".4f"), _held(found),
                ]
            )  # fmt: skip
    return head, rows


def _batches(choice: Choice) -> _Table:
    """How much a text's answer depends on the texts that share its batch."""
    head = ["", "largest change", "sorted against alone", "shuffled against alone", "held flips"]
    rows = []
    for item in choice.shown(0):
        found = item.get("batch_invariance")
        if found:
            changes = [_number(found.get(key), ".2g") for key in ("largest", "sorted", "shuffled")]
            rows.append([name_of(item), *changes, _held(found)])
    return head, rows


def _embeddings(choice: Choice) -> _Table:
    """Cosines of embeddings with the reference's, and of a text alone with it in a batch."""
    head = ["", "mean cosine", "worst cosine", "worst cosine, alone against shuffled"]
    rows = []
    for item in choice.shown(0):
        mean, worst = (dig(item, "accuracy", f"{key}_cosine") for key in ("mean", "worst"))
        between = dig(item, "batch_invariance", "worst_cosine")
        if mean is not None:
            cells = [_number(mean, ".5f"), _number(worst, ".5f"), _number(between, ".6f")]
            rows.append([name_of(item), *cells])
    return head, rows


KINDS: dict[str, Callable[[Choice], _Table]] = {
    "forward": _forward,
    "offline": _offline,
    "start": _start,
    "fidelity": _fidelity,
    "batches": _batches,
    "embeddings": _embeddings,
}
"""The tables of :func:`peers_table` by name."""


def _middle(turns: Sequence[float], form: str) -> str:
    return f"{median(turns):{form}}" if turns else ""


def _interval(value: Estimate | None) -> str:
    return f"{value.median:.2f} ({value.low:.2f}–{value.high:.2f})" if value else ""


def _number(value: float | None, form: str) -> str:
    return "" if value is None else f"{value:{form}}"


def _held(found: Mapping[str, Any]) -> str:
    return f"{found['held_flipped']} of {found['held']}" if "held" in found else ""
