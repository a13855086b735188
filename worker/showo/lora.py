"""LoRA on Show-o's transformer through peft: adapters are added, switched off, kept in peft's format, and merged.

It knows the transformer and files, no training. peft is imported only where an adapter is made, for that takes seconds.
"""

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from worker.showo.model import Prefix, Showo
from worker.showo.policy import ShowoPolicy
from worker.showo.sources import is_hub_name
from worker.showo.weights import write_weights

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"

_NAME = "default"
_PUBLISHED_PREFIX = "base_model.model."
# What peft may do besides, and a sum of weights does not say.
_PLAIN: dict[str, tuple[object, ...]] = {
    "peft_type": ("LORA",),
    "bias": ("none",),
    "use_dora": (False, None),
    "use_rslora": (False, None),
    "rank_pattern": ({}, None),
    "alpha_pattern": ({}, None),
    "modules_to_save": (None, []),
}


def add_adapter(
    showo: Showo, rank: int, alpha: float, target_modules: Sequence[str], generator: torch.Generator
) -> None:
    """Freeze the transformer and put trainable low-rank factors beside linear maps of every layer.

    Each of them becomes `W x + alpha / rank * B A x`, (Hu et al., arXiv 2106.09685); B begins at 0, so nothing changes
    until it is trained. There is no dropout: a replayed log-prob is that of the rollout.

    Args:
        showo: is changed in place.
        rank: r, the rows of A and columns of B.
        alpha: the scale.
        target_modules: among q_proj, k_proj, v_proj, dense, fc1, fc2.
        generator: on the CPU, draws A.
    """
    from peft import LoraConfig, inject_adapter_in_model  # noqa: PLC0415

    names = [str(name) for name in target_modules]
    config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=0.0, bias="none", target_modules=names)
    with torch.random.fork_rng(devices=[]):
        inject_adapter_in_model(config, showo, adapter_name=_NAME)
    with torch.no_grad():
        for _, layer in _adapted(showo):
            factor = layer.lora_A[_NAME].weight
            drawn = torch.empty(factor.shape)
            nn.init.kaiming_uniform_(drawn, a=math.sqrt(5), generator=generator)
            factor.copy_(drawn)
            layer.lora_B[_NAME].weight.zero_()


class AdapterlessPolicy:
    """The policy as it was before it got its adapter: a frozen reference that needs no weights of its own."""

    def __init__(self, policy: ShowoPolicy) -> None:
        self._policy = policy

    @property
    def num_image_tokens(self) -> int:
        """As `ShowoPolicy`."""
        return self._policy.num_image_tokens

    @property
    def codebook_size(self) -> int:
        """As `ShowoPolicy`."""
        return self._policy.codebook_size

    @property
    def device(self) -> torch.device:
        """As `ShowoPolicy`."""
        return self._policy.device

    @torch.no_grad()
    def prefix(self, prompts: Sequence[str]) -> Prefix:
        """As `ShowoPolicy`, without gradients."""
        with without_adapter(self._policy.showo):
            return self._policy.prefix(prompts)

    @torch.no_grad()
    def code_logits(self, prefix: Any, codes: Tensor, rows: Tensor | None = None) -> Tensor:
        """As `ShowoPolicy`, without gradients."""
        with without_adapter(self._policy.showo):
            return self._policy.code_logits(prefix, codes, rows)

    def decode(self, codes: Tensor) -> Tensor:
        """As `ShowoPolicy`: the image tokenizer has no adapter."""
        return self._policy.decode(codes)

    def code_embeddings(self) -> Tensor:
        """As `ShowoPolicy`."""
        return self._policy.code_embeddings()


@contextmanager
def without_adapter(showo: Showo) -> Iterator[None]:
    """Switch the adapter off for the time of the block."""
    layers = [layer for _, layer in _adapted(showo)]
    for layer in layers:
        layer.enable_adapters(False)
    try:
        yield
    finally:
        for layer in layers:
            layer.enable_adapters(True)


@contextmanager
def merged(showo: Showo) -> Iterator[None]:
    """Put plain linear maps with the sums W + alpha / rank * B A in place for the time of the block.

    The sums lie on the CPU, where an export reads them: a GPU may have no room for them. What was there before is put
    back bit for bit, which to subtract the adapter again would not do.
    """
    adapted = list(_adapted(showo))
    for path, layer in adapted:
        _replace(showo, path, _merged_linear(layer))
    try:
        yield
    finally:
        for path, layer in adapted:
            _replace(showo, path, layer)


def save_adapter(showo: Showo, folder: Path, base: str) -> None:
    """Write the adapter in peft's format: adapter_config.json and adapter_model.safetensors.

    Args:
        showo: has an adapter.
        folder: is made where it is not.
        base: where the policy lies that the adapter belongs to, relative to the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = showo.peft_config[_NAME].to_dict() | {"base_model_name_or_path": base, "inference_mode": True}
    config = {name: sorted(value) if isinstance(value, set) else value for name, value in config.items()}
    (folder / ADAPTER_CONFIG).write_text(json.dumps(config, indent=1, default=str) + "\n")
    factors = {
        f"{_PUBLISHED_PREFIX}{path}.{side}.weight": getattr(layer, side)[_NAME].weight.detach().cpu().contiguous()
        for path, layer in _adapted(showo)
        for side in ("lora_A", "lora_B")
    }
    write_weights(folder / ADAPTER_WEIGHTS, factors)


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter."""
    return (folder / ADAPTER_CONFIG).is_file()


def base_of(folder: Path) -> Path:
    """Where the policy lies that an adapter's folder belongs to: a folder, or a hub name as a path.

    Raises:
        ValueError: it is not there and its name is none of the hub's, or the folder does not name it.
    """
    named = _read_config(folder).get("base_model_name_or_path")
    base = (folder / str(named)).resolve()
    if named and not base.is_dir() and is_hub_name(str(named)):
        # Peft writes the name that the base was loaded by; loading it looks into the hub's cache.
        return Path(str(named))
    if not named or not base.is_dir():
        raise ValueError(
            f"the adapter in {folder} belongs to the policy at {base if named else 'a place that it does not name'}, "
            f"which is not there: put it back, or name its folder in {ADAPTER_CONFIG} as base_model_name_or_path"
        )
    return base


def merge_adapter(showo: Showo, folder: Path) -> None:
    """Add an adapter in peft's format to a transformer's weights, for good.

    Raises:
        ValueError: the folder's files are broken, it holds more than plain LoRA, or it belongs to another transformer.
    """
    config = _read_config(folder)
    if odd := [name for name, plain in _PLAIN.items() if config.get(name, plain[0]) not in plain]:
        raise ValueError(f"the adapter in {folder} sets {', '.join(odd)}: only plain LoRA can be merged here")
    try:
        factors = load_file(folder / ADAPTER_WEIGHTS)
        scale = float(config["lora_alpha"]) / int(config["r"])
    except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
        raise ValueError(f"the adapter in {folder} is broken: {error}; copy it anew") from error
    maps = dict(showo.named_modules())
    paths = sorted({name.removeprefix(_PUBLISHED_PREFIX).rpartition(".lora_")[0] for name in factors})
    with torch.no_grad():
        for path in paths:
            linear = maps.get(path)
            down, up = (factors.get(f"{_PUBLISHED_PREFIX}{path}.lora_{side}.weight") for side in "AB")
            if not isinstance(linear, nn.Linear) or down is None or up is None:
                raise ValueError(f"the adapter in {folder} names {path}, which is no pair of factors of a linear map")
            if (up.shape[0], down.shape[1]) != linear.weight.shape:
                raise ValueError(f"the adapter's factors of {path} do not make {tuple(linear.weight.shape)}")
            linear.weight.add_((up.float() @ down.float() * scale).to(linear.weight))


def _adapted(showo: Showo) -> list[tuple[str, Any]]:
    """The adapted linear maps by their paths."""
    return [(path, module) for path, module in showo.named_modules() if hasattr(module, "lora_A")]


def _merged_linear(layer: Any) -> nn.Linear:
    linear = nn.Linear(layer.in_features, layer.out_features, device="meta")
    delta = layer.get_delta_weight(_NAME).detach().cpu()
    linear.weight = nn.Parameter(layer.base_layer.weight.detach().cpu() + delta, requires_grad=False)
    linear.bias = nn.Parameter(layer.base_layer.bias.detach().cpu(), requires_grad=False)
    return linear


def _replace(showo: Showo, path: str, module: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(showo.get_submodule(parent), name, module)


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads((folder / ADAPTER_CONFIG).read_bytes())
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder / ADAPTER_CONFIG} is missing or broken: {error}; copy it anew") from error
    return config
