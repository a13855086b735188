"""Show-o's transformer as published: transformers' Phi with qk-layernorm, dense mask, `gelu_new`, all rows and columns.

It holds the very parameters of a policy of ours, so both ways compute with, and give gradients to, the same weights. Of
our model it takes nothing but these, which makes it an oracle that shares no code with what it checks.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from transformers import PhiConfig, PhiForCausalLM
from transformers.models.phi.modeling_phi import PhiRotaryEmbedding

from worker.showo.attention import omni_attention_allowed
from worker.showo.policy import ShowoPolicy


def published_logits(policy: ShowoPolicy, input_ids: Tensor) -> Tensor:
    """Logits of whole sequences over the full vocabulary, (B, L) int64 -> (B, L, vocabulary)."""
    allowed = omni_attention_allowed(input_ids, policy.layout)
    bias = torch.zeros(allowed.shape, device=allowed.device).masked_fill(~allowed, torch.finfo(torch.float32).min)
    return published_phi(policy)(input_ids=input_ids, attention_mask=bias[:, None], use_cache=False).logits


@lru_cache(maxsize=2)
def published_phi(policy: ShowoPolicy) -> PhiForCausalLM:
    """Transformers' Phi around the parameters of a policy, made without memory of its own."""
    ours = policy.showo.config
    config = PhiConfig(
        vocab_size=ours.vocab_size,
        hidden_size=ours.hidden_size,
        intermediate_size=ours.intermediate_size,
        num_hidden_layers=ours.num_layers,
        num_attention_heads=ours.num_heads,
        max_position_embeddings=policy.layout.sequence_length,
        layer_norm_eps=ours.layer_norm_eps,
        rope_parameters={
            "rope_type": "default",
            "rope_theta": ours.rope_theta,
            "partial_rotary_factor": ours.partial_rotary_factor,
        },
        qk_layernorm=True,
        attn_implementation="sdpa",
    )
    with torch.device("meta"):
        phi = PhiForCausalLM(config)
    for name, parameter in policy.showo.showo.named_parameters():
        *path, last = name.split(".")
        setattr(phi.get_submodule(".".join(path)), last, parameter)
    phi.model.rotary_emb = PhiRotaryEmbedding(config=config).to(policy.device)
    missing = [name for name, parameter in phi.named_parameters() if parameter.is_meta]
    assert not missing, f"the policy has no {missing}"
    return phi.eval()
