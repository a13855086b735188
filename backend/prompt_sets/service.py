"""Makes prompt sets, adds versions, and removes sets that no run names. Prompts lie in files, the rest in tables."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.orm import Session

from backend.artifacts import write_atomically
from backend.db import after_commit
from backend.errors import ConflictError, NotFoundError, OutdatedError
from backend.models import PromptSetRow, PromptSetVersionRow
from backend.naming_locks import lock_for_deletion, lock_named
from backend.prompt_files import Prompt, content_of, read_set
from backend.prompt_sets import repository
from backend.prompt_sets.builtin import find_builtin
from backend.prompt_sets.counting import counts_of
from backend.prompt_sets.formats import entry_prompts
from backend.schemas.base import FieldProblem
from backend.schemas.prompt_set import PromptSet, PromptSetDetail, PromptSetEdit, PromptSetUser, PromptSetVersion


def create(session: Session, folder: Path, name: str, prompts: Sequence[Prompt]) -> PromptSetDetail:
    """A new set, whose first version has these prompts."""
    row = PromptSetRow(name=name)
    session.add(row)
    session.flush()
    _add_version(session, folder, row, prompts, 1, "")
    session.refresh(row)
    return _detail_of_row(session, row)


def edit(
    session: Session, folder: Path, set_id: UUID, changes: PromptSetEdit, if_match: str | None
) -> tuple[PromptSetDetail, str]:
    """Renames a set, or adds a version; prompts that are the last version's make none."""
    prompts = None if changes.prompts is None else entry_prompts(changes.prompts)
    return change(session, folder, set_id, changes.name, prompts, changes.note, if_match)


def change(
    session: Session,
    folder: Path,
    set_id: UUID,
    name: str | None,
    prompts: Sequence[Prompt] | None,
    note: str,
    if_match: str | None,
) -> tuple[PromptSetDetail, str]:
    """The set after a change, and its entity tag.

    Raises:
        ConflictError: when the set is shipped.
        OutdatedError: when `if_match` names a state before the last edit.
    """
    _refuse_builtin(set_id, "changed: download it and upload your own")
    row = repository.get_set(session, set_id=set_id, is_locked=True)
    if if_match is not None and if_match.strip() not in ("*", _etag(row)):
        raise OutdatedError(f"prompt set {set_id} was edited since it was read: read it again, then repeat the change")
    if name is not None:
        row.name = name
    if prompts is not None:
        last = repository.versions_of(session, set_id=set_id)[0]
        if hashlib.sha256(content_of(prompts)).hexdigest() != last.sha256:
            _add_version(session, folder, row, prompts, last.version + 1, note)
    row.revision += 1
    row.updated_at = func.clock_timestamp()
    session.flush()
    session.refresh(row)
    return _detail_of_row(session, row), _etag(row)


def get_detail(session: Session, set_id: UUID) -> tuple[PromptSetDetail, str]:
    """A set with its versions and the runs that name one, and its entity tag."""
    shipped = find_builtin(set_id)
    if shipped is None:
        row = repository.get_set(session, set_id=set_id)
        return _detail_of_row(session, row), _etag(row)
    versions = (shipped.latest,)
    return PromptSetDetail(**shipped.model_dump(), versions=versions, used_by=_users(session, versions)), '"1"'


def prompts_of(
    session: Session, folder: Path, set_id: UUID, version: int | None
) -> tuple[PromptSetDetail, list[Prompt]]:
    """A set and the prompts of a version, the last one unless a number is given.

    Raises:
        NotFoundError: when there is no such version.
        ConflictError: when its file is missing or was changed.
    """
    detail, _ = get_detail(session, set_id)
    found = next((each for each in detail.versions if version in (None, each.version)), None)
    if found is None:
        raise NotFoundError(
            f"prompt set {detail.name!r} has no version {version}: it has 1 to {detail.versions[0].version}"
        )
    try:
        return detail, list(read_set(folder, found.sha256))
    except ValueError as error:
        raise ConflictError(str(error)) from error


def delete(session: Session, folder: Path, set_id: UUID) -> None:
    """Removes a set with its versions.

    Raises:
        ConflictError: when it is shipped, or a run's configuration names a version.
    """
    _refuse_builtin(set_id, "deleted")
    row = repository.get_set(session, set_id=set_id, is_locked=True)
    hashes = {version.sha256 for version in repository.versions_of(session, set_id=set_id)}
    lock_for_deletion(session, hashes)
    detail = _detail_of_row(session, row)
    if detail.used_by:
        told = tuple(FieldProblem(pointer=f"/run/{user.run_id}", message=user.name) for user in detail.used_by)
        words = ", ".join(f"{user.name!r} ({user.run_id})" for user in detail.used_by[:3])
        raise ConflictError(
            f"prompt set {row.name!r} is used by {len(told)} runs: {words}{', …' if len(told) > 3 else ''}; without it "
            "they could not be repeated",
            told,
        )
    session.delete(row)
    after_commit(session, lambda own: _remove(own, folder, hashes))


def set_of_rows(row: PromptSetRow, latest: PromptSetVersionRow) -> PromptSet:
    """A set as lists show it."""
    return PromptSet(
        id=row.id,
        name=row.name,
        is_builtin=False,
        latest=latest.to_wire(),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _detail_of_row(session: Session, row: PromptSetRow) -> PromptSetDetail:
    rows = repository.versions_of(session, set_id=row.id)
    versions = tuple(each.to_wire() for each in rows)
    return PromptSetDetail(
        **set_of_rows(row, rows[0]).model_dump(), versions=versions, used_by=_users(session, versions)
    )


def _users(session: Session, versions: Sequence[PromptSetVersion]) -> tuple[PromptSetUser, ...]:
    numbers = {each.sha256: each.version for each in versions}
    rows = repository.runs_that_use(session, hashes=numbers)
    return tuple(
        PromptSetUser(run_id=run.id, name=run.name, kind=run.kind, version=numbers[run.config["prompts"]["prompt_set"]])
        for run in rows
    )


def _add_version(
    session: Session, folder: Path, row: PromptSetRow, prompts: Sequence[Prompt], version: int, note: str
) -> None:
    """The file first: a row never names one that is not there, and a file without a row harms nobody."""
    content = content_of(prompts)
    sha256 = hashlib.sha256(content).hexdigest()
    lock_named(session, [sha256])
    write_atomically(folder / f"{sha256}.jsonl", content)
    session.add(
        PromptSetVersionRow(prompt_set_id=row.id, version=version, sha256=sha256, note=note, **counts_of(prompts))
    )
    session.flush()


def _remove(session: Session, folder: Path, hashes: set[str]) -> None:
    """Removes the files that still nobody needs: since the commit the same prompts may have been stored or named."""
    lock_for_deletion(session, hashes)
    for sha256 in hashes - repository.needed_hashes(session, hashes=hashes):
        (folder / f"{sha256}.jsonl").unlink(missing_ok=True)


def _refuse_builtin(set_id: UUID, what: str) -> None:
    if (shipped := find_builtin(set_id)) is not None:
        raise ConflictError(f"prompt set {shipped.name!r} ships with the studio and cannot be {what}")


def _etag(row: PromptSetRow) -> str:
    return f'"{row.revision}"'
