"""BERT, and the pieces that the families which keep its names share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from leanbert_export.architectures.activations import activation
from leanbert_export.architectures.description import (
    Attention,
    Embeddings,
    Encoder,
    FeedForward,
    Head,
    Layer,
    Linear,
)
from leanbert_export.architectures.tensors import NotDescribedError, Tensors

__all__ = ["bert_embeddings", "bert_layers", "describe", "plain_head", "tied_decoder"]


def describe(config: Mapping[str, Any], tensors: Tensors, task: str) -> Encoder:
    """BERT: the pooler, ``cls.predictions`` and plain classifiers."""
    base = tensors.under("" if task == "feature-extraction" else "bert")
    embeddings = bert_embeddings(config, base.under("embeddings"))
    return Encoder(
        "bert",
        embeddings,
        bert_layers(config, base.under("encoder.layer")),
        _head(config, tensors, embeddings, task),
        max_tokens=int(config["max_position_embeddings"]),
    )


def _head(config: Mapping[str, Any], tensors: Tensors, embeddings: Embeddings, task: str) -> Head:
    if task == "text-classification":
        dense = tensors.linear("bert.pooler.dense")
        classifier = tensors.linear("classifier")
        return Head(("logits",), "first_token", dense, "tanh", classifier=classifier)
    if task == "fill-mask":
        head = tensors.under("cls.predictions")
        decoder, tied = tied_decoder(head, "decoder", "bias", embeddings)
        return Head(
            ("logits",),
            dense=head.linear("transform.dense"),
            activation=activation(config["hidden_act"]),
            norm=head.norm("transform.LayerNorm", config["layer_norm_eps"]),
            classifier=decoder,
            tied=tied,
        )
    return plain_head(tensors, task)


def plain_head(tensors: Tensors, task: str) -> Head:
    """The heads that all families have alike: tags, answers, and none."""
    if task == "token-classification":
        return Head(("logits",), classifier=tensors.linear("classifier"))
    if task == "question-answering":
        return Head(("start_logits", "end_logits"), classifier=tensors.linear("qa_outputs"))
    if task == "feature-extraction":
        return Head(("last_hidden_state",))
    raise NotDescribedError(f"{task} is not described")


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


def bert_embeddings(
    config: Mapping[str, Any], tensors: Tensors, padding_idx: int | None = None
) -> Embeddings:
    """Words, positions and types under BERT's names."""
    if config.get("position_embedding_type", "absolute") != "absolute":
        raise NotDescribedError("its positions are not absolute")
    return Embeddings(
        word=tensors["word_embeddings.weight"],
        norm=tensors.norm("LayerNorm", config["layer_norm_eps"]),
        position=tensors["position_embeddings.weight"],
        padding_idx=padding_idx,
        token_type=tensors.optional("token_type_embeddings.weight"),
    )


def bert_layers(config: Mapping[str, Any], tensors: Tensors) -> list[Layer]:
    """The layers under BERT's names.

    Args:
        config: of the model.
        tensors: those of all layers, each under its number.
    """
    heads, eps = int(config["num_attention_heads"]), config["layer_norm_eps"]
    layers = []
    for i in range(int(config["num_hidden_layers"])):
        layer = tensors.under(str(i))
        own = layer.under("attention.self")
        query = own.linear("query")
        layers.append(
            Layer(
                Attention(
                    query,
                    own.linear("key"),
                    own.linear("value"),
                    layer.linear("attention.output.dense"),
                    heads,
                    scale=(query.weight.shape[1] // heads) ** -0.5,
                ),
                layer.norm("attention.output.LayerNorm", eps),
                FeedForward(
                    layer.linear("intermediate.dense"),
                    layer.linear("output.dense"),
                    activation(config["hidden_act"]),
                ),
                layer.norm("output.LayerNorm", eps),
            )
        )
    return layers
