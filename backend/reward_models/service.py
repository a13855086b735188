"""Puts a reward model together: its run's row, the report beside its weights, and what the pair set says of itself."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from backend.errors import ConflictError, NotFoundError
from backend.models import RunRow
from backend.pair_sets.folder import PairSets
from backend.reward_models import repository
from backend.reward_models.known import known_rewards
from backend.reward_reports import learned_folder, proven_folder, read_report
from backend.runs import repository as runs
from backend.runs.needs import PAIR_SETS
from backend.schemas.config import run_config_adapter
from backend.schemas.every_run import RunKind
from backend.schemas.known_reward import KnownReward, RewardLineage, RewardModel
from backend.schemas.reward_model import RewardModelConfig
from backend.schemas.reward_report import MORE_VOTES
from backend.schemas.run import RunStatus

# So many of the newest runs are asked whether one of them may be trained on.
NUM_ASKED = 100


def get_reward_model(session: Session, runs_dir: Path, run_id: UUID) -> RewardModel:
    """One reward model.

    Raises:
        NotFoundError: there is no such run.
        ConflictError: the run makes no reward model.
    """
    row = runs.get_run(session, run_id=run_id)
    if row.kind != RunKind.REWARD_MODEL:
        raise ConflictError(f"run {run_id} is a {row.kind} run: only a reward_model run makes a reward model")
    return reward_models(session, runs_dir, [row])[0]


def reward_models(session: Session, runs_dir: Path, rows: Sequence[RunRow]) -> list[RewardModel]:
    """Reward models by the runs that make them."""
    users = repository.used_by(session, run_ids=[row.id for row in rows])
    return [_reward_model(row, runs_dir, users[row.id]) for row in rows]


def list_rewards(session: Session, runs_dir: Path) -> list[KnownReward]:
    """Every reward by name."""
    return known_rewards(has_learned=bool(newest_proven(session, runs_dir, limit=1)))


def newest_proven(session: Session, runs_dir: Path, *, limit: int) -> list[str]:
    """The sources of the newest reward models that may be trained on, at most `limit`."""
    rows = runs.list_runs(session, limit=NUM_ASKED, statuses=(RunStatus.SUCCEEDED,), kinds=(RunKind.REWARD_MODEL,))
    sources = (f"run:{row.id}" for row in rows)
    return list(islice((source for source in sources if _refusal(source, runs_dir) is None), limit))


def _reward_model(row: RunRow, runs_dir: Path, users: tuple[UUID, ...]) -> RewardModel:
    config = run_config_adapter.validate_python(row.config, extra="ignore")
    assert isinstance(config, RewardModelConfig), "the run's kind says so"
    source = f"run:{row.id}"
    try:
        report = read_report(learned_folder(source, runs_dir))
    except ValueError:
        report = None
    name, made_of = _about_pair_set(runs_dir.parent / PAIR_SETS / config.pairs.source)
    return RewardModel(
        run_id=row.id,
        name=row.name,
        status=row.run_status,
        source=source,
        created_at=row.created_at,
        report=report,
        refusal=_refusal(source, runs_dir) if report is None or report.refusal is None else _in_words(report.refusal),
        lineage=RewardLineage(
            pair_set=config.pairs.source,
            pair_set_name=name,
            pair_set_source=made_of,
            label_task_id=_as_id(made_of.get("label_task_id")),
            base=config.base,
            used_by=users,
        ),
    )


def _in_words(reason: str) -> str:
    return f"{reason[0].upper()}{reason[1:]}; {MORE_VOTES}."


def _refusal(source: str, runs_dir: Path) -> str | None:
    try:
        proven_folder(source, runs_dir)
    except ValueError as error:
        return str(error)
    return None


def _about_pair_set(folder: Path) -> tuple[str | None, dict[str, Any]]:
    """A pair set's name and where its pairs come from, as its manifest says."""
    try:
        found = PairSets(folder.parent).get(folder.name)
    except (NotFoundError, ConflictError):
        return None, {}
    return found.name, found.source


def _as_id(value: object) -> UUID | None:
    try:
        return UUID(str(value))
    except ValueError:
        return None
