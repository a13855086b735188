"""Fills a database for the API's benchmark by COPY: each run with 1,000 events, 100 metrics, 20 groups, 100 samples."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg

from backend.artifacts import derived_id
from backend.db import serialize_json
from backend.schemas.config import TrainConfig
from backend.schemas.event import StepFinished
from backend.schemas.sample import Condition, FoundObject, VerdictRecord

NUM_EVENTS = 1000
NUM_METRICS = 100
NUM_STEPS = 5
NUM_GROUPS = 4
NUM_SAMPLES = 5

_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
_METRICS = {f"metric_{number}": number / 7 for number in range(25)}
_VERDICT = VerdictRecord(
    is_correct=True,
    is_strict=False,
    dense=0.75,
    conditions=tuple(Condition(text=f"a condition {number}", is_satisfied=True) for number in range(3)),
    found=tuple(
        FoundObject(shape="circle", colour="red", box=(1.0, 2.0, 25.0, 26.0), confidence=0.9) for _ in range(3)
    ),
)


def fill(url: str, run_ids: Sequence[UUID]) -> None:
    """Writes all rows and has Postgres look at them, as autovacuum would in time."""
    with psycopg.connect(url) as connection:
        _fill_runs(connection, run_ids)
        _fill_events(connection, run_ids)
        _fill_metrics(connection, run_ids)
        _fill_groups(connection, run_ids)
        _fill_samples(connection, run_ids)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
        connection.execute("CHECKPOINT")


def _fill_runs(connection: psycopg.Connection, run_ids: Sequence[UUID]) -> None:
    config = serialize_json(TrainConfig())
    columns = "id, kind, name, status, config, step, num_steps, num_events, latest_metrics, created_at"
    with connection.cursor().copy(f"COPY run ({columns}) FROM STDIN") as copy:
        for number, run_id in enumerate(run_ids):
            created_at = _BEGAN + timedelta(minutes=number)
            metrics = serialize_json(_METRICS)
            copy.write_row(
                (run_id, "train", f"run {number}", "succeeded", config, 100, 100, NUM_EVENTS, metrics, created_at)
            )


def _fill_events(connection: psycopg.Connection, run_ids: Sequence[UUID]) -> None:
    credit: dict[str, list[float | None]] = {name: [0.5] * 8 for name in ("ratio", "kl", "log_prob")}
    body = serialize_json(StepFinished(step=1, num_steps=100, metrics=dict(_METRICS), credit=credit, seconds=1.0))
    # Postgres reads a backslash in this format as the beginning of an escape.
    text = body.replace("\\", "\\\\")
    with connection.cursor().copy("COPY event (run_id, seq, attempt, body) FROM STDIN") as copy:
        for run_id in run_ids:
            copy.write("".join(f"{run_id}\t{seq}\t1\t{text}\n" for seq in range(1, NUM_EVENTS + 1)))


def _fill_metrics(connection: psycopg.Connection, run_ids: Sequence[UUID]) -> None:
    values = serialize_json(_METRICS)
    with connection.cursor().copy('COPY metric (run_id, step, "values") FROM STDIN') as copy:
        for run_id in run_ids:
            for step in range(1, NUM_METRICS + 1):
                copy.write_row((run_id, step, values))


def _fill_groups(connection: psycopg.Connection, run_ids: Sequence[UUID]) -> None:
    columns = (
        "id, run_id, step, purpose, policy, index, prompt, task, mean_reward, reward_std, is_kept, reason, num_tries, "
        "trajectory_path"
    )
    with connection.cursor().copy(f"COPY sample_group ({columns}) FROM STDIN") as copy:
        for run_id in run_ids:
            for step in range(1, NUM_STEPS + 1):
                for index in range(NUM_GROUPS):
                    place = (_group_id(run_id, step, index), run_id, step, "train", "policy", index)
                    words = ("a red circle left of a blue star", "position", 0.5, 0.4, True, "its rewards differ", 1)
                    copy.write_row((*place, *words, f"trajectories/{step:06d}/{index:03d}.npz"))


def _fill_samples(connection: psycopg.Connection, run_ids: Sequence[UUID]) -> None:
    breakdown, verdict = serialize_json({"strict": 1.0, "dense": 0.75}), serialize_json(_VERDICT)
    columns = "id, run_id, group_id, step, index, seed, reward, reward_breakdown, advantage, image_path, image_sha256"
    with connection.cursor().copy(f"COPY sample ({columns}, verdict) FROM STDIN") as copy:
        for run_id in run_ids:
            for step in range(1, NUM_STEPS + 1):
                for group in range(NUM_GROUPS):
                    for index in range(NUM_SAMPLES):
                        key = derived_id(run_id, "sample", step, group, index)
                        place = (key, run_id, _group_id(run_id, step, group), step, index)
                        path = f"samples/{step:06d}/{group:03d}-{index:02d}.png"
                        copy.write_row((*place, 7 + index, 1.0, breakdown, index / 2, path, "0" * 64, verdict))


def _group_id(run_id: UUID, step: int, index: int) -> UUID:
    return derived_id(run_id, "group", step, "train", "policy", index)
