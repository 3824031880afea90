from __future__ import annotations

from pathlib import Path

import numpy as np

from leanbert_bench.provenance import describe_bundle, describe_study, installed


def test_a_bundle_is_known_by_its_name_and_its_manifest(tmp_path: Path) -> None:
    assert describe_bundle(tmp_path) == {"name": tmp_path.name, "manifest_sha256": None}
    (tmp_path / "leanbert.json").write_bytes(b"")
    assert str(describe_bundle(tmp_path)["manifest_sha256"]).startswith("e3b0c442")


def test_a_study_names_the_machine_the_versions_and_the_date() -> None:
    found = describe_study()
    assert found["machine"]["cores_allowed"] >= 1
    assert found["versions"]["numpy"] == np.__version__
    assert found["created"].startswith("2")
    assert installed("no-such-package") is None
