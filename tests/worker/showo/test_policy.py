"""The policy's fast calls against the published way."""

from dataclasses import replace

import pytest
import torch

from worker.showo.attention import omni_attention_allowed
from worker.showo.policy import ShowoPolicy
from worker.showo.tiny import tiny_policy

PROMPTS = [
    "a photo of a red circle",
    "",
    "two stars",
    "a blue cross above a green square and a white star and a red star",
]


@pytest.fixture(scope="module")
def policy() -> ShowoPolicy:
    return tiny_policy(seed=3)


def partly_masked_codes(policy: ShowoPolicy, num_rows: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randint(policy.codebook_size + 1, (num_rows, policy.num_image_tokens), generator=generator)


def test_fast_logits_equal_the_published_way(policy: ShowoPolicy) -> None:
    codes = partly_masked_codes(policy, len(PROMPTS))
    with torch.no_grad():
        fast = policy.code_logits(policy.prefix(PROMPTS), codes)
        slow = policy.image_logits(policy.input_ids(PROMPTS, codes))
    assert fast.std() > 0.1
    torch.testing.assert_close(fast, slow, atol=1e-4, rtol=0)


def test_requested_rows_are_those_of_the_whole(policy: ShowoPolicy) -> None:
    codes = partly_masked_codes(policy, len(PROMPTS))
    rows = torch.tensor([0, 17, 17, 63])
    with torch.no_grad():
        prefix = policy.prefix(PROMPTS)
        whole = policy.code_logits(prefix, codes).flatten(0, 1)
        torch.testing.assert_close(policy.code_logits(prefix, codes, rows), whole[rows])


def test_a_group_shares_one_text_pass(policy: ShowoPolicy) -> None:
    codes = partly_masked_codes(policy, 6)
    prompts = [prompt for prompt in PROMPTS[:2] for _ in range(3)]
    with torch.no_grad():
        shared = policy.code_logits(policy.prefix(PROMPTS[:2]).index(torch.tensor([0, 0, 0, 1, 1, 1])), codes)
        apart = policy.code_logits(policy.prefix(prompts), codes)
    torch.testing.assert_close(shared, apart)


def test_gradients_flow_through_the_prefix_as_through_the_published_way(policy: ShowoPolicy) -> None:
    codes = partly_masked_codes(policy, 2)
    weight = policy.showo.showo.model.layers[0].self_attn.k_proj.weight
    fast = policy.code_logits(policy.prefix(PROMPTS[:2]), codes).square().mean()
    slow = policy.image_logits(policy.input_ids(PROMPTS[:2], codes)).square().mean()
    (by_parts,), (whole,) = torch.autograd.grad(fast, [weight]), torch.autograd.grad(slow, [weight])
    torch.testing.assert_close(by_parts, whole, atol=1e-5, rtol=1e-3)


def test_only_the_transformer_is_trained(policy: ShowoPolicy) -> None:
    trained = {name for name, parameter in policy.named_parameters() if parameter.requires_grad}
    assert trained == {f"showo.{name}" for name, _ in policy.showo.named_parameters()}


def test_pictures_have_pixels_from_0_to_1(policy: ShowoPolicy) -> None:
    pixels = policy.decode(partly_masked_codes(policy, 2).clamp(max=policy.codebook_size - 1))
    assert pixels.shape == (2, 3, 32, 32)
    assert pixels.min() >= 0
    assert pixels.max() <= 1


def test_a_patch_encoder_gives_equal_patches_equal_codes(policy: ShowoPolicy) -> None:
    patch = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    codes = policy.encode(patch.repeat(1, 1, 4, 4))
    assert codes.unique().numel() == 1


def test_a_large_batch_looks_its_first_layer_up_with_equal_logits_and_gradients() -> None:
    policy = tiny_policy(seed=3, num_layers=3)
    codes = partly_masked_codes(policy, 24)
    prompts = [PROMPTS[row % 4] for row in range(24)]
    weight = policy.showo.showo.model.embed_tokens.weight
    assert codes.numel() > 2 * (policy.codebook_size + 3), "the batch is large enough to repeat its tokens"
    looked_up = policy.code_logits(policy.prefix(prompts), codes)
    whole = policy.image_logits(policy.input_ids(prompts, codes))
    torch.testing.assert_close(looked_up, whole, atol=1e-4, rtol=0)
    (one,), (other,) = (torch.autograd.grad(logits.square().mean(), [weight]) for logits in (looked_up, whole))
    assert other[policy.layout.special.soi].abs().max() > 0
    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-3)


def test_the_published_way_reads_a_text_block_of_any_length_at_its_own_positions(policy: ShowoPolicy) -> None:
    codes = partly_masked_codes(policy, 2)
    shorter = replace(policy.layout, max_text_tokens=9)
    input_ids = shorter.input_ids([[5, 6], []], codes + policy.showo.config.first_image_id)
    expected = policy.showo.logits(input_ids, omni_attention_allowed(input_ids, shorter))[:, -17:-1]
    columns = slice(policy.showo.config.first_image_id, policy.showo.config.mask_token_id)
    with torch.no_grad():
        assert torch.equal(policy.image_logits(input_ids), expected[..., columns])


def test_the_published_way_refuses_what_is_no_sequence(policy: ShowoPolicy) -> None:
    input_ids = policy.input_ids(PROMPTS[:2], partly_masked_codes(policy, 2))
    with pytest.raises(ValueError, match=r"sequences have 19 tokens, .* need at least 20"):
        policy.image_logits(input_ids[:, :19])
    input_ids[1, -1] = 0
    with pytest.raises(ValueError, match="row 1 is no Show-o sequence of 16 image tokens"):
        policy.image_logits(input_ids)
