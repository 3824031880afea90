"""Hundreds of damaged bundles: each works, or is refused in one line, and none takes long.

The damage is random, from a fixed seed: a value of ``config.json``, ``tokenizer.json`` or the
manifest becomes another one, of another type or size, or goes missing.
"""

from __future__ import annotations

import copy
import json
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from leanbert import pipeline, verify
from leanbert.bundle import MANIFEST
from leanbert.errors import LeanBertError
from leanbert.shown import OBEYED
from tests.helpers.tiny_bundles import read_content, reseal

CASES = 120
"""For each file and each kind of bundle."""

ENDLESS = 60
"""Seconds after which a case is taken for endless; it needs milliseconds."""

VALUES: list[Any] = [
    *(None, True, False, -1, 0, 1, 3, 2**31 - 1, 2**31, 2**32, 2**63, 10**30, 10**400),
    *(1.5, -0.0, 1e308, float("inf"), float("-inf"), float("nan")),
    *("", "x", "growth", "x" * 300, "a\nb", "\x1b[31m", "\u202e", "../x", "BertModel", "[UNK]"),
    *([], {}, [None], [[]], [5], {"a": 1}, {"type": "Sequence"}, ["growth", 93], list(range(2000))),
    {"type": "FixedLength", "length": 0},
    {"type": "Precompiled", "precompiled_charsmap": ""},
    {"type": "Precompiled", "precompiled_charsmap": "BAAAAP////8="},
    {"type": "Replace", "pattern": {"String": "o"}, "content": "o" * 10**4},
    {"type": "Replace", "pattern": {"Regex": "(o+o+)+p"}, "content": ""},
    {"type": "Split", "pattern": {"Regex": "(o|o)*p"}, "behavior": "Isolated", "invert": False},
    {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
]

Json = dict[str, Any]


def places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The keys and indices that lead to each value below ``value``; few of a long list."""
    children: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        children = list(value.items())
    elif isinstance(value, list):
        children = list(enumerate(value))
    for key, child in [*children[:12], *children[-2:]] if len(children) > 14 else children:
        yield (*above, key)
        yield from places(child, (*above, key))


def damage(content: Json, source: random.Random) -> tuple[Json, str]:
    """A copy with one or two values changed, and what was done."""
    made = copy.deepcopy(content)
    done = []
    for _ in range(source.choice((1, 1, 2))):
        *path, key = source.choice(list(places(made)))
        holder: Any = made
        for step in path:
            holder = holder[step]
        if source.random() < 0.2:
            del holder[key]
            done.append(f"removed {[*path, key]}")
        else:
            holder[key] = copy.deepcopy(source.choice(VALUES))
            done.append(f"{[*path, key]} = {str(holder[key])[:60]}")
    return made, "; ".join(done)


@contextmanager
def watched(what: str) -> Iterator[None]:
    """Fail where the block does not end; only where the system has alarms."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def ring(*_: object) -> None:
        raise AssertionError(f"does not end: {what}")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, ENDLESS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def try_out(use: Callable[[], object], what: str) -> bool:
    """Whether the bundle worked; every failure must be one clear line."""
    with watched(what):
        try:
            use()
        except LeanBertError as error:
            message = str(error)
            assert not OBEYED.search(message), f"{what}: {message!r}"
            assert len(message) < 1000, f"{what}: {len(message)} characters"
            return False
        except Exception as error:
            raise AssertionError(f"{what}: {error!r}") from error
    return True


@pytest.mark.filterwarnings("ignore::leanbert.errors.LeanBertWarning")
@pytest.mark.parametrize("sealed", [True, False], ids=["sealed", "plain"])
@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", MANIFEST])
def test_a_damaged_file_works_or_is_refused(
    tiny_bundle: Path,
    tmp_path: Path,
    name: str,
    sealed: bool,
    capfd: pytest.CaptureFixture[str],
) -> None:
    if name == MANIFEST and not sealed:
        pytest.skip("a plain export has no manifest")
    source = random.Random(f"{name} {sealed}")  # noqa: S311 - reproducible
    folder = Path(shutil.copytree(tiny_bundle, tmp_path / "bundle"))
    manifest = read_content(folder)
    good = manifest if name == MANIFEST else json.loads((folder / name).read_text("utf-8"))
    if not sealed:
        (folder / MANIFEST).unlink()
    worked = 0
    for _ in range(CASES):
        content, what = damage(good, source)
        if name == MANIFEST:
            reseal(folder, content, hash_files=False)
        else:
            (folder / name).write_text(json.dumps(content), encoding="utf-8")
            if sealed:
                reseal(folder, manifest)

        def answer() -> None:
            classify = pipeline("text-classification", folder, threads=1, truncation=True)
            classify(["growth of oooooooooooooooooooooooooooooop", "é猫 said", ""], top_k=None)

        worked += try_out(answer, what)
        if sealed:
            try_out(lambda: verify(folder, threads=1), what)
    assert 0 < worked < CASES  # the damage is neither harmless nor always fatal
    assert capfd.readouterr().err == ""  # no library said anything beside


@pytest.mark.filterwarnings("ignore::leanbert.errors.LeanBertWarning")
@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.onnx"])
def test_damaged_bytes_of_a_plain_export(
    make_bundle: Callable[..., Path], name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    source = random.Random(name)  # noqa: S311 - reproducible
    folder = make_bundle(manifest=False)
    good = (folder / name).read_bytes()
    for _ in range(CASES // 3):
        data = bytearray(good[: source.choice((len(good), source.randrange(len(good))))])
        for _ in range(source.choice((0, 1, 4)) if data else 0):
            data[source.randrange(len(data))] = source.randrange(256)
        (folder / name).write_bytes(data)

        def answer() -> None:
            pipeline("text-classification", folder, threads=1)("growth said", truncation=True)

        try_out(answer, f"{name}, {len(data)} of {len(good)} bytes")
    assert capfd.readouterr().err == ""
