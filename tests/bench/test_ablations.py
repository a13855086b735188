"""A saving that is switched off for the benchmark changes no number: only what it costs."""

import pytest
import torch

from tests.bench.ablations import ABLATIONS, ablated
from worker.showo.policy import ShowoPolicy
from worker.showo.tiny import tiny_policy

PROMPTS = ["a photo of a red circle", "two stars"]


@pytest.fixture(scope="module")
def policy() -> ShowoPolicy:
    return tiny_policy(seed=1)


@pytest.mark.parametrize("without", ABLATIONS)
def test_logits_without_a_saving_are_those_with_it(policy: ShowoPolicy, without: str) -> None:
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(policy.codebook_size, (4, policy.num_image_tokens), generator=generator)
    codes[:, ::2] = policy.codebook_size
    rows, places = torch.tensor([0, 5, 20, 63]), torch.tensor([0, 0, 1, 1])
    with torch.no_grad():
        whole = policy.code_logits(policy.prefix(PROMPTS).index(places), codes, rows)
        with ablated(policy, without) as slower:
            logits = slower.code_logits(slower.prefix(PROMPTS).index(places), codes, rows)
    torch.testing.assert_close(logits, whole, atol=1e-5, rtol=1e-5)


def test_an_unknown_saving_is_refused(policy: ShowoPolicy) -> None:
    with pytest.raises(ValueError, match="there is no saving 'magic'"), ablated(policy, "magic"):
        pass
