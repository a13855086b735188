"""Recomputes the log-probs of chosen unmasking steps, on the states that the rollouts really went through.

All chosen steps of all rollouts are one batch, and only the positions that the transition definition reads get logits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from backend.schemas.algorithm import TransitionDefinition
from worker.maskgrpo.guidance import encode_prompts
from worker.maskgrpo.transition import EXACT, Choice, TermOptions, has_term, is_read, transition_terms
from worker.maskgrpo.types import Policy, Trajectory


@dataclass(frozen=True)
class Transitions:
    """M unmasking steps, each of some rollout: what the loss is computed on."""

    prompts: tuple[str, ...]  # M prompts.
    codes: Tensor  # (M, N) int64 in [0, K]: the state before the step, K where masked.
    drawn: Tensor  # (M, N) int64: see UnmaskingStep.
    is_newly_unmasked: Tensor  # (M, N) bool.
    has_term: Tensor  # (M, N) bool: where the definition has a term.
    is_read: Tensor  # (M, N) bool: where it reads a distribution.
    old_terms: Tensor  # (M, N) float32: as recorded at rollout, or recomputed before the first update.
    step: Tensor  # (M,) int64 in [0, T): which unmasking step.
    advantages: Tensor  # (M,) float32.
    order: Tensor  # (M, N) int64: see UnmaskingStep.
    temperature: Tensor  # (M,) float32: the weight of the Gumbel noise on the choice.

    def __len__(self) -> int:
        return len(self.prompts)

    def index(self, rows: Tensor) -> Transitions:
        """The transitions of the given rows, (R,) int64."""
        return Transitions(
            prompts=tuple(self.prompts[row] for row in rows.tolist()),
            codes=self.codes[rows],
            drawn=self.drawn[rows],
            is_newly_unmasked=self.is_newly_unmasked[rows],
            has_term=self.has_term[rows],
            is_read=self.is_read[rows],
            old_terms=self.old_terms[rows],
            step=self.step[rows],
            advantages=self.advantages[rows],
            order=self.order[rows],
            temperature=self.temperature[rows],
        )

    def split(self, num_parts: int) -> list[Transitions]:
        """At most `num_parts` micro-batches of equal size to within one, in order, none empty."""
        rows = torch.arange(len(self), device=self.codes.device)
        return [self.index(part) for part in rows.tensor_split(num_parts) if len(part)]


@dataclass(frozen=True)
class Replay:
    """The recomputed terms, and the logits they came from."""

    terms: Tensor  # (M, N) float32, 0 without a term; carries the gradient.
    logits: Tensor  # (R, K) float32, guided where the rollout was.
    rows: Tensor  # (R,) int64, their flat places in M * N.


def transitions_of(
    trajectory: Trajectory,
    prompts: Sequence[str],
    advantages: Tensor,
    steps: Tensor,
    mask_code: int,
    definition: TransitionDefinition,
) -> Transitions:
    """Takes the chosen steps out of trajectories.

    Args:
        trajectory: B rollouts of T steps, recorded with the same `definition`.
        prompts: B prompts.
        advantages: (B,) float32.
        steps: (B, S) int64 in [0, T).
        mask_code: K.
        definition: of the transition log-prob.

    Returns:
        B * S transitions, a rollout's steps side by side.
    """
    num_rollouts, num_selected = steps.shape
    steps = steps.to(trajectory.codes.device)
    rollouts = torch.arange(num_rollouts, device=steps.device).repeat_interleave(num_selected)
    step = steps.reshape(-1)
    unmasked_at, final = trajectory.unmasked_at[rollouts], trajectory.codes[rollouts]
    is_masked, is_newly_unmasked = unmasked_at >= step[:, None], unmasked_at == step[:, None]
    return Transitions(
        prompts=tuple(prompt for prompt in prompts for _ in range(num_selected)),
        codes=final.masked_fill(is_masked, mask_code),
        drawn=trajectory.drawn[step, rollouts],
        is_newly_unmasked=is_newly_unmasked,
        has_term=has_term(is_masked, is_newly_unmasked, definition),
        is_read=is_read(is_masked, is_newly_unmasked, definition),
        old_terms=trajectory.token_log_prob[step, rollouts],
        step=step,
        advantages=advantages.to(step.device)[rollouts],
        order=trajectory.order[rollouts],
        temperature=trajectory.temperature[step],
    )


def replay(
    policy: Policy,
    transitions: Transitions,
    definition: TransitionDefinition,
    guidance_scale: float,
    options: TermOptions = EXACT,
) -> Replay:
    """Computes the terms of M transitions under a policy; gradients flow when they are enabled.

    Args:
        policy: the current policy, or the reference.
        transitions: the states, draws and choices.
        definition: of the transition log-prob.
        guidance_scale: w of the rollout: the distribution is the one that was sampled.
        options: what modifies the definition; those of the rollout.

    Returns:
        The terms and the logits.
    """
    rows = transitions.is_read.flatten().nonzero().squeeze(1)
    distinct, places = encode_prompts(policy, transitions.prompts, guidance_scale)
    is_blank = (transitions.codes == policy.codebook_size).all(dim=1)
    states, state_of = distinct_states(is_blank, places)
    num_tokens = transitions.codes.shape[1]
    rows_of_states = state_of[rows // num_tokens] * num_tokens + rows % num_tokens
    logits = distinct.index(places[states]).code_logits(policy, transitions.codes[states], rows_of_states)
    log_probs = logits.log_softmax(dim=1)
    choice = Choice(transitions.temperature, transitions.order)
    terms = transition_terms(
        log_probs, rows, transitions.drawn, transitions.is_newly_unmasked, definition, choice, options
    )
    return Replay(terms, logits, rows)


def blank_states_first(transitions: Transitions, mask_code: int) -> Tensor:
    """Orders transitions so that those which begin in the same state share a micro-batch, and so its computation.

    Args:
        transitions: M of them.
        mask_code: K.

    Returns:
        (M,) int64, their places: first those where all is masked, by prompt, then the others as they were.
    """
    places = {prompt: place for place, prompt in enumerate(dict.fromkeys(transitions.prompts))}
    prompt = torch.tensor([places[each] for each in transitions.prompts], device=transitions.codes.device)
    is_blank = (transitions.codes == mask_code).all(dim=1)
    return torch.where(is_blank, prompt, len(places)).argsort(stable=True)


def distinct_states(is_blank: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
    """Finds the transitions that begin in the same state: those of a prompt where all is masked.

    Args:
        is_blank: (M,) bool, where all N positions are masked.
        places: (M,) int64, which distinct prompt.

    Returns:
        (D,) int64, one transition for each distinct state, and (M,) int64 in [0, D), the state of each transition.
    """
    own = torch.arange(len(is_blank), device=is_blank.device)
    earliest = own.new_full((len(own),), len(own)).scatter_reduce(0, places[is_blank], own[is_blank], "amin")
    states, state_of = torch.where(is_blank, earliest[places], own).unique(return_inverse=True)
    return states, state_of
