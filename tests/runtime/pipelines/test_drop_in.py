"""Scripts written for ``transformers.pipeline`` run, or are told in one line why they cannot."""

from __future__ import annotations

import json
import pickle
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from leanbert import pipeline
from leanbert.errors import BundleCorruptError, InputError, LeanBertWarning
from leanbert.pipelines import keywords
from leanbert.pipelines.drop_in import OPENING
from tests.helpers.parity import is_newer
from tests.helpers.tiny_bundles import LABELS, MAX_LENGTH, read_content, reseal

TEXTS = ["profit rose", "a bad loss"]


class Named:
    """As torch's devices and dtypes: known by what they print."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


class TestOpening:
    @pytest.mark.parametrize(
        "given",
        [
            {"device": "cpu"},
            {"device": -1},
            {"device": None},
            {"device": Named("cpu")},
            {"device": "cpu:0"},
            {"device_map": "auto"},
            {"device_map": {"": "cpu"}},
            {"framework": "pt"},
            {"dtype": "auto"},
            {"dtype": "float32"},
            {"torch_dtype": Named("torch.float32")},
            {"use_fast": True},
            {"revision": None},
            {"token": "hf_secret", "trust_remote_code": False},
            {"token": True},
            {"model_kwargs": {}},
            {"tokenizer": None, "config": None, "feature_extractor": None},
            {"video_processor": None, "code_revision": "main", "binary_output": False},
        ],
        ids=str,
    )
    def test_what_is_done_anyway_is_accepted(
        self, tiny_bundle: Path, classify: Any, given: dict[str, Any]
    ) -> None:
        opened = pipeline("text-classification", tiny_bundle, threads=1, top_k=2, **given)
        assert opened(TEXTS) == classify(TEXTS, top_k=2)
        assert pickle.loads(pickle.dumps(opened))(TEXTS) == opened(TEXTS)  # noqa: S301

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"device": 0}, r'device is 0; LeanBERT computes on CPUs: .* device="cpu"'),
            ({"device": "cuda:1"}, "device is 'cuda:1'; LeanBERT computes on CPUs"),
            ({"device": Named("mps")}, "device is mps; "),
            ({"device_map": {"": 0}}, "device_map is {'': 0}; LeanBERT computes on CPUs"),
            ({"framework": "tf"}, "framework is 'tf'; "),
            ({"dtype": "float16"}, "dtype is 'float16'; a bundle fixes how it computes, .* fp32"),
            ({"torch_dtype": Named("torch.bfloat16")}, r"torch_dtype is torch\.bfloat16; "),
            ({"use_fast": False}, "use_fast is False; LeanBERT has fast tokenizers only"),
            ({"revision": "abc"}, "revision is 'abc'; a bundle is of one revision"),
            ({"tokenizer": "bert-base-cased"}, "tokenizer is 'bert-base-cased'; a bundle has its"),
            ({"config": object()}, "config is <object object .*; a bundle has its own"),
            ({"model_kwargs": {"cache_dir": "a"}}, "model_kwargs is .*; LeanBERT has no use for"),
            ({"tokenizer_kwargs": {}}, "unknown argument tokenizer_kwargs"),
        ],
        ids=str,
    )
    def test_what_cannot_be_obeyed_is_refused(
        self, tiny_bundle: Path, given: dict[str, Any], said: str
    ) -> None:
        with pytest.raises(InputError, match=said) as caught:
            pipeline("text-classification", tiny_bundle, threads=1, **given)
        assert len(str(caught.value).splitlines()) == 1

    def test_the_bundles_own_files_may_be_named(self, tiny_bundle: Path) -> None:
        own = str(tiny_bundle)
        assert pipeline("text-classification", own, tokenizer=own, config=tiny_bundle, threads=1)

    def test_the_embedded_model_has_one_revision(self) -> None:
        with pytest.raises(
            InputError, match=r"^revision is 'main'; the embedded model has one: leave it out"
        ):
            pipeline("text-classification", revision="main", threads=1)

    def test_the_revision_that_the_bundle_was_made_of(self, bundle_copy: Path) -> None:
        manifest = read_content(bundle_copy)
        manifest["source"] |= {"revision": "4b1c", "model": "ProsusAI/finbert"}
        manifest["recipe"]["name"] = "int8"
        reseal(bundle_copy, manifest)
        assert pipeline("text-classification", bundle_copy, revision="4b1c", threads=1)
        named = pipeline("text-classification", bundle_copy, tokenizer="ProsusAI/finbert")
        assert named("growth")
        with pytest.raises(InputError, match="this one was made of 4b1c: export the other"):
            pipeline("text-classification", bundle_copy, revision="main", threads=1)
        with pytest.raises(InputError, match=r"dtype is 'float32'; .* by the recipe int8"):
            pipeline("text-classification", bundle_copy, dtype="float32", threads=1)

    def test_the_types_name_the_same_arguments(self) -> None:
        own = {"mode", "threads", "engine", "max_memory_mb", "output_name"}
        assert set(keywords.OpeningKeywords.__annotations__) == set(OPENING) | own


class TestAttributes:
    def test_what_scripts_read(self, classify: Any, tiny_bundle: Path) -> None:
        assert classify.model.config.id2label == dict(enumerate(LABELS))
        assert classify.model.config.label2id["negative"] == 1
        assert classify.model.config.num_labels == 3
        assert classify.model.config.model_type == "bert"
        assert classify.model.config.max_position_embeddings == MAX_LENGTH
        assert classify.model.name_or_path == str(tiny_bundle)
        assert not hasattr(classify.model.config, "no_such_key")
        assert classify.tokenizer.mask_token == "[MASK]"  # noqa: S105
        assert classify.tokenizer.mask_token_id == 4
        assert classify.tokenizer.sep_token == "[SEP]"  # noqa: S105
        assert classify.tokenizer.model_max_length == MAX_LENGTH
        assert classify.device == "cpu"
        assert classify.device.type == "cpu"
        assert classify.device.index is None

    def test_the_names_of_scikit_learn(self, classify: Any) -> None:
        assert classify.predict(TEXTS) == classify.transform(TEXTS) == classify(TEXTS)

    def test_the_mask_of_a_script(self, make_bundle: Callable[..., Path]) -> None:
        fill = pipeline("fill-mask", make_bundle(task="fill-mask"), threads=1)
        assert fill(f"profit {fill.tokenizer.mask_token}") == fill("profit [MASK]")


class TestTextClassification:
    def test_text_pair(self, classify: Any) -> None:
        pair = {"text": "profit rose", "text_pair": "a bad loss"}
        assert classify("profit rose", text_pair="a bad loss") == [classify(pair)]
        assert classify(["profit rose", "a"], text_pair="a bad loss")[0] == classify(pair)
        assert classify("profit rose", text_pair="") == classify("profit rose")
        with pytest.raises(InputError, match="text 0: has a pair of its own"):
            classify(pair, text_pair="growth")
        with pytest.raises(InputError, match=r"text_pair is \['a'\]; expected a string"):
            classify(["b"], text_pair=["a"])
        with pytest.raises(InputError, match="text_pair: a document has no pair"):
            classify.document("profit rose", text_pair="a")

    def test_return_all_scores(self, classify: Any, tiny_bundle: Path) -> None:
        ranked = classify(TEXTS, top_k=None)
        with pytest.warns(LeanBertWarning, match="return_all_scores is deprecated.*top_k=None"):
            assert classify(TEXTS, return_all_scores=True) == ranked
        with pytest.warns(LeanBertWarning, match="return_all_scores"):
            assert classify(TEXTS[0], return_all_scores=True) == ranked[:1]
        with pytest.warns(LeanBertWarning, match="pass no top_k"):
            assert classify(TEXTS[0], return_all_scores=False) == classify(TEXTS[0])
        assert classify(TEXTS, return_all_scores=True, top_k=1) == [row[:1] for row in ranked]
        with pytest.warns(LeanBertWarning, match="return_all_scores"):
            opened = pipeline("text-classification", tiny_bundle, return_all_scores=True)
        assert opened(TEXTS) == ranked
        assert opened(TEXTS, top_k=1) == [row[:1] for row in ranked]

    def test_return_all_scores_of_the_config(
        self, make_bundle: Callable[..., Path], classify: Any
    ) -> None:
        bundle = make_bundle(config={"return_all_scores": True})
        with pytest.warns(LeanBertWarning, match="return_all_scores is ignored, as transformers 5"):
            opened = pipeline("text-classification", bundle)
        assert opened(TEXTS) == classify(TEXTS)
        with warnings.catch_warnings():
            warnings.simplefilter("error", LeanBertWarning)
            everything = pipeline("text-classification", bundle, top_k=None)
        assert everything(TEXTS) == classify(TEXTS, top_k=None)

    def test_a_pair_in_lists_is_no_text(self, classify: Any) -> None:
        with pytest.raises(ValueError, match="text 0: expected a string or"):
            classify([["a", "b"]])


class TestZeroShot:
    NLI = ("contradiction", "neutral", "entailment")

    def test_multi_class(self, make_bundle: Callable[..., Path]) -> None:
        judge = pipeline("zero-shot-classification", make_bundle(labels=self.NLI), threads=1)
        with pytest.warns(LeanBertWarning, match="multi_class is deprecated.*multi_label"):
            found = judge("profit rose", ["up", "down"], multi_class=True)
        assert found == judge("profit rose", ["up", "down"], multi_label=True)
        assert found != judge("profit rose", ["up", "down"])

    def test_ids_that_are_strings(self, make_bundle: Callable[..., Path]) -> None:
        answers = []
        for ids in (
            {"contradiction": "0", "neutral": "1", "entailment": "2"},
            {"contradiction": 0, "neutral": 1, "entailment": 2},
            None,
        ):
            path = make_bundle(labels=self.NLI, config={"label2id": ids} if ids else {})
            judge = pipeline("zero-shot-classification", path, threads=1)
            answers.append(judge("profit rose", ["up", "down"], multi_label=True))
        assert answers[0] == answers[1] == answers[2]
        path = make_bundle(labels=self.NLI[::-1], config={"label2id": {"entailment": "0"}})
        first = pipeline("zero-shot-classification", path, threads=1)("profit", ["up", "down"])
        assert first["scores"] != answers[0]["scores"]

    @pytest.mark.parametrize("number", [3, -1, "3", "two", 1.5, True, None])
    def test_an_id_that_is_no_logit(self, make_bundle: Callable[..., Path], number: object) -> None:
        path = make_bundle(labels=self.NLI, config={"label2id": {"entailment": number}})
        with pytest.raises(
            BundleCorruptError, match=r"label2id says .* expected a number from 0 to 2"
        ):
            pipeline("zero-shot-classification", path, threads=1)


class TestQuestionAnswering:
    def test_further_keys_change_nothing(self, make_bundle: Callable[..., Path]) -> None:
        ask = pipeline("question-answering", make_bundle(task="question-answering"), threads=1)
        row: Any = {"question": "who rose", "context": "the bank rose", "id": "56be", "answers": {}}
        wanted = ask(question="who rose", context="the bank rose")
        assert ask(row) == wanted
        assert list(ask(iter([row, row]))) == [wanted, wanted]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*nothing of it is verified")
class TestAsTransformers:
    """The same calls, with transformers as the judge."""

    def both(self, families: Any, folder: Path, **config: Any) -> tuple[Any, Any]:
        import transformers

        from leanbert_export.quiet import quiet

        task = "text-classification"
        paths = []
        for source in (families.plain("bert", task), families.checkpoint("bert", task)):
            path = Path(shutil.copytree(source, folder / source.parent.name))
            content = json.loads((path / "config.json").read_text())
            (path / "config.json").write_text(json.dumps({**content, **config}))
            paths.append(path)
        with quiet():
            theirs = transformers.pipeline(task, str(paths[1]), device="cpu")
        return pipeline(task, paths[0], threads=1), theirs

    def check(self, ours: Any, theirs: Any, *inputs: Any, **options: Any) -> None:
        found, wanted = ours(*inputs, **options), theirs(*inputs, **options)
        assert isinstance(found, list) == isinstance(wanted, list)
        assert self.rounded(found) == self.rounded(wanted)

    def rounded(self, found: Any) -> Any:
        if isinstance(found, dict):
            return {**found, "score": pytest.approx(found["score"], abs=1e-4)}
        return [self.rounded(item) for item in found]

    def test_calls(self, families: Any, tmp_path: Path) -> None:
        ours, theirs = self.both(families, tmp_path)
        for options in ({}, {"top_k": 2}, {"top_k": None}):
            self.check(ours, theirs, "profit rose", text_pair="sales fell", **options)
            self.check(ours, theirs, ["profit rose", "a"], text_pair="sales fell", **options)
            self.check(ours, theirs, [[["profit rose", "sales fell"]]], **options)
            self.check(ours, theirs, "profit rose", truncation=True, max_length=3, **options)
        pair = {"text": "profit rose " * 20, "text_pair": "sales fell"}
        turned = {"text": pair["text_pair"], "text_pair": pair["text"]}
        self.check(ours, theirs, pair, truncation="only_first", max_length=20)
        self.check(ours, theirs, turned, truncation="only_second", max_length=20)
        for answerer in (ours, theirs):
            with pytest.raises(ValueError, match=r"text|pair"):
                answerer([["profit rose", "sales fell"]])
        self.check(ours.predict, theirs.predict, ["profit rose", "sales fell"])

    @pytest.mark.filterwarnings("ignore:.*return_all_scores")
    def test_all_scores(self, families: Any, tmp_path: Path) -> None:
        ours, theirs = self.both(families, tmp_path)
        older: list[dict[str, Any]] = [
            {"return_all_scores": True},
            {"return_all_scores": False},
            {"return_all_scores": True, "top_k": 2},
        ]
        if is_newer():  # which gives return_all_scores to its tokenizer
            older = []
        for options in ({}, {"top_k": 1}, *older):
            for inputs in ("profit rose", ["profit rose", "sales fell"], {"text": "profit"}):
                found, wanted = ours(inputs, **options), theirs(inputs, **options)
                assert self.by_label(found) == self.by_label(wanted), options

    def by_label(self, found: Any) -> Any:
        if isinstance(found, dict):
            return self.rounded(found)
        if found and isinstance(found[0], dict):  # transformers does not sort all scores then
            return sorted((self.rounded(item) for item in found), key=lambda item: item["label"])
        return [self.by_label(item) for item in found]

    def test_data_sets(self, families: Any, tmp_path: Path) -> None:
        from transformers.pipelines.pt_utils import KeyDataset, KeyPairDataset

        ours, theirs = self.both(families, tmp_path)
        rows: Any = [{"a": "profit rose", "b": "sales fell"}, {"a": "the bank", "b": "growth"}]
        for data in (KeyDataset(rows, "a"), KeyPairDataset(rows, "a", "b")):
            found = ours(data)
            assert not isinstance(found, list)
            assert self.rounded(list(found)) == self.rounded(list(theirs(data)))

    def test_enums(self, families: Any) -> None:
        from transformers.pipelines.text_classification import ClassificationFunction
        from transformers.pipelines.token_classification import AggregationStrategy
        from transformers.tokenization_utils_base import TruncationStrategy

        tag = pipeline("ner", families.plain("bert", "token-classification"), threads=1)
        given = SimpleNamespace(text="The bank rose in Espoo.")
        assert tag(given.text, aggregation_strategy=AggregationStrategy.FIRST) == tag(
            given.text, aggregation_strategy="first"
        )
        classify = pipeline("text-classification", families.plain("bert", "text-classification"))
        assert classify(
            given.text,
            function_to_apply=ClassificationFunction.SIGMOID,
            truncation=TruncationStrategy.LONGEST_FIRST,
        ) == classify(given.text, function_to_apply="sigmoid", truncation=True)
