"""Aliases where a policy or a learned reward is named: each is replaced by the model that it means now, so that a run
stays what it was.

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
from backend.schemas.every_run import ALIAS_PREFIX, PolicyConfig, RunKind
from backend.schemas.reward import RewardConfig

Config = TypeVar("Config", bound=BaseModel)
Named = PolicyConfig | LabelledPolicy | RewardConfig


def freeze(session: Session, config: Config, pointer: str = "/config") -> Config:
    """The configuration with every `alias:<name>` replaced by its model; the name stays beside it, in `alias`.

    Args:
        pointer: where the configuration stands in the request.

    Raises:
        MalformedError: when no alias has that name, it means a reward model where a policy belongs or the other way
            round, or something claims an alias that never meant its source.
    """
    frozen: Config = _frozen(session, config, pointer)
    return frozen


def _frozen(session: Session, value: Any, pointer: str) -> Any:
    if isinstance(value, Named):
        return _named(session, value, pointer)
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


def _named(session: Session, named: Named, pointer: str) -> Named:
    if named.source.startswith(ALIAS_PREFIX):
        row = _meant(session, named.source.removeprefix(ALIAS_PREFIX), isinstance(named, RewardConfig), pointer)
        return named.model_copy(update={"source": row.target, "alias": row.name})
    if named.alias:
        meant = select(AliasMoveRow.id).where(AliasMoveRow.name == named.alias, AliasMoveRow.target == named.source)
        if session.scalar(meant.limit(1)) is None:
            text = f"alias {named.alias!r} never meant {named.source!r}: leave `alias` empty, the studio fills it in"
            raise _refused(text, f"{pointer}/alias")
    return named


def _meant(session: Session, name: str, is_reward: bool, pointer: str) -> AliasRow:
    # Held until the commit, so that the alias cannot leave a model that is deleted meanwhile.
    row = session.scalars(select(AliasRow).where(AliasRow.name == name).with_for_update(read=True)).one_or_none()
    if row is None:
        known = ", ".join(session.scalars(select(AliasRow.name).order_by(AliasRow.name).limit(20)))
        raise _refused(f"there is no alias {name!r}: there are {known or 'none yet'}", f"{pointer}/source")
    match = RUN_SOURCE.fullmatch(row.target)
    kind = None if match is None else session.scalar(select(RunRow.kind).where(RunRow.id == UUID(match["run"])))
    if is_reward != (kind == RunKind.REWARD_MODEL):
        means, wanted = ("policy", "reward model") if is_reward else ("reward model", "policy")
        text = f"alias {name!r} means a {means}, {row.target!r}, and here a {wanted} is wanted: name another"
        raise _refused(text, f"{pointer}/source")
    return row


def _refused(text: str, pointer: str) -> MalformedError:
    return MalformedError(text, (FieldProblem(pointer=pointer, message=text),))
