"""Finds a reward model's files, reads them without unpickling, and fills modules with them or names what is wrong.

Nothing is ever downloaded: a hub name is looked up in this machine's cache alone, and an error says what to fetch.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

NUM_NAMED = 4


@dataclass(frozen=True)
class Published:
    """Where the weights of a reward are published, for an error that helps."""

    reward: str
    how_to_get: str
    """a sentence: what to download and what the folder must hold"""
    hub_name: str = ""
    """looked up in the cache when no source is given; empty = a source must be given"""

    def missing(self, problem: str) -> ValueError:
        """The error to raise where files are absent."""
        return ValueError(f"the reward {self.reward} {problem}. {self.how_to_get}")


def weights_folder(source: str, published: Published) -> Path:
    """Return the folder that a source names: a local one, or a hub name's place in this machine's cache.

    Raises:
        ValueError: there is no such folder, with what to download and where to put it.
    """
    name = source or published.hub_name
    if not name:
        raise published.missing("has no source")
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    if re.fullmatch(r"[\w.-]+/[\w.-]+", name) is None:
        raise published.missing(f"finds no folder at {folder}")
    cached = _cached(name)
    if cached is None:
        raise published.missing(f"finds neither a folder {name} nor that name in this machine's hub cache")
    return cached


@contextmanager
def staying_offline() -> Iterator[None]:
    """Keep the libraries that load weights by name from asking the network, whatever the environment says.

    Only so long: policies of the same process may be fetched where the environment allows it.
    """
    from huggingface_hub import constants  # noqa: PLC0415 - heavy, and needed by networks alone.

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def first_file(folder: Path, names: tuple[str, ...], published: Published) -> Path:
    """Return the first of the names that is there; a name may be a pattern.

    Raises:
        ValueError: none is.
    """
    for name in names:
        for path in sorted(folder.glob(name)):
            if path.is_file():
                return path
    raise published.missing(f"finds none of {', '.join(names)} in {folder}")


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON object.

    Raises:
        ValueError: the file is missing or holds no object.
    """
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a JSON object, got {type(content).__name__}")
    return content


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file, of its index of shards, or of a pickle of tensors alone.

    A checkpoint's `state_dict` is taken out of it, and the `module.` that data parallelism leaves is removed.

    Raises:
        ValueError: the file is broken, or holds something other than tensors.
    """
    try:
        if path.name.endswith(".index.json"):
            return _read_shards(path)
        content = load_file(path) if path.suffix == ".safetensors" else _unpickled(path)
    except (OSError, SafetensorError, RuntimeError, EOFError, KeyError) as error:
        raise ValueError(f"{path} cannot be read as weights: {error}; download it again") from error
    weights = content.get("state_dict", content) if isinstance(content, dict) else content
    if not isinstance(weights, dict) or not all(isinstance(each, Tensor) for each in weights.values()):
        raise ValueError(f"{path} holds no state dict of tensors; give the published checkpoint")
    return {name.removeprefix("module."): tensor for name, tensor in weights.items()}


def fill(module: nn.Module, weights: Mapping[str, Tensor], what: str, ignored: str = r"(.*\.)?position_ids") -> None:
    """Put weights into a module under exactly its own names, as float32; names that match `ignored` may be surplus.

    Raises:
        ValueError: names are missing or surplus, or shapes differ; the error names them.
    """
    own = module.state_dict()
    kept = {name: tensor for name, tensor in weights.items() if name in own or not re.fullmatch(ignored, name)}
    differing = [name for name in own if name in kept and own[name].shape != kept[name].shape]
    problems = [
        *_named("missing", [name for name in own if name not in kept]),
        *_named("surplus", [name for name in kept if name not in own]),
        *_named(
            "of another shape",
            [f"{name} {tuple(kept[name].shape)} instead of {tuple(own[name].shape)}" for name in differing],
        ),
    ]
    if problems:
        raise ValueError(f"{what} does not hold the weights of this model: {'; '.join(problems)}")
    module.load_state_dict({name: tensor.to(own[name].dtype) for name, tensor in kept.items()})


def hub_cache() -> str:
    """Where this machine keeps what was downloaded by hub name."""
    from huggingface_hub import constants  # noqa: PLC0415 - heavy, and needed for hub names alone.

    return constants.HF_HUB_CACHE


def _cached(hub_name: str) -> Path | None:
    from huggingface_hub import snapshot_download  # noqa: PLC0415 - heavy, and needed for hub names alone.
    from huggingface_hub.errors import LocalEntryNotFoundError  # noqa: PLC0415

    try:
        return Path(snapshot_download(hub_name, cache_dir=hub_cache(), local_files_only=True))
    except LocalEntryNotFoundError:
        return None


def _unpickled(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # torch raises UnpicklingError for what it refuses to run, and half a dozen others for broken files.
        raise ValueError(f"{path} cannot be read as a pickle of tensors alone: {error}") from error


def _read_shards(index: Path) -> dict[str, Tensor]:
    names = sorted(set(read_json(index)["weight_map"].values()))
    return {name: tensor for shard in names for name, tensor in read_weights(index.parent / shard).items()}


def _named(problem: str, names: list[str]) -> list[str]:
    if not names:
        return []
    more = f" and {len(names) - NUM_NAMED} more" if len(names) > NUM_NAMED else ""
    return [f"{problem}: {', '.join(names[:NUM_NAMED])}{more}"]
