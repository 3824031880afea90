"""The code of docs/embedding.md runs as it stands, and the ceilings that it names are right."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from leanbert import pipeline
from leanbert.errors import InputError
from tests.docs.test_links import BLOCK, ROOT
from tests.helpers.processes import python

PAGE = (ROOT / "docs" / "embedding.md").read_text(encoding="utf-8")
CODE = [block for language, block in BLOCK.findall(PAGE) if language == "python"]


@pytest.mark.parametrize(
    ("number", "printed"),
    [
        (0, "positive\n"),
        (1, "neutral\n"),  # 1.2 million characters of one sentence
        (2, r"\[\{'label': 'positive'.*\}, \{'label': 'negative'.*\}\]\ncancelled\n"),
        (3, ""),
    ],
)
def test_the_code_runs(number: int, printed: str, tmp_path: Path) -> None:
    done = python(["-c", CODE[number]], tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(printed, done.stdout), done.stdout
    assert done.stderr == ""


def test_all_code_is_run() -> None:
    assert len(CODE) == 4


@pytest.mark.parametrize("engine", ["native", "onnxruntime"])
def test_the_least_ceilings_are_as_the_page_says(engine: Any) -> None:
    found = re.search(r"needs (\d+) on the native engine and (\d+) on\s+ONNX Runtime", PAGE)
    assert found is not None
    with pytest.raises(InputError, match="needs at least") as low:
        pipeline("text-classification", engine=engine, max_memory_mb=1)
    assert str(low.value).split()[-1] == found[1 if engine == "native" else 2]
