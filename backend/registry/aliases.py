"""Setting, moving and giving up aliases: every move is kept, and If-Match keeps two movers apart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import func
from sqlalchemy.orm import Session

from backend.errors import ConflictError, MalformedError, NotFoundError, OutdatedError
from backend.models import AliasMoveRow, AliasRow
from backend.naming_locks import lock_alone, lock_named
from backend.registry import repository, service
from backend.registry.refs import read_ref
from backend.schemas.base import FieldProblem
from backend.schemas.every_run import ALIAS_PREFIX
from backend.schemas.registry import Alias, AliasKind, AliasSet, ModelKind

_WORDS = {AliasKind.POLICY: "policy", AliasKind.REWARD_MODEL: "reward model"}


def get_alias(session: Session, name: str) -> AliasRow:
    """The alias's row; NotFoundError when there is none."""
    row = repository.find_alias(session, name=name)
    if row is None:
        raise NotFoundError(f"there is no alias {name!r}: list them with GET /api/v1/aliases")
    return row


def set_alias(session: Session, runs_dir: Path, name: str, wanted: AliasSet, if_match: str | None) -> AliasRow:
    """Has a name mean a model from now on; a repeat of what holds already changes nothing.

    Raises:
        MalformedError: when the target is no model of the registry.
        ConflictError: when the name means a policy and the target is a reward model, or the other way round.
        OutdatedError: when `if_match` names a state before the last move.
    """
    row = _held(session, name)
    _match(row, name, if_match)
    target, kind = _checked_target(session, runs_dir, wanted.target)
    if row is not None and row.target == target:
        return row
    _refuse_other_kind(session, row, target, kind)
    previous = None if row is None else row.target
    revision = repository.last_revision(session, name=name) + 1
    if row is None:
        row = AliasRow(name=name, target=target, revision=revision)
        session.add(row)
    else:
        row.target, row.revision, row.updated_at = target, revision, func.clock_timestamp()
    session.add(AliasMoveRow(name=name, revision=revision, target=target, previous=previous, note=wanted.note))
    session.flush()
    session.refresh(row)
    return row


def give_up_alias(session: Session, name: str, if_match: str | None) -> None:
    """Takes a name away; its moves stay to be read.

    Raises:
        NotFoundError: when there is no such alias.
        OutdatedError: when `if_match` names a state before the last move.
    """
    row = _held(session, name)
    if row is None:
        raise NotFoundError(f"there is no alias {name!r}: list them with GET /api/v1/aliases")
    _match(row, name, if_match)
    session.delete(row)
    session.add(AliasMoveRow(name=name, revision=row.revision + 1, target=None, previous=row.target))


def told(session: Session, rows: Sequence[AliasRow]) -> list[Alias]:
    """The aliases as everyone sees them, each with its kind."""
    rewards = repository.reward_models_among(session, targets=[row.target for row in rows])
    return [row.to_wire(AliasKind.REWARD_MODEL if row.target in rewards else AliasKind.POLICY) for row in rows]


def etag_of(row: AliasRow) -> str:
    """The alias's entity tag: the number of its last move."""
    return f'"{row.revision}"'


def _held(session: Session, name: str) -> AliasRow | None:
    """The alias's row, held against every other mover until the transaction ends; so is a name that means nothing."""
    lock_alone(session, f"{ALIAS_PREFIX}{name}")
    return repository.find_alias(session, name=name, is_locked=True)


def _match(row: AliasRow | None, name: str, if_match: str | None) -> None:
    if if_match is None or (row is not None and if_match.strip() in ("*", etag_of(row))):
        return
    raise OutdatedError(f"alias {name!r} was moved since it was read: read it again, then repeat the change")


def _checked_target(session: Session, runs_dir: Path, target: str) -> tuple[str, AliasKind]:
    try:
        ref = read_ref(target)
        lock_named(session, [ref.locked_as])
        model = service.get_model(session, runs_dir, ref)
    except (MalformedError, NotFoundError) as error:
        raise MalformedError(error.detail, (FieldProblem(pointer="/target", message=error.detail),)) from error
    kind = AliasKind.REWARD_MODEL if model.kind is ModelKind.REWARD_MODEL else AliasKind.POLICY
    return model.source, kind


def _refuse_other_kind(session: Session, row: AliasRow | None, target: str, kind: AliasKind) -> None:
    """A run that is started by the name tomorrow must be able to use what it means then."""
    if row is None or (before := told(session, [row])[0].kind) is kind:
        return
    text = (
        f"alias {row.name!r} means a {_WORDS[before]}, but {target!r} is a {_WORDS[kind]}: choose another name for it, "
        f"or give {row.name!r} up first"
    )
    raise ConflictError(text, (FieldProblem(pointer="/target", message=text),))
