"""The pretrain job of a tiny CLIP, the small world's reward model: checkpoints, an export, and how well it ranks."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from backend.artifacts import RunFolder
from backend.schemas.config import PretrainConfig
from backend.schemas.event import Log, ScoreMeasured, StepFinished
from backend.schemas.pretraining import ClipStageConfig
from backend.schemas.run import RunStatus
from worker.jobs.checkpoints import newest_whole, prune, save_checkpoint
from worker.jobs.heldout import heldout_seeds
from worker.jobs.policies import load
from worker.jobs.prompts import heldout_captions
from worker.jobs.protocol import Job, JobPart, outcome_of
from worker.jobs.records import number
from worker.jobs.showing import Shown, show
from worker.jobs.start import checkpoints_told, job_started
from worker.jobs.state_files import split_state, state_hash
from worker.jobs.whole_folder import whole_folder
from worker.pretraining.clip_ranking import (
    Ranking,
    area_under_curve,
    caption_ranking,
    picture_ranking,
    tensor_scores,
)
from worker.pretraining.clip_stage import ClipStage
from worker.pretraining.steps import PretrainStep

EXPORTED_CLIP = "exports/clip"
_NUM_CAPTIONS = 540
_NUM_WRONG_CAPTIONS = 2
_NUM_PROMPTS = 54
_NUM_PICTURES = 6
_BATCH = 18


def pretrain_clip_job(config: PretrainConfig, clip: ClipStageConfig, folder: RunFolder) -> Job:
    """Trains from the newest whole checkpoint, or from nothing; then exports the model and measures its ranking."""
    pretraining = ClipPretraining(config, clip, folder)
    flags = yield from pretraining.begin()
    for step in pretraining.stage.steps():
        flags = yield from pretraining.finish_step(step)
        if outcome := outcome_of(flags):
            return outcome
    yield from pretraining.conclude()
    return RunStatus.SUCCEEDED


class ClipPretraining:
    """The one stage, and what follows each of its steps."""

    def __init__(self, config: PretrainConfig, clip: ClipStageConfig, folder: RunFolder) -> None:
        self._config = config
        self._folder = folder
        self.stage = ClipStage(clip, config.seed)
        self._num_steps = clip.num_steps

    def begin(self) -> JobPart:
        """Loads the newest whole checkpoint and says where the job goes on."""
        device = torch.device("cpu")
        checkpoint, problems = newest_whole(self._folder)
        if checkpoint is None:
            flags = yield job_started(0, self._num_steps, device)
        else:
            self.stage.load_state_dict(checkpoint.state)
            is_equal = state_hash(*split_state(self._state())) == checkpoint.written_hash
            flags = yield job_started(self.stage.step, self._num_steps, device, checkpoint.read_hash, is_equal)
        return (yield from checkpoints_told(self._folder, checkpoint, problems, flags))

    def finish_step(self, step: PretrainStep) -> JobPart:
        """The step's event, and a checkpoint where one is due or asked for."""
        metrics = {f"{step.stage}/{name}": number(value) for name, value in step.metrics.items()}
        flags = yield StepFinished(step=step.step, num_steps=step.num_steps, metrics=metrics, seconds=step.seconds)
        is_due = step.step == step.num_steps or step.step % self._config.checkpoints.every_num_steps == 0
        if (is_due or flags.is_save_requested or flags.is_pause_requested) and not flags.is_cancel_requested:
            saved = save_checkpoint(
                self._folder, step.step, self._state(), self.stage.clip.save, self._config.checkpoints.num_kept
            )
            flags = yield saved
            prune(self._folder, saved.deleted_steps)
        return flags

    def conclude(self) -> JobPart:
        """Exports the model, and tells how well it ranks held-out captions and a policy's pictures."""
        self.stage.clip.model.eval()
        with whole_folder(self._folder.path(EXPORTED_CLIP)) as temporary:
            self.stage.clip.save(temporary)
        rankings, areas = self._rankings()
        content = {name: asdict(each) for name, each in rankings.items()} | areas
        self._folder.write(f"{EXPORTED_CLIP}/ranking.json", json.dumps(content, indent=1).encode())
        if not all(each.num_pairs for each in rankings.values()):
            message = "the policy's pictures are all right or all wrong, so there is no pair of them to rank"
            return (yield Log(level="warning", message=message))
        return (
            yield ScoreMeasured(
                step=self.stage.step,
                benchmark="clip-ranking",
                policy="clip",
                values={name: number(each.value) for name, each in rankings.items()}
                | {name: number(value) for name, value in areas.items()},
                intervals={name: (each.low, each.high) for name, each in rankings.items()},
                num_prompts=_NUM_PROMPTS,
                samples_per_prompt=_NUM_PICTURES,
            )
        )

    def _rankings(self) -> tuple[dict[str, Ranking], dict[str, float]]:
        captions = heldout_captions(_NUM_CAPTIONS, "captions")
        rng = np.random.default_rng([self._config.seed, 5])
        with torch.inference_mode():
            of_captions = caption_ranking(self.stage.clip.score, captions, _NUM_WRONG_CAPTIONS, rng)
        shown = self._policy_pictures()
        scores = tensor_scores(
            self.stage.clip.score, [each.pictures for each in shown], [each.prompt for each in shown]
        )
        is_correct, is_strict = (
            np.stack([each.rewards.breakdown[name].numpy() == 1 for each in shown]) for name in ("correct", "strict")
        )
        rankings = {
            "overall": picture_ranking(scores, is_correct),
            "strict": picture_ranking(scores, is_strict),
            "captions": of_captions,
        }
        areas = {
            "correct_area": area_under_curve(scores, is_correct),
            "strict_area": area_under_curve(scores, is_strict),
        }
        return rankings, areas

    def _policy_pictures(self) -> list[Shown]:
        """Pictures of held-out captions by the run's policy, sampled as training samples."""
        policy = load(self._config.policy, self._folder)
        captions = [caption.text for caption in heldout_captions(_NUM_PROMPTS, "captions")]
        seeds = heldout_seeds(self._config.seed, len(captions), _NUM_PICTURES)
        shown: list[Shown] = []
        for start in range(0, len(captions), _BATCH):
            part = slice(start, start + _BATCH)
            shown += show(policy, captions[part], seeds[part], self._config.evaluation_sampling)
        return shown

    def _state(self) -> dict[str, Any]:
        return self.stage.state_dict()
