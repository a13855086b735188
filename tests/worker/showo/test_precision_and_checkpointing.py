"""What saves memory: gradient checkpointing gives the same gradient, bfloat16 nearly the same log-probs in float32."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from worker.showo.policy import ShowoPolicy
from worker.showo.tiny import tiny_policy

WORDS = ("a", "red", "circle", "two", "stars")
PROMPTS = ["a red circle", "two stars", "a circle"]


@pytest.fixture
def policy() -> ShowoPolicy:
    torch.set_num_threads(1)
    return tiny_policy(grid_size=4, words=WORDS)


def half_masked_codes(policy: ShowoPolicy, num_rollouts: int) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    codes = torch.randint(policy.codebook_size, (num_rollouts, policy.num_image_tokens), generator=generator)
    return codes.masked_fill(torch.rand(codes.shape, generator=generator) < 0.5, policy.codebook_size)


def log_probs(policy: ShowoPolicy, num_rollouts: int = 3, rows: Tensor | None = None) -> Tensor:
    places = torch.arange(num_rollouts) % len(PROMPTS)
    prefix = policy.prefix(PROMPTS).index(places)
    return policy.code_logits(prefix, half_masked_codes(policy, num_rollouts), rows).log_softmax(dim=-1)


def gradients(policy: ShowoPolicy, num_rollouts: int, rows: Tensor | None) -> dict[str, Tensor]:
    policy.zero_grad(set_to_none=True)
    weights = torch.randn(policy.codebook_size, generator=torch.Generator().manual_seed(5))
    (log_probs(policy, num_rollouts, rows) * weights).sum().backward()
    return {name: each.grad.clone() for name, each in policy.named_parameters() if each.grad is not None}


# With many rollouts the first layer is looked up by token, see `PhiLayer.of_tokens`.
@pytest.mark.parametrize("num_rollouts", [3, 300])
@pytest.mark.parametrize("rows", [None, torch.tensor([0, 5, 17, 40])], ids=["all", "some"])
def test_gradient_checkpointing_changes_no_bit_of_the_gradient(
    policy: ShowoPolicy, num_rollouts: int, rows: Tensor | None
) -> None:
    kept = gradients(policy, num_rollouts, rows)
    policy.showo.is_checkpointed = True
    again = gradients(policy, num_rollouts, rows)
    assert kept.keys() == again.keys()
    assert all(torch.equal(kept[name], again[name]) for name in kept)


def test_gradient_checkpointing_keeps_less(policy: ShowoPolicy) -> None:
    def num_kept() -> int:
        kept: dict[int, int] = {}

        def keep(tensor: Tensor) -> Tensor:
            kept[tensor.data_ptr()] = tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            log_probs(policy, 32)
        return sum(kept.values())

    everything = num_kept()
    policy.showo.is_checkpointed = True
    assert num_kept() < everything / 2


def test_bfloat16_gives_float32_log_probs_near_those_of_float32(policy: ShowoPolicy) -> None:
    exact = log_probs(policy)
    policy.showo.autocast_dtype = torch.bfloat16
    rounded = log_probs(policy)
    assert rounded.dtype == torch.float32
    assert not torch.equal(rounded, exact), "nothing was rounded, so nothing was computed in bfloat16"
    assert (rounded - exact).abs().mean() < 0.01
    assert (rounded - exact).abs().max() < 0.05
    # A log-prob that had been rounded itself would be one of bfloat16's few numbers.
    assert not torch.equal(rounded, rounded.bfloat16().float())
    torch.testing.assert_close(rounded.exp().sum(dim=-1), torch.ones(rounded.shape[:-1]))


def test_bfloat16_leaves_weights_and_gradients_in_float32(policy: ShowoPolicy) -> None:
    exact = gradients(policy, 3, None)
    policy.showo.autocast_dtype = torch.bfloat16
    rounded = gradients(policy, 3, None)
    assert all(parameter.dtype == torch.float32 for parameter in policy.parameters())
    assert all(gradient.dtype == torch.float32 for gradient in rounded.values())
    one, other = (torch.cat([each.flatten() for each in found.values()]) for found in (exact, rounded))
    assert torch.nn.functional.cosine_similarity(one, other, dim=0) > 0.999


def test_bfloat16_and_checkpointing_together_give_the_gradient_of_bfloat16(policy: ShowoPolicy) -> None:
    policy.showo.autocast_dtype = torch.bfloat16
    kept = gradients(policy, 300, torch.arange(50))
    policy.showo.is_checkpointed = True
    again = gradients(policy, 300, torch.arange(50))
    assert all(torch.equal(kept[name], again[name]) for name in kept)
