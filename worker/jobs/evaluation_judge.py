"""Scores an evaluation's pictures by all that was asked for, and says by which of the scores they are ranked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from backend.artifacts import RunFolder
from backend.figures.evaluation import CORRECT, GENEVAL
from backend.schemas.benchmark import GenEvalConfig
from backend.schemas.picture_runs import EvaluateConfig
from worker.jobs.evaluation_prompts import EvaluationPrompt
from worker.jobs.policies import device_of
from worker.jobs.reward_sources import with_folders
from worker.jobs.showing import Shown
from worker.maskgrpo.types import Rewards
from worker.rewards.build import OF_THE_VERIFIER, build_reward
from worker.shapes.world import IMAGE_SIZE

if TYPE_CHECKING:
    from worker.benchmarks.geneval.benchmark import GenEval


class EvaluationJudge:
    """The verifier where it knows the prompt, the rewards that the configuration names, GenEval's detector."""

    def __init__(self, config: EvaluateConfig, folder: RunFolder, prompts: Sequence[EvaluationPrompt]) -> None:
        # The verifier's are judged anyway, of the prompts that it knows; it would refuse the others.
        scored = [reward for reward in config.rewards if reward.name not in OF_THE_VERIFIER]
        self._reward = build_reward(with_folders(scored, folder)) if scored else None
        self._device = device_of(config.policy)
        self._is_all_captions = all(prompt.is_caption for prompt in prompts)
        self._first = str(scored[0].name) if scored else ""
        self._metadata = {prompt.text: prompt.geneval for prompt in prompts if prompt.geneval is not None}
        if config.geneval is not None and not self._metadata:
            raise ValueError(
                "geneval is set, but no prompt has the benchmark's metadata: take a prompt set made of GenEval's own "
                "evaluation_metadata.jsonl"
            )
        self._geneval = None if config.geneval is None else _load(config.geneval)

    @property
    def notes(self) -> dict[str, str]:
        """What GenEval's figures were measured with."""
        return {} if self._geneval is None else {GENEVAL: self._geneval.note}

    @property
    def ranks_by(self) -> str:
        """The score that is a sample's reward: GenEval's, else the verifier's where it knows all, else the first."""
        if self._geneval is not None:
            return GENEVAL
        return CORRECT if self._is_all_captions or not self._first else self._first

    def judge(self, shown: Sequence[Shown]) -> list[Shown]:
        """The same pictures with all their scores.

        Raises:
            ValueError: a reward does not know a prompt; or the pictures are of another size than the verifier's, and
                nothing else was asked for.
        """
        judged = [self._with_scores(each) for each in shown]
        if self._is_all_captions and not any(each.rewards.breakdown for each in judged):
            height, width = judged[0].pictures.shape[-2:]
            raise ValueError(
                f"mini-GenEval judges the small world's pictures of {IMAGE_SIZE} x {IMAGE_SIZE} pixels, but this "
                f"policy makes {height} x {width}: name rewards to score with, or take a policy of the small world"
            )
        return judged

    def _with_scores(self, shown: Shown) -> Shown:
        scores = dict(shown.rewards.breakdown)
        # Shown pictures lie on the CPU; the networks that judge them follow these.
        pictures = shown.pictures.to(self._device)
        if self._reward is not None:
            scores |= self._reward(pictures, [shown.prompt] * len(pictures)).breakdown
        details = shown.rewards.details
        if self._geneval is not None and (metadata := self._metadata.get(shown.prompt)) is not None:
            details = tuple(self._geneval.judge(picture, metadata) for picture in pictures)
            scores[GENEVAL] = torch.tensor([float(each.is_correct) for each in details])
        total = scores.get(self.ranks_by, torch.full((len(shown.pictures),), math.nan))
        return replace(shown, rewards=Rewards(total, scores, details))


def _load(config: GenEvalConfig) -> GenEval:
    # Seconds of import that an evaluation without a detector does not need.
    from worker.benchmarks.geneval.benchmark import load_geneval  # noqa: PLC0415

    return load_geneval(config)
