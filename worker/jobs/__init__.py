"""The jobs: RunConfig and RunFolder in, files and events out. They know no database; who drives them, see `run_job`."""

from __future__ import annotations

from collections.abc import Generator

from backend.artifacts import RunFolder
from backend.schemas.config import EvaluateConfig, PretrainConfig, SampleConfig, TrainConfig
from backend.schemas.event import (
    Alarm,
    CheckpointSaved,
    JobStarted,
    Log,
    SamplesMade,
    ScoreMeasured,
    StatusChanged,
    StepFinished,
)
from backend.schemas.run import RequestFlags, RunStatus

Body = StatusChanged | JobStarted | StepFinished | CheckpointSaved | SamplesMade | ScoreMeasured | Alarm | Log
Job = Generator[Body, RequestFlags, RunStatus]


def run_job(config: TrainConfig | PretrainConfig | SampleConfig | EvaluateConfig, folder: RunFolder) -> Job:
    """The generator that performs a run, or goes on with it where its folder says that it stopped.

    It yields an event, and is sent what was asked of the run once that event is recorded. It returns the outcome:
    succeeded, paused or cancelled. What it raises ends the run; a ValueError or OSError names the cure.
    """
    # The modules are loaded here, so that the job's process has its stdout to itself before torch can print there.
    from worker.jobs.evaluate import evaluate
    from worker.jobs.pretrain import pretrain
    from worker.jobs.sample import sample
    from worker.jobs.train import train_policy

    if isinstance(config, TrainConfig):
        return train_policy(config, folder)
    if isinstance(config, PretrainConfig):
        return pretrain(config, folder)
    if isinstance(config, SampleConfig):
        return sample(config, folder)
    return evaluate(config, folder)
