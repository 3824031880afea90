"""The heads that families share; a family's module names their tensors."""

from __future__ import annotations

from leanbert_export.architectures.description import (
    Activation,
    Embeddings,
    Head,
    Linear,
    Norm,
)
from leanbert_export.architectures.tensors import NotDescribedError, Tensors

__all__ = ["first_token_head", "plain_head", "tied_decoder", "word_head"]


def plain_head(tensors: Tensors, task: str) -> Head:
    """The heads that all families have alike: tags, answers, and none."""
    if task == "token-classification":
        return Head(("logits",), classifier=tensors.linear("classifier"))
    if task == "question-answering":
        return Head(("start_logits", "end_logits"), classifier=tensors.linear("qa_outputs"))
    if task == "feature-extraction":
        return Head(("last_hidden_state",))
    raise NotDescribedError(f"{task} is not described")


def first_token_head(dense: Linear, activation: Activation, classifier: Linear) -> Head:
    """The head of a text classifier, which reads the first token."""
    return Head(("logits",), "first_token", dense, activation, classifier=classifier)


def word_head(
    dense: Linear, activation: Activation, norm: Norm, decoder: tuple[Linear, bool]
) -> Head:
    """The head of a masked-language model.

    Args:
        dense: reads every token.
        activation: of what ``dense`` gives.
        norm: of the activations.
        decoder: gives the words' scores; and whether the embeddings are its weight, as
            :func:`tied_decoder` says it.
    """
    classifier, tied = decoder
    return Head(("logits",), "none", dense, activation, norm=norm, classifier=classifier, tied=tied)


def tied_decoder(
    head: Tensors, name: str, bias: str, embeddings: Embeddings
) -> tuple[Linear, bool]:
    """The words' scores of a masked-language model, and whether the embeddings are its weight.

    Args:
        head: the head's tensors.
        name: of the decoder in it.
        bias: of the bias, which is kept beside the decoder.
        embeddings: of the model.
    """
    decoder = head.linear(name)
    tied = decoder.weight.ctypes.data == embeddings.word.ctypes.data
    beside = head.optional(bias)
    return Linear(decoder.weight, beside if decoder.bias is None else decoder.bias), tied
