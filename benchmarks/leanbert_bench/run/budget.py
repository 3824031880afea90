"""The time that a run may take: ``--quick``'s budget, and what is expected of each back end."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from leanbert_bench.run.plan import Speed, guessed_peaks, turn_seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from leanbert_bench.backends import Backend
    from leanbert_bench.run.participants import Bench, Participant


RESERVE = 5.0
"""Seconds of ``--quick`` that are kept for the machine's limit and the last steps."""

_SHARE_TO_PREPARE = 0.65  # of the budget, until which something may be prepared
_TOKENS_PER_WORD = 1.4  # of English news, by BERT's vocabulary
_BERT_BASE_BYTES = 440e6


class Budget:
    """The clock of a run, and what still fits into it.

    Args:
        bench: what is measured.
        begin: :func:`time.monotonic` when the plan's seconds began to count; ``None`` for now.
    """

    def __init__(self, bench: Bench, begin: float | None) -> None:
        self._bench = bench
        self._begin = time.monotonic() if begin is None else begin
        self.seconds = bench.plan.seconds

    @property
    def left(self) -> float:
        """Seconds until the budget is spent; infinite where the run has none."""
        if self.seconds is None:
            return float("inf")
        return self.seconds - (time.monotonic() - self._begin)

    @property
    def limit(self) -> float:
        """Seconds that one command to a back end may take."""
        most = self._bench.plan.time_limit_s
        return most if self.seconds is None else max(5.0, min(most, self.left + RESERVE))

    def limit_to_prepare(self, expected: float) -> float | None:
        """Seconds that preparing may take, or ``None`` if ``expected`` ones are too many."""
        if self.seconds is None:
            return self._bench.plan.time_limit_s
        left = self.left - (1 - _SHARE_TO_PREPARE) * self.seconds
        return None if expected > left else min(left + RESERVE, max(20.0, 3 * expected))

    def too_late_for(self, who: Participant, taken: Iterable[Participant]) -> bool:
        """Whether loading ``who`` would leave no time for a turn of all that are ``taken``."""
        if self.seconds is None:
            return False
        plan, speed = self._bench.plan, speed_of(self._bench)
        all_ = {one.spec.id: one for one in (*taken, who)}
        turn = sum(turn_seconds(plan, speed, one.spec.precision) for one in all_.values())
        return who.kind.seconds_to_load + turn + RESERVE > self.left


def speed_of(bench: Bench, peaks: Mapping[str, float] | None = None) -> Speed:
    """Return what estimates suppose of the model, from the words of the texts.

    Args:
        bench: what is measured.
        peaks: operations per second for ``"fp32"`` and ``"int8"``, if they were measured.
    """
    words = sorted(len(text.split()) for text in bench.workload.texts)
    tokens = _TOKENS_PER_WORD * words[len(words) // 2] + 2
    return Speed(bench.subject.config.raw, tokens, peaks or guessed_peaks(bench.threads))


def expected_preparation(kind: type[Backend], bench: Bench) -> float:
    """Return the seconds that preparing takes by the size of the weights, if nothing is cached."""
    random = bench.subject.random_weights is not None
    seconds = kind.seconds_if_random if random else None
    seconds = kind.seconds_to_prepare if seconds is None else seconds
    return max(3.0, seconds * bench.subject.bytes / _BERT_BASE_BYTES) if seconds else 0.0
