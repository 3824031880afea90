"""benchmarks/graph: what is said of answers, times and operators; its commands on a tiny bundle."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks" / "graph"))


import contestants
import fidelity
import graphs
import making
import nearness
import sentences
import speed
import tokens
from leanbert.engines import Batch
from leanbert.engines.padding import ModelInputs, pad
from leanbert.errors import InputError
from leanbert_bench.commands.arguments import shape_list
from leanbert_bench.run.process import WorkerError
from tests.helpers.processes import ROOT

SCRIPTS = ROOT / "benchmarks" / "graph"
FP32 = np.array([[0.5, 0.45, 0.05], [0.9, 0.05, 0.05], [0.1, 0.7, 0.2], [0.2, 0.2, 0.6]])


def encodings(*lengths: int) -> Batch:
    return Batch.of([range(1, n + 1) for n in lengths])


class FakeGraph(graphs.Graph):
    """Logits that show what was run: the sum of the ids, the width of the batch."""

    def __init__(self, output: str = graphs.LOGITS) -> None:
        super().__init__(Path("no-model"), 1, output)
        self.runs = 0

    def run(self, inputs: ModelInputs) -> graphs.Floats:
        self.runs += 1
        ids = inputs["input_ids"].astype(np.float32)
        if self.output == graphs.HIDDEN:
            return np.stack([ids, ids + 1], axis=2) + (1 - inputs["attention_mask"])[:, :, None]
        return np.stack([ids.sum(axis=1), np.full(len(ids), ids.shape[1])], axis=1)


# --- nearness


def test_sorted_batches_hold_like_lengths() -> None:
    assert nearness.sorted_batches([5, 1, 4, 2, 3], 2) == [[1, 3], [4, 2], [0]]


def test_shuffled_batches_hold_every_text_once_and_are_the_same_each_time() -> None:
    batches = nearness.shuffled_batches(100, 32)
    assert [len(batch) for batch in batches] == [32, 32, 32, 4]
    order = [i for batch in batches for i in batch]
    assert sorted(order) == list(range(100)) != order
    assert batches == nearness.shuffled_batches(100, 32)


def test_a_flip_counts_as_held_above_the_margin_only() -> None:
    int8 = FP32.copy()
    int8[0] = [0.45, 0.5, 0.05]  # fp32 held it by 0.05
    int8[2] = [0.1, 0.4, 0.5]  # by 0.5
    found = nearness.set_fidelity(int8, FP32, np.array([1, 0, 1, 2]))
    assert (found["flipped"], found["held"], found["held_flipped"]) == (2, 3, 1)
    assert found["agreement"] == 0.5
    assert found["accuracy"] == 0.75
    assert found["max_difference"] == pytest.approx(0.3)
    assert found["mean_difference"] == pytest.approx((0.05 * 2 + 0.3 * 2) / 12)
    assert nearness.set_fidelity(FP32, FP32, None)["accuracy"] is None


def test_batch_invariance_is_the_widest_range_over_the_three_ways() -> None:
    ways = {"alone": FP32.copy(), "sorted": FP32.copy(), "shuffled": FP32.copy()}
    same = nearness.batch_invariance(ways, FP32)
    assert same["max_change"] == same["mean_change"] == same["flipped"] == 0
    ways["sorted"][1] = [0.8, 0.15, 0.05]
    ways["shuffled"][1] = [0.95, 0.0, 0.05]
    ways["shuffled"][0] = [0.4, 0.55, 0.05]  # a flip that fp32 held by 0.05
    ways["sorted"][3] = [0.2, 0.5, 0.3]  # a flip that it held by 0.4
    found = nearness.batch_invariance(ways, FP32)
    assert found["max_change"] == pytest.approx(0.3)
    assert found["max_change_from_alone"]["sorted"] == pytest.approx(0.3)
    assert found["max_change_from_alone"]["shuffled"] == pytest.approx(0.1)
    assert (found["flipped"], found["held"], found["held_flipped"]) == (2, 3, 1)
    ways["alone"][1], ways["sorted"][3] = [1.0, 0.0, 0.0], FP32[3]
    found = nearness.batch_invariance(ways, FP32)
    assert found["max_change"] == pytest.approx(0.2)


def test_cosines() -> None:
    ours, theirs = np.array([[1.0, 0.0], [3.0, 4.0]]), np.array([[1.0, 1.0], [6.0, 8.0]])
    assert nearness.cosines(ours, theirs) == pytest.approx([0.5**0.5, 1.0])


# --- fidelity


def text_set(name: str, count: int) -> fidelity.TextSet:
    return fidelity.TextSet(name, [f"{name} {i}" for i in range(count)], np.zeros(count, np.int64))


def test_plans_keep_sets_apart_and_sample_the_same_texts_three_ways() -> None:
    lengths = [3 + i % 7 for i in range(50)]
    plans = fidelity.make_plans([text_set("a", 20), text_set("b", 30)], lengths, 40)
    assert sorted(i for batch in plans["sets"] for i in batch) == list(range(50))
    assert all(max(batch) < 20 or min(batch) >= 20 for batch in plans["sets"])
    members = [sorted(i for batch in plans[way] for i in batch) for way in ("alone", "sorted")]
    assert members[0] == members[1] == sorted(i for batch in plans["shuffled"] for i in batch)
    assert len(set(members[0])) == 40
    assert {len(batch) for batch in plans["alone"]} == {1}
    in_order = [lengths[i] for batch in plans["sorted"] for i in batch]
    assert in_order == sorted(in_order)


def test_rows_slice_each_set_and_tables_show_them() -> None:
    sets = [text_set("a", 1), text_set("b", 3)]
    reference = dict.fromkeys(("sets", "alone", "sorted", "shuffled"), FP32)
    worse = FP32.copy()
    worse[3] = [0.5, 0.1, 0.4]
    row = fidelity._row("ours", {**reference, "sets": worse}, reference, sets, True)
    assert row["sets"]["a"]["agreement"] == 1
    assert row["sets"]["b"]["agreement"] == pytest.approx(2 / 3)
    document = {
        "output": graphs.LOGITS,
        "sets": {"a": {"texts": 1}, "b": {"texts": 3}},
        "rows": [row],
    }
    table = fidelity.markdown(json.loads(json.dumps(document)))
    assert "| ours | b | 3 | 66.67% |" in table
    assert "1 of 3 |" in table
    assert "| ours | 0 | 0 | 0 | 0 of 3 |" in table
    vectors = {way: found for way, found in reference.items() if way != "sets"}
    row = fidelity._row("ours", vectors, vectors, sets, False)
    assert row["worst_cosine"] == pytest.approx(1)
    assert "| ours | 1.00000 |" in fidelity.markdown({"output": graphs.HIDDEN, "rows": [row]})


def test_calibration_texts_are_none_of_the_evaluation(data_dir: Path) -> None:
    sets, calibration = fidelity.read_sets(data_dir, None)
    assert [len(part.texts) for part in sets] == [2388, 4846]
    assert len(calibration) == fidelity.CALIBRATION_TEXTS
    assert not set(calibration) & {text for part in sets for text in part.texts}
    few, same = fidelity.read_sets(data_dir, 5)
    assert [len(part.texts) for part in few] == [5, 5]
    assert not set(same) & {text for part in sets for text in part.texts}


# --- graphs


def test_tokens_survive_their_file(tmp_path: Path) -> None:
    before = encodings(3, 1, 4)
    after = tokens.read_tokens(tokens.write_tokens(tmp_path / "tokens.npz", before))
    assert after.input_ids.tolist() == before.input_ids.tolist()
    assert pad(after.take([0, 2]), 0)["attention_mask"].sum() == 7


def test_batches_are_computed_in_their_order() -> None:
    found = graphs.in_batches(FakeGraph(), encodings(3, 1, 4), [[2, 1], [0]])
    assert found.tolist() == [[10, 4], [1, 4], [6, 3]]


def test_hidden_states_are_averaged_over_real_tokens() -> None:
    found = graphs.in_batches(FakeGraph(graphs.HIDDEN), encodings(3, 1), [[0, 1]])
    assert found.tolist() == [[2, 3], [1, 2]]


def test_a_turn_discards_a_run_and_fills_its_time() -> None:
    graph = FakeGraph()
    inputs = tokens.random_inputs(2, 8, 100)
    assert len(graphs.timed(graph, inputs, 0.0)) == 1
    assert graph.runs == 2
    found = graphs.timed(graph, inputs, 0.002)
    assert sum(found) >= 2
    assert sum(found[:-1]) < 2


def test_random_ids_are_the_same_each_time_and_in_the_vocabulary() -> None:
    for vocabulary in (30, 30522):
        ids = tokens.random_inputs(4, 64, vocabulary)["input_ids"]
        assert ids.shape == (4, 64)
        assert 0 < ids.min() <= ids.max() < vocabulary
        assert (ids == tokens.random_inputs(4, 64, vocabulary)["input_ids"]).all()


@pytest.mark.parametrize("text", ["8", "8x", "0x8", "8x8x8", "", "axb"])
def test_shapes_that_are_none(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        shape_list(text)


def test_shapes_and_names_of_a_command_line() -> None:
    assert shape_list("1x8,8x128") == ((1, 8), (8, 128))
    assert contestants.named_bundle("a=b=c") == ("a", Path("b=c"))
    for wrong in ("a", "=b", "a="):
        with pytest.raises(argparse.ArgumentTypeError, match="NAME=DIR"):
            contestants.named_bundle(wrong)


def test_a_checkpoint_without_its_files_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"tokenizer\.json: missing"):
        tokens.tokenize(tmp_path, ["a"])
    with pytest.raises(InputError, match=r"no config\.json"):
        tokens.read_config(tmp_path)


def test_openvino_says_how_to_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contestants, "installed", lambda _: None)
    assert "pip install openvino nncf" in str(contestants.missing_openvino())
    monkeypatch.setattr(contestants, "installed", lambda _: "1.0")
    assert contestants.missing_openvino() is None


# --- speed and sentences


def test_ratios_are_paired_by_turn() -> None:
    found = speed.summary({"peer": [10.0, 20.0, 40.0], "ours": [5.0, 12.0, 20.0]}, ["peer"])
    assert found["peer"]["ratios"] == {}
    assert found["ours"]["ratios"]["peer"]["turns"] == (0.5, 0.6, 0.5)
    assert found["ours"]["ratios"]["peer"]["median"] == 0.5
    table = speed.markdown({"peers": ["peer"], "rows": [{"shape": "1x8", "graphs": found}]})
    head, rule, row = table.splitlines()
    assert head == "| batch x tokens | peer, ms | ours, ms | of peer's time |"
    assert head.count("|") == rule.count("|") == row.count("|")
    assert row == "| 1x8 | 20.0 | 12.0 | 0.50 (0.50–0.60) |"


def test_chunks_go_through_all_sentences_before_one_comes_again() -> None:
    texts = [str(i) for i in range(10)]
    found = sentences.chunks(texts, 4, 5)
    assert [len(chunk) for chunk in found] == [4] * 5
    drawn = [text for chunk in found for text in chunk]
    assert sorted(drawn[:10]) == sorted(drawn[10:]) == texts
    assert drawn[:10] != texts
    assert found == sentences.chunks(texts, 4, 5)


def test_ratios_are_to_the_best_batch_size_of_each_peer() -> None:
    rates = [
        sentences.Rates("ours", "leanbert-native", None, [100.0, 90.0]),
        sentences.Rates("opt, batch 1", "optimum", 1, [50.0, 60.0]),
        sentences.Rates("opt, batch 32", "optimum", 32, [40.0, 45.0]),
        sentences.Rates("torch, batch 1", "torch", 1, [10.0, 10.0]),
        sentences.Rates("torch, batch 32", "torch", 32, [20.0, 15.0]),
    ]
    found = sentences.summary(rates)
    ours = found["rows"][0]["ratios"]
    assert {name: ratio["turns"] for name, ratio in ours.items()} == {
        "opt, batch 1": (2, 1.5),
        "torch, batch 32": (5, 6),
    }
    assert "ratios" not in found["rows"][1]
    lines = sentences.end_to_end_markdown(found).splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert lines[2].startswith("| ours | 95.0 | 1.75 (")


def test_sentences_of_a_file(tmp_path: Path) -> None:
    phrasebank = tmp_path / "Sentences_50Agree.txt"
    phrasebank.write_bytes(
        "Profit at € 3 rose @ home@positive\r\nNothing@neutral\r\n".encode("cp1252")
    )
    assert speed.read_sentences(phrasebank)[1] == "Nothing"
    phrasebank.write_text("no label here\n")
    with pytest.raises(InputError, match="not PhraseBank"):
        speed.read_sentences(phrasebank)
    plain = tmp_path / "texts.txt"
    plain.write_text("a@b\nc\n")
    assert speed.read_sentences(plain) == ["a@b", "c"]
    with pytest.raises(InputError, match="No such file"):
        speed.read_sentences(tmp_path / "Sentences_66Agree.txt")


def test_what_is_asked_of_speed(capsys: pytest.CaptureFixture[str]) -> None:
    base = ["--checkpoint", "c", "-o", "o", "--bundle", "a=b"]
    assert speed.parse(base).shapes == speed.SHAPES
    assert speed.parse([*base, "--load"]).shapes == ()
    assert speed.parse([*base, "--load", "--shapes", "1x8"]).shapes == ((1, 8),)
    for wrong, said in (
        (["--checkpoint", "c", "-o", "o"], "nothing to compare"),
        ([*base, "--bundle", "a=c"], "same name"),
        ([*base, "--turns", "0"], "at least 1"),
        (["--random-weights", "bert-base", "-o", "o"], "needs --data"),
    ):
        with pytest.raises(SystemExit):
            speed.parse(wrong)
        assert said in capsys.readouterr().err


@pytest.mark.parametrize("name", ["fidelity", "speed"])
def test_help_has_examples_that_parse(name: str) -> None:
    script = {"fidelity": fidelity, "speed": speed}[name]
    text = str(script.__doc__).partition("examples:")[2].replace("\\\n", " ")
    lines = [line.split() for line in text.strip().splitlines()]
    assert len(lines) >= 2
    for line in lines:
        assert line[:2] == ["python", f"benchmarks/graph/{name}.py"]
        script.parse(line[2:])


# --- the processes, with a tiny bundle


@pytest.fixture
def contestant(make_bundle: Callable[..., Path]) -> contestants.Contestant:
    return contestants.Contestant(
        "ours", "leanbert-onnxruntime", make_bundle(config={"vocab_size": 30})
    )


def test_a_process_computes_what_the_engine_does(
    contestant: contestants.Contestant, tmp_path: Path
) -> None:
    kept = encodings(3, 1, 4)
    path = tokens.write_tokens(tmp_path / "tokens.npz", kept)
    to = tmp_path / "outputs.npy"
    with contestant.start(1, graphs.LOGITS) as worker:
        worker.ask("outputs", tokens=str(path), batches=[[2, 0], [1]], to=str(to))
        timed = worker.ask("time", rows=2, length=8, vocabulary=30, seconds=0.0)
    assert len(timed["ms"]) == 1
    engine = graphs.LeanBertOnnxRuntime(contestant.model, 1, graphs.LOGITS)
    assert (np.load(to) == graphs.in_batches(engine, kept, [[2, 0], [1]])).all()


def test_plans_come_back_in_the_order_of_their_texts(
    contestant: contestants.Contestant, tmp_path: Path
) -> None:
    kept = tokens.write_tokens(tmp_path / "tokens.npz", encodings(3, 1, 4, 2))
    plans = {"a": [[0, 1, 2, 3]], "b": [[3, 0], [2, 1]], "c": [[3], [1]]}
    found = fidelity._Run(1, graphs.LOGITS, kept, plans, tmp_path).compute(contestant)
    assert found["a"] == pytest.approx(found["b"], abs=1e-6)
    assert found["c"] == pytest.approx(found["a"][[1, 3]], abs=1e-6)
    assert found["a"].sum(axis=1) == pytest.approx(1)


def test_a_model_that_cannot_be_loaded_ends_its_process(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match="failed during load"):
        contestants.Contestant("none", "leanbert-onnxruntime", tmp_path / "none").start(
            1, graphs.LOGITS
        )


def test_workers_share_the_rows_of_a_batch(contestant: contestants.Contestant) -> None:
    inputs = tokens.random_inputs(3, 5, 30)
    alone = graphs.LeanBertOnnxRuntime(contestant.model, 1, graphs.LOGITS).run(inputs)
    for threads in (1, 2, 4):
        found = graphs.LeanBertWorkers(contestant.model, threads, graphs.LOGITS).run(inputs)
        np.testing.assert_allclose(found, alone, atol=1e-6)


def test_graphs_take_turns(contestant: contestants.Contestant) -> None:
    two = [contestant, replace(contestant, name="again")]
    found = speed.time_graphs(two, [(1, 4), (2, 8)], vocabulary=30, threads=1, turns=2, seconds=0.0)
    assert found["peers"] == ["ours"]
    assert [row["shape"] for row in found["rows"]] == ["1x4", "2x8"]
    for row in found["rows"]:
        assert [len(row["graphs"][who]["ms"]["turns"]) for who in ("ours", "again")] == [2, 2]
    assert speed.markdown(found).count("\n") == 4


def test_pipelines_take_turns_and_loads_are_timed(contestant: contestants.Contestant) -> None:
    contestant = replace(contestant, kind="leanbert-onnxruntime")  # a pipeline, not a graph
    said: list[str] = []
    found = sentences.end_to_end(
        [contestant], ["profit rose", "loss"], threads=1, chunk=3, turns=2, say=said.append
    )
    assert len(found["rows"][0]["per_second"]["turns"]) == 2
    assert found["rows"][0]["per_second"]["median"] > 0
    assert said[-1] == "chunk 2 of 2"
    found = sentences.load_times([contestant], "a", threads=1, turns=2, say=said.append)
    assert len(found["rows"][0]["seconds"]["turns"]) == 2
    assert "| ours | 0." in sentences.load_markdown(found)


def test_a_back_end_without_a_result_is_not_in_the_tables() -> None:
    document = {
        "output": graphs.HIDDEN,
        "rows": [{"name": "broken", "error": "died"}],
    }
    assert "broken" not in fidelity.markdown(document)


def test_what_is_made_takes_its_name_when_it_is_whole(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        folder.mkdir()
        raise WorkerError("no")

    with pytest.raises(WorkerError):
        making._once(tmp_path / "made", fail)
    assert not (tmp_path / "made").exists()
    assert making._once(tmp_path / "made", Path.mkdir) == tmp_path / "made"
    assert making._once(tmp_path / "made", fail).is_dir()  # found again, not made


def test_a_bundle_of_another_checkpoint_is_refused(
    contestant: contestants.Contestant, make_bundle: Callable[..., Path], tmp_path: Path
) -> None:
    other = make_bundle(config={"vocab_size": 31})
    words = ["--checkpoint", str(contestant.model), "--bundle", f"a={other}", "-o", "o.json"]
    with pytest.raises(InputError, match="vocab_size is 31, not 30"):
        speed.measure(speed.parse(words), tmp_path)
