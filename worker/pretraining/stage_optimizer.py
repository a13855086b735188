"""The optimizer that the stages of transformers share: Muon for the blocks' matrices, AdamW for all the rest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from backend.schemas.pretraining import ClipStageConfig, TransformerStageConfig
from worker.pretraining.muon import Muon
from worker.pretraining.steps import rate_factor

_MAX_GRADIENT_NORM = 1.0


class StageOptimizer:
    """Both optimizers as one, on one course of the rate; the gradient is clipped over all parameters together."""

    def __init__(
        self, model: nn.Module, blocks: Iterable[nn.Parameter], settings: ClipStageConfig | TransformerStageConfig
    ) -> None:
        self._model = model
        self._settings = settings
        matrices = [parameter for parameter in blocks if parameter.ndim == 2]
        taken = {id(parameter) for parameter in matrices}
        rest = [parameter for parameter in model.parameters() if id(parameter) not in taken]
        self._muon = Muon(matrices, lr=settings.muon_learning_rate)
        self._adamw = torch.optim.AdamW(rest, lr=settings.learning_rate, betas=(0.9, 0.98), weight_decay=0.0)

    def step(self, loss: Tensor, step: int) -> float:
        """Make one step down the gradient of a scalar loss; give the gradient's norm before clipping.

        Args:
            loss: a scalar with gradient.
            step: counts from 1 within the stage; it sets the rate.
        """
        settings = self._settings
        factor = rate_factor(step, settings.num_steps, settings.num_warmup_steps, settings.decay_fraction)
        rates = ((self._muon, settings.muon_learning_rate), (self._adamw, settings.learning_rate))
        for optimizer, rate in rates:
            optimizer.zero_grad(set_to_none=True)
            for group in optimizer.param_groups:
                group["lr"] = rate * factor
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self._model.parameters(), _MAX_GRADIENT_NORM)
        for optimizer, _ in rates:
            optimizer.step()
        return float(norm)

    def state_dict(self) -> dict[str, Any]:
        """Return the moments of both."""
        return {"muon": self._muon.state_dict(), "adamw": self._adamw.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what `state_dict` gave; other keys are left alone."""
        self._muon.load_state_dict(state["muon"])
        self._adamw.load_state_dict(state["adamw"])
