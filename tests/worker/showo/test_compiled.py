"""Compiled layers compute what the others do, in every way that training calls them, as far as tracing can tell."""

from __future__ import annotations

import pytest
import torch

from worker.showo.lora import add_adapter, without_adapter
from worker.showo.policy import ShowoPolicy
from worker.showo.tiny import tiny_policy

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")]
PROMPTS = ("a photo of a red circle", "two stars")
ROWS = torch.tensor([0, 3, 17, 30])


def _policy(is_compiled: bool) -> ShowoPolicy:
    policy = tiny_policy(seed=2)
    add_adapter(policy.showo, 2, 4.0, ("q_proj", "fc2"), torch.Generator().manual_seed(1))
    for name, parameter in policy.showo.named_parameters():
        if "lora_B" in name:
            parameter.data.fill_(0.01)
    if is_compiled:
        # The usual backend writes C++ or Triton, which needs a compiler; what can go wrong is the tracing before it.
        policy.showo.compile_layers(backend="aot_eager")
    return policy


def _outputs(policy: ShowoPolicy, num_pictures: int, *, is_checkpointed: bool) -> list[torch.Tensor]:
    """Logits without and with an adapter, and a gradient, of pictures of both prompts in turn."""
    policy.showo.is_checkpointed = is_checkpointed
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(policy.codebook_size + 1, (num_pictures, policy.num_image_tokens), generator=generator)
    places = torch.arange(num_pictures) % 2
    with torch.no_grad(), without_adapter(policy.showo):
        bare = policy.code_logits(policy.prefix(PROMPTS).index(places), codes)
    logits = policy.code_logits(policy.prefix(PROMPTS).index(places), codes, ROWS)
    policy.zero_grad()
    logits.square().sum().backward()
    gradient = [each.grad.flatten() for each in policy.showo.parameters() if each.grad is not None]
    return [bare, logits.detach(), torch.cat(gradient)]


@pytest.mark.parametrize("is_checkpointed", [False, True])
def test_logits_and_gradients_of_compiled_layers_are_those_of_the_others(*, is_checkpointed: bool) -> None:
    plain, compiled = _policy(is_compiled=False), _policy(is_compiled=True)
    for num_pictures in (2, 5):
        expected = _outputs(plain, num_pictures, is_checkpointed=is_checkpointed)
        for ours, theirs in zip(
            _outputs(compiled, num_pictures, is_checkpointed=is_checkpointed), expected, strict=True
        ):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_no_way_of_calling_a_layer_falls_back_to_the_interpreter() -> None:
    policy = _policy(is_compiled=True)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    for is_checkpointed in (False, True):
        for num_pictures in (2, 3, 5):
            _outputs(policy, num_pictures, is_checkpointed=is_checkpointed)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0
    assert not torch._dynamo.utils.counters["graph_break"]
    assert not torch._dynamo.utils.counters["recompile_limit"]
