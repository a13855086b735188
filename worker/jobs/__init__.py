"""The jobs: RunConfig and RunFolder in, files and events out. They know no database; who drives them, see `run_job`."""

from __future__ import annotations

from backend.artifacts import RunFolder
from backend.schemas.config import EvaluateConfig, PretrainConfig, SampleConfig, TrainConfig
from worker.jobs.evaluate import evaluate_job
from worker.jobs.pretrain import pretrain_job
from worker.jobs.protocol import Job
from worker.jobs.sample import sample_job
from worker.jobs.train import train_job


def run_job(config: TrainConfig | PretrainConfig | SampleConfig | EvaluateConfig, folder: RunFolder) -> Job:
    """The generator that performs a run, or goes on with it where its folder says that it stopped.

    It yields an event, and is sent what was asked of the run once that event is recorded. It returns the outcome:
    succeeded, paused or cancelled. What it raises ends the run; a ValueError or OSError names the cure.
    """
    if isinstance(config, TrainConfig):
        return train_job(config, folder)
    if isinstance(config, PretrainConfig):
        return pretrain_job(config, folder)
    if isinstance(config, SampleConfig):
        return sample_job(config, folder)
    return evaluate_job(config, folder)
