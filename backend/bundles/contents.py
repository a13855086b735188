"""What goes into a run's bundle, entry by entry, while it is sent: a snapshot's lines, files as they lie."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from sqlalchemy.orm import Session

from backend.artifacts import RunFolder
from backend.bundles.inputs import Input, files_of, inputs_of
from backend.bundles.manifest import MANIFEST, manifest_bytes
from backend.bundles.snapshot import Snapshot
from backend.models import RunRow
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

    def __init__(self, snapshot: Snapshot, folder: RunFolder, choice: Choice) -> None:
        self._snapshot = snapshot
        self._folder = folder
        self._choice = choice
        self._stream = ZipStream()
        self._left_out: list[str] = []

    def pieces(self) -> Iterator[bytes]:
        """The archive, in pieces as they come."""
        yield from self._text("README.txt", README)
        for name, content in self._snapshot:
            yield from self._stream.add(name, content)
        for path in self._snapshot.paths:
            yield from self._file(path, path)
        inputs = inputs_of(self._snapshot.kind, self._snapshot.config, self._folder)
        yield from self._text("versions.json", json.dumps(self._versions(inputs), indent=1, ensure_ascii=False) + "\n")
        for each in inputs:
            if self._is_included(each):
                yield from self._input(each)
        if self._choice.has_weights:
            yield from self._weights()
        yield from self._manifest()

    def _versions(self, inputs: Iterable[Input]) -> dict[str, Any]:
        return {
            "job": self._snapshot.starts,
            "bundle": {"python": platform.python_version()} | {name: _version_of(name) for name in PACKAGES},
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
            "checkpoints": self._snapshot.checkpoints,
            "rewards": self._snapshot.config.get("rewards") or [],
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
        made = {"created_at": datetime.now(UTC).isoformat(), "left_out": self._left_out}
        facts = self._snapshot.about | made
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


def piecewise(
    open_session: Callable[[], Session], find: Callable[[Session], RunRow], folder: RunFolder, choice: Choice
) -> Iterator[bytes]:
    """A bundle's pieces. Its rows are read first, at one state of the database: who downloads slowly holds no session.

    Args:
        open_session: gives a session of the bundle's own.
        find: gives the run's row under it.
        folder: where the run's files lie.
        choice: how much is in it.
    """
    with open_session() as session:
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        snapshot = Snapshot(session, find(session), choice.num_groups)
    with closing(snapshot):
        for piece in Bundle(snapshot, folder, choice).pieces():
            if piece:
                yield piece


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
