"""The files for contributors: workflows that are pinned, hooks and versions that cannot drift.

Their form is checked by `make lint`, against GitHub's schemas and with zizmor.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def read(path: Path) -> dict[Any, Any]:
    content: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


def recipe(target: str) -> list[str]:
    """The commands of a target of the Makefile."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    found = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", text, re.MULTILINE)
    assert found is not None
    return [line.strip() for line in found[1].splitlines()]


def tools(commands: list[str]) -> list[str]:
    """The tools of these commands, each with its subcommand if it has one, sorted."""
    found = set()
    for command in commands:
        words = command.replace("$(DEV)", ".venv").split()
        if words[0].startswith(".venv/bin/"):
            name = words[0].removeprefix(".venv/bin/")
            found.add(f"{name} {words[1]}" if name == "ruff" else name)
    return sorted(found)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_action_is_pinned_to_a_commit_with_its_version_beside(path: Path) -> None:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if "uses:" in line]
    assert lines
    for line in lines:
        assert re.search(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_no_workflow_has_more_than_it_needs(path: Path) -> None:
    workflow = read(path)
    assert workflow["permissions"] == {}
    assert "pull_request_target" not in workflow[True]  # YAML 1.1 reads the key "on" as true
    for name, job in workflow["jobs"].items():
        allowed = {"contents": "read"}
        if name == "publish":
            allowed = {"id-token": "write"}
        elif path.stem == "codeql":
            allowed = {**allowed, "security-events": "write"}
        assert job["permissions"].items() <= allowed.items(), name


def test_one_version_of_an_action_everywhere() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in WORKFLOWS)
    pins: dict[str, set[str]] = {}
    for action, pin in re.findall(r"uses: ([\w-]+/[\w-]+)(?:/[\w-]+)?@(\S+)", text):
        pins.setdefault(action, set()).add(pin)
    assert all(len(found) == 1 for found in pins.values()), pins


def test_the_runtime_is_tested_from_the_oldest_python_that_is_allowed() -> None:
    matrix = read(ROOT / ".github/workflows/tests.yml")["jobs"]["runtime"]["strategy"]["matrix"]
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    oldest = re.search(r'^requires-python = ">=(.+)"$', pyproject, re.MULTILINE)
    assert oldest is not None
    assert matrix["python"][0] == oldest[1]
    numbers = [int(version.removeprefix("3.")) for version in matrix["python"]]
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert sys.version_info.minor in numbers
    systems = {name.partition("-")[0] for name in matrix["os"]}
    assert systems == {"ubuntu", "macos", "windows"}


def test_the_hooks_are_the_tools_of_make_lint() -> None:
    (local,) = read(ROOT / ".pre-commit-config.yaml")["repos"]
    assert local["repo"] == "local"  # no second list of versions
    entries = [hook["entry"] for hook in local["hooks"]]
    assert "make types" in entries
    assert tools(recipe("types")) == ["basedpyright", "mypy"]
    assert tools(entries) == tools(recipe("lint"))
    flags = {entry.split()[0]: entry.split()[1:] for entry in entries if "zizmor" in entry}
    (lint,) = [command.split()[1:] for command in recipe("lint") if "zizmor" in command]
    assert list(flags.values()) == [lint]


def test_every_tool_of_make_lint_has_one_pinned_version() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.partition("==")[0] for line in lines if "==" in line]
    for tool in tools([*recipe("lint"), *recipe("types")]):
        assert pins.count(tool.split()[0]) == 1, tool


def test_each_platform_of_the_wheels_has_a_runner() -> None:
    jobs = read(ROOT / ".github/workflows/wheels.yml")["jobs"]
    systems = jobs["install"]["strategy"]["matrix"]["os"]
    arm = {"ubuntu-24.04-arm", "macos-15", "windows-11-arm"}
    assert arm <= set(systems)
    assert {name.partition("-")[0] for name in set(systems) - arm} == {"ubuntu", "macos", "windows"}
    assert set(jobs["musl"]["strategy"]["matrix"]["os"]) == {"ubuntu-24.04", "ubuntu-24.04-arm"}
    assert set(jobs["publish"]["needs"]) == {"install", "musl"}
    assert [step["run"] for step in jobs["build"]["steps"] if "run" in step] == ["make wheels"]


def test_no_build_that_is_meant_to_have_the_engine_may_be_pure() -> None:
    for name in ("tests.yml", "wheels.yml"):
        text = (ROOT / ".github/workflows" / name).read_text(encoding="utf-8")
        builds = re.findall(r"pip install .*--editable|make wheels", text)
        assert len(builds) == 1
    assert "&& 'off' || 'require'" in (ROOT / ".github/workflows/tests.yml").read_text("utf-8")
    wheels = (ROOT / "tests/packaging/wheels.py").read_text(encoding="utf-8")
    assert '"LEANBERT_NATIVE": "require"' in wheels


def test_the_native_engine_has_the_version_of_the_package() -> None:
    init = (ROOT / "runtime/leanbert/__init__.py").read_text(encoding="utf-8")
    cmake = (ROOT / "runtime/native/CMakeLists.txt").read_text(encoding="utf-8")
    version = re.search(r'^__version__ = "(\d+\.\d+\.\d+)', init, re.MULTILINE)
    compiled = re.search(r"^project\(leanbert_native VERSION (\S+) ", cmake, re.MULTILINE)
    assert version is not None
    assert compiled is not None
    assert version[1] == compiled[1]


def test_the_public_address_is_written_in_one_file() -> None:
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(r'^Repository = "https://(.+)"$', pyproject, re.MULTILINE)
    assert found is not None
    folders = ("runtime", "export", "benchmarks/leanbert_bench", "models", "docs", ".github")
    files = [path for name in folders for path in (ROOT / name).rglob("*") if path.is_file()]
    texts = (".md", ".py", ".yml", ".toml", ".h", ".cpp")
    for path in [*files, *ROOT.glob("*.md")]:
        if path.suffix in texts:
            assert found[1] not in path.read_text(encoding="utf-8"), path
