"""Each saving of the fast path switched off alone, around the same policy: what is left is how it would be without it.

Every ablation computes the same numbers as the whole path (a test of the benchmark compares them), only with more work.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn

from worker.showo import model
from worker.showo.policy import ShowoPolicy

ABLATIONS: Mapping[str, str] = {
    "text-prefix keys and values": "texts read again at every step, by every member",
    "image-only head": "logits over the whole vocabulary",
    "gathered rows": "logits at every position",
    "attention by parts": "a dense mask over queries and keys",
    "loop without host questions": "a question a picture and step",
}


@dataclass(frozen=True)
class Prompts:
    """The prompts themselves in the place of their keys and values: whoever reads them reads them anew."""

    texts: tuple[str, ...]

    def index(self, rows: Tensor) -> Prompts:
        """The prompts of the given rows."""
        return Prompts(tuple(self.texts[row] for row in rows.tolist()))


class AblatedPolicy(nn.Module):
    """A policy as the algorithm asks for it, without one of the savings."""

    def __init__(self, policy: ShowoPolicy, without: str) -> None:
        super().__init__()
        self.policy = policy
        self._without = without
        self.num_image_tokens, self.codebook_size = policy.num_image_tokens, policy.codebook_size

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.policy.device

    def prefix(self, prompts: Sequence[str]) -> Any:
        """The encoded prompts, or the prompts."""
        return (
            Prompts(tuple(prompts)) if self._without == "text-prefix keys and values" else self.policy.prefix(prompts)
        )

    def code_logits(self, prefix: Any, codes: Tensor, rows: Tensor | None = None) -> Tensor:
        """The same logits as the policy's."""
        if isinstance(prefix, Prompts):
            prefix = self.policy.prefix(prefix.texts)
        if self._without == "loop without host questions":
            assert all(int((picture == self.codebook_size).sum()) > 0 for picture in codes)
        if self._without == "gathered rows" and rows is not None:
            return self.policy.code_logits(prefix, codes).flatten(0, 1)[rows]
        return self.policy.code_logits(prefix, codes, rows)

    def decode(self, codes: Tensor) -> Tensor:
        """The policy's."""
        return self.policy.decode(codes)


@contextmanager
def ablated(policy: ShowoPolicy, without: str) -> Iterator[AblatedPolicy]:
    """The policy without one saving, for the time of the block; ValueError where there is no such saving."""
    if without not in ABLATIONS:
        raise ValueError(f"there is no saving {without!r}: take one of {', '.join(ABLATIONS)}")
    if without == "image-only head":
        showo = policy.showo
        columns = slice(showo.config.first_image_id, showo.config.mask_token_id)

        def whole_head(hidden: Tensor) -> Tensor:
            inner = showo.showo
            return inner.lm_head(inner.model.final_layernorm(hidden))[..., columns]

        with patch.object(showo, "code_logits", whole_head):
            yield AblatedPolicy(policy, without)
    elif without == "attention by parts":
        with patch.object(model, "attend_to_all", _attend_under_a_dense_mask):
            yield AblatedPolicy(policy, without)
    else:
        yield AblatedPolicy(policy, without)


def _attend_under_a_dense_mask(queries: Tensor, keys: Tensor, values: Tensor, key_bias: Tensor | None) -> Tensor:
    """As `attend_to_all`, with a mask that says for each query of each picture which keys it may see."""
    batch, num_queries, num_keys = queries.shape[0], queries.shape[1], keys.shape[1]
    allowed = torch.ones(batch, num_queries, num_keys, dtype=torch.bool, device=queries.device)
    if key_bias is not None:
        allowed = allowed & (key_bias[:, 0] == 0)
    return model.attend_by_mask(queries, keys, values, allowed)
