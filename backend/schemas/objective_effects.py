"""Settings of the objective that cannot do anything beside others, and pairs that are known to go wrong."""

from __future__ import annotations

from collections.abc import Iterator

from backend.schemas.algorithm import MaskGRPOConfig, RatioLevel, SamplingConfig, StepSelection, TransitionDefinition
from backend.schemas.event import AlarmCode
from backend.schemas.objective import AdvantageKind, Normalisation, Objective, SelectionForm

_DEFAULT = MaskGRPOConfig()
_HAS_SELECTION_TERM = (
    TransitionDefinition.CANDIDATE_1_SELECTION,
    TransitionDefinition.CANDIDATE_2_SELECTION,
    TransitionDefinition.AUTOREGRESSIVE_SELECTION,
)


def of_objective(grpo: MaskGRPOConfig, sampling: SamplingConfig) -> Iterator[str]:
    """Sentences for a person, each naming the setting and why it does nothing."""
    is_clip_changed = (grpo.clip_low, grpo.clip_high) != (_DEFAULT.clip_low, _DEFAULT.clip_high)
    if is_clip_changed and grpo.num_epochs == 1:
        yield "grpo.clip_low and clip_high have no effect with one epoch a rollout: the ratio is then always 1."
    if grpo.advantage is AdvantageKind.MEAN_ONLY and grpo.advantage_epsilon != _DEFAULT.advantage_epsilon:
        yield "grpo.advantage_epsilon has no effect while grpo.advantage is mean_only: nothing is divided."
    if not grpo.filter.is_enabled:
        for name in ("percentile", "history_size", "max_tries"):
            if getattr(grpo.filter, name) != getattr(_DEFAULT.filter, name):
                yield f"grpo.filter.{name} has no effect: the sample filter is off."
    if grpo.objective is Objective.FORWARD_PROCESS:
        yield from _of_forward_process(grpo)
        return
    if grpo.forward_process != _DEFAULT.forward_process:
        yield "grpo.forward_process has no effect while grpo.objective is trajectory: set it to forward_process."
    yield from _of_step_selection(grpo)
    yield from _of_transition(grpo, sampling)


def risks_of_objective(grpo: MaskGRPOConfig, sampling: SamplingConfig) -> Iterator[tuple[AlarmCode, str, str]]:
    """Settings that do something, but hardly what is wanted: code, what happens, and the cure."""
    if grpo.objective is Objective.FORWARD_PROCESS:
        if grpo.ratio is RatioLevel.SEQUENCE and grpo.num_epochs > 1:
            yield (
                "saturated_ratio",
                "grpo.ratio is sequence with the forward-process loss: a product over all masked tokens leaves the "
                "clip's bounds after the smallest update, and the later epochs learn nothing.",
                "Set grpo.ratio to token, as its papers do.",
            )
        return
    if grpo.transition is TransitionDefinition.CANDIDATE_1 and sampling.temperature > 0:
        yield (
            "noisy_candidate_1",
            "Candidate 1 is exact only where the choice has no noise, but the rollout's temperature is "
            f"{sampling.temperature:g}: its threshold term then models another sampler, and training may collapse.",
            "Set sampling.temperature to 0, or grpo.transition to candidate_2 or candidate_1_selection.",
        )


def _of_forward_process(grpo: MaskGRPOConfig) -> Iterator[str]:
    for name in ("transition", "step_selection", "window", "candidate_1", "selection_term", "num_selected_steps"):
        if getattr(grpo, name) != getattr(_DEFAULT, name):
            yield (
                f"grpo.{name} has no effect while grpo.objective is forward_process: its states are re-maskings, not "
                "unmasking steps; leave it at its default, or set grpo.objective to trajectory."
            )


def _of_step_selection(grpo: MaskGRPOConfig) -> Iterator[str]:
    if grpo.step_selection is StepSelection.ALL and grpo.num_selected_steps != _DEFAULT.num_selected_steps:
        yield "grpo.num_selected_steps has no effect while grpo.step_selection is all: every step is in the loss."
    if grpo.step_selection is not StepSelection.WINDOW and grpo.window != _DEFAULT.window:
        yield f"grpo.window has no effect while grpo.step_selection is {grpo.step_selection}: set that to window."
    elif grpo.window.shift_interval is None and grpo.window.stride != _DEFAULT.window.stride:
        yield "grpo.window.stride has no effect without grpo.window.shift_interval: the window then crosses in one go."


def _of_transition(grpo: MaskGRPOConfig, sampling: SamplingConfig) -> Iterator[str]:
    if grpo.transition is not TransitionDefinition.CANDIDATE_1 and grpo.candidate_1 != _DEFAULT.candidate_1:
        yield f"grpo.candidate_1 has no effect while grpo.transition is {grpo.transition}: it has no such second term."
    elif grpo.candidate_1.normalisation is Normalisation.SEPARATE and grpo.ratio is RatioLevel.SEQUENCE:
        yield (
            "grpo.candidate_1.normalisation has no effect while grpo.ratio is sequence: terms are added, not averaged; "
            "set grpo.ratio to mean."
        )
    if grpo.transition not in _HAS_SELECTION_TERM:
        if grpo.selection_term != _DEFAULT.selection_term:
            yield (
                f"grpo.selection_term has no effect while grpo.transition is {grpo.transition}: take one of "
                f"{', '.join(_HAS_SELECTION_TERM)}."
            )
        return
    is_marginal = grpo.transition is TransitionDefinition.CANDIDATE_1_SELECTION
    if is_marginal and grpo.selection_term.form is SelectionForm.ORDER:
        yield "grpo.selection_term.form has no effect with candidate_1_selection: the next state knows no order."
    if sampling.temperature == 0:
        plain = grpo.transition.removesuffix("_selection")
        yield f"The selection term of grpo.transition has no effect at sampling.temperature 0: it is {plain} then."
