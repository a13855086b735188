"""How many parameters a policy has, read from the headers of its safetensors files: no tensor is loaded."""

from __future__ import annotations

import json
import math
from pathlib import Path

_WEIGHTS = ("pytorch_model.safetensors", "vq/pytorch_model.safetensors")
# The quantizer's tensors are the fixed corners of a cube: nothing is learned there.
_FIXED = "quantize."
_LARGEST_HEADER = 100_000_000


def count_parameters(policy_folder: Path) -> int | None:
    """Parameters of transformer and tokenizer; None where the folder has no such files."""
    try:
        return sum(_count(policy_folder / name) for name in _WEIGHTS)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _count(path: Path) -> int:
    with path.open("rb") as file:
        num_bytes = int.from_bytes(file.read(8), "little")
        if num_bytes > _LARGEST_HEADER:
            raise ValueError(f"{path} is no safetensors file: its header would have {num_bytes} bytes")
        header = json.loads(file.read(num_bytes))
    header.pop("__metadata__", None)
    return sum(math.prod(tensor["shape"]) for name, tensor in header.items() if not name.startswith(_FIXED))
