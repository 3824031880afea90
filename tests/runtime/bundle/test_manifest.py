"""A sealed manifest whose values make no sense is refused by the name of the first of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from leanbert.bundle import FORMAT_VERSION, MANIFEST
from leanbert.bundle.manifest import is_plain, parse_manifest
from leanbert.errors import BundleCorruptError, BundleVersionError
from tests.helpers.tiny_bundles import read_content, reseal

Json = dict[str, Any]


def setting(*keys: str | int, to: object) -> Callable[[Json], None]:
    def change(content: Json) -> None:
        place: Any = content
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = to

    return change


def removing(key: str) -> Callable[[Json], None]:
    return lambda content: content.pop(key)


TEXT = ("golden", "texts", 0)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        *((removing(key), key) for key in ("task", "files", "golden", "max_length", "versions")),
        (setting("task", to="a\nb"), "task is 'a\\nb'"),
        (setting("task", to="\x1b[31mred"), "task is '"),
        (setting("task", to="x" * 65), "task is"),
        (setting("task", to=5), "task is 5"),
        (setting("source", to=[]), "source is a list of 0"),
        (setting("optimized", to=1), "optimized is 1"),
        (setting("max_length", to=-1), "max_length is -1"),
        (setting("max_length", to=3), "max_length is 3"),
        (setting("max_length", to=10**30), "max_length is"),
        (setting("max_length", to=True), "max_length is True"),
        (setting("max_length", to=8.0), "max_length is 8.0"),
        (setting("max_length", to="32"), "max_length is '32'"),
        (setting("files", "model.onnx", "size", to=float("inf")), "model.onnx.size is inf"),
        (setting("files", "model.onnx", "size", to=10**400), "model.onnx.size is 1"),
        (setting("files", "model.onnx", "size", to=-1), "model.onnx.size is -1"),
        (setting("files", "model.onnx", "sha256", to="A" * 64), "model.onnx.sha256 is"),
        (setting("files", "model.onnx", "sha256", to=None), "model.onnx.sha256 is None"),
        (setting("files", "model.onnx", to=7), "model.onnx is 7"),
        (setting("files", "x" * 300, to={}), "cannot be one on every system"),
        (setting("files", "a\nb", to={}), "cannot be one on every system"),
        (setting("files", to={str(i): {} for i in range(1001)}), "files has 1001 entries"),
        (setting("operators", to={"Add": 1.5}), "operators.'Add' is 1.5"),
        (setting("operators", to={"Add": 10**400}), "operators.'Add' is 1"),
        (setting("golden", "atol", to=10**400), "golden.atol is 1"),
        (setting("golden", "atol", to=float("inf")), "golden.atol is inf"),
        (setting("golden", "atol", to=float("nan")), "golden.atol is nan"),
        (setting("golden", "atol", to=-1), "golden.atol is -1"),
        (setting("golden", "mean_atol", to="x"), "golden.mean_atol is 'x'"),
        (setting("golden", "texts", to={}), "golden.texts is an object"),
        (setting(*TEXT, to=5), "golden text 0 is 5"),
        (setting(*TEXT, "text", to=None), "golden text 0.text is None"),
        (setting(*TEXT, "text_pair", to=5), "golden text 0.text_pair is 5"),
        (setting(*TEXT, "reference", to=[]), "golden text 0.reference is empty"),
        (setting(*TEXT, "reference", to=5), "golden text 0.reference is 5"),
        (setting(*TEXT, "reference", to=["x"]), "golden text 0.reference is 'x'"),
        (setting(*TEXT, "reference", to=[10**400]), "golden text 0.reference is 1"),
        (setting(*TEXT, "positions", to=[-1]), "golden text 0.positions is -1"),
        (setting(*TEXT, "columns", to=[10**30]), "golden text 0.columns is 1"),
        (setting("evidence", to=[5]), "evidence 0 is 5"),
        (setting("versions", to={"torch": 2}), "versions.'torch' is 2"),
        (setting("card", to="x"), "card is 'x'"),
        (setting("native", to=[]), "native is a list of 0"),
    ],
)
def test_values_that_make_no_sense(
    bundle_copy: Path, change: Callable[[Json], None], named: str
) -> None:
    content = read_content(bundle_copy)
    change(content)
    reseal(bundle_copy, content, hash_files=False)
    with pytest.raises(BundleCorruptError) as caught:
        parse_manifest(bundle_copy / MANIFEST)
    message = str(caught.value)
    assert message.startswith(f"{bundle_copy / MANIFEST}: malformed manifest (")
    assert named in message
    assert message.isprintable()
    assert len(message) < 400


@pytest.mark.parametrize("version", [0, FORMAT_VERSION + 1, True, 1.0, "1", None, 10**400, []])
def test_formats_of_another_time(bundle_copy: Path, version: object) -> None:
    reseal(bundle_copy, {**read_content(bundle_copy), "format_version": version})
    with pytest.raises(BundleVersionError) as caught:
        parse_manifest(bundle_copy / MANIFEST)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("model.onnx", True),
        ("onnx/model.onnx", True),
        ("..data", True),
        ("", False),
        ("/a", False),
        ("../a", False),
        ("a/../../b", False),
        ("C:a", False),
        ("a\\b", False),
        ("a\0b", False),
    ],
)
def test_names_that_stay_in_their_folder(name: str, plain: bool) -> None:
    assert is_plain(name) is plain
