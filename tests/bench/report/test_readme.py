"""The tables of README.md and docs/results.md, and the command that writes them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from leanbert.cli import main
from leanbert.errors import InputError
from leanbert.files import whole_file
from leanbert_bench.report.readme import (
    path_from,
    readme_table,
    section,
    short_table,
)
from leanbert_bench.results.schema import read_results, write_json
from leanbert_bench.sections import END, START, replace_section, split_section
from tests.helpers.bench_results import VARIETY

ROOT = Path(__file__).parents[3]


def results_named_in(page: Path) -> Path | None:
    """The results that a page's table was made from, or ``None`` if it names none."""
    _, middle, _ = split_section(page, START, END)
    found = re.search(r"<!-- results: (.+?) -->", middle)
    return page.parent / found[1] if found else None


@pytest.mark.parametrize("name", ["README.md", "docs/results.md"])
def test_a_page_shows_the_committed_results(name: str) -> None:
    page = ROOT / name
    _, middle, _ = split_section(page, START, END)
    file = results_named_in(page)
    assert file is not None
    assert file.parent.resolve() == ROOT / "benchmarks" / "results"
    results = read_results(file)
    assert results["complete"]
    short = name == "README.md"
    assert middle.strip() == section(results, path_from(page, file), short=short).strip()


def test_the_readme_has_six_rows_of_five_figures() -> None:
    _, middle, _ = split_section(ROOT / "README.md", START, END)
    head, rule, *rows = [line for line in middle.splitlines() if line.startswith("|")]
    assert len(rows) == 6
    assert {line.count("|") for line in (head, rule, *rows)} == {7}
    assert all(re.fullmatch(r"[\d.,]+%?", cell) for row in rows for cell in row.split(" | ")[1:-1])
    assert rows[-1].startswith("| LeanBERT, financial")


def test_the_short_table_leaves_out_whoever_gave_no_result() -> None:
    whole = short_table(VARIETY["whole"])
    assert [line.split(" | ")[0] for line in whole.splitlines() if line.startswith("| ")][2:] == [
        "| transformers pipeline",
        "| PyTorch dynamic int8",
        "| Optimum int8 (avx512_vnni preset)",
        "| OpenVINO int8 (NNCF static)",
        "| CTranslate2 int8",
        "| LeanBERT int8, native",
    ]
    assert whole.splitlines()[-1].startswith("Imaginary 9000 \\| two cores, 2 threads, 5 turns.")
    assert "CTranslate2" not in short_table(VARIETY["troubles"])
    assert short_table(VARIETY["nothing"]).startswith("Imaginary 9000")


def test_the_row_of_a_back_end_in_the_short_table() -> None:
    head, _, first, *_ = short_table(VARIETY["whole"]).splitlines()
    cells = dict(zip(head.split(" | "), first.split(" | "), strict=True))
    assert cells["peak memory, MiB"] == "900"
    assert cells["installed, MB"] == "1,400"
    assert re.fullmatch(r"\d\d\.\d", cells["one text, ms (p90)"])


@pytest.mark.parametrize("kind", sorted(VARIETY.keys() - {"nothing"}))
def test_a_line_a_back_end(kind: str) -> None:
    table, _, note = readme_table(VARIETY[kind]).partition("\n\n")
    lines = table.replace("\\|", "").splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert "2 threads for each" in note
    assert "onnxruntime 1.32.0" in note
    assert ("accuracy" in lines[0]) == (kind != "no labels")
    assert ("| 1 |" in table) == (kind != "no reference")


def test_a_run_without_results_still_says_on_what_it_ran() -> None:
    assert readme_table(VARIETY["nothing"]).startswith("Imaginary 9000")


def test_the_line_of_a_back_end() -> None:
    head, _, first, *_ = readme_table(VARIETY["whole"]).splitlines()
    cells = dict(zip(head.split(" | "), first.split(" | "), strict=True))
    assert cells["same label"] == "100.0%"
    assert cells["peak RSS, MiB"] == "900"
    assert cells["installed, MB"] == "1,400"
    assert cells["model, MB"] == "438.0"
    assert re.fullmatch(r"6\d\.\d \[6\d\.\d, 6\d\.\d\]", cells["one text, p90 ms"])


def test_whoever_gave_nothing_is_named_below() -> None:
    lines = readme_table(VARIETY["troubles"]).splitlines()
    assert lines[-1] == "CTranslate2 int8: failed: died: killed by SIGKILL."


def test_the_command_fills_the_section_and_names_its_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "benchmarks" / "my results"
    results.mkdir(parents=True)
    write_json(results / "results.json", VARIETY["whole"])
    readme = tmp_path / "README.md"
    readme.write_text(f"a\n{START}\nold\n{END}\nb\n")
    assert results_named_in(readme) is None
    assert main(["bench", "table", str(results)]) == 0
    table = capsys.readouterr().out
    assert table == readme_table(VARIETY["whole"])
    page = tmp_path / "docs" / "page.md"
    page.parent.mkdir()
    page.write_text("no markers\n")
    command = ["bench", "table", str(results), "--readme", str(readme), "--page", str(page)]
    assert main(command) == 2
    assert readme.read_text() == f"a\n{START}\nold\n{END}\nb\n"
    page.write_text(f"{START}{END}\n")
    assert main(command) == 0
    named = "<!-- results: benchmarks/my results/results.json -->"
    short = short_table(VARIETY["whole"])
    assert readme.read_text() == f"a\n{START}\n{named}\n{short}{END}\nb\n"
    assert page.read_text() == f"{START}\n{named.replace('bench', '../bench', 1)}\n{table}{END}\n"
    for named_in in (readme, page):
        file = results_named_in(named_in)
        assert file is not None
        assert file.resolve() == results / "results.json"


def test_a_drift_is_seen(tmp_path: Path) -> None:
    readme, results = tmp_path / "README.md", tmp_path / "results.json"
    readme.write_text(f"{START}\n{END}\n")
    write_json(results, VARIETY["whole"])
    replace_section(readme, section(read_results(results), "results.json"))
    readme.write_text(readme.read_text().replace("6.72×", "7.72×"))
    middle = split_section(readme, START, END)[1]
    assert middle.strip() != section(read_results(results), "results.json").strip()


def test_readme_keeps_all_but_the_section(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_bytes(f"# Ä\r\n{START}\r\nold\r\n{END}\r\nrest".encode())
    readme.chmod(0o640)
    link = tmp_path / "link.md"
    link.symlink_to(readme)
    for _ in range(2):
        replace_section(link, "new\n\ntext\n")
        expected = f"# Ä\r\n{START}\r\nnew\r\n\r\ntext\r\n{END}\r\nrest"
        assert readme.read_bytes().decode() == expected
    assert link.is_symlink()
    assert readme.stat().st_mode & 0o777 == 0o640
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    "content", ["", START, f"{END}{START}", f"{START}{END}{END}", f"{START}{START}{END}"]
)
def test_readme_without_clear_markers_stays(tmp_path: Path, content: str) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(content)
    with pytest.raises(InputError, match="once each"):
        replace_section(readme, "new")
    assert readme.read_text() == content


def test_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_text("old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="space"), whole_file(path) as file:
        file.write("new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
