from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from leanbert.errors import InputError
from leanbert.files import whole_file
from leanbert_bench.report import (
    END,
    START,
    describe_bundle,
    describe_machine,
    make_document,
    markdown,
    read_document,
    replace_section,
)
from leanbert_bench.runner import Measurement, Spec
from leanbert_bench.workload import Workload


def measurement(name: str, scale: float, answers: list[float]) -> Measurement:
    return Measurement(
        Spec(name, "x:X", Path("model")),
        load_s=0.5 / scale,
        size_bytes=90_000_000,
        peak_mib=400.0,
        latency_ms=[10 / scale, 12 / scale, 11 / scale],
        texts_per_s=[100 * scale, 80 * scale, 90 * scale],
        answers=[{"yes": p, "no": 1 - p} for p in answers],
    )


def document(items: list[Measurement], labels: list[str] | None = None) -> dict[str, Any]:
    made = make_document(
        items,
        Workload("texts.csv", "ab" * 32, 8, ["a", "b"], labels),
        machine=describe_machine(),
        bundles=[{"name": "small", "manifest_sha256": "cd" * 32}],
        settings={"threads": 2, "turns": 3, "sample": 2},
    )
    loaded: dict[str, Any] = json.loads(json.dumps(made))
    return loaded


REFERENCE = measurement("PyTorch", 1, [0.9, 0.6])
QUICK = measurement("Lean|BERT", 4, [0.8, 0.4])
BROKEN = Measurement(Spec("Optimum", "x:X", Path("model")), error="died during load: killed")


def test_rows_compare_with_the_reference() -> None:
    reference, quick = document([REFERENCE, QUICK], ["yes", "yes"])["rows"]
    assert quick["texts_per_s"]["median"] == 360
    assert quick["texts_per_s_ratio"]["median"] == pytest.approx(4)
    assert quick["latency_ratio"]["low"] == pytest.approx(4)
    assert quick["agreement"] == 0.5
    assert quick["mean_abs_difference"] == pytest.approx(0.15)
    assert (reference["accuracy"], quick["accuracy"]) == (1.0, 0.5)
    assert "agreement" not in reference  # it would only agree with itself


def test_table() -> None:
    lines = markdown(document([REFERENCE, QUICK, BROKEN])).splitlines()
    assert "accuracy" not in lines[0]  # no labels were given
    assert len({line.replace("\\|", "").count("|") for line in lines[:5]}) == 1
    assert lines[3].startswith(r"| Lean\|BERT | 360 [320, 400] | 4.00 |")
    assert lines[4].startswith("| Optimum | – | – |")
    caption = lines[6]
    for part in ("2 threads", "2 texts sampled from 8", "texts.csv", "3 interleaved", "batch_size"):
        assert part in caption
    assert f"sha256 {'cd' * 6})" in caption
    assert lines[-1] == "Optimum gave no result: died during load: killed"


def test_table_without_a_reference() -> None:
    text = markdown(document([BROKEN, QUICK], ["yes", "no"]))
    assert "× PyTorch" not in text
    assert "100.0%" in text


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


@pytest.mark.parametrize("content", ["{", "[]", '{"format_version": 99}'])
def test_foreign_results_are_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "results.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"results\.json"):
        read_document(path)
    with pytest.raises(InputError, match="malformed"):
        markdown({"format_version": 1})


def test_bundle_is_named_by_its_manifest(tmp_path: Path) -> None:
    assert describe_bundle(tmp_path) == {"name": tmp_path.name, "manifest_sha256": None}
    (tmp_path / "leanbert.json").write_bytes(b"")
    assert str(describe_bundle(tmp_path)["manifest_sha256"]).startswith("e3b0c442")


def test_the_readme_shows_the_committed_results() -> None:
    root = Path(__file__).parents[2]
    table = markdown(read_document(root / "benchmarks" / "results" / "embedded-model.json"))
    section = (root / "README.md").read_text(encoding="utf-8").partition(START)[2].partition(END)[0]
    assert section.strip() == table.strip()
