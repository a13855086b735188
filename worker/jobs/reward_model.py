"""The reward_model job: a CLIP is tuned on a frozen pair set, the best step exported with a report of what it is worth.

The report is written beside the weights; what it says is computed on prompts that took no part in learning or choosing.
"""

from __future__ import annotations

from typing import Any

import torch

from backend.artifacts import RunFolder, sha256_of
from backend.reward_reports import EXPORTED_REWARD, REPORT_FILE, WEIGHTS_FILE, learned_folder
from backend.schemas.event import Alarm, Log, ScoreMeasured, Severity, StepFinished
from backend.schemas.reward_model import RewardModelConfig
from backend.schemas.reward_report import MORE_VOTES, RewardModelReport
from backend.schemas.run import RunStatus
from backend.schemas.scaling import Precision
from worker.jobs.checkpoints import newest_whole, prune, save_checkpoint
from worker.jobs.policies import device_of, prepare_torch
from worker.jobs.protocol import Job, JobPart, outcome_of
from worker.jobs.records import number
from worker.jobs.start import checkpoints_told, job_started, package_versions
from worker.jobs.state_files import split_state, state_hash
from worker.jobs.whole_folder import whole_folder
from worker.preference_learning.pairs import PairSet, check_pictures, read_pair_set
from worker.preference_learning.preference_clip import load_preference_clip, weights_file
from worker.preference_learning.report import Made, report_of
from worker.preference_learning.split import split_pairs
from worker.preference_learning.stage import PreferenceStage, PreferenceStep

_PAIR_SETS = "pair-sets"


def reward_model_job(config: RewardModelConfig, folder: RunFolder) -> Job:
    """Tunes from the newest whole checkpoint, or from the base; then judges and exports the best step."""
    prepare_torch(config.policy)
    tuning = Tuning(config, folder)
    flags = yield from tuning.begin()
    # Asked for already while the first event was recorded.
    if outcome := outcome_of(flags):
        return outcome
    for step in tuning.stage.steps():
        flags = yield from tuning.finish_step(step)
        if outcome := outcome_of(flags):
            return outcome
    yield from tuning.conclude()
    return RunStatus.SUCCEEDED


class Tuning:
    """The pair set, the model, and what follows each step."""

    def __init__(self, config: RewardModelConfig, folder: RunFolder) -> None:
        self._config = config
        self._folder = folder
        shares = config.pairs
        self._pair_set = _pair_set_of(config, folder)
        self._split = split_pairs(
            self._pair_set, shares.heldout_share, shares.choosing_share, shares.heldout_rater_share, config.seed
        )
        self._base = _base_source(config.base, folder)
        self._device = device_of(config.policy)
        clip = load_preference_clip(self._base)
        clip.refuse_unknown([pair.prompt for pair in self._pair_set.pairs])
        clip.clip.model.to(self._device)
        self.stage = PreferenceStage(config, self._pair_set, self._split, clip)
        if config.policy.precision is Precision.BFLOAT16:
            self.stage.autocast = lambda: torch.autocast(self._device.type, torch.bfloat16)
        self._seconds = 0.0
        self._untuned: list[float] = []

    def begin(self) -> JobPart:
        """Loads the newest whole checkpoint, or measures the untuned CLIP; says where the job goes on."""
        checkpoint, problems = newest_whole(self._folder)
        if checkpoint is None:
            self._untuned = self.stage.differences(self._split.heldout).tolist()
            self.stage.probe()
            flags = yield job_started(0, self._config.num_steps, self._device)
        else:
            self._load_state(checkpoint.state)
            is_equal = state_hash(*split_state(self._state())) == checkpoint.written_hash
            flags = yield job_started(
                self.stage.step, self._config.num_steps, self._device, checkpoint.read_hash, is_equal
            )
        flags = yield from checkpoints_told(self._folder, checkpoint, problems, flags)
        parts = (self._split.learning, self._split.choosing, self._split.heldout)
        words = "learned from {}, chosen by {}, judged with {} pairs".format(*map(len, parts))
        return (yield Log(message=f"pair set {self._pair_set.sha256[:12]}: {words}; no prompt is in two parts"))

    def finish_step(self, step: PreferenceStep) -> JobPart:
        """The step's event, and a checkpoint where one is due or asked for."""
        self._seconds += step.seconds
        metrics = {name: number(value) for name, value in step.metrics.items()}
        num_steps = self._config.num_steps
        flags = yield StepFinished(step=step.step, num_steps=num_steps, metrics=metrics, seconds=step.seconds)
        is_due = step.step == num_steps or step.step % self._config.checkpoints.every_num_steps == 0
        if (is_due or flags.is_save_requested or flags.is_pause_requested) and not flags.is_cancel_requested:
            kept = self._config.checkpoints.num_kept
            saved = save_checkpoint(self._folder, step.step, self._state(), self.stage.clip.save, kept)
            flags = yield saved
            prune(self._folder, saved.deleted_steps)
        return flags

    def conclude(self) -> JobPart:
        """Exports the best step with its report, and tells what it is worth."""
        self.stage.use_best()
        with whole_folder(self._folder.path(EXPORTED_REWARD)) as temporary:
            self.stage.clip.save(temporary)
            made = Made(
                base_sha256=sha256_of(weights_file(self._base)),
                weights_sha256=sha256_of(temporary / WEIGHTS_FILE),
                versions=package_versions(),
                seconds=self._seconds,
            )
            report = report_of(self._config, self._pair_set, self._split, self.stage, self._untuned, made)
            (temporary / REPORT_FILE).write_text(report.model_dump_json(indent=1) + "\n")
        flags = yield _score(report, self.stage.step)
        if report.refusal is not None:
            flags = yield Alarm(
                code="unproven_reward",
                severity=Severity.WARNING,
                message=f"No run may train on this reward model: {report.refusal}.",
                cure=f"To have one that may be, {MORE_VOTES}.",
                step=self.stage.step,
            )
        return flags

    def _state(self) -> dict[str, Any]:
        return {"stage": self.stage.state_dict(), "untuned": self._untuned}

    def _load_state(self, state: dict[str, Any]) -> None:
        self.stage.load_state_dict(state["stage"])
        self._untuned = state["untuned"]


def _pair_set_of(config: RewardModelConfig, folder: RunFolder) -> PairSet:
    """The pair set that a configuration names: pair sets lie beside the runs."""
    if not config.pairs.source:
        raise ValueError("pairs.source is empty: set it to the SHA-256 of a frozen pair set")
    pair_set = read_pair_set(folder.root.parent.parent / _PAIR_SETS / config.pairs.source)
    check_pictures(pair_set, [name for pair in pair_set.pairs for name in (pair.image_0, pair.image_1)])
    return pair_set


def _base_source(base: str, folder: RunFolder) -> str:
    """The base as the loader takes it; an earlier reward model by its folder."""
    return str(learned_folder(base, folder.root.parent)) if base.startswith("run:") else base


def _score(report: RewardModelReport, step: int) -> ScoreMeasured:
    shares = {
        "accuracy": report.accuracy,
        "accuracy_new_raters": report.accuracy_new_raters,
        "ceiling": report.ceiling,
        "untuned": report.untuned,
        "gain": report.gain,
    }
    known = {name: each for name, each in shares.items() if each is not None}
    return ScoreMeasured(
        step=step,
        benchmark="reward-model",
        policy="reward",
        values={name: each.value for name, each in known.items()}
        | {"expected_calibration_error": report.calibration.expected_error, "best_step": float(report.best_step)},
        intervals={name: (each.low, each.high) for name, each in known.items()},
        num_prompts=report.heldout.num_prompts,
        samples_per_prompt=2,
    )
