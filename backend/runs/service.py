"""What happens to runs on request: creation with its nudge after the commit, idempotent repeats, edits, resumption."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from sqlalchemy.orm import Session

from backend import queue
from backend.db import after_commit
from backend.errors import MalformedError, OutdatedError
from backend.models import RunRow
from backend.naming_locks import lock_named, names_in
from backend.recipes.loading import changed_settings, load_recipes
from backend.runs import repository
from backend.runs.aliases import freeze
from backend.runs.gone import refuse_gone
from backend.runs.needs import refuse_unmet
from backend.runs.unseen import CURE, unseen_folders
from backend.runs.vocabulary import unread_words
from backend.schemas.base import FieldProblem
from backend.schemas.config import RunConfig
from backend.schemas.event import Alarm, Severity
from backend.schemas.run import Run, RunClone, RunCreate, RunEdit, RunStatus


def create_run(session: Session, runs_dir: Path, wanted: RunCreate) -> Run:
    """Queues a run; its message leaves after the commit. What it should be warned of is among its first events.

    An alias is replaced by the model that it means now.
    """
    if wanted.parent_run_id is not None:
        repository.get_run(session, run_id=wanted.parent_run_id)
    _refuse_foreign_recipe(wanted)
    config = freeze(session, wanted.config)
    lock_named(session, names_in(config))
    refuse_gone(session, config, runs_dir)
    refuse_unmet(config, runs_dir)
    row = repository.create_run(
        session,
        config=config,
        kind=wanted.config.kind,
        name=wanted.config.name or _name_after(wanted),
        recipe=wanted.recipe,
        tags=_distinct(wanted.tags),
        parent_run_id=wanted.parent_run_id,
        alarms=_alarms(config, runs_dir),
    )
    after_commit(session, _nudge(row.id))
    return row.to_wire()


def clone_run(session: Session, runs_dir: Path, run_id: UUID, changes: RunClone) -> Run:
    """Queues a run with a parent's configuration, but for what is changed."""
    parent = repository.get_run(session, run_id=run_id).to_wire()
    config = changes.config or parent.config
    name = changes.name or (config.name if changes.config else parent.name)
    return create_run(
        session,
        runs_dir,
        RunCreate(
            config=config.model_copy(update={"name": name}),
            # A recipe that is no longer shipped, or one of another kind, says nothing of the new configuration.
            recipe=None if changed_settings(parent.recipe, config) is None else parent.recipe,
            tags=parent.tags if changes.tags is None else changes.tags,
            parent_run_id=run_id,
        ),
    )


def edit_run(session: Session, run_id: UUID, changes: RunEdit, if_match: str | None) -> RunRow:
    """Changes name and tags.

    Raises:
        OutdatedError: when `if_match` names a state before the last edit.
    """
    row = repository.lock_run(session, run_id=run_id)
    if if_match is not None and if_match != "*" and _revision_of(if_match) != row.revision:
        raise OutdatedError(f"run {run_id} was edited since it was read: read it again, then repeat the change")
    return repository.edit_run(
        session,
        run_id=run_id,
        name=row.name if changes.name is None else changes.name,
        tags=row.tags if changes.tags is None else list(_distinct(changes.tags)),
    )


def resume_run(session: Session, run_id: UUID) -> RunRow:
    """Queues a paused run again; its message leaves after the commit."""
    row = repository.resume(session, run_id=run_id)
    if row.status == RunStatus.QUEUED:
        after_commit(session, _nudge(run_id))
    return row


def etag_of(row: RunRow) -> str:
    """The run's entity tag: its edition, which If-Match is compared with, and its last change of any kind."""
    return f'"{row.revision}-{row.updated_at.timestamp():.6f}"'


def _nudge(run_id: UUID) -> Callable[[Session], None]:
    def send(session: Session) -> None:
        if queue.send(run_id):
            repository.mark_sent(session, run_id=run_id)

    return send


def _refuse_foreign_recipe(wanted: RunCreate) -> None:
    """Refuses a label that cannot be true.

    Raises:
        MalformedError: when there is no such recipe, or it is of another kind than the configuration.
    """
    if wanted.recipe is None or changed_settings(wanted.recipe, wanted.config) is not None:
        return
    kind = wanted.config.kind
    names = ", ".join(recipe.name for recipe in load_recipes() if recipe.config.kind == kind)
    message = f"there is no {kind} recipe {wanted.recipe!r}: leave `recipe` out, or name one of {names or 'none'}"
    raise MalformedError(message, (FieldProblem(pointer="/recipe", message=message),))


def _name_after(wanted: RunCreate) -> str:
    """A name for a run that was given none."""
    if wanted.recipe is None:
        return f"{wanted.config.kind} run"
    return f"{wanted.recipe}, changed" if changed_settings(wanted.recipe, wanted.config) else wanted.recipe


def _alarms(config: RunConfig, runs_dir: Path) -> list[Alarm]:
    found = [
        Alarm(code="unseen_folder", severity=Severity.WARNING, message=message, cure=CURE, step=0)
        for message in unseen_folders(config)
    ]
    if unread := unread_words(config, runs_dir):
        message, cure = unread
        found.append(Alarm(code="unread_words", severity=Severity.WARNING, message=message, cure=cure, step=0))
    return found


def _revision_of(etag: str) -> int | None:
    text = etag.strip().removeprefix("W/").strip('"').split("-")[0]
    return int(text) if text.isdigit() else None


def _distinct(tags: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(tags))
