"""Tensors in files: safetensors first, else pickles of nothing but tensors; one file or shards; read one at a time.

It knows names and shapes, no model.
"""

import json
import os
import pickle
import re
import struct
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

COPY_ANEW = "copy it anew from where the model came from"
WEIGHT_NAMES = ("pytorch_model.safetensors", "model.safetensors", "diffusion_pytorch_model.safetensors")
PICKLE_NAMES = ("pytorch_model.bin", "diffusion_pytorch_model.bin")
INDEX = ".index.json"
STATE_DICT_SUFFIXES = (".pth", ".pt", ".bin", ".ckpt", ".safetensors")
WRAPPER = "module."
MOST_NAMES = 40
"""from here on, a list of names puts those that differ in a layer's number into one"""


@dataclass(frozen=True)
class StoredWeights:
    """The tensors of a model's files, none of them in memory yet."""

    path: Path
    """the file, or the index of the shards"""
    shapes: Mapping[str, tuple[int, ...]]
    read: Callable[[str], Tensor]
    """a tensor of a name, on the CPU"""


def find_weights(folder: Path) -> Path | None:
    """Return a folder's weights file or index of shards: safetensors before pickles, else the only one of any name."""
    names = [name + end for group in (WEIGHT_NAMES, PICKLE_NAMES) for name in group for end in ("", INDEX)]
    found = [folder / name for name in names if (folder / name).is_file()]
    if found:
        return found[0]
    indices = [path for path in folder.glob(f"*{INDEX}") if path.name.removesuffix(INDEX).endswith(STATE_DICT_SUFFIXES)]
    shards = {folder / name for index in indices for name in shard_names(index)}
    files = [path for path in folder.iterdir() if path.suffix in STATE_DICT_SUFFIXES and path.is_file()]
    others = [path for path in files if path not in shards] + indices
    # A state dict's usual suffix goes first: trainers leave other pickles beside it.
    for group in ([path for path in others if path.suffix == ".pth"], others):
        if len(group) == 1:
            return group[0]
    return None


def has_weights(folder: Path) -> bool:
    """Say whether a folder holds a weights file, or an index with all the shards that it names."""
    path = find_weights(folder)
    return path is not None and (
        not path.name.endswith(INDEX) or all((folder / each).is_file() for each in shard_names(path))
    )


def shard_names(index: Path) -> list[str]:
    """Return the files that an index of shards names; none of a broken one, which `open_weights` refuses."""
    try:
        names = set(json.loads(index.read_bytes())["weight_map"].values())
    except (ValueError, KeyError, TypeError, AttributeError):
        return []
    return sorted(name for name in names if isinstance(name, str))


def open_weights(place: Path) -> StoredWeights:
    """Open the weights of a folder, or one file of them.

    Raises:
        ValueError: there are none, a shard is missing, a file is cut short, or a pickle holds more than tensors.
    """
    path = find_weights(place) if place.is_dir() else place
    if path is None:
        raise ValueError(
            f"no weights in {place}; expected one of {', '.join(WEIGHT_NAMES + PICKLE_NAMES)}, or its shards, or a "
            f"single file of another name that ends in {', '.join(STATE_DICT_SUFFIXES)}"
        )
    return _unwrapped(_open_shards(path) if path.name.endswith(INDEX) else _open_file(path))


def _open_file(path: Path) -> StoredWeights:
    return _open_safetensors(path) if path.suffix == ".safetensors" else _open_pickle(path)


def _open_safetensors(path: Path) -> StoredWeights:
    try:
        file = safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is cut short or broken: {error}; {COPY_ANEW}") from error
    shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    return StoredWeights(path, shapes, file.get_tensor)


def _open_pickle(path: Path) -> StoredWeights:
    """Open a file that torch.save wrote; nothing in it can run, since only tensors are unpickled."""
    try:
        is_mapped = zipfile.is_zipfile(path)
        content: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=is_mapped)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} is broken, or holds more than tensors and was refused, since such a pickle can run code: "
            f"take a safetensors file, or write it anew with torch.save(model.state_dict())"
        ) from error
    except (RuntimeError, OSError, EOFError, ValueError, IndexError, KeyError, struct.error) as error:
        raise ValueError(f"{path} is cut short or broken: {error}; {COPY_ANEW}") from error
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ValueError(
            f"{path} is no plain state dict (names to tensors); save it as torch.save(model.state_dict(), file)"
        )
    return StoredWeights(path, {name: tuple(value.shape) for name, value in content.items()}, content.__getitem__)


def _unwrapped(stored: StoredWeights) -> StoredWeights:
    """A model that was saved inside DistributedDataParallel has a prefix before every one of its names."""
    if not stored.shapes or not all(name.startswith(WRAPPER) for name in stored.shapes):
        return stored
    shapes = {name.removeprefix(WRAPPER): shape for name, shape in stored.shapes.items()}
    return StoredWeights(stored.path, shapes, lambda name: stored.read(WRAPPER + name))


def _open_shards(index: Path) -> StoredWeights:
    try:
        place: dict[str, str] = json.loads(index.read_bytes())["weight_map"]
        if other := [name for name in place.values() if not isinstance(name, str)]:
            raise TypeError(f"weight_map has {other[0]!r} for the name of a file")
        names = sorted(set(place.values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{index} is no index of shards: {error!r}; {COPY_ANEW}") from error
    if missing := [name for name in names if not (index.parent / name).is_file()]:
        raise ValueError(f"{index} names shards that are not there: {', '.join(missing)}; copy them beside it")
    shards = {name: _open_file(index.parent / name) for name in names}
    lost = [name for name, shard in place.items() if name not in shards[shard].shapes]
    if lost:
        raise ValueError(f"{index} names tensors that its shards do not hold: {listed(lost)}; {COPY_ANEW}")
    shapes = {name: shape for shard in shards.values() for name, shape in shard.shapes.items()}
    owner = {name: shard for shard in shards.values() for name in shard.shapes}
    return StoredWeights(index, shapes, lambda name: owner[name].read(name))


def weight_problems(module: nn.Module, shapes: Mapping[str, tuple[int, ...]], what: str) -> list[str]:
    """Return a sentence for each way in which tensors do not fit a module, naming all of them; empty when they fit."""
    own = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    misshapen = [
        f"{name} {shapes[name]} instead of {own[name]}"
        for name in sorted(own.keys() & shapes.keys())
        if shapes[name] != own[name]
    ]
    found = {
        "missing": sorted(own.keys() - shapes.keys()),
        "surplus": sorted(shapes.keys() - own.keys()),
        "misshapen": misshapen,
    }
    return [f"{what}: {len(names)} {kind} tensors: {listed(names)}" for kind, names in found.items() if names]


def listed(names: Iterable[str]) -> str:
    """Return all names in one line; in a long list those of many layers stand as `layers.{0-23}.mlp.fc1.bias`."""
    names = list(names)
    if len(names) <= MOST_NAMES:
        return ", ".join(names)
    numbers: dict[tuple[str, str], list[int]] = {}
    for name in names:
        number = re.search(r"(?<=\.)\d+(?=\.)", name)
        key = (name[: number.start()], name[number.end() :]) if number else (name, "")
        numbers.setdefault(key, []).extend([int(number[0])] if number else [])
    return ", ".join(f"{start}{_ranges(found)}{end}" for (start, end), found in numbers.items())


def _ranges(numbers: list[int]) -> str:
    """Return `{0-3,7}` of numbers, `5` of one, nothing of none."""
    ordered, spans = sorted(numbers), list[list[int]]()
    for number in ordered:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    text = ",".join(f"{low}-{high}" if high > low else str(low) for low, high in spans)
    return text if len(ordered) < 2 else f"{{{text}}}"


@torch.no_grad()
def fill(module: nn.Module, weights: StoredWeights, device: torch.device | str, dtype: torch.dtype | None) -> None:
    """Give a module on the meta device memory and copy the weights there, one tensor at a time: no second copy of them.

    Args:
        module: on the meta device, with exactly the tensors that `weights` has.
        weights: see `open_weights`.
        device: where the weights go.
        dtype: of floating-point weights; None for float32 whatever they are stored in.
    """
    module.to(dtype=dtype or torch.float32)
    module.to_empty(device=device)
    for name, tensor in module.state_dict().items():
        tensor.copy_(weights.read(name))


def write_weights(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors under their names as one safetensors file, straight from where they lie: no second copy on a CPU.

    Tensors must not share memory. Raises OSError where the disk is full or cannot be written.
    """
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        save_file(stored, path, metadata={"format": "pt"})
    except SafetensorError as error:
        code = re.search(r"os error (\d+)", str(error))
        if code is None:
            raise OSError(f"{path} cannot be written: {error}") from error
        raise OSError(int(code[1]), os.strerror(int(code[1])), str(path)) from error
