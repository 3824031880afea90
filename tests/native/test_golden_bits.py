"""The same bits everywhere: committed hashes of the answers' bits, replayed on every path.

``python -m tests.native.test_golden_bits`` writes ``golden_bits.json`` anew. Do that only for a
change of the arithmetic that is meant, and say so in the changelog: users' scores change with it.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.helpers.native_golden import GOLDEN, Case, bits, cases, golden, is_short, write_case
from tests.helpers.native_library import ISAS, Encoder, isa_or_skip, library_path


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("threads", [1, 3])
def test_every_path_gives_the_committed_bits(isa: str, threads: int) -> None:
    isa_or_skip(isa)
    found = {case.name: answer_bits(case, isa) for case in cases(threads)}
    assert found == golden()


def test_a_replay_without_python_gives_the_committed_bits(tmp_path: Path) -> None:
    """What other CPUs and emulators run: native_replay with the cases written to files."""
    replay = library_path().with_name("native_replay")
    if not replay.is_file():
        pytest.skip(f"native_replay is not built: no {replay}")
    files: dict[str, Path] = {}
    for i, case in enumerate(cases()):
        files[case.name] = tmp_path / f"{i}.case"
        write_case(case, files[case.name])
    ran = subprocess.run([replay, "", *files.values()], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == [
        f"{files[name]}: {hash_}" for name, hash_ in golden().items()
    ]


def test_a_replay_finds_another_answer(tmp_path: Path) -> None:
    """One changed weight changes the hash, and a file cut short is refused."""
    replay = library_path().with_name("native_replay")
    if not replay.is_file():
        pytest.skip(f"native_replay is not built: no {replay}")
    case = next(cases())
    path = tmp_path / "case"
    write_case(case, path)
    content = bytearray(path.read_bytes())
    at = content.index(case.weights) + int(case.description.record.word.offset) + 7
    content[at : at + 2000] = bytes(2000)
    path.write_bytes(content)
    ran = subprocess.run([replay, "", path], capture_output=True, text=True, check=True)
    assert ran.stdout != f"{path}: {golden()[case.name]}\n"
    path.write_bytes(content[:-1])
    ran = subprocess.run([replay, "", path], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "not a whole case" in ran.stderr


def test_avx_vnni_as_it_ships_gives_the_committed_bits(tmp_path: Path) -> None:
    """Where the CPU has no AVX-VNNI its instructions trap, and are computed by a signal handler."""
    isa_or_skip("avx2")
    trap = library_path().with_name("native_trap")
    if not trap.is_file():
        pytest.skip(f"native_trap is not built: no {trap}")
    files: dict[str, Path] = {}
    for case in cases():
        if is_short(case.name):
            files[case.name] = tmp_path / f"{len(files)}.case"
            write_case(case, files[case.name])
    ran = subprocess.run([trap, *files.values()], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == [f"{path}: {golden()[name]}" for name, path in files.items()]
    if "avx_vnni" not in Path("/proc/cpuinfo").read_text(encoding="utf-8").split():
        assert int(ran.stderr.split()[0]) > 10_000  # it is these instructions that computed


def answer_bits(case: Case, isa: str | None = None) -> str:
    """The hash of a case's answers on a path."""
    encoder = Encoder(case.description, isa)
    return bits(encoder.run(case.texts, case.types))


if __name__ == "__main__":
    found = {case.name: answer_bits(case) for case in cases()}
    GOLDEN.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
