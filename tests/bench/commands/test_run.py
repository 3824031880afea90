"""``leanbert bench run`` as a user calls it, with fake back ends."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leanbert.cli import main
from leanbert.errors import InputError, LeanBertError
from leanbert_bench import backends
from leanbert_bench.backends.optimum import optimum_preset
from leanbert_bench.commands import run as command
from leanbert_bench.commands.run_options import plan_of
from leanbert_bench.results.schema import read_results
from leanbert_bench.run import measuring, plan
from leanbert_bench.run.subjects import choose_specs, choose_subject
from tests.helpers.bench_models import checkpoint, write_tokenizer

FEW = ("--turns", "1", "--grid", "1x8", "--scenarios", "SingleStream", "--memory-texts", "2")


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return parser.parse_args(words)


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A whole command line."""
    monkeypatch.setattr(measuring, "ROOF", "tests.helpers.bench_fakes")
    monkeypatch.setattr(plan, "FULL", replace(plan.FULL, cold_starts=1))
    texts = tmp_path / "texts.csv"
    texts.write_text("text,label\na good day,positive\na bad day,negative\n")
    model = checkpoint(tmp_path / "model")
    return [
        *("--checkpoint", str(model), "--input", str(texts), "--label-column", "label"),
        *("--threads", "1", "--cache-dir", str(tmp_path / "cache"), "-o", str(tmp_path / "out")),
    ]


def fakes(monkeypatch: pytest.MonkeyPatch, *kinds: str) -> None:
    names = {
        kind if i else backends.REFERENCE: f"tests.helpers.bench_fakes:{kind}"
        for i, kind in enumerate(kinds)
    }
    monkeypatch.setattr(backends, "REGISTRY", names)


def test_a_run_writes_results_and_reports_and_names_who_failed(
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fakes(monkeypatch, "Fake", "RaisesAtLoad", "Absent")
    assert main(["bench", "run", *words, *FEW]) == 1  # the results are whole but for one row
    told = capsys.readouterr()
    assert "leanbert: bench: Fake gave no result: failed during load: ValueError: two" in told.err
    assert "Fake is left out: no-such-peer not installed; to have it: pip install" in told.err
    assert "about " in told.err  # the estimate
    assert told.out.count("Fake") >= 2
    out = tmp_path / "out"
    results = read_results(out)
    assert results["complete"]
    assert results["command"].startswith("leanbert bench run")
    assert [item["status"] for item in results["backends"]] == ["ok", "failed", "skipped"]
    assert results["backends"][0]["accuracy"]["accuracy"] == 1.0
    assert {path.name for path in out.iterdir()} >= {"results.json", "report.md"}
    assert not (out / "partial").exists()


def test_ctrl_c_keeps_what_is_done(
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fakes(monkeypatch, "Fake")

    def interrupted(run: measuring.Run) -> None:
        run.journal.put(backends.REFERENCE, "cold 0", {"seconds": 1.0})
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(measuring.Run, "execute", interrupted)
        assert main(["bench", "run", *words, *FEW]) == 130
    assert "the same command goes on from here" in capsys.readouterr().err
    assert not read_results(tmp_path / "out")["complete"]
    steps = (tmp_path / "out" / "partial" / "steps.jsonl").read_text().splitlines()
    assert [json.loads(step)[:2] for step in steps][-1] == [backends.REFERENCE, "cold 0"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--label-column", "sentiment"], "no column 'sentiment'; it has 'text' and 'label'"),
        (["--text-column", "body"], "no column 'body'"),
        (["--input", "nowhere.csv"], "nowhere.csv: No such file"),
        (["--checkpoint", "nowhere"], "has no config.json; give a checkpoint's directory"),
        (["--backends", "pytorch-eager-fp32,nonsense"], "no back end 'nonsense'; there are"),
        (["--task", "question-answering"], "not a SQuAD file"),
    ],
)
def test_wrong_arguments_are_one_line(
    words: list[str], change: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", "run", *words, *change]) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1


def test_no_model_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--random-weights bert-base"):
        command.run(parse("-o", str(tmp_path / "out")))
    with pytest.raises(InputError, match="expected one of bert-base"):
        command.run(parse("--random-weights", "bert-huge", "-o", str(tmp_path / "out")))


def test_an_unreadable_model_is_one_line(words: list[str], tmp_path: Path) -> None:
    model = tmp_path / "model"
    (model / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"no model\.safetensors"):
        command.run(parse(*words))
    (model / "config.json").write_text("{")
    with pytest.raises(LeanBertError, match="not valid JSON"):
        command.run(parse(*words))


def test_labels_must_be_the_models(words: list[str], tmp_path: Path, tiny_bundle: Path) -> None:
    (tmp_path / "texts.csv").write_text("text,label\na,excellent\n")
    with pytest.raises(InputError, match="'excellent' is none of the model's: positive"):
        command.run(parse(*words))
    other = checkpoint(tmp_path / "other", "x", "y")
    with pytest.raises(InputError, match="labels are not those"):
        command.run(parse("--checkpoint", str(other), "--bundle", str(tiny_bundle)))


def test_nobody_can_run(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    fakes(monkeypatch, "Absent", "Refuses")
    with pytest.raises(InputError, match="no back end can run here"):
        command.run(parse(*words))


@pytest.mark.usefixtures("words")
def test_a_bundle_alone_is_enough(
    tiny_bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "results.json"
    few = [*FEW, "--threads", "1", "--limit", "6", "-o", str(out), "--sample", "3"]
    code = main(["bench", "run", "--bundle", str(tiny_bundle), *few])
    told = capsys.readouterr()
    assert code == 0, told.err
    (row,) = json.loads(out.read_text())["backends"]
    assert row["id"] == f"leanbert:{tiny_bundle.name}"
    assert row["bundle"]["engine"] == "onnxruntime"
    assert len(row["bundle"]["manifest_sha256"]) == 64
    assert row["accuracy"]["rows"] == 6
    assert row["batch_invariance"]["largest"] < 1e-5


def test_old_names_and_lists() -> None:
    args = parse("--bundle", "a", "--bundle", "b", "c", "--texts", "t", "--labels", "l")
    assert args.bundle == [Path("a"), Path("b"), Path("c")]
    assert (args.input, args.label_column) == (Path("t"), "l")
    args = parse("--grid", "1x8,8x128", "--scenarios", "Offline,Server")
    assert args.grid == ((1, 8), (8, 128))
    assert args.scenarios == ("Offline", "Server")
    assert plan_of(parse("--memory-texts", "500")).memory_counts == (500,)
    assert plan_of(parse()) == plan.FULL
    assert plan_of(parse("--quick")) == plan.QUICK


def test_parts_of_a_run() -> None:
    forward = plan_of(parse("--measure", "forward", "--turns", "7"))
    assert (forward.grid, forward.turns, forward.scenarios) == (plan.GRID, 7, ())
    assert forward.cold_starts == forward.accuracy_rows == len(forward.memory_counts) == 0
    answers = plan_of(parse("--measure", "answers,start"))
    assert (answers.turns, answers.grid, answers.scenarios) == (0, (), ())
    assert answers.cold_starts == plan.FULL.cold_starts
    assert answers.invariance_rows == plan.FULL.invariance_rows


def test_only_what_is_asked_for_is_measured(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fakes(monkeypatch, "Fake", "Doubtful")
    assert main(["bench", "run", *words, "--measure", "answers"]) == 0
    results = read_results(tmp_path / "out")
    first, second = results["backends"]
    assert (first["grid"], first["scenarios"], first["cold_start_s"]) == ({}, {}, [])
    assert (first["accuracy"]["held"], first["accuracy"]["held_flipped"]) == (2, 0)
    assert second["accuracy"]["agreement"] == 1
    assert second["batch_invariance"]["held"] == 2
    assert results["complete"]
    assert not any("turn" in line for line in results["warnings"])
    monkeypatch.setenv("LEANBERT_ISA", "avx2")
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert main(["bench", "run", *words, "--measure", "start,forward", *FEW[:4]]) == 0
    results = read_results(tmp_path / "out")
    assert results["settings"]["isa"] == "avx2"
    held = "LEANBERT_ISA=avx2 ONEDNN_MAX_CPU_ISA=AVX2 leanbert bench run"
    assert results["command"].startswith(held)
    first = results["backends"][0]
    assert first["accuracy"] is first["batch_invariance"] is None
    assert first["first_answer_rss_mib"][0] > 5
    assert list(first["grid"]) == ["1x8"]


def test_given_bundles_run_on_the_engines_asked_for(tiny_bundle: Path) -> None:
    args = parse("--bundle", str(tiny_bundle), "--engines", "onnxruntime,native")
    chosen = choose_specs(args, choose_subject(args, Path("cache"), 1))
    assert [spec.id.removeprefix(f"leanbert:{tiny_bundle.name}:") for spec in chosen] == [
        "onnxruntime", "native",
    ]  # fmt: skip
    assert [backends.backend_class(spec.factory).engine for spec in chosen] == [  # type: ignore[attr-defined]
        "onnxruntime", "native",
    ]  # fmt: skip


def test_some_back_ends_run_only_if_they_are_named(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    args = parse(*words)
    subject = choose_subject(args, Path("cache"), 1)
    everybody = {spec.id for spec in choose_specs(args, subject)}
    assert set(backends.REGISTRY) - everybody == {
        "transformers-pipeline-batch-32",
        "optimum-int8-batch-32",
        "leanbert-int8-onnxruntime-shared",
        "zentorch-fp32",
        "sentence-transformers",
        "sentence-transformers-onnx-int8",
        "sentence-transformers-openvino",
        "fastembed",
        "kjarni",
        "llama-cpp-f16",
        "llama-cpp-q8",
        "transformers-js-q8",
    }
    args = parse(*words, "--backends", "optimum-int8-batch-32")
    assert [spec.id for spec in choose_specs(args, subject)] == ["optimum-int8-batch-32"]


@pytest.mark.parametrize(
    "wrong",
    [("--grid", "8"), ("--grid", "0x8"), ("--measure", "all"), ("--engines", "cuda"),
     ("--scenarios", "Online"), ("--turns", "0"),
     ("--threads", "two")],
)  # fmt: skip
def test_wrong_values_are_refused(wrong: tuple[str, str], capsys: Any) -> None:
    with pytest.raises(SystemExit):
        parse(*wrong)
    assert wrong[0] in capsys.readouterr().err


def test_back_ends_are_listed_without_their_libraries() -> None:
    heavy = {"torch", "transformers", "optimum", "numpy", "onnxruntime", "openvino", "ctranslate2"}
    code = (
        "import sys; from leanbert.cli import main; main(['bench', 'run', '--list-backends'])\n"
        f"sys.exit(', '.join({heavy!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
    assert done.stdout.count("\n") == len(backends.REGISTRY) == 25
    assert "openvino-int8" in done.stdout


@pytest.mark.parametrize(
    ("flags", "preset"),
    [(["avx2"], "avx2"), (["avx2", "avx512_vnni"], "avx512_vnni"), (["asimd"], "arm64")],
)
def test_optimum_preset(flags: list[str], preset: str) -> None:
    assert optimum_preset(flags) == preset


def test_a_back_end_that_takes_texts_alone_has_scenarios_and_no_shapes(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fakes(monkeypatch, "Fake", "TextsAlone")
    write_tokenizer(tmp_path / "model")
    assert main(["bench", "run", *words, *FEW]) == 0
    reference, alone = read_results(tmp_path / "out")["backends"]
    assert (reference["status"], alone["status"]) == ("ok", "ok")
    assert reference["grid"]
    assert alone["grid"] == {}
    assert set(alone["scenarios"]) == set(reference["scenarios"])
