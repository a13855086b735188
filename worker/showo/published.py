"""The published configurations of Show-o, its language model and the image tokenizer, to and from our sizes.

It knows JSON and names, no tensors.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from worker.showo.config import ShowoConfig
from worker.showo.sources import is_hub_name
from worker.showo.vq import VQConfig
from worker.showo.weights import COPY_ANEW

PHI_1_5 = "microsoft/phi-1_5"
"""the language model of every published Show-o; its sizes are the defaults of `ShowoConfig`"""

_SHOWO_NAMES = ("llm_model_path", "llm_vocab_size", "codebook_size", "num_vq_tokens", "vocab_size")
_LLM_SIZES = {
    "hidden_size": "hidden_size",
    "intermediate_size": "intermediate_size",
    "num_hidden_layers": "num_layers",
    "num_attention_heads": "num_heads",
    "partial_rotary_factor": "partial_rotary_factor",
    "rope_theta": "rope_theta",
    "layer_norm_eps": "layer_norm_eps",
    "initializer_range": "initializer_range",
}
_COUNTS = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
_VQ_LISTS = tuple(name for name, each in VQConfig.__dataclass_fields__.items() if isinstance(each.default, tuple))
# What our classes cannot do otherwise; names that a configuration leaves out are at these values by default.
_LLM_FIXED: dict[str, tuple[Any, ...]] = {
    "hidden_act": ("gelu_new", "gelu_pytorch_tanh"),
    "rope_scaling": (None,),
    "rope_type": ("default",),
    "tie_word_embeddings": (False,),
}


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


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object for people to read."""
    path.write_text(json.dumps(content, indent=1) + "\n")


def read_published(folder: Path) -> dict[str, Any]:
    """Return Show-o's own config.json, with every name that a Show-o needs.

    Raises:
        ValueError: the file is missing or broken, lacks a name, or has a size that is no whole number above 0.
    """
    path = folder / "config.json"
    own = read_json(path, _SHOWO_NAMES)
    _refuse_no_counts(path, own, (*_SHOWO_NAMES[1:], "max_text_tokens"))
    return own


def _refuse_no_counts(path: Path, content: Mapping[str, Any], names: Sequence[str], lists: Sequence[str] = ()) -> None:
    """Refuse what is no whole number above 0, and of `lists` no list of such; absent or null is another's matter.

    Blocks of a level may be 0: the small world's tokenizer has levels that only change the resolution.
    """
    found = {name: content[name] for name in (*names, *lists) if content.get(name) is not None}
    bad = []
    for name, value in found.items():
        least = 0 if name.endswith("num_res_blocks") else 1
        entries = value if name in lists and isinstance(value, list) else [value]
        if not all(type(each) is int and each >= least for each in entries):
            bad.append(f"{name} {value!r}")
    if bad:
        raise ValueError(f"{path} has {', '.join(bad)}: whole numbers above 0 are needed; {COPY_ANEW}")


def _refuse_no_numbers(path: Path, content: Mapping[str, Any], names: Sequence[str]) -> None:
    """Refuse settings that are no finite number above 0."""
    if bad := [
        f"{name} {content[name]!r}"
        for name in names
        if type(content[name]) not in (int, float) or not 0 < content[name] < float("inf")
    ]:
        raise ValueError(f"{path} has {', '.join(bad)}: numbers above 0 are needed; {COPY_ANEW}")


def showo_config(own: Mapping[str, Any], llm_folder: Path | None) -> tuple[ShowoConfig, list[str]]:
    """Return the sizes of a Show-o and a sentence for each thing in its configurations that does not hold together.

    Args:
        own: Show-o's own configuration, see `read_published`.
        llm_folder: holds the language model's config.json; None for Phi-1.5, whose sizes are known.

    Raises:
        ValueError: the language model's file is missing or broken, lacks a size, or has one that is none.
    """
    llm = {} if llm_folder is None else _read_llm(llm_folder / "config.json")
    sizes = {ours: llm[theirs] for theirs, ours in _LLM_SIZES.items() if theirs in llm}
    ends = {name: llm[name] for name in ("bos_token_id", "eos_token_id") if llm.get(name) is not None}
    if own.get("max_text_tokens") is not None:
        sizes["max_text_tokens"] = own["max_text_tokens"]
    config = ShowoConfig(
        llm_vocab_size=own["llm_vocab_size"],
        codebook_size=own["codebook_size"],
        num_image_tokens=own["num_vq_tokens"],
        llm_name=name if is_hub_name(name := str(own["llm_model_path"])) else ShowoConfig.llm_name,
        **sizes,
        **ends,
    )
    return config, [*_own_problems(own, config), *_llm_problems(llm, config)]


def _read_llm(path: Path) -> dict[str, Any]:
    """Return a Phi config; newer transformers write its rotary settings one level deeper."""
    deeper = read_json(path).get("rope_parameters")
    found = {**(deeper if isinstance(deeper, dict) else {}), **read_json(path)}
    if missing := [name for name in _LLM_SIZES if found.get(name) is None]:
        raise ValueError(f"{path} has no {', '.join(missing)}; {COPY_ANEW}")
    _refuse_no_counts(path, found, _COUNTS)
    _refuse_no_numbers(path, found, [name for name in _LLM_SIZES if name not in _COUNTS])
    return found


def _own_problems(own: Mapping[str, Any], config: ShowoConfig) -> list[str]:
    problems = []
    if config.vocab_size != own["vocab_size"]:
        problems.append(
            f"vocab_size is {own['vocab_size']}, but words, new tokens, codes and mask make {config.vocab_size}"
        )
    if own.get("mask_token_id", config.mask_token_id) != config.mask_token_id:
        problems.append(f"mask_token_id is {own['mask_token_id']} instead of the last id, {config.mask_token_id}")
    return problems


def _llm_problems(llm: Mapping[str, Any], config: ShowoConfig) -> list[str]:
    problems = [
        f"the language model's {name} is {llm[name]}; Show-o has {' or '.join(map(str, allowed))}"
        for name, allowed in _LLM_FIXED.items()
        if llm.get(name, allowed[0]) not in allowed
    ]
    if llm.get("num_key_value_heads") not in (None, config.num_heads):
        problems.append(
            f"the language model has {llm['num_key_value_heads']} key heads for {config.num_heads} heads; "
            "Show-o has as many of both"
        )
    if config.hidden_size % config.num_heads:
        problems.append(f"hidden_size {config.hidden_size} is no multiple of {config.num_heads} heads")
    return problems


def vq_config(folder: Path) -> VQConfig:
    """Return the sizes of an image tokenizer; the published file leaves them at their defaults."""
    content = read_json(folder / "config.json")
    counts = [name for name in VQConfig.__dataclass_fields__ if name not in _VQ_LISTS]
    _refuse_no_counts(folder / "config.json", content, counts, _VQ_LISTS)
    sizes = {name: content[name] for name in VQConfig.__dataclass_fields__ if name in content}
    return VQConfig(**{name: tuple(size) if isinstance(size, list) else size for name, size in sizes.items()})


def published_config(config: ShowoConfig, has_projector: bool) -> dict[str, Any]:
    """Return Show-o's own config.json; `max_text_tokens` is ours, since the published one keeps it in its code."""
    return {
        "_class_name": "Showo",
        "w_clip_vit": has_projector,
        "vocab_size": config.vocab_size,
        "llm_vocab_size": config.llm_vocab_size,
        "llm_model_path": config.llm_name,
        "codebook_size": config.codebook_size,
        "num_vq_tokens": config.num_image_tokens,
        "load_from_showo": True,
        "max_text_tokens": config.max_text_tokens,
        "mask_token_id": config.mask_token_id,
    }


def published_vq_config(config: VQConfig) -> dict[str, Any]:
    """Return the image tokenizer's config.json, its sizes spelled out."""
    return {"_class_name": "MAGVITv2", **asdict(config)}


def phi_config(config: ShowoConfig) -> dict[str, Any]:
    """Return the config.json of the language model that a Show-o is built on."""
    return {
        "architectures": ["PhiForCausalLM"],
        "model_type": "phi",
        "bos_token_id": config.bos_token_id,
        "eos_token_id": config.eos_token_id,
        "hidden_act": "gelu_new",
        "max_position_embeddings": 2048,
        "num_key_value_heads": config.num_heads,
        "qk_layernorm": True,
        "tie_word_embeddings": False,
        "vocab_size": config.llm_vocab_size,
        **{theirs: getattr(config, ours) for theirs, ours in _LLM_SIZES.items()},
    }
