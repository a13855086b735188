"""AdamW on the policy's parameters: the rate's schedule, gradient clipping, and the weights' moving average.

Departure 5 from the paper (docs/algorithm.md): weight decay acts on matrices only, as in Show-o's own training.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from backend.schemas.algorithm import LearningRateSchedule, OptimizerConfig


@dataclass(frozen=True)
class Update:
    """What became of one gradient."""

    gradient_norm: float  # Global L2 norm before clipping; may be NaN or infinite.
    learning_rate: float
    is_applied: bool  # False when the gradient was 0 or not finite: parameters, moments and average are untouched.


def learning_rate_at(step: int, config: OptimizerConfig, num_steps: int) -> float:
    """Gives the learning rate of a training step: a linear warm-up, then constant, linear or cosine decay.

    Args:
        step: from 0.
        config: peak rate, schedule, warm-up, length of the decay and what is left after it.
        num_steps: the run's length; the decay spans what follows the warm-up unless `decay_steps` is given.

    Returns:
        A rate above or equal 0.
    """
    if step < config.num_warmup_steps:
        return config.learning_rate * (step + 1) / config.num_warmup_steps
    if config.schedule is LearningRateSchedule.CONSTANT:
        return config.learning_rate
    span = config.decay_steps or max(1, num_steps - config.num_warmup_steps)
    progress = min(1.0, (step - config.num_warmup_steps) / span)
    is_linear = config.schedule is LearningRateSchedule.LINEAR
    left = 1 - progress if is_linear else (1 + math.cos(math.pi * progress)) / 2
    return config.learning_rate * (config.final_fraction + (1 - config.final_fraction) * left)


class PolicyOptimizer:
    """Applies gradients to named parameters; matrices decay, vectors (biases, norms) do not."""

    def __init__(self, parameters: dict[str, nn.Parameter], config: OptimizerConfig, num_steps: int) -> None:
        self.config = config
        self._num_steps = num_steps
        self._parameters = parameters
        matrices = [parameter for parameter in parameters.values() if parameter.ndim >= 2]
        vectors = [parameter for parameter in parameters.values() if parameter.ndim < 2]
        groups: list[dict[str, Any]] = [
            {"params": matrices, "weight_decay": config.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ]
        self._adamw = torch.optim.AdamW(
            [group for group in groups if group["params"]],
            lr=config.learning_rate,
            betas=(config.beta_1, config.beta_2),
        )
        self._average = {name: parameter.detach().clone() for name, parameter in parameters.items()}

    def learning_rate(self, step: int) -> float:
        """The rate of training step `step`, from 0."""
        return learning_rate_at(step, self.config, self._num_steps)

    def zero_gradient(self) -> None:
        """Forgets the accumulated gradient."""
        self._adamw.zero_grad(set_to_none=True)

    def apply(self, step: int) -> Update:
        """Clips the accumulated gradient and makes one optimizer step at the rate of training step `step`, from 0.

        A gradient of exactly 0 says nothing, yet AdamW would go on by its momentum and decay: it is not applied.
        """
        learning_rate = self.learning_rate(step)
        norm = float(nn.utils.clip_grad_norm_(self._parameters.values(), self.config.max_gradient_norm))
        if norm == 0 or not math.isfinite(norm):
            return Update(norm, learning_rate, is_applied=False)
        for group in self._adamw.param_groups:
            group["lr"] = learning_rate
        self._adamw.step()
        self._update_average()
        return Update(norm, learning_rate, is_applied=True)

    @torch.no_grad()
    def _update_average(self) -> None:
        if self.config.ema_decay == 0:
            return
        for name, parameter in self._parameters.items():
            self._average[name].lerp_(parameter.detach(), 1 - self.config.ema_decay)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Puts the averaged weights into the policy for the time of the block; without averaging it changes nothing."""
        if self.config.ema_decay == 0:
            yield
            return
        trained = {name: parameter.detach().clone() for name, parameter in self._parameters.items()}
        self._overwrite(self._average)
        try:
            yield
        finally:
            self._overwrite(trained)

    @torch.no_grad()
    def _overwrite(self, values: dict[str, Tensor]) -> None:
        for name, parameter in self._parameters.items():
            parameter.copy_(values[name])

    def state_dict(self) -> dict[str, object]:
        """Parameters, their average where there is one, and AdamW's moments by parameter name."""
        moments = {
            name: {key: value.detach().clone() for key, value in self._adamw.state[parameter].items()}
            for name, parameter in self._parameters.items()
            if parameter in self._adamw.state
        }
        parameters = {name: parameter.detach().clone() for name, parameter in self._parameters.items()}
        average = {name: value.clone() for name, value in self._average.items()} if self.config.ema_decay else {}
        return {"parameters": parameters, "average": average, "moments": moments}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes up a saved state.

        Raises:
            ValueError: the parameters are not those of this policy.
        """
        if set(state["parameters"]) != set(self._parameters):
            raise ValueError(
                f"the checkpoint has {len(state['parameters'])} parameters and the policy {len(self._parameters)}, or "
                "their names differ: resume with the policy that the run began with"
            )
        self._overwrite(state["parameters"])
        average = state["average"] or state["parameters"]
        self._average = {name: average[name].detach().clone() for name in self._parameters}
        self._adamw.state.clear()
        for name, moments in state["moments"].items():
            parameter = self._parameters[name]
            self._adamw.state[parameter] = {
                key: value.clone() if key == "step" else value.to(parameter.device, copy=True)
                for key, value in moments.items()
            }
