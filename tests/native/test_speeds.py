"""Shares by measured speed: a slow thread is followed, and a disturbed one soon works again.

Times are ticks per row, by call and member; 0 stands for a call in which a member had no share.
"""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from tests.helpers.native_library import load_probe

Calls = list[list[int]]
ALL = 2**32 - 1  # as many groups as there are
EVEN = [[10, 10, 10, 10]]
ONE_SLOW = [[10, 10, 10, 160]]


class History:
    """The speeds of a team's members after some calls."""

    def __init__(self, calls: Calls) -> None:
        self.probe = load_probe()
        self.members = len(calls[0])
        ticks = np.array(calls, np.uint64)
        self.ticks = ticks  # kept alive for the pointer
        self.arguments = (
            ctypes.c_size_t(self.members),
            ctypes.c_size_t(len(calls)),
            ticks.ctypes.data_as(ctypes.c_void_p),
        )

    def speeds(self) -> tuple[list[float], bool]:
        """Of each member, and whether one is to be tried again."""
        speed = (ctypes.c_float * self.members)()
        untried = self.probe.probe_speeds(*self.arguments, speed)
        return list(speed), bool(untried)

    def now(self, member: int, ticks: int) -> float:
        """The speed of a member that measures so many ticks in this call."""
        speed = ctypes.c_float()
        self.probe.probe_speed_now(
            *self.arguments, ctypes.c_size_t(member), ctypes.c_uint64(ticks), ctypes.byref(speed)
        )
        return speed.value

    def schedule(self, texts: int) -> tuple[list[int], int]:
        """The groups that each member may begin alone, and the tokens that the team shares."""
        alone = (ctypes.c_uint32 * self.members)()
        shared = self.probe.probe_schedule(*self.arguments, ctypes.c_size_t(texts), alone)
        return list(alone), int(shared)


@pytest.mark.parametrize(
    ("calls", "speeds", "untried"),
    [
        (EVEN, [1, 1, 1, 1], False),
        ([[10, 13]], [1, 1], False),
        ([[10, 20]], [1, 0.5], False),
        ([[10, 10], [10, 80]], [1, 1], False),  # interrupted once
        ([[10, 80]] * 4, [1, 0.125], False),
        ([[10, 80]] * 4 + [[10, 10]], [1, 1], False),  # seen at once
        ([[10, 1000]], [1, 1 / 16], False),
        ([[10, 80], [10, 0]], [1, 0.25], True),  # without a share it counts twice as much
        ([[10, 80], [10, 0], [10, 0]], [1, 0.5], True),
        ([[10, 80], [10, 0], [10, 0], [10, 0]], [1, 1], False),
        ([[10, 1000]] + [[10, 0]] * 3, [1, 0.5], True),
        ([[10, 1000]] + [[10, 0]] * 4, [1, 1], False),
        ([[10, 0]], [1, 1], False),
    ],
)
def test_speeds(calls: Calls, speeds: list[float], untried: bool) -> None:
    assert History(calls).speeds() == (speeds, untried)


@pytest.mark.parametrize(
    ("ticks", "speed"),
    [
        (0, 0.125),  # nothing done yet
        (200, 0.125),  # even slower, which the next call takes into account
        (40, 0.25),
        (13, 1),  # fast again: within a quarter of the fastest
        (10, 1),
        (5, 1),
    ],
)
def test_speed_in_this_call_counts(ticks: int, speed: float) -> None:
    assert History([[10, 80]]).now(1, ticks) == speed


def test_equal_members_stay_equal_in_a_call() -> None:
    assert History([[10, 10]]).now(1, 80) == 1


def test_thread_is_measured_again_after_one_call_without_a_share() -> None:
    """Six groups on three fast threads: one at a sixteenth of their speed has none, for a call."""
    assert History(ONE_SLOW).schedule(6) == ([ALL, ALL, ALL, 0], 0)
    alone, shared = History([*ONE_SLOW, [10, 10, 10, 0]]).schedule(6)
    assert alone == [ALL, ALL, ALL, 0]
    assert shared == 3 * 128
    even = History(EVEN).schedule(6)
    assert History([*ONE_SLOW, [10, 10, 10, 0], [10, 10, 10, 10]]).schedule(6) == even
    assert even == ([ALL] * 4, 2 * 128)


def test_slow_thread_takes_groups_by_its_speed() -> None:
    assert History([[10, 30]]).schedule(8) == ([ALL, 2], 0)


@pytest.mark.parametrize(
    ("speed", "taken"),
    [(1, 14), (0.5, 14), (0.1, 0)],  # 14 rows at a tenth take longer than 70 at full speed
)
def test_pieces_of_others_by_speed(speed: float, taken: int) -> None:
    assert load_probe().probe_steal(ctypes.c_float(speed), 56, 7, 28) == taken
