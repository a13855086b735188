"""What a run was made from, as its configuration names it: which files, their hash, and where a bundle keeps them.

In a bundle they lie as a job looks for them: other runs beside the run's folder, sets and pictures beside the runs.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend.artifacts import RunFolder, sha256_of
from backend.errors import MalformedError
from backend.prompt_files import PROMPT_SETS, set_path, sets_beside
from backend.registry.refs import SHIPPED, ModelRef, exports_of, model_folder, read_ref
from backend.schemas.editing import PICTURE_PREFIX, PICTURES_FOLDER, picture_path

START = "start/policy"
# The shipped CLIP lies in the worker's package, whose code the web process never imports.
SHIPPED_CLIP = Path(__file__).resolve().parents[2] / "worker" / "shapes" / "weights" / "clip"
_REWARD_EXPORT = "exports/reward"
_PICTURE = re.compile(r"run:(?P<run>[^/]+)/(?P<path>samples/(?P<group>.+?)(-\d+)?\.png)")


@dataclass(frozen=True)
class Input:
    """One thing that a configuration names."""

    pointer: str
    """where the configuration names it, such as policy.source"""
    source: str
    role: str
    """policy, reward, prompt_set, pair_set or picture"""
    place: str
    """path below `inputs/` that a job would find it at; of a folder elsewhere, where the bundle keeps it"""
    path: Path | None
    """the file or folder; None where it is not on this server"""

    def facts(self, *, is_included: bool) -> dict[str, Any]:
        """What versions.json says of it."""
        files = {} if self.path is None else {name: sha256_of(path) for name, path in files_of(self.path)}
        return {
            "pointer": self.pointer,
            "source": self.source,
            "role": self.role,
            "place": self.place,
            "is_included": is_included,
            "is_here": self.path is not None,
            "sha256": tree_sha256(files) if files else None,
            "files": files,
        }


@dataclass
class _Found:
    inputs: list[Input] = field(default_factory=list)

    def add(self, pointer: str, source: str, role: str, place: str, path: Path | None) -> None:
        is_known = any(each.place == place for each in self.inputs)
        if not is_known:
            is_here = path is not None and path.exists()
            self.inputs.append(Input(pointer, source, role, place, path if is_here else None))


def inputs_of(kind: str, config: Mapping[str, Any], folder: RunFolder) -> list[Input]:
    """Everything that the configuration names as files: policies, rewards' weights, sets, the picture of an edit."""
    found = _Found()
    runs_dir = folder.root.parent
    for name in ("policy", "base"):
        part = config.get(name)
        if isinstance(part, dict) and part.get("source"):
            _add_policy(found, f"{name}.source", str(part["source"]), folder if name == "policy" else None, runs_dir)
        elif kind == "reward_model" and isinstance(part, str):
            _add_reward(found, name, part, runs_dir)
    for number, each in enumerate(config.get("policies") or ()):
        _add_policy(found, f"policies.{number}.source", str(each["source"]), None, runs_dir)
    for number, reward in enumerate(config.get("rewards") or ()):
        if isinstance(reward, dict) and reward.get("source") and reward.get("name") != "remote":
            _add_reward(found, f"rewards.{number}.source", str(reward["source"]), runs_dir)
    for name in ("inpainting", "extrapolation"):
        if isinstance(edit := config.get(name), dict):
            _add_picture(found, f"{name}.picture", str(edit["picture"]), runs_dir)
    prompts, pairs = config.get("prompts"), config.get("pairs")
    if isinstance(prompts, dict) and (key := prompts.get("prompt_set")):
        # A shipped set too: it is small, and another version of the studio may ship others.
        place = f"{PROMPT_SETS}/{key}.jsonl"
        found.add("prompts.prompt_set", str(key), "prompt_set", place, set_path(sets_beside(runs_dir), str(key)))
    if isinstance(pairs, dict) and (key := pairs.get("source")):
        place = f"pair-sets/{key}"
        found.add("pairs.source", str(key), "pair_set", place, runs_dir.parent / place)
    return found.inputs


def files_of(path: Path) -> Iterator[tuple[str, Path]]:
    """The files of a folder by their names in it; of a file itself, under an empty name."""
    if path.is_file():
        yield "", path
        return
    for each in sorted(path.rglob("*")):
        if each.is_file() and not any(part.startswith(".") for part in each.relative_to(path).parts):
            yield each.relative_to(path).as_posix(), each


def tree_sha256(files: Mapping[str, str]) -> str:
    """One hash for files by name and hash."""
    return hashlib.sha256("".join(f"{files[name]}  {name}\n" for name in sorted(files)).encode()).hexdigest()


def _add_policy(found: _Found, pointer: str, source: str, own: RunFolder | None, runs_dir: Path) -> None:
    ref = _ref(source)
    path = model_folder(ref, runs_dir)
    # A training run's own copy of what it started from: the source may have changed or gone since.
    start = None if own is None else own.path(START)
    if source != SHIPPED and start is not None and start.is_dir():
        path = start
    place = f"runs/{ref.run_id}/exports/{path.name}" if ref.run_id and ref.step is None else _place(ref)
    found.add(pointer, source, "policy", place, path)
    if (path / "adapter_config.json").is_file() and ref.run_id is not None:
        # An adapter belongs to the policy that its run started from.
        place = f"runs/{ref.run_id}/{START}"
        found.add(pointer, source, "policy", place, runs_dir.parent / place)


def _add_reward(found: _Found, pointer: str, source: str, runs_dir: Path) -> None:
    if source == SHIPPED:
        found.add(pointer, source, "reward", "shipped/clip", SHIPPED_CLIP)
        return
    ref = _ref(source)
    if ref.run_id is None:
        found.add(pointer, source, "reward", _place(ref), Path(source.rpartition(":")[2]).expanduser())
        return
    folder = RunFolder(runs_dir / str(ref.run_id))
    exports = exports_of(folder)
    found.add(
        pointer, source, "reward", f"runs/{ref.run_id}/{_REWARD_EXPORT}", next(iter(exports), folder.root / "none")
    )


def _add_picture(found: _Found, pointer: str, name: str, runs_dir: Path) -> None:
    """A picture that an edit begins with, and the trajectory that holds its codes."""
    match = _PICTURE.fullmatch(name)
    if name.startswith(PICTURE_PREFIX):
        brought = picture_path(name, runs_dir)
        found.add(pointer, name, "picture", f"{PICTURES_FOLDER}/{brought.name}", brought)
        return
    if match is None:
        found.add(pointer, name, "picture", _place(ModelRef(name)), Path(name))
        return
    of_run = match["path"], f"trajectories/{match['group']}.npz"
    for path in of_run:
        place = f"runs/{match['run']}/{path}"
        if path == of_run[0] or (runs_dir.parent / place).is_file():
            found.add(pointer, name, "picture", place, runs_dir.parent / place)


def _place(ref: ModelRef) -> str:
    """Where a checkpoint, the shipped policy, or a folder from elsewhere has its place."""
    if ref.text == SHIPPED:
        return SHIPPED
    if ref.run_id is None:
        return f"folders/{hashlib.sha256(ref.text.encode()).hexdigest()[:12]}"
    return f"runs/{ref.run_id}/checkpoints/{ref.step:06d}/policy"


def _ref(source: str) -> ModelRef:
    try:
        return read_ref(source)
    except MalformedError:
        return ModelRef(source)


def read_config(text: bytes) -> dict[str, Any]:
    """A stored configuration."""
    return dict(json.loads(text))
