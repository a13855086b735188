"""What the policy saves in memory changes no number."""

import pytest
import torch

from worker.showo import policy as policy_module
from worker.showo.tiny import tiny_policy


def test_pictures_decoded_a_few_at_a_time_are_those_decoded_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = tiny_policy()
    codes = torch.randint(policy.codebook_size, (5, 16), generator=torch.Generator().manual_seed(0))
    whole = policy.decode(codes)
    sizes: list[int] = []
    decode = policy.magvit.decode
    monkeypatch.setattr(policy.magvit, "decode", lambda part, shape: sizes.append(len(part)) or decode(part, shape))
    monkeypatch.setattr(policy_module, "DECODED_NUMBERS", 2 * 32 * 32 * 32)
    torch.testing.assert_close(policy.decode(codes), whole, atol=1e-5, rtol=0)
    assert sizes == [2, 2, 1]


def test_image_tokens_bring_the_embedding_one_gradient() -> None:
    policy = tiny_policy()
    with torch.no_grad():
        prefix = policy.prefix(["two stars"])
    codes = torch.full((1, 16), policy.codebook_size)
    weight = policy.showo.showo.model.embed_tokens.weight
    pending = [policy.code_logits(prefix, codes).sum().grad_fn]
    seen, num_gradients = set(), 0
    while pending:
        node = pending.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        following = [each for each, _ in node.next_functions]
        num_gradients += sum(getattr(each, "variable", None) is weight for each in following)
        pending.extend(following)
    assert num_gradients == 1
