"""Several inputs, one output or one for each, and the columns that go there."""

from __future__ import annotations

import csv
import datetime as dt
import decimal
import json
from pathlib import Path
from typing import Any

import pytest

from leanbert.cli import main
from leanbert.cli.jobs import plan
from leanbert.errors import InputError
from leanbert.records import Found, find_files
from tests.helpers.command import Command


def named(*names: str) -> list[Found]:
    return [Found(Path("in", name), Path(name)) for name in names]


def outputs(found: list[Found], output: str, **flags: Any) -> list[str]:
    return [str(job.output) for job in plan(found, output, **flags)]


def test_outputs_in_a_folder(tmp_path: Path) -> None:
    names = ["a.csv", "b.txt", "c.feather", "sub/d.jsonl.gz", "e.tsv.zst", "f.parquet.gz"]
    wanted = ["a.csv", "b.csv", "c.parquet", "sub/d.jsonl.gz", "e.tsv.gz", "f.parquet"]
    found = named(*names)
    assert outputs(found, f"{tmp_path}/new/") == [f"{tmp_path}/new/{name}" for name in wanted]
    assert (tmp_path / "new" / "sub").is_dir()
    assert outputs(found[:1], str(tmp_path)) == [f"{tmp_path}/a.csv"]
    assert outputs(named("a.csv.gz"), str(tmp_path), form="json") == [f"{tmp_path}/a.jsonl.gz"]
    assert outputs(named("a.dat"), str(tmp_path), reading="parquet") == [f"{tmp_path}/a.parquet"]


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("years of work", encoding="utf-8")
    for output in (f"{taken}/", f"{taken}/below/"):
        with pytest.raises(InputError) as caught:
            outputs(named("a.csv"), output)
        assert str(caught.value) == f"{taken}: is a file; name a directory for the outputs"


def test_a_link_to_nothing_in_the_place_of_the_folder(tmp_path: Path) -> None:
    """The link is named, and not the directory that holds it."""
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match=f"^{link}: is a file; name a directory"):
        outputs(named("a.csv"), f"{link}/")


def test_outputs_by_a_pattern(tmp_path: Path) -> None:
    found = named("a.csv", "b.tar.txt.gz")
    wanted = [f"{tmp_path}/a-scored.jsonl", f"{tmp_path}/b.tar-scored.jsonl"]
    assert outputs(found, f"{tmp_path}/{{name}}-scored.jsonl") == wanted
    [job] = plan(found, str(tmp_path / "one.csv"))
    assert job.found == found


@pytest.mark.parametrize(
    ("names", "output", "said"),
    [
        (["a.csv", "sub/a.csv"], "{name}.csv", "in/a.csv and in/sub/a.csv would both be written"),
        (["a.csv", "a.txt"], "out/", "in/a.csv and in/a.txt would both be written there"),
        (["a.csv"], "in/a.csv", "in/a.csv: is an input, too; write the answers elsewhere"),
        (["a.csv"], "missing/a.csv", "missing: no such directory"),
    ],
)
def test_outputs_that_collide(
    names: list[str], output: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=said):
        plan(named(*names), output)


@pytest.mark.parametrize("output", ["{nam}.csv", "{name}-{Stem}.csv"])
def test_a_pattern_with_another_name(output: str, tmp_path: Path) -> None:
    said = r"\{(nam|Stem)\} stands for nothing; \{name\} is an input's name$"
    with pytest.raises(InputError, match=said):
        plan(named("a.csv"), f"{tmp_path}/{output}")


def test_stdin_has_no_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="stdin has no name for its output"):
        plan(find_files([Path("-")]), f"{tmp_path}/")


def table_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def test_several_inputs_are_one_output(
    command: Command, predict: list[object], tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("id,text\n1,profit\n")
    (tmp_path / "b.jsonl").write_text('{"text": "loss", "when": [1]}\n')
    (tmp_path / "c.txt").write_text("gain\n")
    names = [tmp_path / name for name in ("a.csv", "b.jsonl", "c.txt")]
    assert command(*predict, "-i", *names, "-o", tmp_path / "o.csv") == (0, "", "")
    rows = table_of(tmp_path / "o.csv")
    assert [(row["id"], row["text"], row["when"], row["label"]) for row in rows] == [
        ("1", "profit", "", "positive"),
        ("", "loss", "[1]", "negative"),
        ("", "gain", "", "positive"),
    ]
    assert command(*predict, "-i", tmp_path / "[ac].*", "-o", tmp_path / "p.csv")[0] == 0
    assert len(table_of(tmp_path / "p.csv")) == 2


def test_one_output_for_each_input(command: Command, predict: list[object], tmp_path: Path) -> None:
    folder = tmp_path / "news"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.csv").write_text("text\nprofit\n")
    (folder / "sub" / "b.jsonl").write_text('{"text": "loss"}\n')
    assert command(*predict, "-i", folder, "-o", f"{tmp_path}/out/") == (0, "", "")
    assert table_of(tmp_path / "out" / "a.csv")[0]["label"] == "positive"
    row = json.loads((tmp_path / "out" / "sub" / "b.jsonl").read_text())
    assert row["label"] == "negative"


@pytest.mark.parametrize("out", ["o.csv", "o.jsonl"])
def test_columns_are_chosen(
    command: Command, predict: list[object], tmp_path: Path, out: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,text,label\n1,profit,x\n")
    words = [*predict, "-i", path, "-o", tmp_path / out]
    assert command(*words, "--columns", " label, id") == (0, "", "")
    read = table_of if out == "o.csv" else lambda path: [json.loads(path.read_text())]
    assert list(read(tmp_path / out)[0]) == ["label", "id", "predicted_label", "score"]
    assert command(*words, "--columns", "") == (0, "", "")
    assert list(read(tmp_path / out)[0]) == ["label", "score"]
    line = command.wrong(*words, "--columns", "id,title")
    assert "--columns names 'title', which the input lacks; it has 'id', 'text' and 'label'" in line


@pytest.mark.parametrize("out", [["-o", "o.txt"], ["--table"], []], ids=str)
def test_columns_are_refused_where_none_are_written(
    command: Command, predict: list[object], tmp_path: Path, out: list[str]
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("id,text\n1,profit\n")
    words = [tmp_path / word if word == "o.txt" else word for word in out]
    line = command.wrong(*predict, "-i", path, *words, "--columns", "id")
    assert "--columns is for CSV, JSON lines and Parquet; add --csv or --json" in line
    assert not (tmp_path / "o.txt").exists()
    assert "--columns is for CSV" in command.wrong(*predict, "profit", "--columns", "text")


@pytest.mark.parametrize(
    "flags",
    [["--text-column", "t"], ["--text-pair-column", "t"], ["--input-format", "csv"],
     ["--encoding", "latin-1"], ["--delimiter", ";"], ["--no-quotes"], ["--max-errors", "0"],
     ["--no-resume"], ["--force"]],
    ids=" ".join,
)  # fmt: skip
def test_flags_of_files_are_refused_beside_texts(
    command: Command, predict: list[object], flags: list[str]
) -> None:
    line = command.wrong(*predict, "profit rose", *flags)
    assert line == f"leanbert: {flags[0]} is for the rows of files (--input)\n"


@pytest.mark.parametrize("flag", ["--force", "--no-resume"])
def test_what_is_never_written_in_parts_is_not_begun_anew(
    command: Command, predict: list[object], tmp_path: Path, flag: str
) -> None:
    path = tmp_path / "a.txt"
    path.write_text("profit\n")
    line = command.wrong(*predict, "-i", path, flag)
    assert line == (f"leanbert: {flag} is for files that are written in parts: name one with -o\n")


def test_a_dash_is_stdout(
    command: Command, predict: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("text\nprofit\n")
    assert command(*predict, "-i", "a.csv", "-o", "-") == command(*predict, "-i", "a.csv")
    assert command(*predict, "profit", "-o", "-") == command(*predict, "profit")
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


@pytest.mark.parametrize(
    ("flags", "wanted"),
    [(["--max-errors", "-1"], "argument --max-errors: '-1' is no number of rows; give one from 0"),
     (["--columns", "id,text,id"], "argument --columns: 'id' is named twice"),
     (["--resume", "--no-resume"], "--no-resume: not allowed with argument --resume")],
)  # fmt: skip
def test_flags_that_argparse_refuses(
    capsys: pytest.CaptureFixture[str], flags: list[str], wanted: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["predict", "-i", "a.csv", *flags])
    assert stopped.value.code == 2
    assert wanted in capsys.readouterr().err


@pytest.mark.parametrize("ending", [".parquet", ".arrow"])
def test_types_survive(
    command: Command, predict: list[object], tmp_path: Path, ending: str
) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = {
        "text": pyarrow.array(["profit", "loss"], pyarrow.large_string()),
        "ticker": pyarrow.array(["A", None], pyarrow.dictionary(pyarrow.int8(), pyarrow.string())),
        "n": pyarrow.array([1, None], pyarrow.int16()),
        "price": pyarrow.array([decimal.Decimal("1.20"), None], pyarrow.decimal128(9, 2)),
        "when": pyarrow.array([1, 2_000_000_000_000_000_001], pyarrow.timestamp("ns", "UTC")),
        "day": pyarrow.array([dt.date(2024, 1, 2), None]),
        "raw": pyarrow.array([b"\0\xff", None]),
        "tags": pyarrow.array([["a", "b"], None]),
        "of": pyarrow.array([{"x": 1.5}, None]),
        "empty": pyarrow.nulls(2),
    }
    table = pyarrow.table(columns)
    path = tmp_path / f"a{ending}"
    if ending == ".parquet":
        parquet.write_table(table, path)
        table = parquet.read_table(path)
    else:
        with pyarrow.ipc.new_file(path, table.schema) as file:
            file.write_table(table)
    assert command(*predict, "-i", path, "-o", tmp_path / "o.parquet") == (0, "", "")
    found = parquet.read_table(tmp_path / "o.parquet")
    assert found.column_names == [*columns, "label", "score"]
    for name in columns:
        assert found.schema.field(name).type == table.schema.field(name).type, name
        assert found.column(name).combine_chunks().equals(table.column(name).combine_chunks()), name
    assert command(*predict, "-i", path, path.with_name("o.parquet"), "-o", tmp_path / "p.jsonl",
                   "--max-errors", 0)[0] == 0  # fmt: skip
    first = json.loads((tmp_path / "p.jsonl").read_text().splitlines()[0])
    assert first["tags"] == ["a", "b"]
    assert first["day"] == "2024-01-02"


def test_schemas_that_do_not_go_together(
    command: Command, predict: list[object], tmp_path: Path
) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    for name, values in [("a", [1]), ("b", [2.5]), ("c", [{"x": 1}])]:
        parquet.write_table(
            pyarrow.table({"text": ["a"], "n": values}), tmp_path / f"{name}.parquet"
        )
    files = [tmp_path / "a.parquet", tmp_path / "b.parquet", tmp_path / "c.parquet"]
    assert command(*predict, "-i", *files[:2], "-o", tmp_path / "o.parquet") == (0, "", "")
    found = parquet.read_table(tmp_path / "o.parquet")
    assert found.column("n").to_pylist() == [1.0, 2.5]
    line = command.wrong(*predict, "-i", *files, "-o", tmp_path / "o.parquet")
    assert "write one output for each (-o FOLDER)" in line
