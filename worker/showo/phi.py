"""Phi's transformer layer with qk-layernorm. It knows vectors and positions, no vocabulary and no layout."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from worker.showo.config import ShowoConfig

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]


def rotary_angles(positions: Tensor, config: ShowoConfig) -> tuple[Tensor, Tensor]:
    """Return the rotation of (..., L) integer positions.

    Returns:
        Cosines (..., L, 1, head_dim), 1 where nothing turns, and signed sines (..., L, 1, rotary_dims), negative in the
        first half, where a rotation subtracts; both float32.
    """
    rotary_dims = int(config.partial_rotary_factor * config.head_dim)
    exponents = torch.arange(0, rotary_dims, 2, device=positions.device).float() / rotary_dims
    angles = (positions[..., None].float() * (1.0 / config.rope_theta**exponents)).unsqueeze(-2)
    cos, sin = angles.cos(), angles.sin()
    still = config.head_dim - rotary_dims
    return F.pad(torch.cat([cos, cos], dim=-1), (0, still), value=1.0), torch.cat([-sin, sin], dim=-1)


def as_multiplied(inputs: Tensor) -> Tensor:
    """Return what matrix products and attention will read: under autocast cast once here, not by each that reads it."""
    device = inputs.device.type
    return inputs.to(torch.get_autocast_dtype(device)) if torch.is_autocast_enabled(device) else inputs


def rotate(heads: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
    """Turn the first rotary dims of (B, L, heads, head_dim) by the angles of their positions."""
    cos, signed_sin = (part.to(heads.dtype) for part in rotary)
    rotary_dims = signed_sin.shape[-1]
    half = rotary_dims // 2
    turned = heads * cos
    # Two small sums in place cost half of what swapping the halves and laying the parts together does.
    turned[..., :half].addcmul_(heads[..., half:rotary_dims], signed_sin[..., :half])
    turned[..., half:rotary_dims].addcmul_(heads[..., :half], signed_sin[..., half:])
    return turned


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

    def heads(self, projected: Tensor) -> Tensor:
        """Return (B, L, heads, head_dim) of (B, L, hidden)."""
        return projected.unflatten(-1, (self.num_heads, -1))

    def queries(self, hidden: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
        """Return (B, L, heads, head_dim) queries of (B, L, hidden)."""
        return as_multiplied(rotate(self.q_layernorm(self.heads(self.q_proj(hidden))), rotary))

    def keys_and_values(self, hidden: Tensor, rotary: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Return (B, L, heads, head_dim) keys and values of (B, L, hidden)."""
        keys = as_multiplied(rotate(self.k_layernorm(self.heads(self.k_proj(hidden))), rotary))
        return keys, self.heads(self.v_proj(hidden))

    def unrotated(self, hidden: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values of (V, hidden) vectors without a position, each (V, hidden)."""
        shape = (self.num_heads, -1)
        queries = self.q_layernorm(self.q_proj(hidden).unflatten(-1, shape)).flatten(-2)
        keys = self.k_layernorm(self.k_proj(hidden).unflatten(-1, shape)).flatten(-2)
        return queries, keys, self.v_proj(hidden)


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
        return self.self_attn.keys_and_values(as_multiplied(self.input_layernorm(hidden)), rotary)

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
        normed = as_multiplied(self.input_layernorm(hidden))
        queries = self.self_attn.queries(normed, rotary)
        keys, values = self.self_attn.keys_and_values(normed, rotary)
        attended = _attend_after(attend, queries, keys, values, earlier)
        if rows is not None:
            hidden, normed, attended = (part.flatten(0, 1)[rows] for part in (hidden, normed, attended))
        return hidden + self.self_attn.dense(attended) + self.mlp(normed), keys, values

    def of_tokens(
        self,
        vectors: Tensor,
        tokens: Tensor,
        rotary: tuple[Tensor, Tensor],
        attend: Attend,
        earlier: tuple[Tensor, ...] = (),
    ) -> Tensor:
        """Return the first layer's output (B, L, hidden), whose input is one of V vectors at every position.

        The block is parallel, so all but the attention itself is a function of the token: it is computed once for each
        of the (V, hidden) vectors and looked up for the (B, L) int64 tokens in [0, V).
        """
        normed = as_multiplied(self.input_layernorm(vectors))
        by_token = [*self.self_attn.unrotated(normed), vectors + self.mlp(normed)]
        *projected, residual = F.embedding(tokens, torch.cat(by_token, dim=1)).chunk(4, dim=-1)
        queries, keys, values = (self.self_attn.heads(part) for part in projected)
        queries, keys = (as_multiplied(rotate(part, rotary)) for part in (queries, keys))
        attended = _attend_after(attend, queries, keys, as_multiplied(values), earlier)
        return residual + self.self_attn.dense(attended)


def _attend_after(attend: Attend, queries: Tensor, keys: Tensor, values: Tensor, earlier: tuple[Tensor, ...]) -> Tensor:
    """Attend to the earlier keys and values, where there are any, and then these; (B, L, hidden)."""
    all_keys = torch.cat([earlier[0], keys], dim=1) if earlier else keys
    all_values = torch.cat([earlier[1], values], dim=1) if earlier else values
    return attend(queries, all_keys, all_values).flatten(2)
