"""Where the files of a policy lie, told from its source and its config.json files, as the worker looks for them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from backend.schemas.every_run import PolicyConfig

# The shipped policy lies in the worker's package, whose code the web process never imports.
SHIPPED_POLICY = Path(__file__).resolve().parents[2] / "worker" / "shapes" / "weights"

RUN_SOURCE = re.compile(r"run:(?P<run>[A-Za-z0-9][A-Za-z0-9_-]*)(?:@(?P<step>\d+))?")
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_ADAPTER_CONFIG = "adapter_config.json"


def policy_folder(policy: PolicyConfig, runs_dir: Path) -> Path:
    """Where the policy that a configuration names would lie, whether it is there or not.

    Of an adapter it is the policy that the adapter belongs to: a folder, or a hub name as a path. Of a state dict it is
    the folder around it.
    """
    if policy.source == "shipped":
        return SHIPPED_POLICY
    match = RUN_SOURCE.fullmatch(policy.source)
    if match is None:
        folder = Path(policy.source).expanduser()
        folder = folder.parent if folder.is_file() else folder
    elif match["step"] is None:
        exports = runs_dir / match["run"] / "exports"
        is_adapter = not (exports / "policy").is_dir() and (exports / "adapter" / _ADAPTER_CONFIG).is_file()
        folder = exports / ("adapter" if is_adapter else "policy")
    else:
        folder = runs_dir / match["run"] / "checkpoints" / f"{int(match['step']):06d}" / "policy"
    return _base_of(folder)


def language_folders(folder: Path, own: Mapping[str, Any]) -> tuple[Path, ...]:
    """Where the language model of a Show-o may lie, in the order in which the worker looks for it.

    Args:
        folder: the policy's.
        own: its config.json.
    """
    name = str(own.get("llm_model_path", "llm"))
    return folder / name, folder / "llm", Path(name).expanduser()


def _base_of(folder: Path) -> Path:
    """The policy that the adapter in a folder belongs to; the folder itself where it holds none, or a broken one."""
    try:
        named = str(json.loads((folder / _ADAPTER_CONFIG).read_bytes())["base_model_name_or_path"])
    except (OSError, ValueError, KeyError, TypeError):
        return folder
    base = (folder / named).resolve()
    return Path(named) if _HUB_NAME.fullmatch(named) and not base.is_dir() else base
