"""studies.public_sets: what is read of each set, and the files that it writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from leanbert.errors import InputError
from leanbert_bench.run.workload import read_workload
from studies import public_sets


def test_sets_of_the_heads(small_data: Path) -> None:
    found = public_sets.entities(small_data, "train")
    assert found.words == [["The", "Zyxwvut", "Bank"], ["ok"]]
    assert found.tags is not None
    assert found.tags[0] == ["O", "B-corporation", "I-corporation"]
    trained, held = public_sets.questions(small_data)
    assert (len(trained), len(held)) == (2, 1)  # by article
    one = held[0]
    assert one.context[one.start :].startswith(one.answer)
    first, second, similarity = public_sets.similarities(small_data, "test")
    assert (first, second, similarity) == (['A "man" plays.'], ["A man's playing."], [3.8])
    with pytest.raises(InputError, match=r"emerging\.dev\.conll: missing; --data is"):
        public_sets.entities(small_data, "dev")


def test_financial_sets_name_their_labels(small_data: Path) -> None:
    assert public_sets.twitter(small_data, "train")[1:] == [
        ("down 3% AGAIN!", "positive"),
        ("Up, up\nand away", "positive"),
        ("Flat", "neutral"),
    ]
    found = public_sets.phrasebank(small_data)
    assert found == [("Profit at EUR 3 rose @ home", "positive"), ("Nothing", "neutral")]
    path = small_data / "phrasebank" / "Sentences_50Agree.txt"
    path.write_text("fine@neutral\nno label here\n")
    with pytest.raises(InputError, match="line 2: not PhraseBank"):
        public_sets.phrasebank(small_data)


def test_what_calibrates_is_no_re_post_of_what_is_measured(
    small_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(public_sets, "CALIBRATION_TEXTS", 2)
    out = tmp_path / "out"
    assert public_sets.main(["--data", str(small_data), "-o", str(out)]) == 0
    texts = set(read_workload(out / "calibration.csv").texts)
    assert texts == {"Up, up\nand away", "Flat"}
    both = read_workload(out / "both.csv", label_column="label")
    assert both.labels == ["negative", "positive", "neutral"]
    assert read_workload(out / "twitter.csv").rows == 1
    assert read_workload(out / "phrasebank.csv").rows == 2


def test_a_missing_set_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert public_sets.main(["--data", str(tmp_path), "-o", str(tmp_path / "out")]) == 1
    told = capsys.readouterr().err
    assert "sent_valid.csv: missing" in told
    assert told.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_the_public_sets_as_they_are(data_dir: Path, tmp_path: Path) -> None:
    public_sets.write(data_dir, tmp_path)
    rows = {path.stem: read_workload(path).rows for path in tmp_path.iterdir()}
    assert rows == {"twitter": 2388, "phrasebank": 4846, "both": 7234, "calibration": 300}
