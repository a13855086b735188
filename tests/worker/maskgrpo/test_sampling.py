"""Unmasking: exact counts, independence of the batch, the right distribution, guidance."""

from __future__ import annotations

import weakref
from typing import Any

import pytest
import torch

from backend.schemas.algorithm import MaskSchedule, SamplingConfig, TransitionDefinition
from tests.worker.maskgrpo.toys import PROMPTS, ToyPolicy
from worker.maskgrpo import sampling as sampling_module
from worker.maskgrpo.sampling import draw_codes, draw_noise, rollout, rollout_steps, unmask
from worker.maskgrpo.schedule import masked_counts
from worker.maskgrpo.types import Trajectory, UnmaskingStep
from worker.showo.policy import ShowoPolicy
from worker.showo.tiny import tiny_policy

SAMPLING = SamplingConfig(num_unmasking_steps=4)


@pytest.fixture(scope="module")
def showo() -> ShowoPolicy:
    return tiny_policy(seed=1)


def test_every_step_keeps_exactly_its_count_and_nothing_stays_masked() -> None:
    policy = ToyPolicy(num_tokens=16)
    trajectory = rollout(policy, PROMPTS, [1, 2], SAMPLING)
    counts = masked_counts(16, 4)
    for step in range(4):
        assert trajectory.is_masked(step).sum(dim=1).tolist() == [counts[step]] * 2
        assert trajectory.is_newly_unmasked(step).sum(dim=1).tolist() == [counts[step] - counts[step + 1]] * 2
    assert trajectory.codes.min() >= 0
    assert trajectory.codes.max() < policy.codebook_size


@pytest.mark.parametrize("schedule", list(MaskSchedule))
def test_a_rollout_follows_the_chosen_mask_schedule(schedule: MaskSchedule) -> None:
    sampling = SamplingConfig(num_unmasking_steps=4, mask_schedule=schedule)
    trajectory = rollout(ToyPolicy(num_tokens=16), PROMPTS, [1, 2], sampling)
    counts = [int(trajectory.is_masked(step)[0].sum()) for step in range(4)]
    assert counts == list(masked_counts(16, 4, schedule)[:-1])


def test_kept_draws_are_never_changed_and_fixed_positions_have_no_confidence() -> None:
    policy = ToyPolicy(num_tokens=16)
    steps = list(rollout_steps(policy, PROMPTS, [1, 2], SAMPLING))
    trajectory = rollout(policy, PROMPTS, [1, 2], SAMPLING)
    for index, step in enumerate(steps):
        assert torch.equal(step.drawn[~step.is_masked], trajectory.codes[~step.is_masked])
        assert torch.equal(step.drawn[step.is_newly_unmasked], trajectory.codes[step.is_newly_unmasked])
        assert torch.equal(step.confidence.isnan(), ~step.is_masked)
        assert torch.equal(step.entropy.isnan(), ~step.is_masked)
        assert torch.equal(step.is_masked, trajectory.is_masked(index))


def test_without_noise_the_most_confident_draws_are_kept() -> None:
    steps = rollout_steps(
        ToyPolicy(num_tokens=16), PROMPTS, [1, 2], SamplingConfig(num_unmasking_steps=4, temperature=0)
    )
    for step in steps:
        for row in range(2):
            kept = step.confidence[row][step.is_newly_unmasked[row]]
            back = step.confidence[row][step.is_masked[row] & ~step.is_newly_unmasked[row]]
            assert not len(back) or kept.min() >= back.max()


@pytest.mark.parametrize("guidance_scale", [0.0, 2.0])
def test_a_sample_is_the_same_whatever_else_is_in_the_batch(showo: ShowoPolicy, guidance_scale: float) -> None:
    sampling = SamplingConfig(num_unmasking_steps=5, guidance_scale=guidance_scale)
    prompts = ["a red circle", "two stars", "a photo of a blue cross above a green square"] * 3
    seeds = list(range(100, 109))
    together = rollout(showo, prompts, seeds, sampling)
    for row in (0, 4, 8):
        alone = rollout(showo, [prompts[row]], [seeds[row]], sampling)
        other = rollout(showo, [prompts[row], "two stars"], [seeds[row], 7], sampling)
        for batch in (alone, other):
            assert_same_sample(batch, 0, together, row)


def assert_same_sample(one: Trajectory, at: int, other: Trajectory, there: int) -> None:
    """Codes, order and draws equal exactly; probabilities to the rounding of a differently shaped matrix product."""
    assert torch.equal(one.codes[at], other.codes[there])
    assert torch.equal(one.unmasked_at[at], other.unmasked_at[there])
    assert torch.equal(one.drawn[:, at], other.drawn[:, there])
    torch.testing.assert_close(one.log_prob[:, at], other.log_prob[:, there], atol=1e-4, rtol=1e-5)


def test_a_sample_is_bit_equal_in_batches_of_the_same_shape(showo: ShowoPolicy) -> None:
    prompts = ["a red circle", "two stars", "a blue cross"]
    one = rollout(showo, prompts, [1, 2, 3], SAMPLING)
    other = rollout(showo, [prompts[2], prompts[1], prompts[0]], [9, 2, 8], SAMPLING)
    assert torch.equal(one.token_log_prob[:, 1], other.token_log_prob[:, 1])
    assert torch.equal(one.entropy[:, 1].nan_to_num(), other.entropy[:, 1].nan_to_num())


def test_seeds_differ_and_the_same_seed_repeats(showo: ShowoPolicy) -> None:
    trajectory = rollout(showo, ["two stars"] * 3, [5, 6, 5], SAMPLING)
    assert torch.equal(trajectory.codes[0], trajectory.codes[2])
    assert not torch.equal(trajectory.codes[0], trajectory.codes[1])


def test_noise_depends_on_the_sample_s_seed_alone() -> None:
    together = draw_noise([3, 4, 5], 2, 6, torch.device("cpu"))
    alone = draw_noise([4], 2, 6, torch.device("cpu"))
    assert torch.equal(together.uniform[:, 1], alone.uniform[:, 0])
    assert torch.equal(together.gumbel[:, 1], alone.gumbel[:, 0])


def test_gumbel_noise_has_the_mean_and_variance_of_the_gumbel_distribution() -> None:
    gumbel = draw_noise(range(50), 20, 100, torch.device("cpu")).gumbel
    assert gumbel.isfinite().all()
    assert gumbel.mean().item() == pytest.approx(0.5772, abs=0.02)
    assert gumbel.var().item() == pytest.approx(1.6449, abs=0.05)


def test_codes_are_drawn_as_often_as_their_probability_says() -> None:
    probabilities = torch.tensor([0.05, 0.0, 0.6, 0.25, 0.1])
    uniform = torch.rand(40_000, generator=torch.Generator().manual_seed(0))
    drawn = draw_codes(probabilities.expand(len(uniform), -1), uniform)
    torch.testing.assert_close(torch.bincount(drawn, minlength=5) / len(uniform), probabilities, atol=0.01, rtol=0)


def test_the_ends_of_the_uniform_range_draw_codes_that_exist() -> None:
    probabilities = torch.tensor([[0.0, 0.5, 0.5, 0.0]]).expand(2, -1)
    assert draw_codes(probabilities, torch.tensor([0.0, 1 - 2**-24])).tolist() == [1, 2]


def test_guidance_samples_and_records_the_guided_distribution() -> None:
    policy, scale = ToyPolicy(num_tokens=4), 1.5
    step = next(rollout_steps(policy, ["two stars"], [3], SamplingConfig(num_unmasking_steps=2, guidance_scale=scale)))
    codes = torch.full((1, 4), policy.codebook_size)
    conditional = policy.code_logits(policy.prefix(["two stars"]), codes)
    unconditional = policy.code_logits(policy.prefix([""]), codes)
    log_probs = ((1 + scale) * conditional - scale * unconditional).log_softmax(dim=-1)
    confidence = log_probs.gather(2, step.drawn[..., None]).squeeze(2)
    torch.testing.assert_close(step.confidence, confidence.exp().detach())
    torch.testing.assert_close(step.log_prob, confidence.masked_fill(~step.is_newly_unmasked, 0).sum(dim=1).detach())


@pytest.mark.parametrize("definition", list(TransitionDefinition))
def test_the_log_prob_is_the_sum_of_its_terms(definition: TransitionDefinition) -> None:
    trajectory = rollout(ToyPolicy(), PROMPTS, [1, 2], SAMPLING, definition)
    torch.testing.assert_close(trajectory.log_prob, trajectory.token_log_prob.sum(dim=2))


def test_a_rollout_carries_no_gradient_and_leaves_gradients_on() -> None:
    trajectory = rollout(ToyPolicy(), PROMPTS, [1, 2], SAMPLING)
    assert not trajectory.log_prob.requires_grad
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(("prompts", "seeds"), [(PROMPTS, [1]), ((), [])])
def test_prompts_and_seeds_that_do_not_match_are_refused(prompts: tuple[str, ...], seeds: list[int]) -> None:
    with pytest.raises(ValueError, match="give one seed for each prompt"):
        rollout(ToyPolicy(), prompts, seeds, SAMPLING)


def test_a_step_keeps_no_distribution_alive_when_the_next_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[weakref.ref[torch.Tensor]] = []

    def watched(log_probs: torch.Tensor, *others: Any) -> UnmaskingStep:
        seen.append(weakref.ref(log_probs))
        return unmask(log_probs, *others)

    monkeypatch.setattr(sampling_module, "unmask", watched)
    for number, _ in enumerate(rollout_steps(ToyPolicy(), PROMPTS, [1, 2], SAMPLING), start=1):
        assert len(seen) == number
        assert seen[-1]() is None
