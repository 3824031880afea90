"""What scripts written for ``transformers.pipeline`` give to it and read from it.

Arguments of the opening that choose a device, a number format or files are accepted where they ask
for what LeanBERT does anyway, and refused in one line where they cannot be obeyed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leanbert.errors import InputError

if TYPE_CHECKING:
    from leanbert.bundle import Bundle
    from leanbert.tokenization import Tokenizer

__all__ = ["OPENING", "ConfigView", "Device", "ModelView", "TokenizerView", "check_opening"]


class Device(str):
    """The device as text, with the attributes of ``torch.device`` that scripts read."""

    __slots__ = ()
    type = "cpu"
    index = None  # type: ignore[assignment]  # str has a method of this name


class ConfigView:
    """The keys of ``config.json`` as attributes, as ``transformers.PretrainedConfig`` has them."""

    def __init__(self, bundle: Bundle) -> None:
        self._raw = bundle.config.raw
        self.id2label = dict(bundle.config.id2label)
        """The name of each logit."""
        self.label2id = {label: i for i, label in self.id2label.items()}
        self.num_labels = len(self.id2label)
        self.problem_type = bundle.config.problem_type

    def __getattr__(self, name: str) -> Any:
        raw: Mapping[str, Any] = self.__dict__.get("_raw", {})
        if name not in raw:
            raise AttributeError(f"config.json has no key {name!r}")
        return raw[name]


class ModelView:
    """What scripts read from a pipeline's ``model``; LeanBERT has no torch module to give."""

    def __init__(self, bundle: Bundle) -> None:
        self.config = ConfigView(bundle)
        self.device = Device("cpu")
        self.name_or_path = str(bundle.path)


class TokenizerView:
    """The special tokens and the limit of a tokenizer, under transformers' names.

    ``mask_token``, ``cls_token``, ``sep_token`` and ``unk_token`` are ``None`` where the tokenizer
    has no such token, and so are their ids, ``mask_token_id`` and so on.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        special = tokenizer.special_tokens
        self.mask_token, self.mask_token_id = special.token("mask_token"), special.id("mask_token")
        self.cls_token, self.cls_token_id = special.token("cls_token"), special.id("cls_token")
        self.sep_token, self.sep_token_id = special.token("sep_token"), special.id("sep_token")
        self.unk_token, self.unk_token_id = special.token("unk_token"), special.id("unk_token")
        self.model_max_length = tokenizer.max_length
        self.padding_side = tokenizer.padding_side
        self.is_fast = True


def check_opening(given: Mapping[str, Any], bundle: Bundle) -> None:
    """Refuse arguments of ``transformers.pipeline`` that ask for something else than is done.

    Args:
        given: some of :data:`OPENING`, by name.
        bundle: what is opened.

    Raises:
        InputError: an argument cannot be obeyed.
    """
    for name, value in given.items():
        if value is None:
            continue
        refused = OPENING[name](value, bundle)
        if refused is not None:
            raise InputError(f"{name} is {_short(value)}; {refused}")


def _short(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."


def _device(value: object, _: Bundle) -> str | None:
    cpu = value == -1 or str(value).partition(":")[0] == "cpu"
    return None if cpu else 'LeanBERT computes on CPUs: leave it out, or pass device="cpu"'


def _device_map(value: object, _: Bundle) -> str | None:
    places = set(value.values()) if isinstance(value, Mapping) else {value}
    cpu = all(str(place) in ("auto", "cpu") for place in places)
    return None if cpu else "LeanBERT computes on CPUs: leave it out"


def _own_files(value: object, bundle: Bundle) -> str | None:
    own = isinstance(value, (str, Path)) and Path(value).absolute() == bundle.path.absolute()
    if bundle.manifest and bundle.manifest.source.get("revision"):  # made of this hub's checkpoint
        own = own or value == bundle.manifest.source.get("model")
    return None if own else "a bundle has its own: export the checkpoint again with the other one"


def _framework(value: object, _: Bundle) -> str | None:
    return None if value == "pt" else "LeanBERT runs graphs that PyTorch wrote: leave it out"


def _dtype(value: object, bundle: Bundle) -> str | None:
    name = str(value).removeprefix("torch.")
    recipe = bundle.manifest.recipe.get("name", "") if bundle.manifest else "fp32"
    if name == "auto" or (name == "float32" and recipe == "fp32"):
        return None
    return f"a bundle fixes how it computes, this one by the recipe {recipe}: leave it out"


def _use_fast(value: object, _: Bundle) -> str | None:
    return None if value is True else "LeanBERT has fast tokenizers only"


def _revision(value: object, bundle: Bundle) -> str | None:
    from leanbert.pipelines import embedded_bundle  # late: it imports this module

    if bundle.path == embedded_bundle():
        return "the embedded model has one: leave it out, or name a repository as owner/name"
    source = bundle.manifest.source.get("revision") if bundle.manifest else None
    if value == source:
        return None
    made = f"this one was made of {source}" if source else "this one does not say which"
    return f"a bundle is of one revision, {made}: export the other with --revision"


def _own_graph(value: object, bundle: Bundle) -> str | None:
    own = str(value).rpartition("/")[2] == bundle.model_path.name
    return None if own else f"the bundle was opened with {bundle.model_path.name}: leave it out"


def _own_folder(value: object, bundle: Bundle) -> str | None:
    folder = bundle.model_path.parent.as_posix()
    own = f"{folder}/".endswith(f"/{str(value).strip('/')}/") or value == ""
    return None if own else f"the bundle was opened with a graph in {folder}: leave it out"


def _anything(_: object, __: Bundle) -> str | None:
    return None


def _nothing(value: object, _: Bundle) -> str | None:
    return None if value in ({}, False) else "LeanBERT has no use for it: leave it out"


OPENING: Mapping[str, Callable[[Any, Bundle], str | None]] = {
    "binary_output": _nothing,
    "code_revision": _anything,  # a bundle holds no code
    "config": _own_files,
    "device": _device,
    "device_map": _device_map,
    "dtype": _dtype,
    "feature_extractor": _nothing,
    "file_name": _own_graph,
    "framework": _framework,
    "image_processor": _nothing,
    "model_kwargs": _nothing,
    "pipeline_class": _nothing,
    "processor": _nothing,
    "revision": _revision,
    "subfolder": _own_folder,
    "token": _anything,  # nothing is downloaded from here on
    "tokenizer": _own_files,
    "torch_dtype": _dtype,
    "trust_remote_code": _anything,  # a bundle holds no code
    "use_fast": _use_fast,
    "video_processor": _nothing,
}
"""The arguments, and what says why a value cannot be obeyed; it says ``None`` where it can."""
