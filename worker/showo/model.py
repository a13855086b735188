"""Show-o's transformer: Phi with qk-layernorm over one vocabulary of text, special, image and mask tokens.

Parameter names are the published ones (`showo.model.layers.0...`). It knows ids and attention, no texts and no pixels.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worker.showo.attention import attend_by_mask, attend_causally, attend_to_all
from worker.showo.prompting import NUM_NEW_TOKENS, TextBatch

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class ShowoConfig:
    """Sizes of a Show-o; the defaults are the published 512 px model on Phi-1.5."""

    llm_vocab_size: int = 50295
    """words of the language model's tokenizer"""
    codebook_size: int = 8192
    num_image_tokens: int = 1024
    max_text_tokens: int = 128
    """longest text block without its task token"""
    bos_token_id: int = 50256
    eos_token_id: int = 50256
    hidden_size: int = 2048
    intermediate_size: int = 8192
    num_layers: int = 24
    num_heads: int = 32
    partial_rotary_factor: float = 0.5
    """share of each head's dimensions that turn with the position"""
    rope_theta: float = 10000.0
    layer_norm_eps: float = 1e-5
    initializer_range: float = 0.02

    @property
    def vocab_size(self) -> int:
        """Words, new tokens, image codes and the mask token."""
        return self.first_image_id + self.codebook_size + 1

    @property
    def first_image_id(self) -> int:
        """The vocabulary id of image code 0."""
        return self.llm_vocab_size + NUM_NEW_TOKENS

    @property
    def mask_token_id(self) -> int:
        """The vocabulary id of the mask token, the last one: code `codebook_size` by the same offset."""
        return self.vocab_size - 1

    @property
    def head_dim(self) -> int:
        """Dimensions of one attention head."""
        return self.hidden_size // self.num_heads


@dataclass(frozen=True)
class Prefix:
    """B texts as every layer's keys and values: constant over all unmasking steps and members of a group."""

    keys: tuple[Tensor, ...]
    """one (B, heads, M, head_dim) a layer"""
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

    def repeat_interleave(self, repeats: int) -> "Prefix":
        """Return each prompt's prefix `repeats` times in a row, for the members of its group."""
        rows = torch.arange(len(self), device=self.is_text.device)
        return self.index(rows.repeat_interleave(repeats))


def rotary_angles(positions: Tensor, config: ShowoConfig) -> tuple[Tensor, Tensor]:
    """Return cosines and sines, each (..., 1, L, rotary_dims) float32, for (..., L) integer positions."""
    rotary_dims = int(config.partial_rotary_factor * config.head_dim)
    exponents = torch.arange(0, rotary_dims, 2, device=positions.device).float() / rotary_dims
    angles = positions[..., None].float() * (1.0 / config.rope_theta**exponents)
    angles = torch.cat([angles, angles], dim=-1).unsqueeze(-3)
    return angles.cos(), angles.sin()


def rotate(heads: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
    """Turn the first rotary dims of (B, heads, L, head_dim) by the angles of their positions."""
    cos, sin = (part.to(heads.dtype) for part in rotary)
    turning, still = heads[..., : cos.shape[-1]], heads[..., cos.shape[-1] :]
    first, second = turning.chunk(2, dim=-1)
    turned = turning * cos + torch.cat([-second, first], dim=-1) * sin
    return torch.cat([turned, still], dim=-1)


class PhiAttention(nn.Module):
    """Attention with a layer norm on each head's queries and keys, before the rotation."""

    def __init__(self, config: ShowoConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.q_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.k_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.v_proj = nn.Linear(config.hidden_size, config.hidden_size)
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.q_layernorm = nn.LayerNorm(config.head_dim, eps=config.layer_norm_eps)
        self.k_layernorm = nn.LayerNorm(config.head_dim, eps=config.layer_norm_eps)

    def _heads(self, projected: Tensor) -> Tensor:
        return projected.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)

    def queries(self, hidden: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
        """Return (B, heads, L, head_dim) queries of (B, L, hidden)."""
        return rotate(self.q_layernorm(self._heads(self.q_proj(hidden))), rotary)

    def keys_and_values(self, hidden: Tensor, rotary: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Return (B, heads, L, head_dim) keys and values of (B, L, hidden)."""
        keys = rotate(self.k_layernorm(self._heads(self.k_proj(hidden))), rotary)
        return keys, self._heads(self.v_proj(hidden))


class PhiMLP(nn.Module):
    """Two linear layers around a tanh-approximated GELU (Phi's `gelu_new` is the same function, unfused)."""

    def __init__(self, config: ShowoConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.hidden_size, config.intermediate_size)
        self.fc2 = nn.Linear(config.intermediate_size, config.hidden_size)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (B, L, hidden) to the same shape."""
        return self.fc2(F.gelu(self.fc1(hidden), approximate="tanh"))


class PhiLayer(nn.Module):
    """Phi's parallel block: `x + attention(norm(x)) + mlp(norm(x))`."""

    def __init__(self, config: ShowoConfig) -> None:
        super().__init__()
        self.self_attn = PhiAttention(config)
        self.mlp = PhiMLP(config)
        self.input_layernorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def keys_and_values(self, hidden: Tensor, rotary: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Return what later parts need of this layer's (B, L, hidden) input, without computing its output."""
        return self.self_attn.keys_and_values(self.input_layernorm(hidden), rotary)

    def forward(
        self,
        hidden: Tensor,
        rotary: tuple[Tensor, Tensor],
        attend: Attend,
        earlier: tuple[Tensor, ...] = (),
        rows: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the output (B, L, hidden) and this part's own keys and values; `earlier` ones come before them.

        With `rows`, (R,) flat indices into B * L, only these rows of the output are computed: (R, hidden).
        """
        normed = self.input_layernorm(hidden)
        keys, values = self.self_attn.keys_and_values(normed, rotary)
        all_keys = torch.cat([earlier[0], keys], dim=2) if earlier else keys
        all_values = torch.cat([earlier[1], values], dim=2) if earlier else values
        attended = attend(self.self_attn.queries(normed, rotary), all_keys, all_values)
        attended = attended.transpose(1, 2).flatten(2)
        if rows is not None:
            hidden, normed, attended = (part.flatten(0, 1)[rows] for part in (hidden, normed, attended))
        return hidden + self.self_attn.dense(attended) + self.mlp(normed), keys, values


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

    def initialise(self, generator: torch.Generator) -> None:
        """Draw fresh weights as Phi does: normal matrices, zero biases, unit norms."""
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=self.config.initializer_range, generator=generator)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def prefix(self, text: TextBatch) -> Prefix:
        """Run the text alone, once: it never sees the image. See `Prefix` for the shapes."""
        rotary = rotary_angles(text.positions, self.config)
        hidden = self.showo.model.embed_tokens(text.ids)
        keys_by_layer, values_by_layer = [], []
        *body, last = self.showo.model.blocks()
        for layer in body:
            hidden, keys, values = layer(hidden, rotary, attend_causally)
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
        first = self.config.max_text_tokens + 1
        ids = F.pad(F.pad(codes + self.config.first_image_id, (1, 0), value=soi), (0, 1), value=eoi)
        positions = torch.arange(first, first + ids.shape[1], device=codes.device)
        rotary = rotary_angles(positions, self.config)
        is_key_text = prefix.is_text if prefix.is_ragged else None

        def attend(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
            return attend_to_all(queries, keys, values, is_key_text)

        hidden = self.showo.model.embed_tokens(ids)
        *body, last = zip(self.showo.model.blocks(), prefix.keys, prefix.values, strict=True)
        for layer, *earlier in body:
            hidden = layer(hidden, rotary, attend, tuple(earlier))[0]
        layer, *earlier = last
        num_tokens = codes.shape[1]
        if rows is None:
            return self.code_logits(layer(hidden, rotary, attend, tuple(earlier))[0][:, 1:-1])
        # A row lies one further in its sequence for soi, and two for every sequence before it.
        rows = rows + 2 * (rows // num_tokens) + 1
        return self.code_logits(layer(hidden, rotary, attend, tuple(earlier), rows)[0])

    def code_logits(self, hidden: Tensor) -> Tensor:
        """Return the head's image columns only, (..., codebook_size), of (..., hidden) before the last norm."""
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
