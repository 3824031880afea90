"""The check in emulated CPUs: what it compares, starts and shows; no emulator is needed."""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path
from typing import Any

import pytest

from leanbert.engines import saturation
from leanbert.errors import InputError
from leanbert.pipelines import embedded_bundle
from leanbert_bench.results.schema import read_json
from studies.emulated import agreement, answers, check, guests

ROOT = Path(__file__).resolve().parents[3]
RESULTS = ROOT / "benchmarks" / "results" / "emulated-cpus.json"
YES, NO = {"yes": 2.0, "no": 0.0}, {"yes": 0.0, "no": 1.0}
QEMU = guests.Qemu(Path("/q/qemu-aarch64"), "7.2.22", frozenset({"max", "cortex-a72"}))


def row(**changes: object) -> dict[str, Any]:
    return {
        "machine": "x86_64",
        "cpu": "Haswell",
        "has": "AVX2",
        "way": "chosen",
        "qemu": "10.0.1",
        "matmuls": "uint8 weights",
        "same_label": 2,
        "max_logit_difference": 0.1234,
        "max_probability_difference": 0.01234,
        "verify": {"passed": True, "max_difference": 0.2, "mean_difference": 0.05},
    } | changes


def results(*rows: dict[str, Any]) -> dict[str, Any]:
    return {
        "machine": {"cpu": "My CPU"},
        "created": "2026-01-02T03:04:05+00:00",
        "bundle": {"name": "small", "manifest_sha256": "ab" * 32},
        "texts": {"name": "texts.txt", "sha256": "cd" * 32, "rows": 2},
        "versions": {"numpy": "2.4.6", "onnxruntime": "1.32.0", "tokenizers": "0.22.2"},
        "native": {**row(), "matmuls": "int8 weights"},
        "rows": list(rows),
    }


def test_compare() -> None:
    found = agreement.compare([YES, {"yes": 1.5, "no": 1.0}], [YES, NO])
    assert found["same_label"] == 1
    assert found["max_logit_difference"] == 1.5
    assert found["max_probability_difference"] == pytest.approx(
        agreement.softmax({"a": 1.5, "b": 1.0})["a"] - agreement.softmax({"a": 0.0, "b": 1.0})["a"]
    )


@pytest.mark.parametrize("other", [[YES], [YES, {"yes": 1.0}]])
def test_other_answers_are_not_compared(other: list[dict[str, float]]) -> None:
    with pytest.raises(InputError, match="different texts or labels"):
        agreement.compare(other, [YES, NO])


def test_softmax_does_not_overflow() -> None:
    assert agreement.softmax({"a": 1e4, "b": 0.0}) == {"a": 1.0, "b": 0.0}


def test_table() -> None:
    text = agreement.markdown(
        results(
            row(),
            row(way="as-stored", verify={"passed": False, "error": "far"}),
            row(error="exit code 1 (a|b)"),
            {"machine": "aarch64", "cpu": "max", "has": "", "way": "chosen", "qemu": "7.2",
             "skipped": "too old"},
        )
    )  # fmt: skip
    lines = text.splitlines()
    assert lines[2] == (
        "| x86_64 Haswell | AVX2 | uint8 weights | 2/2 | 0.12 | 0.012 | passes: 0.2000, 0.0500 |"
    )
    assert "nothing done" in lines[3]
    assert lines[3].endswith("| **fails** |")
    assert r"a\|b" in lines[4]
    assert len({line.replace("\\|", "").count("|") for line in lines[:5]}) == 1
    assert "My CPU: int8 weights" in lines[6]
    assert lines[7] == "Not run: aarch64 max (too old)."


def test_foreign_results_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "r.json"
    for content, told in (
        ("{", "not valid JSON"),
        ("[]", "malformed"),
        ('{"rows": 9}', "malformed"),
    ):
        path.write_text(content)
        assert check.main(["--table", str(path)]) == 1
        assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "fine"),
    [
        ({}, True),
        ({"verify": {"passed": False}}, False),
        ({"verify": {"passed": False}, "way": "as-stored"}, True),  # shown, not asked for
        ({"skipped": "too old"}, True),
    ],
)
def test_the_golden_texts_decide(changes: dict[str, Any], fine: bool) -> None:
    assert agreement.passed(results(row(), row(**changes))) is fine


def test_a_cpu_that_did_not_run_fails() -> None:
    failed = {"machine": "x86_64", "cpu": "x", "has": "", "way": "chosen", "error": "crash"}
    assert not agreement.passed(results(failed))


def test_the_saturating_cpu_also_runs_untouched() -> None:
    ways = [(cpu.name, way) for cpu, way in check.runs(guests.CPUS)]
    assert ways.count(("Haswell-noTSX", "as-stored")) == 1
    assert sum(way == "as-stored" for _, way in ways) == 1
    assert len(ways) == len(guests.CPUS) + 1
    assert check.runs([guests.CPUS[0]]) == [(guests.CPUS[0], "chosen")]


def test_command_in_the_machines_own_root() -> None:
    own = guests.own_interpreter()
    path = f"PYTHONPATH={ROOT / 'runtime'}:{ROOT / 'models'}"
    assert own.command(["a", 1]) == ["env", path, sys.executable, "a", "1"]
    emulated = own.command(["a"], QEMU, "Haswell")
    assert emulated == [str(QEMU.path), "-cpu", "Haswell", "-E", path, sys.executable, "a"]


def test_command_in_an_unpacked_root() -> None:
    inside = guests.Interpreter(
        Path("/w/root/usr/bin/python3.11"), (Path("/w/site"),), Path("/w/root"), (Path("/lib/x"),)
    )
    assert inside.command(["a"], QEMU, "max") == [
        "/q/qemu-aarch64", "-cpu", "max", "-L", "/w/root", "-E", "PYTHONPATH=/w/site",
        "-E", "LD_LIBRARY_PATH=/lib/x", "/w/root/usr/bin/python3.11", "a",
    ]  # fmt: skip


def test_this_architecture_needs_no_download(tmp_path: Path) -> None:
    found = guests.interpreter(platform.machine(), tmp_path, {}, "http://mirror")
    assert found == guests.own_interpreter()
    assert list(tmp_path.iterdir()) == []


def test_a_root_that_is_there_is_kept(tmp_path: Path) -> None:
    other = next(name for name in ("aarch64", "x86_64") if name != platform.machine())
    versions = {"numpy": "2", "onnxruntime": "1", "tokenizers": "0"}
    for part in ("debian-bookworm", "numpy-2-onnxruntime-1-tokenizers-0"):
        (tmp_path / other / part).mkdir(parents=True)
    found = guests.interpreter(other, tmp_path, versions, "http://mirror")
    assert found.root == tmp_path / other / "debian-bookworm"
    assert found.import_path[0].name == "numpy-2-onnxruntime-1-tokenizers-0"


def test_apt_keeps_to_its_folder() -> None:
    options = guests.apt_options("aarch64", Path("/w/apt"))
    assert options[::2] == ["-o"] * (len(options) // 2)
    for wanted in ("APT::Architecture=arm64", "Dir::State=/w/apt", "Dir::Cache=/w/apt"):
        assert wanted in options[1::2]


@pytest.mark.parametrize(
    ("name", "since", "reason"),
    [
        ("cortex-a72", (0, 0), None),
        ("cortex-a72", (7, 2), None),
        ("neoverse-n2", (0, 0), "does not know it"),
        ("max", (10, 0), "computes it wrongly"),
    ],
)
def test_which_cpus_an_emulator_is_trusted_with(
    name: str, since: tuple[int, int], reason: str | None
) -> None:
    found = QEMU.refuses(guests.Cpu("aarch64", name, "", since))
    assert (found is None) if reason is None else (found is not None and reason in found)


def test_the_emulator_is_looked_for(tmp_path: Path) -> None:
    with pytest.raises(guests.EmulationError, match="apt install qemu-user"):
        guests.Qemu.find("x86_64", tmp_path)
    fake = tmp_path / "qemu-x86_64-static"
    fake.write_text('#!/bin/sh\n[ $1 = --version ] && echo "qemu version 9.1.2 (x)" && exit\n'
                    'echo "x86 Haswell"; exit 1\n')  # fmt: skip
    fake.chmod(0o755)
    found = guests.Qemu.find("x86_64", tmp_path)
    assert (found.path, found.version) == (fake, "9.1.2")
    assert "Haswell" in found.cpus


def test_failed_commands_name_themselves() -> None:
    with pytest.raises(guests.EmulationError, match=r"sh: exit code 3 \(why\)"):
        guests.output_of(["sh", "-c", "echo why >&2; exit 3"])
    with pytest.raises(guests.EmulationError, match="no-such-tool"):
        guests.output_of(["/no-such-tool"])
    assert check.answer(["false"], [], 10) == {"error": "false: exit code 1"}


def test_a_failed_proof_does_not_say_where_the_bundle_lay(tmp_path: Path) -> None:
    bundle = tmp_path / "broken"
    bundle.mkdir()
    found = answers.verified(str(bundle))
    assert found["passed"] is False
    assert "broken" in found["error"]
    assert str(tmp_path) not in found["error"]


def test_what_a_guest_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saturation, "int8_matmuls", saturation.int8_matmuls)  # put back later
    texts = tmp_path / "texts.txt"
    texts.write_text("Profit rose.\nSales fell.\n", encoding="utf-8")
    answers.main([str(embedded_bundle()), str(texts), answers.AS_STORED])
    found = json.loads(capsys.readouterr().out)
    assert found["matmuls"] == saturation.Matmuls.INT8.value
    assert [agreement.best(logits) for logits in found["logits"]] == ["positive", "negative"]
    assert found["verify"]["passed"]


def test_the_table_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "r.json"
    file.write_text(json.dumps(results(row())))
    words = ["--table", str(file)]
    assert check.main(words) == 0
    assert capsys.readouterr().out == agreement.markdown(results(row()))
    file.write_text(json.dumps(results(row(verify={"passed": False}))))
    assert check.main(words) == 1
    assert check.main(["--table", str(tmp_path / "none")]) == 1
    assert capsys.readouterr().err.startswith("check: ")
    with pytest.raises(SystemExit):
        check.main([*words, "-o", str(file)])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-o", "{}/none/r.json"], "no such directory"),
        (["-o", "{}/r.json", "--texts", "{}/none.txt"], "No such file"),
        (["-o", "{}/r.json", "--limit", "0"], "no text to answer"),
        (["-o", "{}/r.json", "--qemu-dir", "{}/none"], "apt install qemu-user"),
    ],
)
def test_what_cannot_work_is_said_first(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    said: str,
) -> None:
    if "--qemu-dir" not in words:
        monkeypatch.setattr(guests.Qemu, "find", lambda *_: QEMU)
    assert check.main([word.format(tmp_path) for word in words]) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "r.json").exists()


def test_the_committed_results_hold() -> None:
    found = read_json(RESULTS)
    assert agreement.passed(found)
    assert {row["machine"] for row in found["rows"]} == {"x86_64", "aarch64"}
    (untouched,) = (row for row in found["rows"] if row["way"] == "as-stored")
    assert untouched["int8_saturates"]
