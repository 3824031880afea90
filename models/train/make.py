"""From public inputs to the embedded bundle, in one command.

    python models/train/make.py --data DATA

Each stage writes one folder below ``--work`` and is not run again while that is there: run the same
command again to go on after a stop (training goes on after the last whole epoch), delete a folder
and those after it to make them anew.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path

import torch

import distilling
import stages
from build import build
from leanbert.errors import LeanBertError


def _steps(data: Path, work: Path, *, place: bool) -> dict[str, Callable[[], object]]:
    """What each stage does, by its name, in their order."""
    shape = stages.Shape()
    base, wide, answers, narrow = (work / name for name in ("base", "wide", "answers", "narrow"))
    steps: dict[str, Callable[[], object]] = {
        "base": partial(stages.make_base, data, base, shape),
        "wide": partial(stages.make_wide, data, base, wide),
    }
    teachers = [work / f"teacher-{number}" for number in range(1, stages.TEACHERS + 1)]
    for seed, teacher in enumerate(teachers, 1):
        steps[teacher.name] = partial(stages.make_wide, data, None, teacher, seed)
    steps["answers"] = partial(distilling.make_answers, data, answers, [wide, *teachers])
    steps["narrow"] = partial(distilling.make_narrow, wide, answers, narrow, shape)
    students = [work / f"student-{number}" for number in range(1, len(distilling.LESSONS) + 1)]
    for student, lesson in zip(students, distilling.LESSONS, strict=True):
        steps[student.name] = partial(
            distilling.make_student, data, narrow, answers, student, lesson
        )
    final = work / "sentiment-fp32"
    steps[final.name] = partial(distilling.calibrate, answers, students, final)
    steps["bundle"] = partial(build, data, final, work / "bundle", place=place)
    return steps


STAGES = tuple(_steps(Path(), Path(), place=False))


def make(data: Path, work: Path, *, until: str = STAGES[-1], place: bool = True) -> None:
    """Run every stage up to ``until`` that has not been run.

    Raises:
        ValueError: a stage is there that was made from one that is not.
    """
    work.mkdir(parents=True, exist_ok=True)
    steps = _steps(data, work, place=place)
    for earlier, name in pairwise(STAGES):
        if (work / name).exists() and not (work / earlier).exists():
            raise ValueError(
                f"{work / name} was made after {earlier}, which is gone: delete it too"
            )
    for number, (name, step) in enumerate(steps.items(), 1):
        if (work / name).exists():
            print(f"[{number}/{len(steps)}] {name}: there already")
        else:
            print(f"[{number}/{len(steps)}] {name}", flush=True)
            begun = time.monotonic()
            step()
            print(f"[{number}/{len(steps)}] {name}: {time.monotonic() - begun:.0f} s", flush=True)
        if name == until:
            return


def main() -> int:
    """Parse the command line and make the bundle."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    add = parser.add_argument
    add("--data", type=Path, required=True, help="folder of the public sets (README.md)")
    add("--work", type=Path, default=Path("build/sentiment"), help="folder of the stages")
    add("--until", choices=STAGES, default=STAGES[-1], help="stop after this stage")
    add("--threads", type=int, help="of torch; default: its own choice")
    add("--keep", action="store_true", help="leave the placed bundle and README.md as they are")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    try:
        make(args.data, args.work, until=args.until, place=not args.keep)
    except (LeanBertError, OSError, ValueError) as error:
        print(f"make: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
