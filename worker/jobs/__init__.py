"""The jobs: RunConfig and RunFolder in, files and events out. They know no database; who drives them, see `run_job`."""

from __future__ import annotations

from backend.artifacts import RunFolder
from backend.schemas.config import AnyRunConfig, PretrainConfig, RunConfig, TrainConfig
from backend.schemas.memory_advice import out_of_memory_sentence
from backend.schemas.picture_runs import SampleConfig
from backend.schemas.reward_model import RewardModelConfig
from worker.jobs.evaluate import evaluate_job
from worker.jobs.pretrain import pretrain_job
from worker.jobs.protocol import Job
from worker.jobs.reward_model import reward_model_job
from worker.jobs.sample import sample_job
from worker.jobs.train import follow, train_job
from worker.maskgrpo.memory import is_out_of_memory
from worker.maskgrpo.processes import ALONE, Processes


class OutOfMemoryError(ValueError):
    """A job ran out of memory; says what to change."""


def run_job(
    config: AnyRunConfig,
    folder: RunFolder,
    processes: Processes = ALONE,
) -> Job:
    """The generator that performs a run, or goes on with it where its folder says that it stopped.

    It yields an event, and is sent what was asked of the run once that event is recorded. It returns the outcome:
    succeeded, paused or cancelled. What it raises ends the run; a ValueError or OSError names the cure.
    """
    try:
        return (yield from _job_of(config, folder, processes))
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise _out_of_memory(error, config) from error


def follow_job(config: RunConfig, folder: RunFolder, processes: Processes) -> None:
    """What every process but the first does of a run that several make; it raises as `run_job` does."""
    assert isinstance(config, TrainConfig), "only training is made by several processes"
    try:
        follow(config, folder, processes)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise _out_of_memory(error, config) from error


def _out_of_memory(error: Exception, config: RunConfig) -> OutOfMemoryError:
    """What to change where memory ran out, on whatever device and in whichever process."""
    words = str(error).strip().splitlines()
    return OutOfMemoryError(out_of_memory_sentence(config, words[0] if words else "no room"))


def _job_of(config: RunConfig, folder: RunFolder, processes: Processes) -> Job:
    if isinstance(config, TrainConfig):
        return train_job(config, folder, processes)
    if isinstance(config, PretrainConfig):
        return pretrain_job(config, folder)
    if isinstance(config, SampleConfig):
        return sample_job(config, folder)
    if isinstance(config, RewardModelConfig):
        return reward_model_job(config, folder)
    return evaluate_job(config, folder)
