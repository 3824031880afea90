from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest

from leanbert.errors import InputError, MissingExtraError
from leanbert_bench import cli, report
from leanbert_bench.backends import optimum_preset
from leanbert_bench.runner import Spec


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    cli.add_arguments(parser)
    return parser.parse_args(words)


def model(folder: Path, name: str, *labels: str) -> str:
    path = folder / name
    path.mkdir()
    config = {"model_type": "bert", "id2label": dict(enumerate(labels))}
    (path / "config.json").write_text(json.dumps(config))
    return str(path)


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A whole command line, with every heavy package there by name."""
    monkeypatch.setattr(report, "installed", lambda _: "1.0")
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    texts = tmp_path / "texts.csv"
    texts.write_text("text,label\na good day,positive\na bad day,negative\n")
    checkpoint = model(tmp_path, "checkpoint", "positive", "negative")
    bundle = model(tmp_path, "bundle", "positive", "negative")
    return [
        *("run", "--checkpoint", checkpoint, "--bundle", bundle, "--texts", str(texts)),
        *("--label-column", "label", "--threads", "1", "--turns", "2"),
        *("-o", str(tmp_path / "results.json")),
    ]


def fakes(*kinds: str) -> list[Spec]:
    return [Spec(kind, f"bench_fakes:{kind}", Path(__file__).parent) for kind in kinds]


def test_run_then_table(
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(cli, "_specs", lambda *_: fakes("Fake", "RaisesAtLoad"))
    assert cli.run(parse(*words)) == 1  # the results are whole but for one row
    told = capsys.readouterr().err
    assert told == (
        "leanbert: bench: RaisesAtLoad gave no result: failed during load: ValueError: two lines\n"
    )
    results = str(tmp_path / "results.json")
    assert cli.run(parse("table", results)) == 0
    table = capsys.readouterr().out
    assert table.startswith("|  | texts/s |")
    assert "| 100.0% |" in table
    readme = tmp_path / "README.md"
    readme.write_text(f"a\n{report.START}\n{report.END}\nb\n")
    assert cli.run(parse("table", results, "--readme", str(readme))) == 0
    assert readme.read_text() == f"a\n{report.START}\n{table}{report.END}\nb\n"


def test_missing_packages_are_one_line(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "installed", lambda name: None if name == "torch" else "1.0")
    with pytest.raises(MissingExtraError, match=r"torch; .* pip install 'leanbert\[bench\]'$"):
        cli.run(parse(*words))


def test_labels_must_be_the_models(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "texts.csv").write_text("text,label\na,Positive\n")
    with pytest.raises(InputError, match="'Positive' is none of the model's: negative, positive"):
        cli.run(parse(*words))
    other = model(tmp_path, "other", "x", "y")
    with pytest.raises(InputError, match="labels are not those"):
        cli.run(parse(*words, "--bundle", other))


def test_both_ways_to_name_several_bundles() -> None:
    need = ("run", "--checkpoint", "c", "--texts", "t.txt", "-o", "r.json")
    both = [Path("a"), Path("b")]
    assert parse(*need, "--bundle", "a", "--bundle", "b").bundle == both
    assert parse(*need, "--bundle", "a", "b").bundle == both


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, leanbert_bench.cli, leanbert_bench.report; "
        "heavy = {'torch', 'transformers', 'optimum', 'numpy', 'onnxruntime', 'psutil', 'pandas'}; "
        "sys.exit(', '.join(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""


@pytest.mark.parametrize(
    ("flags", "preset"),
    [(["avx2"], "avx2"), (["avx2", "avx512_vnni"], "avx512_vnni"), (["asimd"], "arm64")],
)
def test_optimum_preset(flags: list[str], preset: str) -> None:
    assert optimum_preset(flags) == preset
