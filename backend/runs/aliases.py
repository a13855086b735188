"""Aliases where a policy is named: each is replaced by the model that it means now, so that a run stays what it was.

Who sets and moves aliases is backend/registry's matter.
"""

from __future__ import annotations

from typing import Any, TypeVar
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.orm import Session

from backend.errors import MalformedError
from backend.models import AliasMoveRow, AliasRow, RunRow
from backend.runs.policies import RUN_SOURCE
from backend.schemas.base import FieldProblem
from backend.schemas.benchmark import LabelledPolicy
from backend.schemas.every_run import ALIAS_PREFIX, PolicyConfig

Config = TypeVar("Config", bound=BaseModel)
Policy = PolicyConfig | LabelledPolicy


def freeze(session: Session, config: Config) -> Config:
    """The configuration with every `alias:<name>` replaced by its model; the name stays beside it, in `alias`.

    Raises:
        MalformedError: when no alias has that name, or a policy claims an alias that never meant its source.
    """
    frozen: Config = _frozen(session, config, "/config")
    return frozen


def _frozen(session: Session, value: Any, pointer: str) -> Any:
    if isinstance(value, Policy):
        return _policy(session, value, pointer)
    if isinstance(value, tuple):
        return tuple(_frozen(session, each, f"{pointer}/{place}") for place, each in enumerate(value))
    if not isinstance(value, BaseModel):
        return value
    changes = {}
    for name in type(value).model_fields:
        before = getattr(value, name)
        after = _frozen(session, before, f"{pointer}/{name}")
        if after is not before and after != before:
            changes[name] = after
    return value.model_copy(update=changes) if changes else value


def _policy(session: Session, policy: Policy, pointer: str) -> Policy:
    if policy.source.startswith(ALIAS_PREFIX):
        name = policy.source.removeprefix(ALIAS_PREFIX)
        # Held until the commit, so that the alias cannot leave a model that is deleted meanwhile.
        row = session.scalars(select(AliasRow).where(AliasRow.name == name).with_for_update(read=True)).one_or_none()
        if row is None:
            known = ", ".join(session.scalars(select(AliasRow.name).order_by(AliasRow.name).limit(20)))
            raise _refused(f"there is no alias {name!r}: there are {known or 'none yet'}", f"{pointer}/source")
        return policy.model_copy(update={"source": row.target, "alias": name})
    if match := RUN_SOURCE.fullmatch(policy.source):
        _hold(session, match["run"])
    if policy.alias:
        meant = select(AliasMoveRow.id).where(AliasMoveRow.name == policy.alias, AliasMoveRow.target == policy.source)
        if session.scalar(meant.limit(1)) is None:
            text = f"alias {policy.alias!r} never meant {policy.source!r}: leave `alias` empty, the studio fills it in"
            raise _refused(text, f"{pointer}/alias")
    return policy


def _hold(session: Session, run: str) -> None:
    """Holds the run whose model is named until the commit, so that the model is not deleted meanwhile."""
    try:
        session.scalar(select(RunRow.id).where(RunRow.id == UUID(run)).with_for_update(read=True))
    except ValueError:
        return  # The name of no run: the job says what is wrong.


def _refused(text: str, pointer: str) -> MalformedError:
    return MalformedError(text, (FieldProblem(pointer=pointer, message=text),))
