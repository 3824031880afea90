"""Bundles of MPNet's, ModernBERT's and DeBERTa's kind on the native engine; broken layouts."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from leanbert.bundle import Bundle
from leanbert.engines import load_engine
from leanbert.errors import EngineError
from leanbert.tokenization import Tokenizer
from tests.helpers import native_bundles, tiny_bundles
from tests.helpers.native_families import deberta, modernbert, mpnet
from tests.helpers.native_library import library_path
from tests.helpers.native_reference import reference

FAMILIES = {"mpnet": mpnet, "modernbert": modernbert, "deberta": deberta}
TASK = "feature-extraction"


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    """The name of each family."""
    return str(request.param)


@pytest.fixture(scope="module")
def bundle(family: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of the family, without token types."""
    library_path()
    folder = tmp_path_factory.mktemp(family) / "bundle"
    return native_bundles.build(folder, TASK, extend=FAMILIES[family], types=0)


def test_hidden_states_are_the_encoders(family: str, bundle: Path) -> None:
    opened = Bundle.open(bundle)
    engine = load_engine(opened, 2)
    assert engine.name == "native"
    batch = Tokenizer.of(opened).encode(["profit rose", "a", "sales fell in the first quarter"])
    made = native_bundles.model(TASK, extend=FAMILIES[family], types=0)
    hidden = engine.run(batch)["last_hidden_state"]
    ids = batch.split(batch.input_ids)
    for rows, of_text in zip(batch.split(hidden), ids, strict=True):
        wanted = reference(made, of_text)
        assert np.abs(rows - wanted).mean() < 0.03


def _set(*path: str, to: Any) -> Callable[[dict[str, Any]], None]:
    def change(native: dict[str, Any]) -> None:
        target = native
        for part in path[:-1]:
            target = target[part]
        target[path[-1]] = to

    return change


BROKEN = [
    ("modernbert", _set("format", to=1), "architecture has an unknown key gated"),
    ("modernbert", _set("architecture", "gate", to=1), "architecture has an unknown key gate"),
    ("modernbert", _set("architecture", "gated", to=1), "gated is neither true nor false"),
    ("modernbert", _set("architecture", "pre_norm", to=None), "pre_norm is neither true nor false"),
    ("modernbert", _set("architecture", "windows", to=[0]), "windows is not a list of 2"),
    ("modernbert", _set("architecture", "windows", to=7), "windows is not a list of 2"),
    ("modernbert", _set("architecture", "windows", to=[0, -1]), r"windows\[1\] is -1; expected"),
    ("modernbert", _set("architecture", "windows", to=[0, 1 << 20]), "1: window is 1048576"),
    ("modernbert", _set("architecture", "rotary", to=[1, True]), r"rotary\[1\] is True; expected"),
    ("modernbert", _set("architecture", "rotary", to=[1, 3]), "layer 1: rotary is 3"),
    ("mpnet", _set("architecture", "relative_buckets", to={}), "relative_buckets is not a list"),
    ("mpnet", _set("architecture", "relative_buckets", to=[1 << 32]), "is 4294967296; expected"),
    ("mpnet", _set("architecture", "relative_buckets", to=[0, 0]), "must be odd"),
    ("mpnet", _set("architecture", "relative_buckets", to=[99]), r"relative_buckets\[0\] is 99"),
    ("deberta", _set("architecture", "relative_buckets", to=[]), "position embedding is absent"),
    ("deberta", _set("architecture", "relative_buckets", to=[0, 1, 2]), "larger than the one"),
]


@pytest.mark.parametrize(("name", "change", "message"), BROKEN)
def test_a_layout_that_makes_no_sense(
    name: str, change: Callable[[dict[str, Any]], None], message: str, tmp_path: Path
) -> None:
    library_path()
    path = native_bundles.build(tmp_path / "whole", TASK, extend=FAMILIES[name], types=0)
    broken = Path(shutil.copytree(path, tmp_path / "broken"))
    content = tiny_bundles.read_content(broken)
    change(content["native"])
    tiny_bundles.reseal(broken, content)
    with pytest.raises(EngineError, match=message) as error:
        load_engine(Bundle.open(broken), 1, "native")
    assert len(str(error.value).splitlines()) == 1
