"""NomicBERT's published configs, which name code of their own that transformers needs no more."""

from __future__ import annotations

from typing import Any

import pytest

from leanbert_export.checkpoint.own_code import why_own_code

transformers = pytest.importorskip("transformers")
PUBLISHED: dict[str, Any] = {
    "model_type": "nomic_bert",
    "architectures": ["NomicBertModel"],
    "auto_map": {"AutoConfig": "a--b.NomicBertConfig", "AutoModel": "a--b.NomicBertModel"},
    "activation_function": "swiglu",
    "layer_norm_epsilon": 1e-12,
    "mlp_fc1_bias": False,
    "n_embd": 768,
    "n_head": 12,
    "n_inner": 3072,
    "n_layer": 12,
    "n_positions": 8192,
    "prenorm": False,
    "qkv_proj_bias": False,
    "rotary_emb_base": 1000,
    "rotary_emb_fraction": 1.0,
    "rotary_emb_interleaved": False,
    "rotary_scaling_factor": None,
    "type_vocab_size": 2,
    "use_flash_attn": True,
    "use_rms_norm": False,
    "vocab_size": 30528,
}
HAS_NOMIC = "nomic_bert" in transformers.CONFIG_MAPPING


@pytest.mark.skipif(not HAS_NOMIC, reason="this transformers has no NomicBERT")
def test_what_transformers_computes_the_same_passes() -> None:
    assert why_own_code(PUBLISHED) is None


@pytest.mark.skipif(not HAS_NOMIC, reason="this transformers has no NomicBERT")
@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"n_embd": 1024}, "n_embd 1024 is hidden_size 768 in transformers"),
        ({"rotary_emb_base": 10000}, "rotary_emb_base 10000 is rope_theta 1000.0"),
        ({"prenorm": True}, "prenorm True is not what transformers' NomicBertConfig computes"),
        ({"moe_top_k": 2}, "moe_top_k 2 is not what transformers' NomicBertConfig computes"),
        ({"architectures": ["NomicBertForPreTraining"]}, "no class NomicBertForPreTraining"),
    ],
)
def test_what_it_would_compute_otherwise_is_refused(change: dict[str, Any], cause: str) -> None:
    found = why_own_code({**PUBLISHED, **change})
    assert found is not None
    assert found.startswith("needs its own code (auto_map), which is never run")
    assert cause in found


@pytest.mark.skipif(HAS_NOMIC, reason="this transformers has NomicBERT")
def test_an_older_transformers_is_named() -> None:
    found = why_own_code(PUBLISHED)
    assert found is not None
    assert f"transformers {transformers.__version__} has no class for NomicBERT" in found


@pytest.mark.parametrize("family", ["bert", "new", "eurobert"])
def test_other_families_need_their_code(family: str) -> None:
    assert "needs its own code" in str(why_own_code({**PUBLISHED, "model_type": family}))
