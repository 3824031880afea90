"""Turn the fp32 checkpoint into the embedded bundle: the last stage.

It exports the int8 bundle, measures it and PyTorch in fp32 on the evaluation sets, writes the
measurements into the bundle's manifest and into this folder's README.md, and puts the bundle where
``pipeline("text-classification")`` finds it.
"""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

from leanbert.bundle import MANIFEST, Bundle
from leanbert.files import whole_file
from leanbert_bench.sections import replace_section
from leanbert_export.checkpoint.readme import NOT_STATED
from leanbert_export.exporting import export
from leanbert_export.writing import amend_manifest, new_directory, write_manifest
from leanbert_models import default_model
from leanbert_training import challenge, robustness
from leanbert_training.card import make_card, results_table
from leanbert_training.data import load_sets
from leanbert_training.evaluate import INT8, bundle_predictor, evaluate, table, write_json

MAX_BYTES = 10_000_000
"""The largest bundle that is shipped."""
_CALIBRATION_TEXTS = 3000
_PAGE = Path(__file__).with_name("README.md")


def sizes(folder: Path) -> dict[str, int]:
    """Sizes in bytes of the bundle in ``folder``: the whole first, then its parts."""
    found = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
    tokenizer = sum(size for name, size in found.items() if "token" in name)
    weights, graph = found["model.onnx.data"], found["model.onnx"]
    return {
        "bundle": sum(found.values()),
        "weights": weights,
        "tokenizer": tokenizer,
        "graph": graph,
        "manifest and config": sum(found.values()) - weights - tokenizer - graph,
    }


def reseal(folder: Path, evidence: list[dict[str, Any]], card: dict[str, str]) -> None:
    """Remove the white space of tokenizer.json, and write evidence and card into the manifest.

    Raises:
        BundleError: the bundle does not pass its own checks as it stands.
    """
    amend_manifest(folder, evidence=evidence, card=card)  # checks the bundle first
    tokenizer = folder / "tokenizer.json"
    content = json.loads(tokenizer.read_text(encoding="utf-8"))
    with whole_file(tokenizer) as file:
        json.dump(content, file, ensure_ascii=False, separators=(",", ":"))
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    for key in ("sha256", "format_version", "files"):
        del manifest[key]
    write_manifest(folder, manifest)


def build(data: Path, checkpoint: Path, work: Path, *, place: bool = True) -> None:
    """Export, measure, and place the bundle.

    Args:
        data: the folder of the public sets.
        checkpoint: the folder of the fp32 checkpoint.
        work: the folder to make, which appears when it is complete: the bundle ``int8``,
            ``evaluation.json``, ``robustness.json`` and ``challenge.json``. A bundle that
            an interrupted run exported is not exported again.
        place: whether to replace the bundle that ships, and the tables of README.md.

    Raises:
        ValueError: the bundle is larger than :data:`MAX_BYTES`.
    """
    partial = work.with_suffix(".partial")
    partial.mkdir(parents=True, exist_ok=True)
    int8 = partial / INT8
    sets = load_sets(data)
    texts = random.Random(0).sample([e.text for e in sets.train], _CALIBRATION_TEXTS)
    if not int8.exists():
        export(str(checkpoint), int8, calibration=texts, max_drop=1.0)
    rows = evaluate(sets.evaluation(), checkpoint, {INT8: int8})
    print(table(rows), flush=True)
    write_json(partial / "evaluation.json", rows)
    predict = bundle_predictor(int8)
    robust = robustness.measure(sets, predict)
    print(robustness.markdown(robust), flush=True)
    write_json(partial / "robustness.json", robust)
    own = challenge.measure(predict)
    print(challenge.markdown(own), flush=True)
    write_json(partial / "challenge.json", own)
    found = json.loads((checkpoint / "calibration.json").read_text(encoding="utf-8"))
    made = Bundle.open(int8).manifest
    for _ in range(2):  # the card gives the size of the manifest that it is part of
        measured = make_card(rows, robust, own, found, sizes(int8), _CALIBRATION_TEXTS)
        exported = made.card if made else {}
        stated = {key: line for key, line in exported.items() if line != NOT_STATED}
        card = {**stated, **measured}  # which has the licence and the base in its own words
        reseal(int8, rows, card)
    if (size := sizes(int8)["bundle"]) > MAX_BYTES:
        raise ValueError(f"the bundle has {size} bytes; expected at most {MAX_BYTES}")
    if place:
        with new_directory(default_model(), force=True) as placed:  # what ships is measured first
            shutil.copytree(int8, placed, dirs_exist_ok=True)
        replace_section(
            _PAGE, results_table(rows), "<!-- results:start -->", "<!-- results:end -->"
        )
        replace_section(
            _PAGE,
            robustness.markdown(robust),
            "<!-- robustness:start -->",
            "<!-- robustness:end -->",
        )
        replace_section(_PAGE, challenge.markdown(own), challenge.START, challenge.END)
    shutil.rmtree(work, ignore_errors=True)
    partial.replace(work)
