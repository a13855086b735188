"""What the database tells of a run at one moment, spooled as the bundle's lines, so that no connection is held later.

Knows neither the archive nor what lies on the disk.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from tempfile import SpooledTemporaryFile
from typing import Any
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy.orm import Session

from backend.bundles import repository
from backend.bundles.votes import votes_of
from backend.models import GroupRow, RunRow, SampleRow

# What is longer waits on the disk.
_LONGEST_IN_MEMORY = 2**23
_PIECE_BYTES = 2**20


class Snapshot:
    """Entries that are told by rows, the chosen files' places, and the facts of versions.json and manifest.json."""

    def __init__(self, session: Session, row: RunRow, num_groups: int) -> None:
        """Reads everything; the session is needed no longer then, and should see one state of the database.

        Args:
            session: at the isolation level REPEATABLE READ.
            row: the run.
            num_groups: groups whose files are named in `paths`, besides those that were voted on.
        """
        self.kind, self.config = row.kind, row.config
        self.about = {"run_id": str(row.id), "kind": row.kind, "status": row.status, "step": row.step}
        self.starts = repository.starts_of(session, run_id=row.id)
        self.checkpoints = [
            {"step": each.step, "sha256": each.sha256, "state_hash": each.state_hash}
            for each in repository.checkpoints_of(session, run_id=row.id)
        ]
        self.paths: list[str] = []
        self._file = SpooledTemporaryFile(_LONGEST_IN_MEMORY)  # noqa: SIM115 - `close` is this class's too.
        self._places: dict[str, tuple[int, int]] = {}
        try:
            self._spool("run.json", [_indented(row.to_wire().model_dump(mode="json"))])
            self._spool("config.json", [_indented(row.config)])
            events = repository.events_of(session, run_id=row.id)
            self._spool("events.jsonl", _lines(_event(each) for each in events))
            metrics = repository.metrics_of(session, run_id=row.id)
            self._spool("metrics.jsonl", _lines({"step": each.step, "values": each.values} for each in metrics))
            self._groups(session, row.id, num_groups)
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Each entry's name and its content, in order."""
        for name, (start, end) in self._places.items():
            yield name, self._pieces(start, end)

    def close(self) -> None:
        """Lets the lines go."""
        self._file.close()

    def _groups(self, session: Session, run_id: UUID, num_groups: int) -> None:
        ids = repository.group_ids_of(session, run_id=run_id)
        prompts: dict[str, str | None] = {}

        def told() -> Iterator[dict[str, Any]]:
            for group, samples in repository.groups_of(session, group_ids=ids):
                prompts.setdefault(group.prompt, group.task)
                yield _group(group, samples)

        self._spool("samples.jsonl", _lines(told()))
        self._spool("prompts.jsonl", _lines({"text": text, "task": task} for text, task in prompts.items()))
        votes, voted = votes_of(session, run_id=run_id)
        if votes:
            self._spool("votes.jsonl", _lines(votes))
        chosen = chosen_of(ids, num_groups) + [key for key in ids if key in voted]
        for group, samples in repository.groups_of(session, group_ids=list(dict.fromkeys(chosen))):
            self.paths += [sample.image_path for sample in samples]
            self.paths += [group.trajectory_path] if group.trajectory_path else []

    def _spool(self, name: str, pieces: Iterable[bytes]) -> None:
        start = self._file.tell()
        self._file.writelines(pieces)
        self._places[name] = start, self._file.tell()

    def _pieces(self, start: int, end: int) -> Iterator[bytes]:
        self._file.seek(start)
        while piece := self._file.read(min(_PIECE_BYTES, end - self._file.tell())):
            yield piece


def chosen_of(ids: list[Any], number: int) -> list[Any]:
    """The first four, which a replay of the first steps makes again, and more, evenly spread, up to `number`."""
    if len(ids) <= number:
        return list(ids)
    first = min(4, number)
    rest, wanted = ids[first:], number - first
    return ids[:first] + [rest[(place + 1) * len(rest) // wanted - 1] for place in range(wanted)]


def _indented(value: Any) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()


def _lines(values: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    return (to_json(value, inf_nan_mode="null") + b"\n" for value in values)


def _event(row: Any) -> dict[str, Any]:
    return {"seq": row.seq, "attempt": row.attempt, "created_at": row.created_at.isoformat(), "body": row.body}


def _group(group: GroupRow, samples: Iterable[SampleRow]) -> dict[str, Any]:
    names = ("step", "purpose", "policy", "index", "prompt", "task", "mean_reward", "reward_std", "is_kept", "reason")
    own = ("index", "seed", "reward", "reward_breakdown", "advantage", "image_path", "image_sha256", "verdict")
    return {
        "id": str(group.id),
        **{name: getattr(group, name) for name in names},
        "trajectory_path": group.trajectory_path,
        "samples": [{"id": str(each.id), **{name: getattr(each, name) for name in own}} for each in samples],
    }
