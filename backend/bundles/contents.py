"""What goes into a run's bundle, entry by entry, while it is sent: rows as JSON lines, files as they lie."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pydantic_core import to_json
from sqlalchemy.orm import Session

from backend.artifacts import RunFolder
from backend.bundles import repository
from backend.bundles.inputs import Input, files_of, inputs_of
from backend.bundles.manifest import MANIFEST, manifest_bytes
from backend.bundles.votes import votes_of
from backend.models import GroupRow, RunRow, SampleRow
from backend.registry.refs import SHIPPED, exports_of
from backend.zip_stream import ZipStream, pieces_of

PACKAGES = (
    "unmask-studio",
    "torch",
    "torchvision",
    "transformers",
    "open-clip-torch",
    "safetensors",
    "numpy",
    "pillow",
)
README = """This is a run of Unmask Studio in one file: https://arxiv.org/abs/2510.13418 on Show-o, made reproducible.

    unmask bundle verify FILE     every file is what the manifest says; names what is damaged, missing or surplus
    unmask bundle replay FILE     performs the run again on this machine and compares metrics, states and pictures

run.json       the run as the studio tells it        config.json    what it does; all that a replay reads
versions.json  packages, machine, hashes of weights  events.jsonl   every event, metrics of each step among them
metrics.jsonl  figures by step                       samples.jsonl  every group: prompt, seeds, rewards, hashes
prompts.jsonl  the distinct prompts                  votes.jsonl    people's choices, where there are any
samples/, trajectories/  the chosen pictures         inputs/        what the run was made from
weights/       what it made, where asked for         manifest.json  the hash of each file, and its own
"""


@dataclass(frozen=True)
class Choice:
    """How much a bundle holds."""

    num_groups: int
    """groups whose pictures and trajectories are in it; the hashes of all are always told"""
    has_inputs: bool
    """what the run started from, where it is not shipped"""
    has_weights: bool
    """what the run exported"""


class Bundle:
    """One bundle in the making."""

    def __init__(self, session: Session, row: RunRow, folder: RunFolder, choice: Choice) -> None:
        self._session = session
        self._row = row
        self._folder = folder
        self._choice = choice
        self._stream = ZipStream()
        self._left_out: list[str] = []

    def pieces(self) -> Iterator[bytes]:
        """The archive, in pieces as they come."""
        run_id = self._row.id
        yield from self._text("README.txt", README)
        yield from self._json("run.json", self._row.to_wire().model_dump(mode="json"))
        yield from self._json("config.json", self._row.config)
        yield from self._lines(
            "events.jsonl", (_event(row) for row in repository.events_of(self._session, run_id=run_id))
        )
        metrics = repository.metrics_of(self._session, run_id=run_id)
        yield from self._lines("metrics.jsonl", ({"step": row.step, "values": row.values} for row in metrics))
        yield from self._groups()
        inputs = inputs_of(self._row.kind, self._row.config, self._folder)
        yield from self._json("versions.json", self._versions(inputs))
        for each in inputs:
            if self._is_included(each):
                yield from self._input(each)
        if self._choice.has_weights:
            yield from self._weights()
        yield from self._manifest()

    def _groups(self) -> Iterator[bytes]:
        ids = repository.group_ids_of(self._session, run_id=self._row.id)
        prompts: dict[str, str | None] = {}

        def lines() -> Iterator[dict[str, Any]]:
            for group, samples in repository.groups_of(self._session, group_ids=ids):
                prompts.setdefault(group.prompt, group.task)
                yield _group(group, samples)

        yield from self._lines("samples.jsonl", lines())
        yield from self._lines("prompts.jsonl", ({"text": text, "task": task} for text, task in prompts.items()))
        votes, voted = votes_of(self._session, run_id=self._row.id)
        if votes:
            yield from self._lines("votes.jsonl", votes)
        chosen = chosen_of(ids, self._choice.num_groups) + [key for key in ids if key in voted]
        for group, samples in repository.groups_of(self._session, group_ids=list(dict.fromkeys(chosen))):
            paths = [sample.image_path for sample in samples]
            for path in paths + ([group.trajectory_path] if group.trajectory_path else []):
                yield from self._file(path, path)

    def _versions(self, inputs: Iterable[Input]) -> dict[str, Any]:
        return {
            "job": repository.starts_of(self._session, run_id=self._row.id),
            "bundle": {"python": platform.python_version()} | {name: _version_of(name) for name in PACKAGES},
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
            "checkpoints": [
                {"step": row.step, "sha256": row.sha256, "state_hash": row.state_hash}
                for row in repository.checkpoints_of(self._session, run_id=self._row.id)
            ],
            "rewards": self._row.config.get("rewards") or [],
            "inputs": [each.facts(is_included=self._is_included(each)) for each in inputs],
        }

    def _is_included(self, each: Input) -> bool:
        """What is shipped is in every studio of the same version; the hash says whether it is the same."""
        return self._choice.has_inputs and each.path is not None and each.source != SHIPPED

    def _input(self, each: Input) -> Iterator[bytes]:
        assert each.path is not None, "only what is here is included"
        for name, path in files_of(each.path):
            yield from self._stream.add("/".join(filter(None, ("inputs", each.place, name))), pieces_of(path))

    def _weights(self) -> Iterator[bytes]:
        for export in exports_of(self._folder):
            for name, path in files_of(export):
                yield from self._stream.add(f"weights/{export.name}/{name}", pieces_of(path))

    def _manifest(self) -> Iterator[bytes]:
        facts = {
            "run_id": str(self._row.id),
            "kind": self._row.kind,
            "status": self._row.status,
            "step": self._row.step,
            "created_at": datetime.now(UTC).isoformat(),
            "left_out": self._left_out,
        }
        content = manifest_bytes(facts, self._stream.hashes)
        yield from self._stream.add(MANIFEST, [content])
        yield from self._stream.close()

    def _file(self, name: str, relative: str) -> Iterator[bytes]:
        """A file of the run's folder; one that is gone is told of in the manifest."""
        path = self._folder.path(relative)
        if not path.is_file():
            self._left_out.append(name)
        elif name not in self._stream.hashes:
            yield from self._stream.add(name, pieces_of(path))

    def _text(self, name: str, text: str) -> Iterator[bytes]:
        yield from self._stream.add(name, [text.encode()])

    def _json(self, name: str, value: Any) -> Iterator[bytes]:
        yield from self._text(name, json.dumps(value, indent=1, ensure_ascii=False) + "\n")

    def _lines(self, name: str, values: Iterable[dict[str, Any]]) -> Iterator[bytes]:
        yield from self._stream.add(name, (to_json(value, inf_nan_mode="null") + b"\n" for value in values))


def chosen_of(ids: list[Any], number: int) -> list[Any]:
    """The first four, which a replay of the first steps makes again, and more, evenly spread, up to `number`."""
    if len(ids) <= number:
        return list(ids)
    first = min(4, number)
    rest, wanted = ids[first:], number - first
    return ids[:first] + [rest[(place + 1) * len(rest) // wanted - 1] for place in range(wanted)]


def piecewise(open_session: Callable[[], Any], make: Callable[[Session], Bundle]) -> Iterator[bytes]:
    """A bundle's pieces under one session that sees one state of the database, and is closed at their end."""
    with open_session() as session:
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        for piece in make(session).pieces():
            if piece:
                yield piece


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


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
