"""Show-o, MAGVIT-v2 and their text tokenizer from local folders in the published format, and back.

It knows files and names, no training and no sampling.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from worker.showo.model import Showo, ShowoConfig
from worker.showo.vq import MagvitV2, VQConfig

WEIGHT_NAMES = ("pytorch_model.safetensors", "model.safetensors", "diffusion_pytorch_model.safetensors")
SHIPPED_WEIGHTS = Path(__file__).parents[1] / "shapes" / "weights"

# Published tokenizer files leave sizes at their defaults, so an absent name is no error.
VQ_FIELDS = tuple(VQConfig.__dataclass_fields__)


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON object from a file; a missing or broken one is a ValueError that names it."""
    if not path.is_file():
        raise ValueError(f"{path} is missing; a model folder in the published format has it")
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from error
    return content


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Return the tensors of a folder's one safetensors file."""
    for name in WEIGHT_NAMES:
        if (folder / name).is_file():
            return load_file(folder / name)
    raise ValueError(f"no weights in {folder}; expected one of {', '.join(WEIGHT_NAMES)}")


def fill(module: nn.Module, weights: Mapping[str, Tensor], what: str) -> None:
    """Copy weights into a module; missing, surplus or misshapen names are a ValueError that lists them."""
    own = module.state_dict()
    missing = sorted(own.keys() - weights.keys())
    surplus = sorted(weights.keys() - own.keys())
    shared = own.keys() & weights.keys()
    misshapen = [
        f"{name} {tuple(weights[name].shape)} instead of {tuple(own[name].shape)}"
        for name in sorted(shared)
        if weights[name].shape != own[name].shape
    ]
    for problem, names in (("missing", missing), ("surplus", surplus), ("misshapen", misshapen)):
        if names:
            shown = ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
            raise ValueError(f"{what}: {len(names)} {problem} tensors: {shown}; do its config and weights belong together?")
    module.load_state_dict(dict(weights))


def load_showo(folder: Path, max_text_tokens: int | None = None) -> Showo:
    """Load the transformer alone, in float32; `max_text_tokens` overrides what the folder says."""
    config = read_showo_config(folder, max_text_tokens)
    showo = Showo(config)
    fill(showo, read_weights(folder), f"transformer in {folder}")
    return showo.eval()


def read_showo_config(folder: Path, max_text_tokens: int | None = None) -> ShowoConfig:
    """Read Show-o's config.json and that of the language model it names."""
    own = read_json(folder / "config.json")
    llm = read_json(llm_folder(folder, own) / "config.json")
    if not llm.get("qk_layernorm", True):
        raise ValueError(f"{folder}: Show-o normalises queries and keys, but qk_layernorm is off in its config")
    config = ShowoConfig(
        llm_vocab_size=own["llm_vocab_size"],
        codebook_size=own["codebook_size"],
        num_image_tokens=own["num_vq_tokens"],
        max_text_tokens=max_text_tokens or own.get("max_text_tokens", ShowoConfig.max_text_tokens),
        bos_token_id=llm.get("bos_token_id", ShowoConfig.bos_token_id),
        eos_token_id=llm.get("eos_token_id", ShowoConfig.eos_token_id),
        hidden_size=llm["hidden_size"],
        intermediate_size=llm["intermediate_size"],
        num_layers=llm["num_hidden_layers"],
        num_heads=llm["num_attention_heads"],
        partial_rotary_factor=llm["partial_rotary_factor"],
        rope_theta=llm["rope_theta"],
        layer_norm_eps=llm["layer_norm_eps"],
        initializer_range=llm["initializer_range"],
    )
    if config.vocab_size != own["vocab_size"]:
        raise ValueError(
            f"{folder}: vocab_size is {own['vocab_size']}, but words, new tokens, codes and mask make {config.vocab_size}"
        )
    return config


def llm_folder(folder: Path, own: Mapping[str, Any]) -> Path:
    """Return the local folder of the language model that a Show-o config names, relative to its own."""
    return (folder / own["llm_model_path"]).resolve()


def load_magvit(folder: Path) -> MagvitV2:
    """Load the image tokenizer, in float32 whatever it is stored in."""
    content = read_json(folder / "config.json")
    sizes = {name: content[name] for name in VQ_FIELDS if name in content}
    config = VQConfig(**{name: tuple(size) if isinstance(size, list) else size for name, size in sizes.items()})
    magvit = MagvitV2(config)
    weights = read_weights(folder)
    floats = {name: w.float() if w.is_floating_point() else w for name, w in weights.items()}
    fill(magvit, floats, f"image tokenizer in {folder}")
    return magvit.eval()
