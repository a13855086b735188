"""Show-o, MAGVIT-v2 and their text tokenizer from local folders in the published format, and back.

It knows files and names, no training and no sampling.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from worker.showo.model import Showo, ShowoConfig
from worker.showo.policy import ShowoPolicy
from worker.showo.prompting import load_text_tokenizer
from worker.showo.vq import MagvitV2, VQConfig

COPY_ANEW = "copy it anew from where the model came from"
WEIGHT_NAMES = ("pytorch_model.safetensors", "model.safetensors", "diffusion_pytorch_model.safetensors")
SHIPPED_WEIGHTS = Path(__file__).parents[1] / "shapes" / "weights"

# Published tokenizer files leave sizes at their defaults, so an absent name is no error.
VQ_FIELDS = tuple(VQConfig.__dataclass_fields__)
SHOWO_NAMES = ("llm_model_path", "llm_vocab_size", "codebook_size", "num_vq_tokens", "vocab_size")
LLM_NAMES = (
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "partial_rotary_factor",
    "rope_theta",
    "layer_norm_eps",
    "initializer_range",
)


def read_json(path: Path, names: Sequence[str] = ()) -> dict[str, Any]:
    """Return a JSON object from a file; a missing or broken one, or one without these names, is a ValueError."""
    if not path.is_file():
        raise ValueError(f"{path} is missing; a model folder in the published format has it")
    try:
        content: Any = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} is not valid JSON: {error}; {COPY_ANEW}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds no JSON object; {COPY_ANEW}")
    if missing := [name for name in names if content.get(name) is None]:
        raise ValueError(f"{path} has no {', '.join(missing)}; {COPY_ANEW}")
    return content


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Return the tensors of a folder's one safetensors file."""
    for name in WEIGHT_NAMES:
        if (folder / name).is_file():
            try:
                return load_file(folder / name)
            except SafetensorError as error:
                raise ValueError(f"{folder / name} is cut short or broken: {error}; {COPY_ANEW}") from error
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
            raise ValueError(f"{what}: {len(names)} {problem} tensors: {shown}; do config and weights belong together?")
    module.load_state_dict(dict(weights))


def load_showo(folder: Path, max_text_tokens: int | None = None) -> Showo:
    """Load the transformer alone, in float32; `max_text_tokens` overrides what the folder says."""
    config = read_showo_config(folder, max_text_tokens)
    showo = Showo(config)
    fill(showo, read_weights(folder), f"transformer in {folder}")
    return showo.eval()


def read_showo_config(folder: Path, max_text_tokens: int | None = None) -> ShowoConfig:
    """Read Show-o's config.json and that of the language model it names."""
    own = read_json(folder / "config.json", SHOWO_NAMES)
    llm = read_json(llm_folder(folder, own) / "config.json", LLM_NAMES)
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
            f"{folder}: vocab_size is {own['vocab_size']}, "
            f"but words, new tokens, codes and mask make {config.vocab_size}"
        )
    return config


def llm_folder(folder: Path, own: Mapping[str, Any]) -> Path:
    """Return the local folder of the language model that a Show-o config names, relative to its own."""
    return (folder / str(own["llm_model_path"])).resolve()


def load_magvit(folder: Path) -> MagvitV2:
    """Load the image tokenizer, in float32 whatever it is stored in."""
    content = read_json(folder / "config.json")
    sizes: dict[str, Any] = {name: content[name] for name in VQ_FIELDS if name in content}
    for name, size in sizes.items():
        sizes[name] = tuple(size) if isinstance(size, list) else size
    config = VQConfig(**sizes)
    magvit = MagvitV2(config)
    weights = read_weights(folder)
    floats = {name: w.float() if w.is_floating_point() else w for name, w in weights.items()}
    fill(magvit, floats, f"image tokenizer in {folder}")
    return magvit.eval()


def load_policy(
    source: str | Path, device: str | torch.device = "cpu", dtype: torch.dtype | None = None
) -> ShowoPolicy:
    """Load a whole policy from a local folder: Show-o's files, `vq/` beside them and the language model's tokenizer.

    Args:
        source: the folder; SHIPPED_WEIGHTS is the tiny one that comes with the project.
        device: where the weights go.
        dtype: of the transformer's weights; None for float32.

    Raises:
        ValueError: a file is missing or broken, or config and weights do not belong together.
    """
    folder = Path(source)
    if not folder.is_dir():
        raise ValueError(f"no model folder at {folder}; give a folder that holds config.json and its weights")
    showo = load_showo(folder)
    tokenizer = load_text_tokenizer(llm_folder(folder, read_json(folder / "config.json")))
    policy = ShowoPolicy(showo, load_magvit(folder / "vq"), tokenizer).eval()
    policy.showo.to(dtype=dtype)
    return policy.to(device)


def save_policy(policy: ShowoPolicy, folder: Path) -> None:
    """Write a policy in the published format; what `load_policy` reads back is equal bit for bit."""
    llm, vq = folder / "llm", folder / "vq"
    for part in (folder, llm, vq):
        part.mkdir(parents=True, exist_ok=True)
    config = policy.showo.config
    write_json(folder / "config.json", published_config(config))
    write_json(llm / "config.json", phi_config(config))
    write_json(vq / "config.json", {"_class_name": "MAGVITv2", **asdict(policy.magvit.config)})
    policy.tokenizer.save_pretrained(llm)
    write_weights(folder, policy.showo)
    write_weights(vq, policy.magvit)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object for people to read."""
    path.write_text(json.dumps(content, indent=1) + "\n")


def write_weights(folder: Path, module: nn.Module) -> None:
    """Write a module's tensors under their published names."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in module.state_dict().items()}
    save_file(tensors, folder / WEIGHT_NAMES[0], metadata={"format": "pt"})


def published_config(config: ShowoConfig) -> dict[str, Any]:
    """Return Show-o's own config.json; `max_text_tokens` is ours, since the published one keeps it in its code."""
    return {
        "_class_name": "Showo",
        "w_clip_vit": False,
        "vocab_size": config.vocab_size,
        "llm_vocab_size": config.llm_vocab_size,
        "llm_model_path": "llm",
        "codebook_size": config.codebook_size,
        "num_vq_tokens": config.num_image_tokens,
        "max_text_tokens": config.max_text_tokens,
        "mask_token_id": config.mask_token_id,
    }


def phi_config(config: ShowoConfig) -> dict[str, Any]:
    """Return the config.json of the language model that a Show-o is built on."""
    return {
        "architectures": ["PhiForCausalLM"],
        "model_type": "phi",
        "bos_token_id": config.bos_token_id,
        "eos_token_id": config.eos_token_id,
        "hidden_act": "gelu_new",
        "hidden_size": config.hidden_size,
        "initializer_range": config.initializer_range,
        "intermediate_size": config.intermediate_size,
        "layer_norm_eps": config.layer_norm_eps,
        "max_position_embeddings": 2048,
        "num_attention_heads": config.num_heads,
        "num_hidden_layers": config.num_layers,
        "num_key_value_heads": config.num_heads,
        "partial_rotary_factor": config.partial_rotary_factor,
        "qk_layernorm": True,
        "rope_theta": config.rope_theta,
        "tie_word_embeddings": False,
        "vocab_size": config.llm_vocab_size,
    }
