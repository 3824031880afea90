"""Cores are counted by affinity and quota, read from fake cgroups here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from leanbert import cpu
from leanbert.cpu import allowed_cores, cgroup_quota


def write(root: Path, files: dict[str, str]) -> tuple[Path, Path]:
    """A fake /sys/fs/cgroup and /proc/self/cgroup."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root / "fs", root / "self"


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        # v2: in a container, its own root
        ({"self": "0::/\n", "fs/cpu.max": "200000 100000\n"}, 2.0),
        ({"self": "0::/\n", "fs/cpu.max": "150000 100000\n"}, 1.5),
        ({"self": "0::/\n", "fs/cpu.max": "max 100000\n"}, None),
        # v2: on the host, of the group or an ancestor
        ({"self": "0::/a/b\n", "fs/a/b/cpu.max": "50000 100000"}, 0.5),
        ({"self": "0::/a/b\n", "fs/a/b/cpu.max": "max 100000", "fs/a/cpu.max": "300000 100000"}, 3),
        (
            {
                "self": "0::/a/b\n",
                "fs/a/b/cpu.max": "400000 100000",
                "fs/a/cpu.max": "300000 100000",
            },
            3,
        ),
        ({"self": "0::/a\n", "fs/other/cpu.max": "100000 100000"}, None),
        # v1
        (
            {
                "self": "",
                "fs/cpu/cpu.cfs_quota_us": "250000\n",
                "fs/cpu/cpu.cfs_period_us": "100000\n",
            },
            2.5,
        ),
        (
            {
                "self": "",
                "fs/cpu/cpu.cfs_quota_us": "-1\n",
                "fs/cpu/cpu.cfs_period_us": "100000\n",
            },
            None,
        ),
        (
            {
                "self": "7:memory:/x\n4:cpu,cpuacct:/docker/c0\n",
                "fs/cpu/cpu.cfs_quota_us": "-1",
                "fs/cpu/cpu.cfs_period_us": "100000",
                "fs/cpu/docker/c0/cpu.cfs_quota_us": "100000",
                "fs/cpu/docker/c0/cpu.cfs_period_us": "50000",
            },
            2,
        ),
        # v1 of a controller that is not the CPU's
        (
            {
                "self": "4:cpuset:/docker\n",
                "fs/cpu/docker/cpu.cfs_quota_us": "100000",
                "fs/cpu/docker/cpu.cfs_period_us": "50000",
            },
            None,
        ),
        # both, as on hybrid hosts: the tighter counts
        (
            {
                "self": "0::/\n",
                "fs/cpu.max": "400000 100000",
                "fs/cpu/cpu.cfs_quota_us": "300000",
                "fs/cpu/cpu.cfs_period_us": "100000",
            },
            3,
        ),
        # nothing, or nonsense
        ({}, None),
        ({"self": "nonsense\n::\n\n", "fs/cpu.max": "much"}, None),
        ({"self": "0::/\n", "fs/cpu.max": "100000 0"}, None),
        ({"self": "0::/\n", "fs/cpu.max": ""}, None),
        ({"fs/cpu/cpu.cfs_quota_us": "100000", "fs/cpu/cpu.cfs_period_us": "0"}, None),
        ({"fs/cpu/cpu.cfs_quota_us": "100000"}, None),
    ],
)
def test_the_tightest_quota(tmp_path: Path, files: dict[str, str], wanted: float | None) -> None:
    assert cgroup_quota(*write(tmp_path, files)) == wanted


@pytest.mark.parametrize(
    ("affinity", "quota", "wanted"),
    [
        (64, 2.0, 2),
        (4, None, 4),
        (1, 8.0, 1),
        (8, 0.2, 1),
        (8, 1.4, 1),
        (8, 1.5, 2),
        (8, 2.4, 2),
        (8, 2.9, 3),
        (2, 2.9, 2),
        (3, 3.0, 3),
    ],
)
def test_allowed_cores(
    monkeypatch: pytest.MonkeyPatch, affinity: int, quota: float | None, wanted: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(affinity)), raising=False)
    monkeypatch.setattr(cpu, "cgroup_quota", lambda: quota)
    assert allowed_cores() == wanted


@pytest.fixture(autouse=True)
def no_wish(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("1", 1),
        ("3", 3),
        (" 2 ", 2),
        ("2,4", 2),
        ("64", 4),
        ("", 4),
        ("0", 4),
        ("-1", 4),
        ("many", 4),
        ("\u0663", 4),
        ("1.5", 4),
    ],
)
def test_the_number_of_threads_that_frameworks_set(
    monkeypatch: pytest.MonkeyPatch, value: str, wanted: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(4)), raising=False)
    monkeypatch.setattr(cpu, "cgroup_quota", lambda: None)
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert allowed_cores() == wanted


def test_affinity_that_the_system_refuses_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> set[int]:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_getaffinity", refuse, raising=False)
    monkeypatch.setattr(cpu, "cgroup_quota", lambda: None)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert allowed_cores() == 6


def test_without_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(cpu, "cgroup_quota", lambda: None)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert allowed_cores() == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert allowed_cores() == 1


def test_this_machine() -> None:
    assert 1 <= allowed_cores() <= (os.cpu_count() or 1)
    quota = cgroup_quota()
    assert quota is None or quota > 0
    assert cpu.cpu_name()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("processor: 0\nflags\t: fpu avx512_vnni avx2\n", ("avx2", "avx512_vnni")),
        ("Features\t: fp asimd i8mm asimddp\n", ("asimd", "asimddp", "i8mm")),
        ("processor: 0\n", ()),
        (None, ()),
    ],
)  # fmt: skip
def test_instruction_sets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, wanted: tuple[str, ...]
) -> None:
    path = tmp_path / "cpuinfo"
    if text is not None:
        path.write_text(text)
    monkeypatch.setattr(cpu, "_CPUINFO", path)
    assert cpu.isa_flags.__wrapped__() == wanted


def test_the_engine_takes_the_allowed_cores(
    tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from leanbert import Bundle
    from leanbert.engines import onnxruntime

    monkeypatch.setattr(onnxruntime, "allowed_cores", lambda: 3)
    bundle = Bundle.open(tiny_bundle)

    def threads(number: int | None) -> int:
        engine = onnxruntime.OnnxRuntimeEngine(bundle, number)
        found: int = engine._session.get_session_options().intra_op_num_threads
        return found

    assert threads(None) == 3
    assert threads(1) == 1
