"""Which of a run's alarms still stand, as its newest step tells. Knows no bound and no cure of an alarm."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy.orm import Session

from backend.runs import repository
from backend.schemas.event import Alarm, AlarmCode, Event, StepFinished

# What is said of the settings or of the result, not of a step: it stays as it is as long as the run is there.
OF_THE_RUN: frozenset[AlarmCode] = frozenset(
    {
        "noisy_candidate_1",
        "saturated_ratio",
        "setting_without_effect",
        "unread_words",
        "unseen_folder",
        "unproven_reward",
    }
)


def standing_alarms(session: Session, run_id: UUID) -> list[Event]:
    """The events of the alarms that stand, each thing once, the newest first.

    An alarm that came after the newest step stands; so does every one of a run whose steps do not tell.
    """
    repository.get_run(session, run_id=run_id)
    row = repository.newest_event(session, run_id=run_id, kind="step")
    step = None if row is None else row.to_wire()
    return _standing(step, (row.to_wire() for row in repository.alarms_of(session, run_id=run_id)))


def _standing(step: Event | None, alarms: Iterable[Event]) -> list[Event]:
    """`alarms` in order; a resumed attempt may tell one again, and then the later telling holds."""
    told = step.body.standing if step is not None and isinstance(step.body, StepFinished) else None
    found: dict[str, Event] = {}
    for event in alarms:
        alarm = event.body
        assert isinstance(alarm, Alarm), "that was asked for"
        is_of_run = alarm.code in OF_THE_RUN
        is_after = step is None or event.seq > step.seq
        if is_of_run or told is None or is_after or alarm.key in told:
            found[f"{alarm.key} {alarm.message}" if is_of_run else alarm.key] = event
    return sorted(found.values(), key=lambda event: -event.seq)
