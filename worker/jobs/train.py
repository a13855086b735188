"""The train job: Mask-GRPO's steps become files and events, with held-out probes, checkpoints and an export.

Where several processes train, the first one performs the job and the others follow it, step by step (`follow`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from backend.artifacts import RunFolder
from backend.schemas.config import TrainConfig
from backend.schemas.event import Alarm, AlarmCode, SamplesMade, Severity, StepFinished
from backend.schemas.run import RequestFlags, RunStatus
from backend.schemas.sample import GroupRecord
from worker.jobs.checkpoints import (
    Checkpoint,
    newest_whole,
    prune,
    read_checkpoint,
    save_checkpoint,
)
from worker.jobs.errands import Errand
from worker.jobs.pictures import Place, write_group
from worker.jobs.policies import START_POLICY, keep_start, prepare_torch
from worker.jobs.probe import Probe, sample_now, shown_now
from worker.jobs.prompts import CaptionSource, own_texts
from worker.jobs.protocol import Job, JobPart, outcome_of
from worker.jobs.records import number, training_group
from worker.jobs.reward_sources import with_folders
from worker.jobs.start import checkpoints_told, job_started
from worker.jobs.state_files import split_state, state_hash
from worker.jobs.tuning import Tuning
from worker.maskgrpo.processes import ALONE, Processes
from worker.maskgrpo.trainer import TrainerState, train
from worker.maskgrpo.types import TrainStep
from worker.rewards.build import build_reward


def train_job(config: TrainConfig, folder: RunFolder, processes: Processes = ALONE) -> Job:
    """Trains from the newest whole checkpoint, or from the start, to the last step."""
    training = prepared(config, folder, processes)
    flags = yield from training.begin()
    steps = training.steps()
    while True:
        outcome = outcome_of(flags)
        processes.told(Errand.STEP if outcome is None else Errand.END)
        if outcome is not None:
            return outcome
        started = time.monotonic()
        step = next(steps, None)
        if step is None:
            break
        flags = yield from training.finish_step(step, started)
    training.export()
    return RunStatus.SUCCEEDED


def follow(config: TrainConfig, folder: RunFolder, processes: Processes) -> None:
    """What every process but the first does: its share of each step that the first one goes on to. It writes nothing.

    Raises:
        PeerLostError: another process has gone.
        ValueError: a process made a mistake; MemoryError: it ran out of memory.
    """
    training = prepared(config, folder, processes)
    training.load(None)
    steps = training.steps()
    # What the first process is asked reaches all of them here, so they stop before the same step.
    while (errand := processes.told(Errand.END)) is not Errand.END:
        if errand is not Errand.STEP:
            training.accompany(errand)
        elif next(steps, None) is None and not processes.is_sharded:
            return


def prepared(config: TrainConfig, folder: RunFolder, processes: Processes) -> Training:
    """A run in training as it is before its first step, in every process; the first one makes the files."""
    with processes.together():
        prepare_torch(config.policy)
        if processes.is_first:
            keep_start(config.policy, folder)
    with processes.together():
        if not folder.path(START_POLICY).is_dir():
            raise ValueError(
                f"{folder.path(START_POLICY)} is not there: every machine needs the run's folder, so give --out a "
                "folder that all of them share"
            )
        return Training(config, folder, processes)


class Training:
    """A run in training: its policies, its state, and what follows each step."""

    def __init__(self, config: TrainConfig, folder: RunFolder, processes: Processes = ALONE) -> None:
        self._config = config
        self._folder = folder
        self._processes = processes
        has_reference = processes.is_measuring or config.grpo.kl_beta > 0
        self.tuning = Tuning(config, folder, has_reference=has_reference, is_sharded=processes.is_sharded)
        self.policy = self.tuning.policy
        self._texts = own_texts(config.prompts, folder)
        self.state = TrainerState(self.policy, CaptionSource(config.prompts, config.seed, self._texts), config)
        self._probe = Probe(config)
        # Nothing of ours draws from the global generator, but a policy with dropout would.
        torch.manual_seed(config.seed)

    def begin(self) -> JobPart:
        """Loads the newest whole checkpoint, says where the job goes on, and measures the base where nobody has."""
        checkpoint, problems = newest_whole(self._folder)
        self.load(checkpoint)
        num_steps, num_processes = self._config.num_steps, self._processes.num_processes
        if checkpoint is None:
            flags = yield job_started(0, num_steps, self.policy.device, num_processes=num_processes)
        else:
            is_equal = state_hash(*split_state(self._state())) == checkpoint.written_hash
            flags = yield job_started(
                checkpoint.step,
                num_steps,
                self.policy.device,
                checkpoint.read_hash,
                is_equal,
                num_processes,
            )
        flags = yield from checkpoints_told(self._folder, checkpoint, problems, flags)
        if self._probe.is_wanted and not self._probe.has_base and outcome_of(flags) is None:
            assert self.tuning.reference is not None, "the first process has a reference"
            self._call_for(Errand.BASE)
            flags = yield from self._probe.measure_base(self.tuning.reference, self._folder)
        return flags

    def load(self, checkpoint: Checkpoint | None) -> None:
        """Takes up the checkpoint that the first process found, in every process; without one all begin anew."""
        step = self._processes.told(0 if checkpoint is None else checkpoint.step)
        with self._processes.together():
            if step and checkpoint is None:
                checkpoint = read_checkpoint(self._folder, step)
            if checkpoint is not None:
                self._load_state(checkpoint.state)
        self._processes.check_agreement(self.state.optimizer.parameters, step)

    def steps(self) -> Iterator[TrainStep]:
        """The steps that are left."""
        for step in train(
            self.policy,
            self.tuning.reference,
            build_reward(with_folders(self._config.rewards, self._folder)),
            self.state.prompt_source,
            self._config,
            self.state,
            self._processes,
        ):
            self.tuning.end_step()
            yield step

    def accompany(self, errand: Errand) -> None:
        """What a process that follows does beside its steps where the weights are sharded: its part, and no files."""
        if errand is Errand.STATE:
            self.state.state_dict()
            return
        with self.state.optimizer.averaged():
            if errand is Errand.WEIGHTS:
                self.state.optimizer.whole_weights()
            elif errand is Errand.SAMPLE:
                shown_now(self._config.evaluation_sampling, self._config.seed, self._texts, self.policy)
            elif errand is Errand.PROBE:
                self._probe.accompany(self.policy)
            elif errand is Errand.BASE:
                assert self.tuning.reference is not None, "where weights are sharded every process has a reference"
                self._probe.accompany(self.tuning.reference)

    def export(self) -> None:
        """Writes the finished policy; sharded, it is the last that the processes do together."""
        with self.state.optimizer.averaged():
            self.tuning.export(self._whole_weights())
        self._call_for(Errand.END)

    def finish_step(self, step: TrainStep, started: float) -> JobPart:
        """Files, then the step's event, then what was asked for or is due; the checkpoint comes last of all."""
        groups = self._store_groups(step) if (step.step - 1) % self._config.log_groups_every == 0 else ()
        flags = yield StepFinished(
            step=step.step,
            num_steps=self._config.num_steps,
            metrics={name: number(value) for name, value in step.metrics.items()},
            credit={name: [number(value) for value in values] for name, values in step.credit.items()},
            groups=groups,
            standing=step.standing,
            seconds=time.monotonic() - started,
        )
        for alarm in step.alarms:
            flags = yield _told(alarm, step.step)
        with self.state.optimizer.averaged():
            if flags.is_sample_requested:
                self._call_for(Errand.SAMPLE)
                flags = yield self._sample_now(step.step)
            is_probe_due = self._probe.is_wanted and self._is_due(self._config.probe.every_num_steps)
            if is_probe_due and not flags.is_cancel_requested:
                self._call_for(Errand.PROBE)
                flags = yield from self._probe.measure(self.policy, self._folder, step.step)
                flags = yield from self._told_of_probe(step.step, flags)
        if self._must_save(flags):
            flags = yield from self._save()
        return flags

    def _told_of_probe(self, step: int, flags: RequestFlags) -> JobPart:
        """The alarms that the probe's newest figures raise."""
        score = self._probe.against_base
        overall = None if score is None else score.values.get("overall")
        # Of a probe with one prompt a task it is not known how sure the difference is.
        interval = None if score is None else score.intervals.get("overall")
        if overall is not None and interval is not None:
            for alarm in self.state.monitors.hear_probe(overall, interval):
                flags = yield _told(alarm, step)
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
        return sample_now(config.evaluation_sampling, config.seed, self._texts, self.policy, self._folder, step)

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
            self.tuning.write(path, self._whole_weights())

    def _whole_weights(self) -> dict[str, Tensor] | None:
        """All of the weights where this process holds a part of each; None where it holds them all."""
        self._call_for(Errand.WEIGHTS)
        return self.state.optimizer.whole_weights() if self._processes.is_sharded else None

    def _call_for(self, errand: Errand) -> None:
        """Has the others do their part of what needs all weights; where each holds them all it needs nobody."""
        if self._processes.is_sharded:
            self._processes.told(errand)

    def _state(self) -> dict[str, object]:
        self._call_for(Errand.STATE)
        return {
            "trainer": self.state.state_dict(),
            "probe": self._probe.state_dict(),
            "torch_generator": torch.get_rng_state(),
        }

    def _load_state(self, state: dict[str, Any]) -> None:
        self.state.load_state_dict(state["trainer"])
        self._probe.load_state_dict(state["probe"])
        torch.set_rng_state(state["torch_generator"])


def _told(alarm: tuple[AlarmCode, str, str, str, str], step: int) -> Alarm:
    code, severity, message, cure, subject = alarm
    return Alarm(code=code, severity=Severity(severity), message=message, cure=cure, subject=subject, step=step)
