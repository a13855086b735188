"""Tuning a CLIP on preferences: the Bradley-Terry loss of PickScore, step by step, and the best step kept.

For a pair with scores s_0 and s_1 and the share p of votes for the first picture, the loss is the cross entropy
-p log softmax(s)_0 - (1 - p) log softmax(s)_1 (PickScore, arXiv 2305.01569, section 4), which for ties, p = 1/2, pulls
the scores together. A pair's weight makes every prompt count the same.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from backend.schemas.reward_model import RewardModelConfig
from worker.preference_learning.likelihood import fit_temperature
from worker.preference_learning.pairs import Pair, PairSet
from worker.preference_learning.preference_clip import PreferenceClip
from worker.preference_learning.split import Example, Split
from worker.pretraining.steps import rate_factor

MAX_LOGIT_SCALE = math.log(100)
MAX_GRADIENT_NORM = 1.0
SCORING_BATCH = 64


@dataclass(frozen=True)
class PreferenceStep:
    """One optimizer step that is done."""

    step: int
    metrics: dict[str, float]
    seconds: float


@dataclass(frozen=True)
class Best:
    """The step that predicts the votes on the choosing prompts best so far; step 0 is the untuned CLIP."""

    step: int
    loss: float
    """in nats, at the temperature"""
    temperature: float
    weights: dict[str, Tensor]


class PreferenceStage:
    """The CLIP in tuning: all that resuming needs is in `state_dict()`."""

    def __init__(self, config: RewardModelConfig, pair_set: PairSet, split: Split, clip: PreferenceClip) -> None:
        self._config = config
        self._pair_set = pair_set
        self._split = split
        self.clip = clip
        self.step = 0
        self.best: Best | None = None
        tuning = config.tuning
        parameters = clip.clip.model.parameters()
        self._optimizer = torch.optim.AdamW(parameters, lr=tuning.learning_rate, weight_decay=tuning.weight_decay)
        # Products in half the bits where it was asked for; weights, scores and the loss stay float32.
        self.autocast: Callable[[], AbstractContextManager[Any]] = nullcontext

    def steps(self) -> Iterator[PreferenceStep]:
        """Train on to the configured number of steps, yielding after each one."""
        while self.step < self._config.num_steps:
            started = time.monotonic()
            metrics = self._train_once()
            if self.step % self._config.probe_every == 0 or self.step == self._config.num_steps:
                metrics |= self.probe()
            yield PreferenceStep(self.step, metrics, time.monotonic() - started)

    def probe(self) -> dict[str, float]:
        """Measure on the choosing prompts, and keep the weights where they are the best so far."""
        examples = self._split.choosing
        differences = self.differences([example.pair for example in examples])
        labels = np.array([example.label_0 for example in examples])
        weights = np.array([example.weight for example in examples])
        # At its own best temperature: which step ranks well must not depend on how sure of itself it is.
        temperature, loss = fit_temperature(differences, labels, weights)
        if self.best is None or loss < self.best.loss:
            state = self.clip.clip.model.state_dict()
            copied = {name: tensor.detach().cpu().clone() for name, tensor in state.items()}
            self.best = Best(self.step, loss, temperature, copied)
        is_decided = labels != 0.5
        right = ((differences > 0) == (labels > 0.5))[is_decided]
        accuracy = float(right.mean()) if right.size else float("nan")
        return {"choosing/loss": loss, "choosing/accuracy": accuracy, "choosing/best_step": float(self.best.step)}

    def use_best(self) -> None:
        """Put the weights of the best step in place."""
        assert self.best is not None, "a stage is probed before its first step"
        self.clip.clip.model.load_state_dict(self.best.weights)

    @torch.inference_mode()
    def differences(self, pairs: Sequence[Pair]) -> NDArray[np.float64]:
        """Return (P,) scores of the first pictures minus those of the second."""
        found = []
        for start in range(0, len(pairs), SCORING_BATCH):
            first, second = self._scores(pairs[start : start + SCORING_BATCH])
            found.append((first - second).double().cpu())
        joined: NDArray[np.float64] = torch.cat(found).numpy() if found else np.zeros(0)
        return joined

    @torch.inference_mode()
    def mean_score(self) -> float:
        """The mean score of the pictures that were learned from."""
        pairs = [example.pair for example in self._split.learning]
        parts = [self._scores(pairs[start : start + SCORING_BATCH]) for start in range(0, len(pairs), SCORING_BATCH)]
        return float(torch.cat([score for both in parts for score in both]).double().mean())

    def state_dict(self) -> dict[str, Any]:
        """Return all that an exact resumption needs."""
        best = self.best
        return {
            "step": self.step,
            "clip": self.clip.clip.model.state_dict(),
            "adamw": self._optimizer.state_dict(),
            "best": None if best is None else vars(best),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up where `state` was made, bit for bit on a CPU."""
        self.step = state["step"]
        self.clip.clip.model.load_state_dict(state["clip"])
        self._optimizer.load_state_dict(state["adamw"])
        self.best = None if state["best"] is None else Best(**state["best"])

    def _train_once(self) -> dict[str, float]:
        tuning, model = self._config.tuning, self.clip.clip.model
        factor = rate_factor(self.step + 1, self._config.num_steps, tuning.num_warmup_steps, tuning.decay_fraction)
        for group in self._optimizer.param_groups:
            group["lr"] = tuning.learning_rate * factor
        self._optimizer.zero_grad(set_to_none=True)
        batch = self._batch()
        size = math.ceil(len(batch) / tuning.num_micro_batches)
        total, num_right, num_decided = 0.0, 0.0, 0
        for start in range(0, len(batch), size):
            part = batch[start : start + size]
            loss, differences = self._loss(part, len(batch))
            loss.backward()
            total += float(loss.detach())
            labels = torch.tensor([example.label_0 for example in part])
            is_decided = labels != 0.5
            num_right += float(((differences > 0) == (labels > 0.5))[is_decided].sum())
            num_decided += int(is_decided.sum())
        norm = float(nn.utils.clip_grad_norm_(model.parameters(), MAX_GRADIENT_NORM))
        self._optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(max=MAX_LOGIT_SCALE)  # type: ignore[operator, union-attr]
        self.step += 1
        return {
            "loss": total,
            "accuracy": num_right / num_decided if num_decided else float("nan"),
            "gradient_norm": norm,
            "learning_rate": tuning.learning_rate * factor,
            "logit_scale": self.clip.clip.logit_scale,
        }

    def _loss(self, part: Sequence[Example], batch_size: int) -> tuple[Tensor, Tensor]:
        """A micro-batch's share of the batch's mean loss, and its score differences on the CPU."""
        with self.autocast():
            first, second = self._scores([example.pair for example in part])
        logits = torch.stack([first, second], dim=-1)
        labels = torch.tensor([[example.label_0, 1 - example.label_0] for example in part], device=logits.device)
        weights = torch.tensor([example.weight for example in part], device=logits.device)
        losses = -(labels * F.log_softmax(logits, dim=-1)).sum(dim=-1)
        return (weights * losses).sum() / batch_size, (first - second).detach().cpu()

    def _scores(self, pairs: Sequence[Pair]) -> tuple[Tensor, Tensor]:
        names = [pair.image_0 for pair in pairs] + [pair.image_1 for pair in pairs]
        scores = self.clip.score([self._pair_set.picture(name) for name in names], [pair.prompt for pair in pairs] * 2)
        return scores[: len(pairs)], scores[len(pairs) :]

    def _batch(self) -> list[Example]:
        """The pairs of the next step: every epoch takes each once, in an order that follows from seed and epoch."""
        examples, size = self._split.learning, self._config.tuning.batch_size
        places: list[int] = []
        position = self.step * size
        while len(places) < size:
            epoch, start = divmod(position + len(places), len(examples))
            order = np.random.default_rng([self._config.seed, 13, epoch]).permutation(len(examples))
            places += order[start : start + size - len(places)].tolist()
        return [examples[place] for place in places]
