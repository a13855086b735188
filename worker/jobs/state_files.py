"""Turns nested state (tensors in containers, numbers, texts) into a safetensors file and a JSON tree, and back.

Nothing is pickled, so a file from a stranger can hold wrong numbers at worst. It knows no run and no folder.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor


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


def to_safetensors(tensors: dict[str, Tensor]) -> bytes:
    """The tensors as the bytes of a safetensors file; tied ones are written twice."""
    return save_tensors({name: tensor.contiguous().clone() for name, tensor in tensors.items()})


def from_safetensors(content: bytes) -> dict[str, Tensor]:
    """The tensors of a safetensors file."""
    tensors: dict[str, Tensor] = load_tensors(content)
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
