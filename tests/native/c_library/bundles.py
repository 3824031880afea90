"""Write tiny bundles of each task for the sanitizers and the fuzzer: ``python -m … FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from tests.helpers import native_bundles
from tests.helpers.sentence_directories import describe
from tests.native.c_library.sealing import TAGS, change, write_config

__all__ = ["write_bundles"]


def write_bundles(folder: Path) -> list[Path]:
    """A classifier, a tagger and an embedding model in folders of these names."""
    small: dict[str, Any] = {"hidden": 32, "heads": 2, "intermediate": 32}
    classifier = native_bundles.build(folder / "classifier", labels=3, **small)
    tagger = native_bundles.build(
        folder / "tagger", "token-classification", head="every_token", labels=len(TAGS), **small
    )
    write_config(tagger, id2label={str(i): name for i, name in enumerate(TAGS)})
    embedder = native_bundles.build(folder / "embedder", "feature-extraction", **small)
    settings = {"prompts": {"query": "the bank: "}, "default_prompt_name": "query"}
    change(describe(embedder, ("cls", "mean"), settings=settings))
    for path in (classifier, tagger):
        (path / "tokenizer_config.json").write_text(
            '{"do_lower_case": true, "tokenizer_class": "BertTokenizer", "unk_token": "[UNK]"}',
            encoding="utf-8",
        )
        change(path)
    return [classifier, tagger, embedder]


if __name__ == "__main__":
    for bundle in write_bundles(Path(sys.argv[1])):
        print(bundle)
