"""The shipped sets, read-only: the small world's held-out captions, and its training captions in plain words."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from uuid import UUID

from backend.prompt_files import HELDOUT, TRAIN, read_set, shipped_sets
from backend.prompt_sets.counting import counts_of
from backend.schemas.prompt_set import PromptSet, PromptSetVersion

# Older than anything that a studio stores, so they end every list.
_SHIPPED_AT = datetime(2025, 1, 1, tzinfo=UTC)
_NAMES = {
    HELDOUT: (UUID("01941f29-7c00-7000-8000-000000000002"), "small world, held-out captions"),
    TRAIN: (UUID("01941f29-7c00-7000-8000-000000000001"), "small world, training captions, plainly worded"),
}


@lru_cache(maxsize=1)
def builtin_sets() -> tuple[PromptSet, ...]:
    """In the order of a list: the newest first."""
    found = []
    for sha256, path in shipped_sets().items():
        set_id, name = _NAMES[path.stem]
        latest = PromptSetVersion(
            version=1,
            sha256=sha256,
            note="shipped",
            created_at=_SHIPPED_AT,
            **counts_of(read_set(path.parent, sha256)),
        )
        found.append(
            PromptSet(
                id=set_id, name=name, is_builtin=True, latest=latest, created_at=_SHIPPED_AT, updated_at=_SHIPPED_AT
            )
        )
    return tuple(found)


def find_builtin(set_id: UUID) -> PromptSet | None:
    """The shipped set of an id."""
    return next((each for each in builtin_sets() if each.id == set_id), None)
