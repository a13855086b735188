"""Compares what a replay told with what the bundle says: states by hash, pictures by hash or pixel, metrics by number.

Wall times differ always and are left out. What differed first is kept apart: it leads to the cause.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from backend.bundles.first_difference import Difference, Stage, earlier, of_trajectories
from backend.bundles.replay import Recording
from backend.schemas.event import Body, CheckpointSaved, SamplesMade, ScoreMeasured, StepFinished
from backend.schemas.sample import SampleRecord

# A metric may differ by so much of its size, a picture by so much on average: what another machine's rounding does.
METRIC_TOLERANCE = 1e-4
# What is smaller is measured against this: a loss that is 0 but for rounding differs by its whole size anywhere else.
LEAST_SIZE = 1e-3
PIXEL_TOLERANCE = 2 / 255
WALL_TIMES = ("seconds/", "throughput/", "memory/")

Key = tuple[Any, ...]


@dataclass
class Comparison:
    """How a replay fared."""

    num_steps: int = 0
    num_metrics: int = 0
    worst: float = 0.0
    """the largest difference of a metric, relative to its size, or to `LEAST_SIZE` where it is smaller"""
    worst_name: str = ""
    num_states: int = 0
    num_states_equal: int = 0
    num_pictures: int = 0
    num_pictures_equal: int = 0
    worst_pixels: float = 0.0
    """the largest mean difference of a picture's pixels, of 1; infinite where sizes differ"""
    num_pictures_unseen: int = 0
    """pictures whose hash differs and which the bundle has not: by how much, nobody knows"""
    missing: list[str] = field(default_factory=list)
    """what the bundle tells and the replay did not make, or the other way round"""
    first: Difference | None = None
    """what differed first, in the order in which a run computes; trajectories and rewards are looked at as well"""

    @property
    def is_equal(self) -> bool:
        """Every state, every picture and every number is the same."""
        pictures, states = self.num_pictures_equal == self.num_pictures, self.num_states_equal == self.num_states
        is_same = pictures and states and self.worst == 0 and self.first is None
        return self.num_steps > 0 and is_same and not self.missing

    def differs(self, step: int, stage: Stage, name: str, said: Any, made: Any, apart: float | None) -> None:
        """Takes a difference, and keeps it where it came before what is known."""
        self.first = earlier(self.first, Difference(step, stage, name, said, made, apart))

    def is_close(self, metric_tolerance: float) -> bool:
        """Nothing differs by more than the tolerances; states are no measure of that."""
        is_within = self.worst <= metric_tolerance and self.worst_pixels <= PIXEL_TOLERANCE
        return self.num_steps > 0 and is_within and not self.missing


def compare(recording: Recording, bodies: Iterable[Body], folder: Path) -> Comparison:
    """Compares all that the replay made; what the bundle has of later steps is left alone."""
    found = Comparison()
    said = _said(recording)
    pictures = dict(_pictures(recording))
    seen: set[Key] = set()
    last_step = 0
    for body in bodies:
        for key, values in _numbers(body):
            seen.add(key)
            _metrics(found, key, said.get(key), values)
        if isinstance(body, StepFinished):
            found.num_steps, last_step = found.num_steps + 1, body.step
        if isinstance(body, CheckpointSaved) and ("state", body.step) in said:
            found.num_states += 1
            was, now = said["state", body.step], body.state_hash
            found.num_states_equal += was == now
            if was != now:
                found.differs(body.step, Stage.STATE, "hash of the state", was[:12], now[:12], None)
        if isinstance(body, StepFinished | SamplesMade):
            purpose = body.purpose if isinstance(body, SamplesMade) else "train"
            seen |= set(_compare_pictures(found, recording, pictures, body.groups, purpose, folder))
    awaited = {key for key in {*said, *pictures} if key[0] in ("step", "picture") and key[1] <= last_step}
    found.missing += [f"{' '.join(map(str, key))} was not made again" for key in sorted(awaited - seen, key=str)]
    return found


def _said(recording: Recording) -> dict[Key, Any]:
    """What the bundle's events tell, the last attempt's word counting."""
    said: dict[Key, Any] = {}
    for event in recording.events:
        body = event["body"]
        if body["type"] == "step":
            said["step", body["step"]] = body["metrics"]
        elif body["type"] == "score":
            said["score", body["step"], body["benchmark"], body["policy"]] = body["values"]
        elif body["type"] == "checkpoint":
            said["state", body["step"]] = body["state_hash"]
    return said


def _numbers(body: Body) -> Iterator[tuple[Key, dict[str, float | None]]]:
    if isinstance(body, StepFinished):
        yield ("step", body.step), body.metrics
    if isinstance(body, ScoreMeasured):
        yield ("score", body.step, body.benchmark, body.policy), body.values


def _metrics(found: Comparison, key: Key, said: dict[str, float | None] | None, made: dict[str, float | None]) -> None:
    where = " ".join(map(str, key))
    if said is None:
        found.missing.append(f"{where} is not in the bundle")
        return
    # As the job computed them, then what the bundle alone has.
    for name in dict.fromkeys([*made, *sorted(said)]):
        if name.startswith(WALL_TIMES):
            continue
        found.num_metrics += 1
        was, now = said.get(name), made.get(name)
        difference = _relative(was, now)
        if difference:
            is_score = key[0] == "score"
            told = f"{name} of {' '.join(map(str, key[2:]))}" if is_score else name
            found.differs(key[1], Stage.SCORE if is_score else Stage.METRIC, told, was, now, difference)
        if difference > found.worst:
            found.worst, found.worst_name = difference, f"{name} at {where}"


def _relative(said: float | None, made: float | None) -> float:
    if said is None or made is None:
        return 0.0 if said is made else math.inf
    # JSON may hold a whole number for what was a float.
    return abs(said - made) / max(abs(said), abs(made), LEAST_SIZE) if said != made else 0.0


def _where(purpose: str, policy: str, group: int) -> str:
    return f"group {group}" if purpose == "train" else f"group {group} ({purpose}, {policy})"


def _place(group: dict[str, Any]) -> tuple[int, str, str, int]:
    return group["step"], group["purpose"], group["policy"], group["index"]


def _pictures(recording: Recording) -> Iterator[tuple[Key, dict[str, Any]]]:
    for group in recording.groups:
        if group["purpose"] != "sample_now":  # A person asked for these; a replay is asked for nothing.
            for sample in group["samples"]:
                yield _key(*_place(group), sample["index"]), sample


def _key(step: int, purpose: str, policy: str, group: int, sample: int) -> Key:
    return ("picture", step, purpose, policy, group, sample)


def _compare_pictures(
    found: Comparison,
    recording: Recording,
    pictures: dict[Key, dict[str, Any]],
    groups: Any,
    purpose: str,
    folder: Path,
) -> Iterator[Key]:
    trajectories = {_key(*_place(each), -1): each["trajectory_path"] for each in recording.groups}
    for group in groups:
        where = _where(purpose, group.policy, group.index)
        path = trajectories.get(_key(group.step, purpose, group.policy, group.index, -1))
        if path in recording.names and group.trajectory_path:
            made = (folder / group.trajectory_path).read_bytes()
            if other := of_trajectories(recording.file(path), made, group.step, where):
                stage = Stage.PROBE if purpose == "probe" else Stage.TRAJECTORY
                found.differs(other.step, stage, other.name, other.said, other.made, other.apart)
        for sample in group.samples:
            key = _key(group.step, purpose, group.policy, group.index, sample.index)
            said = pictures.get(key)
            if said is None:
                continue
            yield key
            _compare_sample(found, recording, said, sample, key, folder)


def _compare_sample(
    found: Comparison, recording: Recording, said: dict[str, Any], sample: SampleRecord, key: Key, folder: Path
) -> None:
    _, step, purpose, policy, group, index = key
    where = f"sample {index} of {_where(purpose, policy, group)}"
    is_probe = purpose == "probe"
    for name, now in {**sample.reward_breakdown, "in all": sample.reward}.items():
        was = said["reward"] if name == "in all" else said["reward_breakdown"].get(name)
        if apart := _relative(was, now):
            found.differs(step, Stage.PROBE if is_probe else Stage.REWARD, f"reward {name} of {where}", was, now, apart)
    found.num_pictures += 1
    if said["image_sha256"] == sample.image_sha256:
        found.num_pictures_equal += 1
        return
    pixels: float | None = None
    if said["image_path"] in recording.names:
        pixels = _pixels(recording.file(said["image_path"]), (folder / sample.image_path).read_bytes())
        found.worst_pixels = max(found.worst_pixels, pixels)
    else:
        found.num_pictures_unseen += 1
    found.differs(step, Stage.PROBE if is_probe else Stage.PICTURE, f"picture of {where}", None, None, pixels)


def _pixels(said: bytes, made: bytes) -> float:
    """Mean difference of two PNG files' pixels, of 1; infinite where their sizes differ."""
    import numpy as np  # noqa: PLC0415 - only pictures that differ need these.
    from PIL import Image  # noqa: PLC0415

    first, second = (np.asarray(Image.open(io.BytesIO(each)).convert("RGB"), dtype=np.float64) for each in (said, made))
    return float(np.abs(first - second).mean() / 255) if first.shape == second.shape else math.inf
