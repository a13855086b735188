"""Makes pair sets of files and of votes, and removes those that nobody needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from sqlalchemy.orm import Session

from backend.errors import ConflictError, MalformedError
from backend.naming_locks import lock_for_deletion
from backend.pair_sets import repository
from backend.pair_sets.exports import refuse_missing_pictures
from backend.pair_sets.folder import NewPairSet, PairSets
from backend.pair_sets.formats import csv_table, hpdv2, pick_a_pic
from backend.pair_sets.pairs import Pair, PairSource
from backend.schemas.base import FieldProblem
from backend.schemas.pair_set import FrozenPair, FrozenVote, PairFormat, PairSet

Read = Callable[[Path, str, NewPairSet], tuple[list[Pair], dict[str, int]]]
_READERS: dict[PairFormat, Read] = {
    PairFormat.PICK_A_PIC: pick_a_pic.read,
    PairFormat.HPDV2: hpdv2.read,
    PairFormat.CSV: csv_table.read,
}


def import_pairs(sets: PairSets, path: Path, file: str, wanted: PairFormat, name: str) -> tuple[PairSet, bool]:
    """A set of what lies at a path, and whether it is new.

    Args:
        file: what to call the source; a path of an upload says nothing to anybody.

    Raises:
        MalformedError: with row, column and cure of what cannot be read; nothing is kept then.
    """
    with sets.making() as new:
        pairs, left_out = _READERS[wanted](path, file, new)
        source = {"kind": "import", "format": wanted.value, "file": file}
        return sets.keep(new, new.write(pairs, name, source, left_out, sets.next_version(name, source)))


def import_from_path(sets: PairSets, text: str, wanted: PairFormat, name: str) -> tuple[PairSet, bool]:
    """As `import_pairs`, of a file or folder of the studio's machine."""
    path = Path(text).expanduser()
    if not path.is_absolute() or not path.exists():
        message = f"{text!r} is no file or folder of the studio's machine: give an absolute path, or upload the file"
        raise MalformedError(message, (FieldProblem(pointer="/path", message=message),))
    return import_pairs(sets, path, path.name, wanted, name)


def freeze(sets: PairSets, source: PairSource, name: str) -> tuple[PairSet, bool]:
    """A set of a label task's votes as they are, and whether it is new.

    Raises:
        ConflictError: when no vote counts yet, or a picture is gone or was changed since it was judged.
    """
    if not source.pairs:
        raise ConflictError("no pair has a vote that counts: let people vote first, or exclude fewer raters")
    refuse_missing_pictures(source)
    with sets.making() as new:
        for picture, path in source.pictures.items():
            if not new.add_known(picture, path.read_bytes()):
                raise ConflictError(f"{path} is not the picture that people saw: its hash has changed since")
        version = sets.next_version(name, source.about)
        return sets.keep(new, new.write(source.pairs, name, source.about, source.left_out, version))


def some_pairs(sets: PairSets, sha256: str, first: int, count: int) -> list[FrozenPair]:
    """At most `count` pairs of a set from the place `first` on, as the API shows them."""
    pictures = f"/api/v1/pair-sets/{sha256}/pictures"
    return [
        FrozenPair(
            index=index,
            prompt=pair.prompt,
            task=pair.task,
            image_0_url=f"{pictures}/{pair.image_0}",
            image_1_url=f"{pictures}/{pair.image_1}",
            label_0=pair.label_0,
            majority=pair.majority,
            votes=tuple(FrozenVote.model_validate(asdict(vote)) for vote in pair.votes),
            provenance=pair.provenance,
        )
        for index, pair in enumerate(sets.some_pairs(sha256, first, count), start=first)
    ]


def with_use(session: Session, found: PairSet) -> PairSet:
    """The set with the runs that name it."""
    return found.model_copy(update={"used_by": tuple(repository.runs_that_use(session, sha256=found.sha256))})


def delete(session: Session, sets: PairSets, sha256: str) -> None:
    """Removes a set.

    Raises:
        ConflictError: when a run's configuration names it.
    """
    lock_for_deletion(session, [sha256])
    used_by = with_use(session, sets.get(sha256)).used_by
    if used_by:
        raise ConflictError(
            f"pair set {sha256[:12]} is used by {len(used_by)} runs, the newest {used_by[0]}: without it they could "
            "not be repeated"
        )
    sets.delete(sha256)
