"""What the files of sentence-transformers say beside a model: which vectors its ``encode`` gives.

Such a directory describes a chain of modules: a transformer, a pooling of its vectors, then perhaps
dense layers and a normalization; and prompts, a dimension to cut to, an activation. All of it is
read here into one :class:`SentenceModules`. What LeanBERT does not do is refused by its name, since
the vectors would be other ones and nothing would say so. The names are those of
sentence-transformers 6.2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from leanbert.bundle.manifest import LONGEST, is_plain
from leanbert.bundle.reading import parse_json, parse_json_value
from leanbert.bundle.values import WrongValueError, boolean, brief, items, mapping, text, whole
from leanbert.errors import BundleCorruptError, BundleError

__all__ = [
    "ACTIVATIONS",
    "MODULES",
    "POOLINGS",
    "SETTINGS",
    "TRANSFORMER",
    "SentenceModules",
    "Step",
    "read_modules",
]

MODULES, SETTINGS = "modules.json", "config_sentence_transformers.json"
TRANSFORMER = "sentence_bert_config.json"
_TRANSFORMERS = tuple(  # as older versions called it
    f"sentence_{family}_config.json"
    for family in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
"""The older form of a pooling's config; several are concatenated in this order."""
POOLINGS = tuple(_FLAGS.values())
"""The ways to make one vector of those of a text's tokens."""
ACTIVATIONS = {"Identity": "none", "ReLU": "relu", "Sigmoid": "sigmoid", "Tanh": "tanh"}
"""Torch's names of the activations that a dense layer may have, with LeanBERT's."""
_STEPS = ("Normalize", "Dense", "LayerNorm")
_EMBEDDING = "sentence_embedding"
# What changes no vector: where numbers are kept meanwhile, and how attention is computed.
_HARMLESS = {"add_pooling_layer", "attn_implementation", "dtype", "torch_dtype", "unpad_inputs"}
_HARMLESS.add("trust_remote_code")
_ARGUMENTS = {f"{part}_args" for part in ("model", "tokenizer", "config")}  # as they were called
_ARGUMENTS |= {f"{part}_kwargs" for part in ("model", "processor", "config")}


@dataclass(frozen=True)
class Step:
    """A module after the pooling."""

    kind: str
    """``"Normalize"``, ``"Dense"`` or ``"LayerNorm"``."""
    folder: str
    """Where its files are, relative to the directory."""
    activation: str = "none"
    """Of a dense layer: a value of :data:`ACTIVATIONS`."""
    residual: bool = False
    """Whether a dense layer adds its input, projected where the widths differ."""

    @property
    def weights(self) -> str | None:
        """The file of its weights; ``None`` where it has none."""
        return None if self.kind == "Normalize" else f"{self.folder}/model.safetensors"

    def __str__(self) -> str:
        """For a person, for example ``"Dense (2_Dense, tanh)"``."""
        if self.kind == "Normalize":
            return "scaled to length 1"
        said = [self.folder, *([self.activation] if self.activation != "none" else [])]
        return f"{self.kind} ({', '.join(said + ['residual'] * self.residual)})"


@dataclass(frozen=True)
class SentenceModules:
    """What a directory of sentence-transformers says; the defaults are those of its classes."""

    pooling: tuple[str, ...] = ()
    """Some of :data:`POOLINGS`, whose vectors are concatenated; none in a cross-encoder."""
    include_prompt: bool = True
    """Whether the tokens of the prompt are pooled, too."""
    steps: tuple[Step, ...] = ()
    """What follows the pooling, in order."""
    max_seq_length: int | None = None
    """Longest input in tokens; ``None`` where the directory does not say."""
    lower_case: bool = False
    """Whether texts are lower-cased before the tokenizer's own steps."""
    prompts: Mapping[str, str] = field(default_factory=dict)
    """Texts that stand before an input, by the names that callers choose them by."""
    default_prompt_name: str | None = None
    truncate_dim: int | None = None
    """The number of dimensions that vectors are cut to, after all steps."""
    similarity_fn_name: str | None = None
    """How two vectors are meant to be compared; LeanBERT does not compare them."""
    activation_fn: str | None = None
    """Of a cross-encoder: a class of torch by its full name."""
    folder: str = ""
    """Where the transformer's files are, relative to the directory."""

    @property
    def default_prompt(self) -> str:
        """The text that stands before every input unless the caller says otherwise."""
        return self.prompts.get(self.default_prompt_name or "", "")

    @property
    def line(self) -> str:
        """One line for a person, for example ``"mean of the tokens, scaled to length 1"``."""
        parts = [f"{' + '.join(self.pooling)} pooling"] if self.pooling else []
        if not self.include_prompt:
            parts.append("without the prompt's tokens")
        parts += map(str, self.steps)
        if self.truncate_dim is not None:
            parts.append(f"the first {self.truncate_dim} dimensions")
        if self.max_seq_length is not None:
            parts.append(f"up to {self.max_seq_length} tokens")
        named = {name: prompt for name, prompt in self.prompts.items() if prompt}
        if named:
            said = (f"{name} {brief(prompt)}" for name, prompt in named.items())
            parts.append(f"prompts {', '.join(said)}")
        if self.default_prompt:
            parts.append(f"by default {self.default_prompt_name}")
        if self.similarity_fn_name is not None:
            parts.append(f"compared by {self.similarity_fn_name}")
        if self.activation_fn is not None:
            parts.append(f"scores by {self.activation_fn}")
        return "; ".join([", ".join(parts[:1]), *parts[1:]]) if parts else "nothing"


def read_modules(
    read: Callable[[str], bytes | None], where: Path, *, own_folder: bool = False
) -> SentenceModules | None:
    """Read what a sentence-transformers directory says.

    Args:
        read: the content of a file by its name in the directory; ``None`` where it is not there.
        where: the directory, for messages.
        own_folder: whether the transformer may lie in a folder of its own.

    Returns:
        ``None`` for a directory without ``modules.json``.

    Raises:
        BundleError: a module, or a setting of one, would be dropped.
        BundleCorruptError: one of its files is malformed.
    """
    data = read(MODULES)
    if data is None:
        return None
    reader = _Reader(read, where)
    try:
        found = reader.modules(parse_json_value(data, where / MODULES))
    except WrongValueError as error:
        raise BundleCorruptError(f"{where / reader.name}: {error}; copy the model again") from error
    if found.folder and not own_folder:
        reader.dropped.insert(0, f"the model in a folder of its own ({found.folder})")
    if reader.dropped:
        raise BundleError(
            f"{where}: a sentence-transformers model of which LeanBERT would drop "
            f"{', '.join(reader.dropped)}; where the vectors of its tokens are all that you need, "
            f"remove {MODULES}"
        )
    return found


class _Reader:
    """Reads the files one after the other, and collects what would be dropped."""

    def __init__(self, read: Callable[[str], bytes | None], where: Path) -> None:
        self._read = read
        self._where = where
        self.name = MODULES
        """The file that is being read."""
        self.dropped: list[str] = []

    def modules(self, listed: object) -> SentenceModules:
        chain = [self._module(mapping("a module", item)) for item in items(MODULES, listed)]
        if not chain or chain[0][0] != "Transformer":
            self._drop(*(chain[0] if chain else ("an empty list of modules", "")))
            return SentenceModules()
        found: dict[str, Any] = {"folder": chain[0][1], **self._transformer(chain[0][1])}
        rest = chain[1:]
        if rest and rest[0][0] == "Pooling":
            found |= self._pooling(rest[0][1])
            rest = rest[1:]
        elif rest:
            self._drop(*rest[0])
            rest = []
        found["steps"] = tuple(step for place in rest for step in self._step(*place))
        return SentenceModules(**found, **self._settings(bool(found.get("pooling"))))

    def _module(self, module: Mapping[str, Any]) -> tuple[str, str]:
        """The class of a module, for example ``"Pooling"``, and its folder."""
        package, _, kind = text("type", module.get("type")).rpartition(".")
        folder = text("path", module.get("path"))
        if folder and not is_plain(folder):
            raise WrongValueError(f"path is {brief(folder)}; expected a folder of the model")
        if package.partition(".")[0] != "sentence_transformers":
            self.dropped.append(f"{brief(f'{package}.{kind}')}, which is code of its own")
        return kind, folder.rstrip("/")

    def _file(self, name: str) -> Mapping[str, Any]:
        self.name = name
        data = self._read(name)
        return {} if data is None else parse_json(data, self._where / name)

    def _drop(self, kind: str, folder: str) -> None:
        self.dropped.append(f"{kind} ({folder or 'without a folder'})")

    def _transformer(self, folder: str) -> dict[str, Any]:
        names = [f"{folder}/{name}" if folder else name for name in _TRANSFORMERS]
        settings = dict(next(filter(None, map(self._file, names)), {}))
        longest = settings.pop("max_seq_length", None)
        lower_case = settings.pop("do_lower_case", None)
        modality = settings.pop("modality_config", None)
        if modality is not None and set(mapping("modality_config", modality)) != {"text"}:
            self.dropped.append("modality_config of other inputs than text")
        for key, usual in (
            ("transformer_task", ("feature-extraction", "sequence-classification")),
            ("module_output_name", ("token_embeddings", "scores")),
        ):
            if settings.pop(key, None) not in (None, *usual):
                self.dropped.append(key)
        for key, value in settings.items():
            if key in _ARGUMENTS:
                self.dropped += sorted(set(mapping(key, value)) - _HARMLESS)
            elif value and key not in _HARMLESS:
                self.dropped.append(key)
        return {
            "max_seq_length": _optional("max_seq_length", longest),
            "lower_case": False if lower_case is None else boolean("do_lower_case", lower_case),
        }

    def _pooling(self, folder: str) -> dict[str, Any]:
        settings = dict(self._file(f"{folder}/config.json"))
        for width in ("word_embedding_dimension", "embedding_dimension"):
            settings.pop(width, None)
        include = boolean("include_prompt", settings.pop("include_prompt", True))
        flags = [mode for flag, mode in _FLAGS.items() if settings.pop(flag, False)]
        said = settings.pop("pooling_mode", None)
        modes = [said] if isinstance(said, str) else items("pooling_mode", said or flags)
        wrong = [mode for mode in modes if mode not in POOLINGS]
        wrong += [key.removeprefix("pooling_mode_") for key, value in settings.items() if value]
        if wrong:
            self.dropped.append(f"the pooling {' + '.join(map(brief, wrong))}")
        return {"pooling": tuple(modes) or ("mean",), "include_prompt": include}

    def _step(self, kind: str, folder: str) -> list[Step]:
        if kind == "Dropout":  # it does nothing after training
            return []
        if kind not in _STEPS or not (folder or kind == "Normalize"):
            self._drop(kind, folder)
            return []
        settings = dict(self._file(f"{folder}/config.json")) if folder else {}
        for key in ("module_input_name", "module_output_name"):
            if settings.pop(key, None) not in (None, _EMBEDDING):
                self.dropped.append(f"{key} of {kind} ({folder})")
        if kind != "Dense":
            return [Step(kind, folder)]
        package, _, name = text(
            "activation_function", settings.get("activation_function") or "torch.nn.Tanh"
        ).rpartition(".")
        if name not in ACTIVATIONS or package.partition(".")[0] != "torch":
            self.dropped.append(f"the activation {brief(name)} of Dense ({folder})")
        residual = boolean("use_residual", settings.get("use_residual", False))
        return [Step(kind, folder, ACTIVATIONS.get(name, ""), residual)]

    def _settings(self, embeds: bool) -> dict[str, Any]:
        settings = self._file(SETTINGS)
        kind = settings.get("model_type")
        if kind not in (None, "SentenceTransformer", "CrossEncoder"):
            self.dropped.append(f"the model_type {brief(kind)}")
        prompts = {"query": "", "document": ""} if embeds else {}  # encode always knows these
        for name, prompt in mapping("prompts", settings.get("prompts") or {}).items():
            prompts[name] = "" if prompt is None else text(f"prompts.{brief(name)}", prompt)
        default = settings.get("default_prompt_name")
        if default is not None and default not in prompts:
            raise WrongValueError(
                f"default_prompt_name is {brief(default)}; expected one of {', '.join(prompts)}"
            )
        similarity, function = settings.get("similarity_fn_name"), settings.get("activation_fn")
        return {
            "prompts": prompts,
            "default_prompt_name": default,
            "truncate_dim": _optional("truncate_dim", settings.get("truncate_dim")),
            "similarity_fn_name": None if similarity is None else text("similarity", similarity),
            "activation_fn": None if function is None else text("activation_fn", function),
        }


def _optional(name: str, value: object) -> int | None:
    return None if value is None else whole(name, value, 1, LONGEST)
