"""The examples are compiled with the tools at hand, run, and answer as the Python pipeline does."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from leanbert import pipeline
from tests.helpers.c_library import EMBEDDED, EXAMPLES, INCLUDE, c_library_path, tool

TEXTS = ["Operating profit rose to EUR 13.1 mn.", "Zürich: sales fell 😀, said “Acme”."]


@pytest.fixture(scope="module")
def library() -> Path:
    """The folder of the library, where linkers find it."""
    path = c_library_path()
    assert path.resolve().name == "libleanbert.so.1"
    return path.parent


def run(command: list[str], folder: Path, **options: Any) -> str:
    """What a command prints; its errors are the test's."""
    done = subprocess.run(
        command, cwd=folder, capture_output=True, encoding="utf-8", timeout=300, **options
    )
    assert done.returncode == 0, f"{command[0]}: {done.stdout}{done.stderr}"
    return str(done.stdout)


def compiled(language: str, source: Path, library: Path, folder: Path) -> list[str]:
    """The command that runs a C or C++ program, warnings being errors."""
    compilers = {"c": ("cc", "-std=c99"), "c++": ("c++", "-std=c++17")}
    compiler, standard = compilers[language]
    program = folder / source.stem
    run(
        [
            *(tool(compiler), standard, "-Wall", "-Wextra", "-pedantic", "-Werror", "-O1"),
            *(f"-I{INCLUDE}", str(source), f"-L{library}", "-lleanbert", "-pthread"),
            *(f"-Wl,-rpath,{library}", "-o", str(program)),
        ],
        folder,
    )
    return [str(program)]


@pytest.fixture(scope="module")
def expected() -> list[dict[str, float]]:
    """The scores of the texts by label, as Python gives them."""
    classify = pipeline("text-classification", EMBEDDED, threads=1, engine="native")
    return [{one["label"]: one["score"] for one in found} for found in classify(TEXTS, top_k=None)]


def assert_scores(line: str, scores: Mapping[str, float], tolerance: float = 1e-6) -> None:
    """The line says ``label score`` for each label."""
    found = {label: float(number) for label, number in re.findall(r"(\w+) ([\d.eE+-]+)", line)}
    for label, score in scores.items():
        assert found[label] == pytest.approx(score, abs=tolerance), line


def test_c(library: Path, tmp_path: Path, expected: list[dict[str, float]]) -> None:
    command = compiled("c", EXAMPLES / "c/leanbert-c.c", library, tmp_path)
    lines = run([*command, str(EMBEDDED), *TEXTS], tmp_path).splitlines()
    assert len(lines) == len(TEXTS)
    for line, scores in zip(lines, expected, strict=True):
        assert_scores(line, scores, 6e-5)
        assert line.split()[0] == max(scores, key=scores.__getitem__)
    piped = run([*command, str(EMBEDDED)], tmp_path, input="\n".join(TEXTS) + "\n")
    assert piped.splitlines() == lines
    long = subprocess.run(
        [*command, str(EMBEDDED)], input="x " * 40_000, capture_output=True, text=True
    )
    assert (long.returncode, long.stdout) == (1, "")
    assert "a line has more than 65534 bytes" in long.stderr
    refused = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True)
    assert refused.returncode == 1
    assert refused.stderr.startswith("leanbert-c: ") and "leanbert.json" in refused.stderr


def test_c_with_the_other_tasks(
    library: Path, tmp_path: Path, make_native: Callable[..., Path]
) -> None:
    command = compiled("c", EXAMPLES / "c/leanbert-c.c", library, tmp_path)
    text = "Acme bank said profit rose"
    tagger, embedder = make_native("token-classification"), make_native("feature-extraction")
    tagging = pipeline("token-classification", tagger, threads=1, engine="native")
    theirs = tagging(text, aggregation_strategy="simple")
    ours = run([*command, str(tagger), text], tmp_path).splitlines()
    assert [line.split()[0] for line in ours] == [one["entity_group"] for one in theirs]
    assert [line.split(" ", 2)[2] for line in ours] == [
        text[one["start"] : one["end"]] for one in theirs
    ]
    embed = pipeline("feature-extraction", embedder, threads=1, engine="native")
    vector = [float(number) for number in run([*command, str(embedder), text], tmp_path).split()]
    assert vector == pytest.approx(embed(text, pooling="mean"), rel=1e-5, abs=1e-6)


def test_cpp(library: Path, tmp_path: Path, expected: list[dict[str, float]]) -> None:
    command = compiled("c++", EXAMPLES / "cpp/headlines.cpp", library, tmp_path)
    lines = run([*command, str(EMBEDDED)], tmp_path, input="\n".join(TEXTS)).splitlines()
    for line, text, scores in zip(lines, TEXTS, expected, strict=True):
        label, score, shown = line.split("\t")
        assert (label, shown) == (max(scores, key=scores.__getitem__), text)
        assert float(score) == pytest.approx(max(scores.values()), abs=1e-5)


CPP = """
#include <cassert>
#include <cstdio>
#include <utility>
#include "leanbert.hpp"
int main(int, char** argv) {
  try {
    leanbert::Model model("/nowhere/at all");
    return 1;
  } catch (const leanbert::Error& error) {
    assert(error.status() == LEANBERT_NOT_FOUND);
  }
  leanbert::Model first(argv[1]);
  leanbert::Model model(std::move(first));
  std::printf("%.*s\\n", static_cast<int>(model.task().size()), model.task().data());
  const auto found = model.tag({"", "Acme bank said profit rose"});
  for (const auto& entity : found[1])
    std::printf("%.*s %zu %zu\\n", static_cast<int>(entity.label.size()), entity.label.data(),
                entity.begin, entity.end);
  leanbert::Model embedder(argv[2]);
  std::printf("%zu\\n", embedder.embed({"a", "b"}, LEANBERT_POOLING_CLS, true).size());
}
"""


def test_the_cpp_wrapper_tags_and_embeds(
    library: Path, tmp_path: Path, make_native: Callable[..., Path]
) -> None:
    (tmp_path / "wrapper.cpp").write_text(CPP, encoding="utf-8")
    command = compiled("c++", tmp_path / "wrapper.cpp", library, tmp_path)
    tagger = make_native("token-classification")
    printed = run([*command, str(tagger), str(make_native("feature-extraction"))], tmp_path)
    task, *entities, size = printed.splitlines()
    tagging = pipeline("token-classification", tagger, threads=1, engine="native")
    theirs = tagging("Acme bank said profit rose", aggregation_strategy="simple")
    assert task == "token-classification"
    assert entities == [f"{one['entity_group']} {one['start']} {one['end']}" for one in theirs]
    assert size == str(2 * 64)


def test_rust(library: Path, tmp_path: Path, expected: list[dict[str, float]]) -> None:
    program = tmp_path / "leanbert-rs"
    run(
        [
            *(tool("rustc"), "--edition", "2021", "-D", "warnings", "-O"),
            *(str(EXAMPLES / "rust/leanbert.rs"), "-L", f"native={library}"),
            *("-C", f"link-arg=-Wl,-rpath,{library}", "-o", str(program)),
        ],
        tmp_path,
    )
    lines = run([str(program), str(EMBEDDED), *TEXTS], tmp_path).splitlines()
    for line, text, scores in zip(lines, TEXTS, expected, strict=True):
        assert_scores(line.removeprefix(f"{text}: "), scores)
    refused = subprocess.run([str(program), str(tmp_path)], capture_output=True, text=True)
    assert refused.returncode == 1
    assert "leanbert.json" in refused.stderr


def test_node(library: Path, tmp_path: Path, expected: list[dict[str, float]]) -> None:
    """Needs koffi: ``npm install koffi`` in a folder that ``NODE_PATH`` names with node_modules."""
    node = tool("node")
    found = subprocess.run([node, "-e", "require('koffi')"], capture_output=True, cwd=tmp_path)
    if found.returncode:
        pytest.skip("koffi is not at hand: npm install koffi, and NODE_PATH=…/node_modules")
    script, file = EXAMPLES / "node/main.js", library / "libleanbert.so"
    answers = json.loads(run([node, str(script), str(file), str(EMBEDDED), *TEXTS], tmp_path))
    assert answers == expected
    refused = subprocess.run(
        [node, str(script), str(file), str(tmp_path), "x"], capture_output=True, text=True
    )
    assert refused.returncode == 1
    assert "leanbert.json" in refused.stderr


def test_java(library: Path, tmp_path: Path, expected: list[dict[str, float]]) -> None:
    java, javac, cc = tool("java"), tool("javac"), tool("cc")
    home = Path(os.path.realpath(javac)).parents[1]
    if not (home / "include/jni.h").is_file():
        pytest.skip(f"no jni.h below {home}")
    run([javac, "-Xlint:all", "-h", ".", "-d", ".", str(EXAMPLES / "java/LeanBert.java")], tmp_path)
    run(
        [
            *(cc, "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-I."),
            *(f"-I{home}/include", f"-I{home}/include/linux", f"-I{INCLUDE}"),
            *(str(EXAMPLES / "java/leanbert_jni.c"), f"-L{library}", "-lleanbert"),
            *(f"-Wl,-rpath,{library}", "-o", "libleanbert_jni.so"),
        ],
        tmp_path,
    )
    command = [java, "-Xshare:auto", "-Xmx64m", "-Djava.library.path=.", "LeanBert"]
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    lines = run([*command, str(EMBEDDED), *TEXTS], tmp_path, env=environment).splitlines()
    for line, scores in zip(lines, expected, strict=True):
        assert_scores(line, scores)
    refused = subprocess.run(
        [*command, str(tmp_path)], cwd=tmp_path, capture_output=True, text=True
    )
    assert refused.returncode == 1
    assert "leanbert.json" in refused.stderr
