"""The pretrain job: the two stages of a tiny Show-o as one count of steps, with pictures, scores and an export."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from backend.artifacts import RunFolder
from backend.schemas.config import PretrainConfig
from backend.schemas.event import JobStarted, SamplesMade, StepFinished
from backend.schemas.run import RunStatus
from backend.schemas.sample import GroupRecord
from worker.jobs.checkpoints import Checkpoint, newest_whole, prune, save_checkpoint
from worker.jobs.heldout import heldout_seeds, measure, score
from worker.jobs.pictures import Place, WrittenPictures, write_pictures
from worker.jobs.policies import export_policy, prepare_torch
from worker.jobs.pretrain_clip import pretrain_clip_job
from worker.jobs.probe import sample_now
from worker.jobs.prompts import heldout_captions
from worker.jobs.protocol import Job, JobPart, outcome_of
from worker.jobs.records import GroupLabel, number, shown_group
from worker.jobs.showing import store_shown
from worker.jobs.start import checkpoints_told, job_started
from worker.jobs.state_files import split_state, state_hash
from worker.maskgrpo.types import Rewards
from worker.pretraining.pictures import random_pictures, to_pixels
from worker.pretraining.steps import PretrainStep
from worker.pretraining.tokenizer_stage import TokenizerStage
from worker.pretraining.transformer_stage import TransformerStage
from worker.showo.loading import save_policy
from worker.showo.policy import ShowoPolicy

_NUM_SCORED = 60
_NUM_SCORED_AT_LAST = 540
_NUM_SHOWN = 12
_NUM_REBUILT = 8
_BATCH = 60


def pretrain_job(config: PretrainConfig, folder: RunFolder) -> Job:
    """Trains both stages, or a CLIP where that is set, from the newest whole checkpoint or from nothing."""
    prepare_torch(config.policy)
    if config.clip is not None:
        return (yield from pretrain_clip_job(config, config.clip, folder))
    pretraining = Pretraining(config, folder)
    flags = yield from pretraining.begin()
    for step in pretraining.steps():
        flags = yield from pretraining.finish_step(step)
        if outcome := outcome_of(flags):
            return outcome
    yield from pretraining.conclude()
    return RunStatus.SUCCEEDED


class Pretraining:
    """Both stages; the second is made when the first is done, for it needs its tokenizer."""

    def __init__(self, config: PretrainConfig, folder: RunFolder) -> None:
        self._config = config
        self._folder = folder
        self._num_steps = config.tokenizer.num_steps + config.transformer.num_steps
        self._tokenizer = TokenizerStage(config)
        self._transformer: TransformerStage | None = None
        self._device = torch.device("cpu")

    @property
    def step(self) -> int:
        """Steps that are done, of both stages together."""
        return self._tokenizer.step + (0 if self._transformer is None else self._transformer.step)

    def begin(self) -> JobPart:
        """Loads the newest whole checkpoint and says where the job goes on."""
        checkpoint, problems = newest_whole(self._folder)
        if checkpoint is None:
            flags = yield job_started(0, self._num_steps, self._device)
        else:
            flags = yield self._go_on_from(checkpoint)
        return (yield from checkpoints_told(self._folder, checkpoint, problems, flags))

    def steps(self) -> Iterator[PretrainStep]:
        """The steps that are left."""
        yield from self._tokenizer.steps()
        if self._transformer is None:
            self._transformer = TransformerStage(self._config, self._tokenizer.magvit)
        yield from self._transformer.steps()

    def finish_step(self, step: PretrainStep) -> JobPart:
        """The step's event, then pictures and a checkpoint where they are due or asked for."""
        metrics = {f"{step.stage}/{name}": number(value) for name, value in step.metrics.items()}
        flags = yield StepFinished(step=self.step, num_steps=self._num_steps, metrics=metrics, seconds=step.seconds)
        is_last = step.step == step.num_steps
        is_due = is_last or self.step % self._config.checkpoints.every_num_steps == 0
        if flags.is_sample_requested:
            flags = yield self._pictures("sample_now")
        if is_due and not flags.is_cancel_requested:
            flags = yield from self._show_progress()
        if (is_due or flags.is_save_requested or flags.is_pause_requested) and not flags.is_cancel_requested:
            flags = yield from self._save()
        return flags

    def conclude(self) -> JobPart:
        """Exports the policy and scores it on every held-out caption."""
        policy = self._policy
        export_policy(policy, self._folder)
        captions = heldout_captions(_NUM_SCORED_AT_LAST, "captions")
        seeds = heldout_seeds(self._config.seed, len(captions), 1)
        outcomes, _ = measure(policy, captions, seeds, self._config.evaluation_sampling, _BATCH, 0)
        return (yield score(self.step, "policy", captions, outcomes))

    @property
    def _policy(self) -> ShowoPolicy:
        assert self._transformer is not None, "there is no policy before the second stage"
        return self._transformer.policy.eval()

    def _go_on_from(self, checkpoint: Checkpoint) -> JobStarted:
        self._tokenizer.load_state_dict(checkpoint.state["tokenizer"])
        if checkpoint.state["transformer"] is not None:
            self._transformer = TransformerStage(self._config, self._tokenizer.magvit)
            self._transformer.load_state_dict(checkpoint.state["transformer"])
        is_equal = state_hash(*split_state(self._state())) == checkpoint.written_hash
        return job_started(self.step, self._num_steps, self._device, checkpoint.read_hash, is_equal)

    def _show_progress(self) -> JobPart:
        """Rebuilt pictures in the first stage, a score with its first pictures in the second."""
        if self._transformer is None:
            return (yield self._pictures("probe"))
        policy, step = self._policy, self.step
        captions = heldout_captions(_NUM_SCORED, "captions")
        seeds = heldout_seeds(self._config.seed, len(captions), 1)
        outcomes, shown = measure(policy, captions, seeds, self._config.evaluation_sampling, _BATCH, _NUM_SHOWN)
        yield score(step, "policy", captions, outcomes)
        groups = tuple(
            store_shown(
                self._folder, policy, each, GroupLabel(step, index, each.prompt, "policy"), "probe", framed=(0,)
            )
            for index, each in enumerate(shown)
        )
        total = len(captions)
        return (yield SamplesMade(step=step, purpose="probe", groups=groups, num_done=total, num_total=total))

    def _pictures(self, purpose: Literal["probe", "sample_now"]) -> SamplesMade:
        if self._transformer is not None:
            sampling = self._config.evaluation_sampling
            return sample_now(sampling, self._config.seed, (), self._policy, self._folder, self.step)
        group = self._rebuilt(purpose)
        return SamplesMade(
            step=self.step, purpose=purpose, groups=(group,), num_done=_NUM_REBUILT, num_total=_NUM_REBUILT
        )

    @torch.no_grad()
    def _rebuilt(self, purpose: str) -> GroupRecord:
        """Scenes that the tokenizer never saw, each beside what it makes of it."""
        scenes = to_pixels(random_pictures(_NUM_REBUILT, np.random.default_rng([self._config.seed, 3])))
        magvit = self._tokenizer.magvit
        rebuilt = magvit.decode(magvit.encode(scenes * 2 - 1)).float()
        paths, hashes = write_pictures(
            self._folder, Place(self.step, f"{purpose}-tokenizer", 0), torch.cat([scenes, rebuilt], dim=-1)
        )
        label = GroupLabel(self.step, 0, "a scene, and what the tokenizer makes of it", "tokenizer")
        nothing = Rewards(torch.full((_NUM_REBUILT,), math.nan), {})
        return shown_group(label, [0] * _NUM_REBUILT, nothing, WrittenPictures(paths, hashes, None))

    def _save(self) -> JobPart:
        saved = save_checkpoint(
            self._folder, self.step, self._state(), self._write_policy, self._config.checkpoints.num_kept
        )
        flags = yield saved
        prune(self._folder, saved.deleted_steps)
        return flags

    def _write_policy(self, path: Path) -> None:
        if self._transformer is not None:
            save_policy(self._policy, path)

    def _state(self) -> dict[str, Any]:
        return {
            "tokenizer": self._tokenizer.state_dict(),
            "transformer": None if self._transformer is None else self._transformer.state_dict(),
        }
