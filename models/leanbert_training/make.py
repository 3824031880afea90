"""Make the embedded bundle from the public data sets, in one command.

    python -m leanbert_training.make --data DATA

With ``--refine BUNDLE --sha256 SEAL`` it makes a refined bundle from the weights of that bundle.

Each stage writes one folder in ``--work``, and does not run again while that folder exists. After
an interruption, run the same command again: training continues after the last complete epoch. To
repeat a stage, delete its folder and those of the stages after it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import torch

from leanbert.errors import LeanBertError
from leanbert_training import distilling, refining, stages
from leanbert_training.build import build


@dataclass(frozen=True)
class Start:
    """A bundle to refine, with the seal that it must have."""

    bundle: Path
    sha256: str


Steps = dict[str, Callable[[], object]]


def _steps(data: Path, work: Path, *, place: bool) -> Steps:
    """The function of each stage by its name, in the order of the stages."""
    shape = stages.Shape()
    base, wide, answers, narrow = (work / name for name in ("base", "wide", "answers", "narrow"))
    steps: Steps = {
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


def _refining_steps(data: Path, work: Path, start: Start, *, place: bool) -> Steps:
    """The function of each stage that refines a bundle, by its name, in the order of the stages."""
    names = ("start", "anchors", "lexicon", "refined", "settled", "polished", "refined-fp32")
    begin, anchors, lexicon, refined, settled, polished, final = (work / name for name in names)
    return {
        begin.name: partial(refining.make_restored, start.bundle, start.sha256, begin),
        anchors.name: partial(refining.make_anchors, data, begin, anchors),
        lexicon.name: partial(refining.make_lexicon, data, begin, lexicon),
        refined.name: partial(refining.make_refined, data, lexicon, anchors, refined),
        settled.name: partial(refining.make_settled, data, refined, anchors, settled),
        polished.name: partial(refining.make_polished, data, settled, anchors, polished),
        final.name: partial(refining.calibrate, data, begin, anchors, lexicon, polished, final),
        "refined-bundle": partial(build, data, final, work / "refined-bundle", place=place),
    }


STAGES = tuple(_steps(Path(), Path(), place=False))
REFINING = tuple(_refining_steps(Path(), Path(), Start(Path(), ""), place=False))


def make(
    data: Path,
    work: Path,
    *,
    start: Start | None = None,
    until: str | None = None,
    place: bool = True,
) -> None:
    """Run every stage up to ``until`` whose folder does not exist.

    Args:
        data: the folder of the public sets.
        work: the folder that holds one folder per stage.
        start: the bundle to refine; ``None`` makes a bundle from the public sets alone.
        until: the name of the last stage to run; ``None`` runs them all.
        place: whether the last stage replaces the bundle that ships.

    Raises:
        ValueError: the folder of a stage exists, but not that of the stage before it, or ``until``
            is no stage of this recipe.
    """
    work.mkdir(parents=True, exist_ok=True)
    if start is None:
        steps = _steps(data, work, place=place)
    else:
        steps = _refining_steps(data, work, start, place=place)
    if until is not None and until not in steps:
        raise ValueError(f"no stage {until} here; expected one of {', '.join(steps)}")
    for earlier, name in pairwise(steps):
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
    add("--data", type=Path, required=True, help="folder of the public sets (see README.md)")
    add(
        "--work",
        type=Path,
        default=Path("build/sentiment"),
        help="folder that holds the stages",
    )
    add("--until", choices=(*STAGES, *REFINING), help="stop after this stage")
    add("--refine", type=Path, metavar="BUNDLE", help="refine the weights of this bundle")
    add("--sha256", metavar="SEAL", help="the sha256 in the manifest of the bundle to refine")
    add("--threads", type=int, help="threads of torch (default: its own choice)")
    add(
        "--keep",
        action="store_true",
        help="replace neither the bundle that ships nor README.md",
    )
    args = parser.parse_args()
    if (args.refine is None) != (args.sha256 is None):
        parser.error("--refine and --sha256 belong together")
    start = None if args.refine is None else Start(args.refine, args.sha256)
    if args.threads:
        torch.set_num_threads(args.threads)
    try:
        make(args.data, args.work, start=start, until=args.until, place=not args.keep)
    except (LeanBertError, OSError, ValueError) as error:
        print(f"make: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
