"""What a checkpoint's README says of its licence and its base model."""

from __future__ import annotations

from pathlib import Path

import pytest

from leanbert_export.checkpoint.readme import Origin, read_origin

CASES = [
    ("", Origin()),
    ("# A model\n\nlicense: mit\n", Origin()),
    ("---\nlicense: apache-2.0\n---\n# A model\n", Origin("apache-2.0")),
    ("---\nlicense: mit\nbase_model: bert-base-uncased\n---\n", Origin("mit", "bert-base-uncased")),
    ("---\nbase_model:\n- a/b\n- c/d\n---\n", Origin(base_model="a/b, c/d")),
    ("---\nlicense: 5\nbase_model: {a: b}\n---\n", Origin()),
    ("---\nlicense: [unclosed\n---\n", Origin()),
    ("---\n- license\n---\n", Origin()),
    ("---\nlicense: mit\n", Origin()),
    ("---\nlicense: 'two\n\n  lines'\n---\n", Origin("two lines")),
]


@pytest.mark.parametrize(("text", "origin"), CASES)
def test_the_metadata_of_a_readme(tmp_path: Path, text: str, origin: Origin) -> None:
    (tmp_path / "README.md").write_text(text, encoding="utf-8")
    assert read_origin(tmp_path) == origin


def test_no_readme_and_no_text(tmp_path: Path) -> None:
    assert read_origin(tmp_path) == Origin("not stated", "not stated")
    (tmp_path / "README.md").write_bytes(b"---\nlicense: \xff\n---\n")
    assert read_origin(tmp_path) == Origin()
