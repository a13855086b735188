"""A tiny CLIP of open_clip's own architecture in training on the small world: contrastive, with hard negatives.

Every step's captions and pictures follow from the seed and the step's number, so a checkpoint holds no data.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from backend.schemas.pretraining import ClipStageConfig
from worker.pretraining.contrasts import Contrast, draw_contrast, excluded
from worker.pretraining.pictures import to_pixels
from worker.pretraining.stage_optimizer import StageOptimizer
from worker.pretraining.steps import PretrainStep
from worker.pretraining.tiny_clip import TinyClip

MAX_LOGIT_SCALE = math.log(100)


class ClipStage:
    """The tiny CLIP in training: everything that resuming needs is in `state_dict()`."""

    def __init__(self, config: ClipStageConfig, seed: int) -> None:
        self.settings = config
        self.seed = seed
        self.step = 0
        self.clip = TinyClip.new(config, seed)
        model = self.clip.model
        blocks = [*model.visual.transformer.parameters(), *model.transformer.parameters()]
        self.optimizer = StageOptimizer(model, blocks, config)

    def steps(self) -> Iterator[PretrainStep]:
        """Train on to the configured number of steps, yielding after each one."""
        while self.step < self.settings.num_steps:
            started = time.monotonic()
            metrics = self._train_once()
            yield PretrainStep("clip", self.step, self.settings.num_steps, metrics, time.monotonic() - started)

    def _train_once(self) -> dict[str, float]:
        settings = self.settings
        rng = np.random.default_rng([self.seed, 4, self.step])
        batch = [draw_contrast(rng, settings.num_hard_captions) for _ in range(settings.batch_size)]
        loss, metrics = self._loss(batch)
        norm = self.optimizer.step(loss, self.step + 1)
        with torch.no_grad():
            self.clip.model.logit_scale.clamp_(max=MAX_LOGIT_SCALE)
        self.step += 1
        return {"loss": float(loss.detach()), "gradient_norm": norm, **metrics}

    def _loss(self, batch: list[Contrast]) -> tuple[Tensor, dict[str, float]]:
        size = len(batch)
        captions = [each.caption for each in batch] + [hard for each in batch for hard in each.hard_captions]
        scenes = [each.right_scene for each in batch] + [each.wrong_scene for each in batch]
        pictures = np.stack([each.right for each in batch] + [each.wrong for each in batch])
        is_excluded = torch.from_numpy(excluded(captions, scenes))
        of_pictures = self.clip.embed_pictures(to_pixels(pictures))
        of_captions = self.clip.embed_prompts([caption.text for caption in captions])
        logits = self.clip.model.logit_scale.exp() * of_pictures @ of_captions.T
        is_own = torch.eye(size, dtype=torch.bool)
        by_picture = logits[:size].masked_fill(_without(is_own, is_excluded[:size]), -math.inf)
        by_caption = logits[:, :size].masked_fill(_without(is_own, is_excluded[:, :size]), -math.inf)
        target = torch.arange(size)
        picture_loss = F.cross_entropy(by_picture, target)
        caption_loss = F.cross_entropy(by_caption.T, target)
        own = logits[:size, :size].diagonal()
        is_ranked = own > logits[size:, :size].diagonal()
        metrics = {
            "picture_loss": float(picture_loss.detach()),
            "caption_loss": float(caption_loss.detach()),
            "right_picture_first": float(is_ranked.float().mean()),
            "logit_scale": float(self.clip.model.logit_scale.detach().exp()),
        }
        return (picture_loss + caption_loss) / 2, metrics

    def state_dict(self) -> dict[str, Any]:
        """Return all that an exact resumption needs."""
        return {
            "step": self.step,
            "clip": self.clip.model.state_dict(),
            **self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up where `state` was made, bit for bit on a CPU."""
        self.step = state["step"]
        self.clip.model.load_state_dict(state["clip"])
        self.optimizer.load_state_dict(state)


def _without(is_own: Tensor, is_excluded: Tensor) -> Tensor:
    """The excluded pairs but for each picture with its own caption, in the mask's upper left square."""
    kept = is_excluded.clone()
    size = len(is_own)
    kept[:size, :size] &= ~is_own
    return kept
