"""Turns nested state (tensors in containers, numbers, texts) into a safetensors file and a JSON tree, and back.

Nothing is pickled, so a file from a stranger can hold wrong numbers at worst. It knows no run and no folder.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from worker.showo.weights import write_weights


def split_state(state: object) -> tuple[dict[str, Tensor], Any]:
    """Returns the tensors of a nested state by path, on the CPU, and a JSON tree that says where they belong.

    Raises:
        TypeError: when the state holds something that is neither a tensor, a plain value nor a container of these.
    """
    tensors: dict[str, Tensor] = {}
    return tensors, _to_tree(state, "state", tensors)


def join_state(tensors: dict[str, Tensor], tree: Any) -> Any:
    """The inverse of `split_state`."""
    if not isinstance(tree, dict):
        return [join_state(tensors, item) for item in tree] if isinstance(tree, list) else tree
    ((kind, content),) = tree.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "array":
        return tensors[content].numpy()
    if kind == "tuple":
        return tuple(join_state(tensors, item) for item in content)
    if kind == "float":
        return float.fromhex(content) if content not in ("nan", "inf", "-inf") else float(content)
    return {key: join_state(tensors, value) for key, value in content}


def state_hash(tensors: dict[str, Tensor], tree: Any) -> str:
    """SHA-256 over every bit of a split state: parameters, optimizer, random generators, cursors, counters."""
    digest = hashlib.sha256(json.dumps(tree).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def write_safetensors(tensors: dict[str, Tensor], path: Path) -> None:
    """Writes the tensors into a safetensors file, straight from where they lie; tied ones are written twice.

    Raises:
        OSError: when the disk is full or cannot be written.
    """
    seen: set[int] = set()
    own: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        # The format holds each tensor's bytes apart, so what shares its memory with an earlier one is copied first.
        storage = tensor.untyped_storage().data_ptr()
        own[name] = tensor.clone(memory_format=torch.contiguous_format) if storage in seen else tensor.contiguous()
        seen.add(storage)
    write_weights(path, own)


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file.

    Raises:
        ValueError: when the file is cut short or is none.
    """
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is cut short or broken: {error}") from error
    return tensors


def _to_tree(value: object, path: str, tensors: dict[str, Tensor]) -> Any:
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return {"float": value.hex()}  # JSON knows no NaN, and a decimal text is no place for exact resume.
    if isinstance(value, Tensor):
        tensors[path] = value.detach().cpu()
        return {"tensor": path}
    if isinstance(value, np.ndarray):
        tensors[path] = torch.from_numpy(np.ascontiguousarray(value))
        return {"array": path}
    if isinstance(value, dict):
        return {"dict": [[key, _to_tree(item, f"{path}.{key}", tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        items = [_to_tree(item, f"{path}.{index}", tensors) for index, item in enumerate(value)]
        return items if isinstance(value, list) else {"tuple": items}
    raise TypeError(f"{path} is a {type(value).__name__}: a checkpoint holds tensors, numbers, texts and containers")
