"""Show-o's transformer: Phi with qk-layernorm over one vocabulary of text, special, image and mask tokens.

Parameter names are the published ones (`showo.model.layers.0...`). It knows ids and attention, no texts and no pixels.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from worker.showo.attention import attend_by_mask, attend_causally, attend_to_all, bias_of_keys
from worker.showo.config import ShowoConfig
from worker.showo.phi import PhiLayer, rotary_angles
from worker.showo.prompting import TextBatch

__all__ = ["Prefix", "Showo", "ShowoConfig"]


@dataclass(frozen=True)
class Prefix:
    """B texts as every layer's keys and values: constant over all unmasking steps and members of a group."""

    keys: tuple[Tensor, ...]
    """one (B, M, heads, head_dim) a layer"""
    values: tuple[Tensor, ...]
    """as keys"""
    is_text: Tensor
    """(B, M) bool, True where a slot holds a token"""
    is_ragged: bool
    """whether any slot is empty"""

    def __len__(self) -> int:
        return self.is_text.shape[0]

    def index(self, rows: Tensor) -> "Prefix":
        """Return the prefixes of the given rows, (R,) int64, repeats allowed; gradients flow through."""
        keys = tuple(layer[rows] for layer in self.keys)
        values = tuple(layer[rows] for layer in self.values)
        return Prefix(keys, values, self.is_text[rows], self.is_ragged)


class PhiModel(nn.Module):
    """Embedding, layers and last norm."""

    def __init__(self, config: ShowoConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(PhiLayer(config) for _ in range(config.num_layers))
        self.final_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def blocks(self) -> list[PhiLayer]:
        """Return the layers, typed."""
        return [layer for layer in self.layers if isinstance(layer, PhiLayer)]


class PhiForCausalLM(nn.Module):
    """The backbone and its untied head, named as published."""

    def __init__(self, config: ShowoConfig) -> None:
        super().__init__()
        self.model = PhiModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size)


class Showo(nn.Module):
    """Show-o's transformer over ids, by parts (`prefix`, `image_logits`) and the published way (`logits`)."""

    def __init__(self, config: ShowoConfig) -> None:
        super().__init__()
        self.config = config
        self.showo = PhiForCausalLM(config)
        self.autocast_dtype: torch.dtype | None = None
        """what `prefix` and `image_logits` multiply in, up to the head; None for the weights' own"""
        self.is_checkpointed = False
        """whether a backward pass computes each layer's inside again instead of keeping it"""
        self._of_tokens: Callable[..., Tensor] | None = None

    def initialise(self, generator: torch.Generator) -> None:
        """Draw fresh weights as Phi does: normal matrices, zero biases, unit norms."""
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=self.config.initializer_range, generator=generator)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def compile_layers(self, backend: str = "inductor") -> None:
        """Fuse every layer's norms, casts and sums by torch.compile; the first call of each kind takes seconds more.

        Sums are taken in another order, so outputs differ in their last bits from those of the layers as they are.
        """
        # All layers share their code: one variant for text, picture, rows, gradients, adapter on and off each.
        torch._dynamo.config.recompile_limit = max(64, torch._dynamo.config.recompile_limit)
        for layer in self.showo.model.blocks():
            layer.compile(dynamic=True, backend=backend)
        first = self.showo.model.blocks()[0]
        self._of_tokens = torch.compile(first.of_tokens, dynamic=True, backend=backend)

    def prefix(self, text: TextBatch) -> Prefix:
        """Run the text alone, once: it never sees the image. See `Prefix` for the shapes."""
        rotary = rotary_angles(text.positions, self.config)
        hidden = self.showo.model.embed_tokens(text.ids)
        keys_by_layer, values_by_layer = [], []
        *body, last = self.showo.model.blocks()
        with self._precision():
            for layer in body:
                hidden, keys, values = self._kept(layer, hidden, rotary, attend_causally)
                keys_by_layer.append(keys)
                values_by_layer.append(values)
            # Nothing reads the text's output of the last layer, so only its keys and values are computed.
            keys, values = last.keys_and_values(hidden, rotary)
        keys_by_layer.append(keys)
        values_by_layer.append(values)
        is_ragged = not bool(text.is_text.all())
        return Prefix(tuple(keys_by_layer), tuple(values_by_layer), text.is_text, is_ragged)

    def image_logits(self, prefix: Prefix, codes: Tensor, soi: int, eoi: int, rows: Tensor | None) -> Tensor:
        """Return logits over the codes at the image positions, by parts and without a dense mask.

        Args:
            prefix: of the B texts.
            codes: (B, N) int64 in [0, codebook_size], `codebook_size` where masked.
            soi: vocabulary id before the image.
            eoi: vocabulary id after the image.
            rows: (R,) int64 flat indices into B * N, the only positions wanted; None for all.

        Returns:
            (B, N, codebook_size) or (R, codebook_size), in the model's dtype.
        """
        num_tokens = codes.shape[1]
        first = self.config.max_text_tokens + 1
        positions = torch.arange(first, first + num_tokens + 2, device=codes.device)
        rotary = rotary_angles(positions, self.config)
        key_bias = bias_of_keys(prefix.is_text, num_tokens + 2) if prefix.is_ragged else None

        def attend(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
            return attend_to_all(queries, keys, values, key_bias)

        vectors, tokens = self._image_tokens(codes, soi, eoi)
        *body, last = zip(self.showo.model.blocks(), prefix.keys, prefix.values, strict=True)
        hidden = F.embedding(tokens, vectors)
        if rows is not None:
            # A row lies one further in its sequence for soi, and two for every sequence before it.
            rows = rows + 2 * (rows // num_tokens) + 1
        with self._precision():
            for depth, (layer, *earlier) in enumerate(body):
                # Looking a token up costs less than computing it as soon as most are repeated, as the mask is.
                if depth == 0 and tokens.numel() > 2 * len(vectors):
                    hidden = self._kept(
                        self._of_tokens or layer.of_tokens, vectors, tokens, rotary, attend, tuple(earlier)
                    )
                else:
                    hidden = self._kept(layer, hidden, rotary, attend, tuple(earlier))[0]
            layer, *earlier = last
            hidden = self._kept(layer, hidden, rotary, attend, tuple(earlier), rows)[0]
        return self.code_logits(hidden[:, 1:-1] if rows is None else hidden)

    def _kept(self, part: Callable[..., Any], *inputs: Any) -> Any:
        """Return a layer's output, keeping for the backward pass what goes into it or all that is inside."""
        if self.is_checkpointed and torch.is_grad_enabled():
            # There is no dropout, so nothing random has to be repeated.
            return checkpoint(part, *inputs, use_reentrant=False, preserve_rng_state=False)
        return part(*inputs)

    @contextmanager
    def _precision(self) -> Iterator[None]:
        """Multiply in `autocast_dtype`; sums, norms and the stream between the layers stay in the weights' own."""
        if self.autocast_dtype is None:
            yield
            return
        with torch.autocast(self.showo.lm_head.weight.device.type, dtype=self.autocast_dtype):
            yield

    def _image_tokens(self, codes: Tensor, soi: int, eoi: int) -> tuple[Tensor, Tensor]:
        """Return the vectors (V, hidden) of codes, mask, soi and eoi, V <= K + 3, and (B, N + 2) places among them."""
        first, last = self.config.first_image_id, self.config.mask_token_id
        soi_place = last + 1 - first
        ids = torch.arange(first, last + 3, device=codes.device)
        ids[-2], ids[-1] = soi, eoi
        places = F.pad(F.pad(codes, (1, 0), value=soi_place), (0, 1), value=soi_place + 1)
        # An update on a CPU takes those that occur. A rollout takes all: no last bit of a picture depends on what else
        # is in its batch. And a GPU alone knows how many occur: to ask it would stop the loop.
        if torch.is_grad_enabled() and places.device.type == "cpu":
            occurring, places = places.unique(return_inverse=True)
            ids = ids[occurring]
        # One look-up: each of several slices would get a gradient as large as the whole embedding.
        return self.showo.model.embed_tokens(ids), places

    def code_logits(self, hidden: Tensor) -> Tensor:
        """Return the head's image columns only, (..., codebook_size), of (..., hidden) before the last norm.

        Never under autocast: bfloat16 logits of 8 to 16 would be rounded to sixteenths, and log-probs with them.
        """
        columns = slice(self.config.first_image_id, self.config.mask_token_id)
        head = self.showo.lm_head
        return F.linear(self.showo.model.final_layernorm(hidden), head.weight[columns], head.bias[columns])

    def logits(self, input_ids: Tensor, allowed: Tensor) -> Tensor:
        """Return (B, L, vocab_size) logits of whole (B, L) sequences under a dense (B, L, L) rule, as published."""
        rotary = rotary_angles(torch.arange(input_ids.shape[1], device=input_ids.device), self.config)

        def attend(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
            return attend_by_mask(queries, keys, values, allowed)

        hidden = self.showo.model.embed_tokens(input_ids)
        for layer in self.showo.model.blocks():
            hidden = layer(hidden, rotary, attend)[0]
        return self.showo.lm_head(self.showo.model.final_layernorm(hidden))
