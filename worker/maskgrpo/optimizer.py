"""AdamW on the policy's parameters: the rate's schedule, gradient clipping, and the weights' moving average.

Departure 5 from the paper (docs/algorithm.md): weight decay acts on matrices only, as in Show-o's own training.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from backend.schemas.algorithm import LearningRateSchedule, OptimizerConfig
from worker.maskgrpo.sharded import clip_gradients, fill, kept, own_part


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
            foreach=False,  # It would hold temporaries as large as all parameters together.
        )
        self._is_swapped = False
        self._average: dict[str, Tensor] = {}
        if config.ema_decay:
            self._average = {name: parameter.detach().clone() for name, parameter in parameters.items()}

    @property
    def parameters(self) -> Iterable[nn.Parameter]:
        """What is trained, always in the same order."""
        return self._parameters.values()

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
        norm = clip_gradients(self._parameters.values(), self.config.max_gradient_norm)
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
            own_part(self._average[name]).lerp_(own_part(parameter), 1 - self.config.ema_decay)

    @contextmanager
    def averaged(self) -> Iterator[None]:
        """Puts the averaged weights into the policy for the time of the block; without averaging it changes nothing."""
        if self.config.ema_decay == 0:
            yield
            return
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        """Exchanges weights and average one by one: a copy of all of them might not fit beside them."""
        for name, parameter in self._parameters.items():
            weights, average = own_part(parameter), own_part(self._average[name])
            held = weights.clone()
            weights.copy_(average)
            average.copy_(held)
        self._is_swapped = not self._is_swapped

    def state_dict(self) -> dict[str, object]:
        """Parameters, their average where there is one, and AdamW's moments by parameter name; copies on the CPU.

        Sharded ones are gathered one after the other: all processes must ask together, and the first gets them.
        """
        assert not self._is_swapped, "a state is taken outside of `averaged`"
        moments = {
            name: {key: kept(value) for key, value in self._adamw.state[parameter].items()}
            for name, parameter in self._parameters.items()
            if parameter in self._adamw.state
        }
        parameters = {name: kept(parameter) for name, parameter in self._parameters.items()}
        average = {name: kept(value) for name, value in self._average.items()}
        return {"parameters": parameters, "average": average, "moments": moments}

    def whole_weights(self) -> dict[str, Tensor]:
        """The parameters by name as they are now, gathered as `state_dict` does it."""
        return {name: kept(parameter) for name, parameter in self._parameters.items()}

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
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                fill(parameter, state["parameters"][name])
            average = state["average"] or state["parameters"]
            for name, value in self._average.items():
                fill(value, average[name])
        self._adamw.state.clear()
        for name, moments in state["moments"].items():
            parameter = self._parameters[name]
            self._adamw.state[parameter] = {
                key: value.clone() if key == "step" else _like(parameter, value) for key, value in moments.items()
            }


def _like(parameter: nn.Parameter, whole: Tensor) -> Tensor:
    """A copy of a whole tensor that lies, and is sharded, as the parameter is."""
    made = torch.zeros_like(parameter.detach())
    fill(made, whole)
    return made
