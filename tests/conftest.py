"""Fixtures for all tests: real data where it is at hand, tiny bundles, a fixed hypothesis."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"  # before huggingface_hub is imported, which reads it once
os.environ["TRANSFORMERS_OFFLINE"] = "1"

import pytest
from hypothesis import settings

from leanbert import pipeline
from tests.helpers import tiny_bundles
from tests.helpers.tiny_bundles import Tiny

ROOT = Path(__file__).resolve().parents[1]

settings.register_profile("leanbert", derandomize=True, deadline=None, database=None)
settings.load_profile("leanbert")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Real data sets, which are not part of the repository."""
    given = os.environ.get("LEANBERT_TEST_DATA")
    path = Path(given) if given else ROOT.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip(f"no test data in {path}; set LEANBERT_TEST_DATA to its directory")
    return path


@pytest.fixture(scope="session")
def make_bundle(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Build a tiny bundle; the arguments are those of :class:`tiny_bundles.Tiny`."""

    def make(**options: Any) -> Path:
        return tiny_bundles.build(tmp_path_factory.mktemp("bundles") / "tiny", Tiny(**options))

    return make


@pytest.fixture(scope="session")
def tiny_bundle(make_bundle: Callable[..., Path]) -> Path:
    """A text classifier: positive, negative, neutral. Shared: copy it to change it."""
    return make_bundle()


@pytest.fixture(scope="session")
def tiny_features(make_bundle: Callable[..., Path]) -> Path:
    """A feature-extraction bundle. Shared: copy it to change it."""
    return make_bundle(task="feature-extraction")


@pytest.fixture
def bundle_copy(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A classifier to break."""
    return Path(shutil.copytree(tiny_bundle, tmp_path / "copy"))


@pytest.fixture(scope="session")
def families(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Checkpoints of every family and head, with trained tokenizers; see family_checkpoints."""
    pytest.importorskip("torch", reason="checkpoints are made by the extra export")
    from tests.helpers.family_checkpoints import (
        Workshop,  # torch and transformers, which most tests do without
    )

    return Workshop(tmp_path_factory.mktemp("families"))


@pytest.fixture(scope="session")
def real_families(tmp_path_factory: pytest.TempPathFactory, data_dir: Path) -> Any:
    """The same with the families' real tokenizers."""
    pytest.importorskip("torch", reason="checkpoints are made by the extra export")
    from tests.helpers.family_checkpoints import Workshop

    return Workshop(tmp_path_factory.mktemp("real-families"), data_dir)


@pytest.fixture(scope="session")
def classify(tiny_bundle: Path) -> Any:
    """The tiny classifier's pipeline, shared."""
    return pipeline("text-classification", tiny_bundle, threads=1)


@pytest.fixture(scope="session")
def embed(tiny_features: Path) -> Any:
    """The tiny feature-extraction pipeline, shared."""
    return pipeline("feature-extraction", tiny_features, threads=1)
