"""Where a learned reward's files lie and what their report says; refuses what is absent, changed or no better than
chance.

The same answer for the API, before a run is queued, and for the job. It reads files alone: no database, no torch.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from backend.artifacts import sha256_of
from backend.schemas.every_run import ALIAS_PREFIX
from backend.schemas.reward import RewardConfig, RewardName
from backend.schemas.reward_report import MORE_VOTES, RewardModelReport

EXPORTED_REWARD = "exports/reward"
REPORT_FILE = "report.json"
WEIGHTS_FILE = "open_clip_model.safetensors"

_RUN_SOURCE = re.compile(r"run:(?P<run>[A-Za-z0-9][A-Za-z0-9_-]*)")


def learned_folder(source: str, runs_dir: Path) -> Path:
    """Where the reward model that a source names would lie, whether it is there or not.

    Args:
        source: `run:<id>`, or a folder with an exported reward model.
        runs_dir: where the runs' folders lie.
    """
    match = _RUN_SOURCE.fullmatch(source)
    return Path(source).expanduser() if match is None else runs_dir / match["run"] / EXPORTED_REWARD


def read_report(folder: Path) -> RewardModelReport:
    """What the training of an exported reward model found.

    Raises:
        ValueError: there is no report, or none that can be read.
    """
    try:
        return RewardModelReport.model_validate_json((folder / REPORT_FILE).read_bytes())
    except OSError as error:
        raise ValueError(
            f"there is no reward model at {folder}: a reward_model run exports one when it succeeds"
        ) from error
    except ValidationError as error:
        raise ValueError(f"{folder / REPORT_FILE} is no report of this version: train the reward model anew") from error


def proven_folder(source: str, runs_dir: Path) -> Path:
    """The folder of a reward model that may be trained on.

    Raises:
        ValueError: it is not there, its weights are not those that its report speaks of, or no better than chance.
    """
    if source.startswith(ALIAS_PREFIX):
        raise ValueError(f"the learned reward's source is {source!r}: only a studio knows aliases; name its run")
    folder = learned_folder(source, runs_dir)
    if (match := _RUN_SOURCE.fullmatch(source)) and not (runs_dir / match["run"]).is_dir():
        raise ValueError(f"there is no run {match['run']} here, or it has not begun: see `unmask reward-model list`")
    report = read_report(folder)
    if report.refusal is not None:
        raise ValueError(f"the learned reward {source} is refused: {report.refusal}; {MORE_VOTES}")
    weights = folder / WEIGHTS_FILE
    if not weights.is_file() or sha256_of(weights) != report.weights_sha256:
        raise ValueError(f"the learned reward {source} is refused: {weights} is not what its report speaks of")
    return folder


def refused_rewards(rewards: Sequence[RewardConfig], runs_dir: Path) -> dict[int, str]:
    """Why learned rewards of a run may not be used, by their place in the list; empty where all may."""
    found: dict[int, str] = {}
    for place, reward in enumerate(rewards):
        if reward.name is RewardName.LEARNED:
            try:
                proven_folder(reward.source, runs_dir)
            except ValueError as error:
                found[place] = str(error)
    return found
