"""Fixtures of the command's tests: ``leanbert`` in this process, and what it reads."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from leanbert.bundle import Bundle
from leanbert.engines import load_engine
from tests.helpers import native_bundles
from tests.helpers.command import Command


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


@pytest.fixture
def predict(tiny_bundle: Path) -> list[object]:
    return ["predict", "-m", tiny_bundle, "--threads", 1]


@pytest.fixture(scope="session")
def native_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return native_bundles.build(tmp_path_factory.mktemp("native") / "classifier")


@pytest.fixture
def natively(native_bundle: Path) -> list[object]:
    """As ``predict``, where an answer depends on no other text of its batch, to the last bit."""
    engine = load_engine(Bundle.open(native_bundle), 1)
    if engine.name != "native":
        pytest.skip(f"no native engine here: {engine.report.why_not_native}")
    return ["predict", "-m", native_bundle, "--threads", 1]


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes], None]:
    def give(data: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    return give
