"""Performs a bundle's run again, in a fresh folder and without any server, and hears what the job tells.

The job is a process of its own, `python -m worker`: nothing of it is imported here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from backend.artifacts import sha256_of
from backend.bundles.inputs import files_of, tree_sha256
from backend.bundles.manifest import is_safe, verify
from backend.errors import ConflictError, MalformedError
from backend.prompt_files import shipped_sets
from backend.registry.refs import SHIPPED
from backend.runs.policies import SHIPPED_POLICY
from backend.schemas.event import Body, event_body_adapter

_ROOT = Path(__file__).resolve().parents[2]
# As in a worker's job: no hub, and on a GPU the one way of adding that repeats itself.
_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
    "PYTHONUNBUFFERED": "1",
}


class Recording:
    """What a bundle says of its run, read into memory but for the pictures."""

    def __init__(self, path: Path) -> None:
        """Checks the bundle first.

        Raises:
            MalformedError: when anything in it is not as it was written.
        """
        if findings := verify(path):
            told = "; ".join(map(str, findings[:3]))
            raise MalformedError(f"{path.name} is not what was written, so nothing is replayed: {told}")
        self.path = path
        with zipfile.ZipFile(path) as archive:
            self.config: dict[str, Any] = json.loads(archive.read("config.json"))
            self.versions: dict[str, Any] = json.loads(archive.read("versions.json"))
            self.events = [json.loads(line) for line in archive.read("events.jsonl").splitlines()]
            self.groups = [json.loads(line) for line in archive.read("samples.jsonl").splitlines()]
            self._run: dict[str, Any] = json.loads(archive.read("run.json"))
            self.names = frozenset(archive.namelist())

    @property
    def until_step(self) -> int | None:
        """The last step of a run that did not come to its end; None where it did."""
        return None if self._run["status"] == "succeeded" else int(self._run["step"]) or None

    def file(self, name: str) -> bytes:
        """A chosen sample's PNG, or a chosen group's trajectories."""
        with zipfile.ZipFile(self.path) as archive:
            return archive.read(name)

    def unpack(self, into: Path) -> Path:
        """Lays out what the run was made from, as a job looks for it, and the configuration; gives the latter's path.

        Raises:
            ConflictError: when the run needs something that the bundle does not hold and this machine has not.
        """
        with zipfile.ZipFile(self.path) as archive:
            for name in archive.namelist():
                if name.startswith("inputs/") and is_safe(name):
                    target = into / name.removeprefix("inputs/")
                    target.parent.mkdir(parents=True, exist_ok=True)
                    with archive.open(name) as source, target.open("wb") as file:
                        while piece := source.read(1 << 20):
                            file.write(piece)
        for each in self.versions["inputs"]:
            self._settle(each, into)
        config = into / "config.json"
        config.write_text(json.dumps(self.config))
        return config

    def _settle(self, each: dict[str, Any], into: Path) -> None:
        """Has the configuration name a folder's copy; what is missing is told before anything runs."""
        if not each["place"].startswith("folders/"):
            is_there = each["source"] == SHIPPED or (into / each["place"]).exists()
            if not is_there and not (each["role"] == "prompt_set" and each["source"] in shipped_sets()):
                raise ConflictError(
                    f"the run was made from {each['source']!r} ({each['pointer']}), which the bundle does not hold: "
                    "create it anew with what the run was made from"
                )
        elif each["is_included"]:
            *parents, last = each["pointer"].split(".")
            place: Any = self.config
            for part in parents:
                place = place[int(part)] if isinstance(place, list) else place[part]
            architecture, colon, _ = each["source"].rpartition(":")
            place[last] = f"{architecture}{colon}{into / each['place']}"


def perform(
    recording: Recording, into: Path, *, until_step: int | None, tell: Callable[[Body], None]
) -> tuple[list[Body], Path]:
    """Runs the job to the step or to its end; gives what it told, and the folder that its files lie in.

    Raises:
        ConflictError: when the job fails, with its own words.
    """
    folder = into / "runs" / "replay"
    command = [sys.executable, "-m", "worker", str(recording.unpack(into)), "--out", str(folder), "--json"]
    if until_step is not None:
        command += ["--until-step", str(until_step)]
    log = into / "log.txt"
    with log.open("w") as errors:
        environment = os.environ | _ENVIRONMENT
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, cwd=_ROOT, env=environment)
        try:
            bodies = []
            for body in _bodies(process):
                tell(body)
                bodies.append(body)
            code = process.wait()
        finally:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
    if code != 0:
        last = (log.read_text().strip().splitlines() or ["it left no words"])[-1]
        raise ConflictError(f"the replay ended with exit code {code}: {last.removeprefix('error: ')}")
    return bodies, folder


def surroundings(recording: Recording, versions: dict[str, str], device: str) -> list[str]:
    """What is other here than where the run was: packages, device, shipped weights. Each may explain a difference.

    A run that was resumed may have been in several places: of each attempt what was other is told.
    """
    jobs = recording.versions["job"]
    if not jobs:
        return ["the run told no versions: it had not begun"]
    found: list[str] = []
    for job in jobs:
        since = f" from step {job['from_step']} on" if len(jobs) > 1 else ""
        said: dict[str, str] = {"device": job["device"]} | (job["versions"] or {})
        here = {"device": device} | versions
        found += [
            f"{name}: the run had {said.get(name, 'none told')}{since}, here is {here.get(name, 'none')}"
            for name in [*sorted({*said, *here} - {"device"}), "device"]
            if said.get(name) != here.get(name)
        ]
    shipped = {name: sha256_of(path) for name, path in files_of(SHIPPED_POLICY)}
    for each in recording.versions["inputs"]:
        if each["place"] == SHIPPED and each["sha256"] != tree_sha256(shipped):
            found.append(f"{each['pointer']}: the shipped weights here are others than the run's")
    return found


def _bodies(process: subprocess.Popen[bytes]) -> Iterator[Body]:
    assert process.stdout is not None
    for line in process.stdout:
        # A library may print something of its own.
        with suppress(ValidationError):
            yield event_body_adapter.validate_json(line)
