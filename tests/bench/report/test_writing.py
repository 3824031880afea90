from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from leanbert.cli import main
from leanbert.errors import MissingExtraError
from leanbert_bench.report.markdown import escape, row
from leanbert_bench.report.writing import markdown, write_reports
from leanbert_bench.results.schema import write_json
from tests.helpers import bench_results as examples
from tests.helpers.bench_results import VARIETY

WHOLE = ["latency-1", "latency-8", "throughput", "memory", "cold-start"]


def has_matplotlib() -> None:
    pytest.importorskip("matplotlib", reason="the figures need matplotlib (the bench extra)")


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run in which some back ends gave nothing."""
    has_matplotlib()
    folder = tmp_path_factory.mktemp("report")
    results = VARIETY["troubles"] | {"warnings": ["another process was busy: <b>pip</b>"]}
    return write_reports(results, folder)[1]


class Reader(HTMLParser):
    """Notes tags, ids and links, and that every element is closed in order."""

    VOID = frozenset({"meta", "br", "hr", "img", "link", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data.strip())

    def figures(self) -> list[str]:
        return [str(attributes.get("id")) for tag, attributes in self.tags if tag == "figure"]


def test_the_page_is_whole_and_asks_nothing_of_the_web(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    reader = Reader(text)
    assert reader.figures() == WHOLE
    tags = {tag for tag, _ in reader.tags}
    assert not tags & {"script", "link", "img", "iframe", "object", "a"}
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", text)
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in (
        reader.tags
    )
    ids = [str(attributes["id"]) for _, attributes in reader.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    named = re.findall(r'(?:href="|url\()#([^")]+)', text)
    assert named
    assert set(named) <= set(ids)
    words = " ".join(reader.words)
    for told in (
        "OpenVINO fp32: skipped: openvino is not installed; pip install openvino nncf",
        "another process was busy: <b>pip</b>",
        "Imaginary 9000 | two cores",
        "Sales <fell> | a bit",
        "leanbert bench run --checkpoint finbert --output results",
    ):  # fmt: skip
        assert told in words


def test_every_figure_is_told_in_words_and_takes_its_colours_from_the_page(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    reader = Reader(text)
    ids = {attributes.get("id") for _, attributes in reader.tags}
    drawn = [attributes for tag, attributes in reader.tags if tag == "svg" and "role" in attributes]
    assert len(drawn) == len(WHOLE)
    for attributes in drawn:
        assert set(str(attributes["aria-labelledby"]).split()) <= ids
        assert "width" not in attributes  # the page gives the width
    body = text.partition("</style>")[2]
    assert not re.findall(r"#[0-9a-f]{6}\b", body)
    style = text.partition("<style>")[2].partition("</style>")[0]
    light, _, dark = style.partition("prefers-color-scheme: dark")
    for variable in set(re.findall(r"var\(--([a-z0-9-]+)\)", text)):
        assert f"--{variable}:" in light
        assert f"--{variable}:" in dark


def test_the_machines_limit_is_a_line_of_the_latency(page: Path) -> None:
    ids = {attributes.get("id") for _, attributes in Reader(page.read_text()).tags}
    for name in ("limit-int8", "limit-fp32", f"line-{examples.LEAN}"):
        assert f"latency-1-{name}" in ids


@pytest.mark.parametrize(
    ("kind", "figures"),
    [
        ("whole", WHOLE), ("one turn", WHOLE), ("no labels", WHOLE), ("no roof", WHOLE),
        ("incomplete", WHOLE), ("no reference", WHOLE), ("nothing", []),
    ],
)  # fmt: skip
def test_whatever_a_run_gives_can_be_shown(kind: str, figures: list[str], tmp_path: Path) -> None:
    has_matplotlib()
    plain, page = write_reports(VARIETY[kind], tmp_path / "new")
    assert Reader(page.read_text(encoding="utf-8")).figures() == figures
    assert plain.read_text(encoding="utf-8") == markdown(VARIETY[kind])
    assert ("limit-int8" in page.read_text()) == (kind not in ("no roof", "incomplete", "nothing"))


def test_the_same_results_give_the_same_page(page: Path, tmp_path: Path) -> None:
    results = VARIETY["troubles"] | {"warnings": ["another process was busy: <b>pip</b>"]}
    assert write_reports(results, tmp_path)[1].read_bytes() == page.read_bytes()


@pytest.mark.slow
def test_a_browser_finds_the_figures(page: Path, tmp_path: Path) -> None:
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
    if browser is None:
        pytest.skip("no Chromium on this machine to load the page in")
    # A probe beside the page: what is wider than a phone, and how large each figure is drawn.
    probe = tmp_path / "probe.html"
    script = """<script>onload = () => {
      const boxes = [...document.querySelectorAll('figure > svg')].map(
        (svg) => [svg.parentNode.id, Math.round(svg.getBoundingClientRect().width),
                  svg.querySelectorAll('path').length]);
      const wide = document.documentElement.scrollWidth > innerWidth;
      document.body.textContent = 'found ' + JSON.stringify({wide, inner: innerWidth, boxes});
    }</script></body>"""
    probe.write_text(page.read_text(encoding="utf-8").replace("</body>", script), encoding="utf-8")
    flags = [
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={tmp_path / 'profile'}", "--window-size=390,844", "--dump-dom",
    ]  # fmt: skip
    try:
        done = subprocess.run(
            [browser, *flags, probe.as_uri()],
            capture_output=True, text=True, timeout=120, check=False, env=os.environ,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        pytest.skip("Chromium gave no answer within two minutes")
    found = re.search(r"found (\{.*\})", done.stdout)
    if done.returncode != 0 or "<body" not in done.stdout:
        pytest.skip(f"Chromium does not run here: {done.stderr.strip()[-200:]}")
    assert found, done.stdout[-500:]
    seen = json.loads(found[1])
    assert [name for name, _, _ in seen["boxes"]] == WHOLE
    assert not seen["wide"]
    for _, width, paths in seen["boxes"]:
        assert seen["inner"] * 0.6 < width <= seen["inner"]
        assert paths > 5


def test_without_matplotlib_there_is_still_the_plain_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"matplotlib; .* pip install 'leanbert\[bench\]'$"):
        write_reports(VARIETY["whole"], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["report.md"]


def test_the_command_writes_both(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    has_matplotlib()
    write_json(tmp_path / "results.json", VARIETY["no labels"])
    out = tmp_path / "out"
    assert main(["bench", "report", str(tmp_path), "-o", str(out)]) == 0
    assert capsys.readouterr().out.split() == [str(out / "report.md"), str(out / "report.html")]
    assert main(["bench", "report", str(tmp_path / "results.json")]) == 0
    assert (tmp_path / "report.html").read_bytes() == (out / "report.html").read_bytes()
    capsys.readouterr()
    assert main(["bench", "report", str(out), "-o", str(out)]) == 2
    assert "results.json: No such file" in capsys.readouterr().err


def test_the_plain_report_has_tables_of_even_width() -> None:
    text = markdown(VARIETY["troubles"])
    tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert len(tables) >= 6
    for table in tables:
        lines = table.replace("\\|", "").splitlines()
        assert len({line.count("|") for line in lines}) == 1
        assert lines[1].startswith("| --- | ")
    assert "| LeanBERT int8, native | 6.70× [6.59, 6.75] |" in text
    assert "no significant difference" not in text
    assert "Sales \\<fell\\> \\| a bit" in text


def test_the_report_says_no_significant_difference_aloud() -> None:
    noisy = examples.make(noise=0.2, scale=0.235 / 0.15)
    text = markdown(noisy)
    assert re.search(r"\| \d\S+× \[0.*\], no significant difference \|", text)
    assert "no significant difference to " in text.partition("## Warnings")[0]
    assert "the turns lie far apart for" in text


def test_a_scenario_that_nobody_played_has_no_column() -> None:
    results = examples.make()
    for item in results["backends"]:
        del item["scenarios"]["MultiStream"]
    text = markdown(results)
    assert "| SingleStream × |" in text
    assert "MultiStream ×" not in text


def test_one_turn_claims_no_interval() -> None:
    text = markdown(VARIETY["one turn"])
    assert "[" not in text.partition("## End to end")[2].partition("## Accuracy")[0]
    assert "one turn only" in text


def test_nobody_breaks_out_of_a_cell() -> None:
    assert row(["a|b", "[x](y)", "", "_so_ snake_case"]) == (
        "| a\\|b | [x]\\(y) | – | \\_so\\_ snake_case |"
    )
    assert escape("two\nlines <b>") == "two lines \\<b\\>"
