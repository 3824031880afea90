"""The table of time by stage of ``native_bench --stages``, and that shipped code does not count."""

import re

import pytest

from tests.helpers.native_bench import native_bench
from tests.helpers.native_library import library_path

STAGES = (
    "check, schedule, copies|embed|Q, K, V|attention|quantize|output matmul|norm, quantize"
    "|up, activation|down|head|wait|the call"
)
COMMAND = "--stages --isa avx2,neon --models MiniLM --shapes 1x8,1x32 --threads 2 --seconds 0.01"

SLOW = (
    "--stages --isa avx2,neon --models MiniLM --shapes 1x20,1x128,8x32 --threads 2,3"
    " --seconds 0.01 --slow 4"
)


def tables(text: str) -> list[dict[str, list[float]]]:
    """For each table: a stage's milliseconds by thread, its share in percent, and its ideal."""
    found = []
    for part in text.split("| stage |")[1:]:
        rows = re.findall(r"^\| ([^|]+) \|((?: [\d.-]+%? \|)+)$", part, re.MULTILINE)
        numbers = {name: [float(n) for n in re.findall(r"[\d.-]+", line)] for name, line in rows}
        found.append(numbers)
    return found


@pytest.mark.parametrize("slow", [[], ["--slow", "2"]])
def test_stages_add_up_to_the_call(slow: list[str]) -> None:
    done = native_bench(*COMMAND.split(), *slow)
    assert done.returncode == 0, done.stderr
    found = tables(done.stdout)
    assert len(found) == 2
    for rows in found:
        assert "|".join(rows) == STAGES
        call = rows.pop("the call")
        for column in range(4):  # two threads, share, ideal
            total = sum(numbers[column] for numbers in rows.values())
            assert total == pytest.approx(call[column], abs=0.6 if column == 2 else 0.007)
        assert rows["wait"][3] == 0
        for name, (first, second, _, _) in rows.items():
            if name not in {"check, schedule, copies", "head", "wait"}:
                assert first > 0, name
                assert second > 0, name


@pytest.mark.parametrize("head", [[], ["--every-token"]])
def test_slow_thread_changes_no_bit(head: list[str]) -> None:
    """Shares by speed and stolen pieces: the benchmark compares the answers of its calls."""
    done = native_bench(*SLOW.split(), *head)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("the last thread 4.0 times slower") == 6


def test_slow_thread_needs_the_counters() -> None:
    done = native_bench("encoder", "--slow", "2")
    assert (done.returncode, done.stderr) == (2, "--slow needs --stages\n")


def test_shipped_code_does_not_count() -> None:
    """The probe is linked from the library's own objects, and unlike the library has names."""
    probe = library_path().with_name("libleanbert_native_probe.so")
    program = library_path().with_name("native_bench")
    if not (probe.is_file() and program.is_file()):
        pytest.skip(f"not built: no {probe} and {program}")
    assert b"stage_times" in program.read_bytes()
    assert b"stage_times" not in probe.read_bytes()
    assert b"compute_group" in probe.read_bytes()
