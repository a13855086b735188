"""A run's events as a resumed run tells them, and what is told of it once."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from backend.exporters import RunFacts
from backend.schemas.event import Body, Event, JobStarted, ScoreMeasured, StatusChanged, StepFinished
from backend.schemas.run import RunStatus

RUN_ID = UUID("01a22073-2535-709b-bc33-e0106b963bae")


@pytest.fixture
def facts() -> RunFacts:
    return RunFacts(
        str(RUN_ID), "first look", {"num_steps": 3, "policy.source": "shipped", "lora.is_enabled": False}, ("a",)
    )


@pytest.fixture
def events() -> list[Event]:
    """Three steps, of which the second is told twice, a score after the base and after the last, and the end."""

    def step(number: int) -> StepFinished:
        metrics = {"reward/mean": number / 4, "kl": None, "ratio (odd)": 1.0}
        return StepFinished(step=number, num_steps=3, metrics=metrics, seconds=0.1)

    def score(number: int, policy: str) -> ScoreMeasured:
        return ScoreMeasured(step=number, policy=policy, values={"overall": 0.5}, num_prompts=6, samples_per_prompt=1)

    bodies: list[Body] = [
        JobStarted(from_step=0, num_steps=3),
        score(0, "base"),
        step(1),
        step(2),
        JobStarted(from_step=1, num_steps=3),
        step(2),
        step(3),
        score(3, "policy"),
        StatusChanged(status=RunStatus.SUCCEEDED),
    ]
    now = datetime.now(UTC)
    return [Event(run_id=RUN_ID, seq=seq, attempt=1, created_at=now, body=body) for seq, body in enumerate(bodies, 1)]
