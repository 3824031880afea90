"""The code of the page on browsers and Node runs, and answers as the Python pipeline does."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from leanbert import pipeline
from leanbert_export.samples import sample_texts
from leanbert_models import default_model
from tests.docs.test_links import BLOCK, ROOT
from tests.helpers.node import node_modules, node_output
from tests.helpers.real_texts import AWKWARD
from tests.helpers.served import answers_of_page

PAGE = (ROOT / "docs" / "web.md").read_text(encoding="utf-8")
FILES = {
    found[1]: block
    for language, block in BLOCK.findall(PAGE)
    if language in {"js", "html"} and (found := re.match(r"(?://|<!--) ([\w.]+)", block))
}
TEXTS = [*sample_texts()[:40], *(text for text in AWKWARD if text.strip())]
LONG = "Sales fell. " * 300
TRANSFORMERS_JS = ("@huggingface/transformers", "onnxruntime-node", "onnxruntime-web")
"""The other two are installed with the first."""
ORT = ("@huggingface/tokenizers", "onnxruntime-node", "onnxruntime-web")

Scores = dict[str, float]


@pytest.fixture(scope="module")
def expected() -> list[Scores]:
    """What Python's ONNX Runtime answers for each text."""
    classify = pipeline("text-classification", engine="onnxruntime", threads=1)
    return scores(classify([*TEXTS, LONG], top_k=None, truncation=True))


@pytest.fixture
def site(tmp_path: Path) -> Callable[..., Path]:
    """Make a folder with the page's files, the embedded bundle as its model, and packages."""

    def make(*packages: str) -> Path:
        modules = node_modules(*packages)
        folder = tmp_path / "site"
        (folder / "bundles").mkdir(parents=True)
        (folder / "bundles" / "finbert-int8").symlink_to(default_model())
        (folder / "node_modules").symlink_to(modules)
        for name, content in FILES.items():
            (folder / name).write_text(content, encoding="utf-8")
        return folder

    return make


def scores(answers: Any) -> list[Scores]:
    return [{item["label"]: item["score"] for item in answer} for answer in answers]


def check(found: list[Scores], expected: list[Scores], largest: float) -> None:
    """Compare scores, and the best label where it is not nearly a tie."""
    assert len(found) >= len(TEXTS) >= 50
    for text, here, there in zip([*TEXTS, LONG], found, expected, strict=False):
        assert here == pytest.approx(there, abs=largest), text
        first, second = sorted(there.values())[:-3:-1]
        if first - second > 2 * largest:
            assert max(here, key=here.__getitem__) == max(there, key=there.__getitem__), text


def test_the_page_has_every_file() -> None:
    assert list(FILES) == ["classify.mjs", "classify.html", "bundle.mjs", "ort.mjs", "ort.html"]


def test_transformers_js_in_node(site: Callable[..., Path], expected: list[Scores]) -> None:
    output = node_output(site(*TRANSFORMERS_JS), "classify.mjs", *TEXTS)
    check(scores(json.loads(output)), expected, 1e-3)


def test_onnxruntime_node(site: Callable[..., Path], expected: list[Scores]) -> None:
    output = node_output(site(*ORT), "ort.mjs", *TEXTS, LONG)
    found = scores(json.loads(output))
    assert len(found) == len(expected)
    check(found, expected, 1e-3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "packages"),
    [("classify.html", TRANSFORMERS_JS), ("ort.html", ORT)],
    ids=["transformers.js", "onnxruntime-web"],
)
def test_pages_in_a_browser(
    site: Callable[..., Path],
    expected: list[Scores],
    tmp_path: Path,
    page: str,
    packages: tuple[str, ...],
) -> None:
    folder = site(*packages)
    found = answers_of_page(folder, page, TEXTS, tmp_path / "browser")
    headline = pipeline("text-classification", engine="onnxruntime", threads=1)
    [best] = headline("Operating profit rose to EUR 13.1 mn.")
    assert scores([found["first"]])[0][best["label"]] == pytest.approx(best["score"], abs=0.02)
    check(scores(found["answers"]), expected, 0.02)
    assert any(url.endswith(".wasm") for url in found["loaded"])
    assert {url.split("/")[2].split(":")[0] for url in found["loaded"]} == {"127.0.0.1"}
