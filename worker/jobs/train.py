"""The train job: Mask-GRPO's steps become files and events, with held-out probes, checkpoints and an export."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch

from backend.artifacts import RunFolder
from backend.schemas.config import TrainConfig
from backend.schemas.event import Alarm, Log, SamplesMade, Severity, StepFinished
from backend.schemas.run import RequestFlags, RunStatus
from backend.schemas.sample import GroupRecord
from worker.jobs.checkpoints import newest_whole, prune, save_checkpoint, saved_again, set_damaged_aside
from worker.jobs.pictures import Place, write_group
from worker.jobs.policies import export_policy, keep_start, load_start, prepare_torch
from worker.jobs.probe import Probe, sample_now
from worker.jobs.prompts import CaptionSource
from worker.jobs.protocol import Job, JobPart, outcome_of
from worker.jobs.records import number, training_group
from worker.jobs.start import job_started
from worker.jobs.state_files import split_state, state_hash
from worker.maskgrpo.trainer import TrainerState, train
from worker.maskgrpo.types import TrainStep
from worker.rewards.build import build_reward
from worker.showo.loading import save_policy


def train_job(config: TrainConfig, folder: RunFolder) -> Job:
    """Trains from the newest whole checkpoint, or from the start, to the last step."""
    prepare_torch(config.policy)
    keep_start(config.policy, folder)
    training = Training(config, folder)
    flags = yield from training.begin()
    steps = train(
        training.policy,
        training.reference,
        build_reward(config.rewards),
        training.state.prompt_source,
        config,
        training.state,
    )
    while True:
        if outcome := outcome_of(flags):
            return outcome
        started = time.monotonic()
        step = next(steps, None)
        if step is None:
            break
        flags = yield from training.finish_step(step, started)
    with training.state.optimizer.averaged():
        export_policy(training.policy, folder)
    return RunStatus.SUCCEEDED


class Training:
    """A run in training: its policies, its state, and what follows each step."""

    def __init__(self, config: TrainConfig, folder: RunFolder) -> None:
        self._config = config
        self._folder = folder
        self.policy = load_start(config.policy, folder)
        self.reference = load_start(config.policy, folder).requires_grad_(False)
        self.state = TrainerState(self.policy, CaptionSource(config.prompts, config.seed), config)
        self._probe = Probe(config)
        # Nothing of ours draws from the global generator, but a policy with dropout would.
        torch.manual_seed(config.seed)

    def begin(self) -> JobPart:
        """Loads the newest whole checkpoint, says where the job goes on, and measures the base where nobody has."""
        checkpoint, problems = newest_whole(self._folder)
        if checkpoint is None:
            flags = yield job_started(0, self._config.num_steps, self.policy.device)
        else:
            self._load_state(checkpoint.state)
            is_equal = state_hash(*split_state(self._state())) == checkpoint.written_hash
            flags = yield job_started(
                checkpoint.step, self._config.num_steps, self.policy.device, checkpoint.read_hash, is_equal
            )
        # Only now, when the rows that named them are gone.
        set_damaged_aside(self._folder, 0 if checkpoint is None else checkpoint.step)
        for problem in problems:
            flags = yield Log(level="warning", message=problem)
        if checkpoint is not None:
            flags = yield saved_again(self._folder, checkpoint)
        if self._probe.is_wanted and not self._probe.has_base and outcome_of(flags) is None:
            flags = yield from self._probe.measure_base(self.reference, self._folder)
        return flags

    def finish_step(self, step: TrainStep, started: float) -> JobPart:
        """Files, then the step's event, then what was asked for or is due; the checkpoint comes last of all."""
        groups = self._store_groups(step) if (step.step - 1) % self._config.log_groups_every == 0 else ()
        flags = yield StepFinished(
            step=step.step,
            num_steps=self._config.num_steps,
            metrics={name: number(value) for name, value in step.metrics.items()},
            credit={name: [number(value) for value in values] for name, values in step.credit.items()},
            groups=groups,
            seconds=time.monotonic() - started,
        )
        for code, severity, message, cure in step.alarms:
            flags = yield Alarm.model_validate(
                {"code": code, "severity": Severity(severity), "message": message, "cure": cure, "step": step.step}
            )
        with self.state.optimizer.averaged():
            if flags.is_sample_requested:
                flags = yield self._sample_now(step.step)
            is_probe_due = self._probe.is_wanted and self._is_due(self._config.probe.every_num_steps)
            if is_probe_due and not flags.is_cancel_requested:
                flags = yield from self._probe.measure(self.policy, self._folder, step.step)
        if self._must_save(flags):
            flags = yield from self._save()
        return flags

    def _store_groups(self, step: TrainStep) -> tuple[GroupRecord, ...]:
        records = []
        for index, group in enumerate(step.groups):
            written = write_group(
                self._folder,
                Place(step.step, "", index),
                self.policy,
                group.pictures,
                group.trajectory,
                self._config.grpo.transition.value,
                # To decode all T steps of all rollouts would take as long as the training itself. Of the others the
                # API makes frames of the finished picture (backend/samples/files.py).
                framed=[int(group.rewards.total.argmax())],
            )
            records.append(training_group(step.step, index, group, written))
        return tuple(records)

    def _sample_now(self, step: int) -> SamplesMade:
        config = self._config
        texts = config.prompts.texts
        return sample_now(config.evaluation_sampling, config.seed, texts, self.policy, self._folder, step)

    def _is_due(self, every_num_steps: int) -> bool:
        return self.state.step % every_num_steps == 0 or self.state.step == self._config.num_steps

    def _must_save(self, flags: RequestFlags) -> bool:
        if flags.is_cancel_requested:
            return False
        is_asked = flags.is_save_requested or flags.is_pause_requested
        return is_asked or self._is_due(self._config.checkpoints.every_num_steps)

    def _save(self) -> JobPart:
        saved = save_checkpoint(
            self._folder,
            self.state.step,
            self._state(),
            self._write_policy,
            self._config.checkpoints.num_kept,
        )
        flags = yield saved
        prune(self._folder, saved.deleted_steps)
        return flags

    def _write_policy(self, path: Path) -> None:
        """The weights that evaluation uses: the average, where there is one."""
        with self.state.optimizer.averaged():
            save_policy(self.policy, path)

    def _state(self) -> dict[str, object]:
        return {
            "trainer": self.state.state_dict(),
            "probe": self._probe.state_dict(),
            "torch_generator": torch.get_rng_state(),
        }

    def _load_state(self, state: dict[str, Any]) -> None:
        self.state.load_state_dict(state["trainer"])
        self._probe.load_state_dict(state["probe"])
        torch.set_rng_state(state["torch_generator"])
