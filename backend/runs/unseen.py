"""Folders that a configuration names and that hold no policy, or are not there, as the web process sees them.

A warning and no refusal: a worker on another machine, or in another container, may see another folder of that name.
Only `DATA_DIR` is the same for all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backend.schemas.benchmark import LabelledPolicy
from backend.schemas.config import RunConfig, TrainConfig
from backend.schemas.every_run import ALIAS_PREFIX, PolicyConfig
from backend.schemas.picture_runs import EvaluateConfig, SampleConfig
from backend.schemas.reward import SHIPPED, RewardConfig

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_CONFIGS = ("config.json", "adapter_config.json")
CURE = "Name another, unless the workers run on another machine and see it there."


def unseen_folders(config: RunConfig) -> Iterator[str]:
    """A sentence for each place where this machine has no policy, or no weights of a reward."""
    if not isinstance(config, TrainConfig | SampleConfig | EvaluateConfig):
        return
    for name, named in _named(config):
        try:
            reason = _why(named)
        except (OSError, RuntimeError, ValueError):
            # Nobody may look there, or it can be no path at all.
            reason = "cannot be looked at"
        if reason:
            yield f"{name} is {named.source!r}, which on this machine {reason}."


def _named(config: TrainConfig | SampleConfig | EvaluateConfig) -> Iterator[tuple[str, Any]]:
    yield "policy.source", config.policy
    if isinstance(config, EvaluateConfig):
        if config.base is not None:
            yield "base.source", config.base
        for place, policy in enumerate(config.policies):
            yield f"policies.{place}.source", policy
    if isinstance(config, TrainConfig | EvaluateConfig):
        for place, reward in enumerate(config.rewards):
            yield f"rewards.{place}.source", reward


def _why(named: PolicyConfig | LabelledPolicy | RewardConfig) -> str | None:
    source = named.source
    if source in ("", SHIPPED) or source.startswith(("run:", ALIAS_PREFIX)):
        return None
    path = Path(source).expanduser()
    if isinstance(named, RewardConfig):
        return None if not source.startswith(("/", "~")) or path.exists() else "is not there"
    if path.is_dir():
        is_policy = any((path / name).is_file() for name in _CONFIGS)
        return None if is_policy else f"is a folder without {' or '.join(_CONFIGS)}, so it holds no policy"
    if path.is_file() or _HUB_NAME.fullmatch(source):
        return None
    return "is no folder"
