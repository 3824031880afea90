"""The ids that LeanBERT gives a model are those of transformers' own tokenizer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from leanbert.bundle import Bundle
from leanbert.tokenization import Tokenizer
from leanbert.tokenization.encodings import Encodings
from leanbert_export.checkpoint.loading import LoadedCheckpoint
from leanbert_export.errors import ProofError
from leanbert_export.exporting import export
from leanbert_export.proof.tokenization import check_tokenization
from leanbert_export.samples import sample_texts
from leanbert_export.writing import write_parts
from tests.export.conftest import Workshop, load

TEXTS = list(sample_texts()[::20])


def parts(loaded: LoadedCheckpoint, workshop: Workshop, folder: Path) -> Bundle:
    """A bundle of a checkpoint's tokenizer; its graph is another's, and not run."""
    folder.mkdir()
    write_parts(loaded, folder)
    for path in workshop.bundle("classifier").glob("model.onnx*"):
        shutil.copyfile(path, folder / path.name)
    return Bundle.open(folder)


def edit(folder: Path, **changes: Any) -> Path:
    path = folder / "tokenizer_config.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**content, **changes}), encoding="utf-8")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    "family", ["bert", "roberta", "albert", "mpnet", "deberta-v2", "modernbert", "xlm-roberta"]
)
def test_every_kind_of_tokenizer(
    families: Any, workshop: Workshop, tmp_path: Path, family: str
) -> None:
    loaded = load(families.checkpoint(family, "text-classification"))
    bundle = parts(loaded, workshop, tmp_path / "bundle")
    assert check_tokenization(bundle, loaded, TEXTS) > 2 * len(TEXTS)


def test_an_empty_text_is_no_pair(workshop: Workshop, tmp_path: Path) -> None:
    loaded = load(workshop.tiny())
    bundle = parts(loaded, workshop, tmp_path / "bundle")
    assert check_tokenization(bundle, loaded, [*TEXTS, "", " "])
    assert check_tokenization(bundle, loaded, [""])


SETTINGS: list[dict[str, Any]] = [
    {"truncation_side": "left"},
    {"do_lower_case": False},
    {"strip_accents": False},
    {"tokenize_chinese_chars": False},
    {"model_max_length": 20},
    {"model_input_names": ["input_ids", "attention_mask"]},
]


@pytest.mark.slow
@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: next(iter(settings)))
def test_settings_are_obeyed(
    checkpoint_copy: Path, workshop: Workshop, tmp_path: Path, settings: dict[str, Any]
) -> None:
    loaded = load(edit(checkpoint_copy, **settings))
    bundle = parts(loaded, workshop, tmp_path / "bundle")
    written = json.loads((bundle.path / "tokenizer_config.json").read_text(encoding="utf-8"))
    (name,) = settings
    assert written[name] == settings[name]
    assert written["padding_side"] == "right"
    check_tokenization(bundle, loaded, TEXTS)


@pytest.mark.slow
@pytest.mark.parametrize("what", ["a text", "a pair", "cut", "types"])
def test_a_difference_is_named(
    workshop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    loaded = load(workshop.tiny())
    bundle = parts(loaded, workshop, tmp_path / "bundle")
    check_tokenization(bundle, loaded, TEXTS)
    honest = Tokenizer.encode

    def encode(self: Tokenizer, texts: Any, **options: Any) -> Encodings:
        found = honest(self, texts, **options)
        ids, types = found.input_ids.copy(), found.token_type_ids.copy()
        pairs = [i for i, text in enumerate(texts) if isinstance(text, tuple)]
        if what == "a text":
            ids[found.place(3)][1] += 1
        elif what == "a pair":
            ids[found.place(pairs[0])][-2] += 1
        elif what == "cut" and options["max_length"] == 16:
            long = next(i for i in range(len(found)) if found.lengths[i] == 16)
            ids[found.place(long)] = ids[found.place(long)][::-1]
        elif what == "types":
            types[:] = 0
        return Encodings(ids, types, found.lengths, found.cut, found.max_length)

    monkeypatch.setattr(Tokenizer, "encode", encode)
    with pytest.raises(ProofError) as caught:
        check_tokenization(bundle, loaded, TEXTS)
    message = str(caught.value)
    assert message.startswith(f"tokens: LeanBERT's {'token types' if what == 'types' else 'ids'} ")
    assert ("and its pair" in message) == (what in ("a pair", "types"))
    assert f"cut to {16 if what == 'cut' else 512} tokens, are not those of BertTokeniz" in message
    assert "truncation_side 'right', padding_side 'right'" in message
    assert "\n" not in message


@pytest.mark.slow
def test_an_export_compares_tokens(
    workshop: Workshop,
    tmp_path: Path,
    nothing_left: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The rest of the proof would pass: both engines get the same wrong ids."""
    honest = Tokenizer.encode

    def encode(self: Tokenizer, texts: Any, **options: Any) -> Encodings:
        found = honest(self, texts, **options)
        types = found.token_type_ids * 0
        return Encodings(found.input_ids, types, found.lengths, found.cut, found.max_length)

    monkeypatch.setattr(Tokenizer, "encode", encode)
    with pytest.raises(ProofError, match=r"^tokens: LeanBERT's token types of "):
        export(str(workshop.tiny()), tmp_path / "out", recipe="fp32", texts=TEXTS)
    nothing_left()
