"""LoRA: exact on every path, switched off it is the base, and its files are peft's own format."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from backend.schemas.scaling import LoRATarget
from tests.worker.showo.hub import cache
from worker.showo.loading import load_policy, save_policy
from worker.showo.lora import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    AdapterlessPolicy,
    add_adapter,
    base_of,
    is_adapter,
    merge_adapter,
    merged,
    save_adapter,
)
from worker.showo.policy import ShowoPolicy
from worker.showo.tiny import tiny_policy

WORDS = ("a", "red", "circle", "two", "stars")
PROMPTS = ["a red circle", "two stars", "a circle"]


def plain_policy() -> ShowoPolicy:
    torch.set_num_threads(1)
    return tiny_policy(grid_size=4, words=WORDS)


def adapted_policy(target_modules: tuple[str, ...] = tuple(LoRATarget), *, is_trained: bool = True) -> ShowoPolicy:
    policy = plain_policy()
    add_adapter(policy.showo, 4, 8.0, target_modules, torch.Generator().manual_seed(1))
    if is_trained:
        generator = torch.Generator().manual_seed(2)
        with torch.no_grad():
            for name, parameter in policy.named_parameters():
                if "lora_B" in name:
                    parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return policy


def masked_codes(num_rollouts: int, policy: ShowoPolicy) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    codes = torch.randint(policy.codebook_size, (num_rollouts, policy.num_image_tokens), generator=generator)
    return codes.masked_fill(torch.rand(codes.shape, generator=generator) < 0.5, policy.codebook_size)


def fast(policy: ShowoPolicy | AdapterlessPolicy, codes: Tensor) -> Tensor:
    places = torch.arange(len(codes)) % len(PROMPTS)
    with torch.no_grad():
        return policy.code_logits(policy.prefix(PROMPTS).index(places), codes)


def published(policy: ShowoPolicy, codes: Tensor) -> Tensor:
    prompts = [PROMPTS[place % len(PROMPTS)] for place in range(len(codes))]
    with torch.no_grad():
        return policy.image_logits(policy.input_ids(prompts, codes))


# With many rollouts the first layer is looked up by token, see `PhiLayer.of_tokens`.
@pytest.mark.parametrize("num_rollouts", [3, 300])
def test_the_fast_path_equals_the_published_way_with_a_trained_adapter(num_rollouts: int) -> None:
    policy, base = adapted_policy(), plain_policy()
    codes = masked_codes(num_rollouts, policy)
    torch.testing.assert_close(fast(policy, codes), published(policy, codes), rtol=1e-4, atol=1e-4)
    assert (fast(policy, codes) - fast(base, codes)).abs().max() > 0.1, "the adapter does nothing"


def test_a_new_adapter_changes_nothing() -> None:
    policy, base = adapted_policy(is_trained=False), plain_policy()
    codes = masked_codes(300, policy)
    assert torch.equal(fast(policy, codes), fast(base, codes))


def test_switched_off_it_is_the_base_bit_for_bit_and_then_it_is_on_again() -> None:
    policy, base = adapted_policy(), plain_policy()
    codes = masked_codes(300, policy)
    before = fast(policy, codes)
    assert torch.equal(fast(AdapterlessPolicy(policy), codes), fast(base, codes))
    assert torch.equal(fast(policy, codes), before)
    assert all(each.requires_grad == ("lora_" in name) for name, each in policy.named_parameters())


def test_only_the_adapter_gets_a_gradient_also_after_the_reference_was_asked() -> None:
    policy = adapted_policy(("q_proj", "fc2"))
    codes = masked_codes(3, policy)
    logits = policy.code_logits(policy.prefix(PROMPTS), codes)
    fast(AdapterlessPolicy(policy), codes)
    logits.square().sum().backward()
    with_gradient = {name for name, each in policy.named_parameters() if each.grad is not None}
    assert with_gradient == {name for name, _ in policy.named_parameters() if "lora_" in name}
    assert {name.split(".lora_")[0].rsplit(".", 1)[1] for name in with_gradient} == {"q_proj", "fc2"}


def test_it_follows_from_the_generator_and_leaves_the_global_one_alone() -> None:
    first, second = plain_policy(), plain_policy()
    state = torch.get_rng_state()
    for policy in (first, second):
        add_adapter(policy.showo, 4, 8.0, tuple(LoRATarget), torch.Generator().manual_seed(1))
    assert torch.equal(torch.get_rng_state(), state)
    pairs = zip(first.named_parameters(), second.named_parameters(), strict=True)
    assert all(torch.equal(one, other) for (_, one), (_, other) in pairs)


def test_merged_it_has_the_published_names_and_the_same_logits_and_is_put_back_bit_for_bit() -> None:
    policy, base = adapted_policy(), plain_policy()
    codes = masked_codes(30, policy)
    before = fast(policy, codes)
    with merged(policy.showo):
        inside = {name: value.clone() for name, value in policy.showo.state_dict().items()}
    assert inside.keys() == base.showo.state_dict().keys()
    base.showo.load_state_dict(inside)
    torch.testing.assert_close(fast(base, codes), before, rtol=1e-4, atol=1e-4)
    assert torch.equal(fast(policy, codes), before)


def test_saved_and_merged_it_equals_the_merged_policy_bit_for_bit(tmp_path: Path) -> None:
    policy, base = adapted_policy(), plain_policy()
    save_adapter(policy.showo, tmp_path / "adapter", "../base")
    merge_adapter(base.showo, tmp_path / "adapter")
    with merged(policy.showo):
        expected = policy.showo.state_dict()
        assert all(torch.equal(value, expected[name]) for name, value in base.showo.state_dict().items())


def test_peft_itself_loads_what_was_saved(tmp_path: Path) -> None:
    from peft import PeftModel  # noqa: PLC0415

    policy, base = adapted_policy(), plain_policy()
    codes = masked_codes(30, policy)
    save_adapter(policy.showo, tmp_path, "base")
    PeftModel.from_pretrained(base.showo, tmp_path)
    assert torch.equal(fast(base, codes), fast(policy, codes))


def test_the_base_is_found_beside_the_adapter_or_missed_by_name(tmp_path: Path) -> None:
    save_adapter(adapted_policy().showo, tmp_path / "adapter", "../base")
    assert is_adapter(tmp_path / "adapter")
    assert not is_adapter(tmp_path)
    with pytest.raises(ValueError, match=r"belongs to the policy at .*base, which is not there"):
        base_of(tmp_path / "adapter")
    (tmp_path / "base").mkdir()
    assert base_of(tmp_path / "adapter") == tmp_path / "base"


def test_the_base_of_an_adapter_of_others_may_be_a_hub_name(tmp_path: Path, hub_cache: Path) -> None:
    save_adapter(adapted_policy().showo, tmp_path / "adapter", "somebody/show-o")
    base = base_of(tmp_path / "adapter")
    assert base == Path("somebody/show-o")
    with pytest.raises(ValueError, match=r"hf download somebody/show-o"):
        load_policy(base)
    snapshot = cache(hub_cache, "somebody/show-o")
    save_policy(plain_policy(), snapshot)
    expected = plain_policy().showo.state_dict()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in load_policy(base).showo.state_dict().items())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"use_dora": True}, "sets use_dora: only plain LoRA"),
        ({"r": None}, "is broken"),
    ],
)
def test_an_adapter_that_is_more_than_a_sum_or_broken_is_refused(
    tmp_path: Path, change: dict[str, object], words: str
) -> None:
    save_adapter(adapted_policy().showo, tmp_path, "base")
    config = json.loads((tmp_path / ADAPTER_CONFIG).read_text())
    (tmp_path / ADAPTER_CONFIG).write_text(json.dumps(config | change))
    with pytest.raises(ValueError, match=words):
        merge_adapter(plain_policy().showo, tmp_path)


def test_an_adapter_of_another_transformer_or_cut_short_is_refused(tmp_path: Path) -> None:
    save_adapter(adapted_policy().showo, tmp_path, "base")
    other = plain_policy().showo
    other.showo.model.layers[0].self_attn.q_proj = nn.Linear(3, 3)
    with pytest.raises(ValueError, match=r"factors of showo\.model\.layers\.0\.self_attn\.q_proj do not make \(3, 3\)"):
        merge_adapter(other, tmp_path)
    (tmp_path / ADAPTER_WEIGHTS).write_bytes(b"short")
    with pytest.raises(ValueError, match="is broken"):
        merge_adapter(plain_policy().showo, tmp_path)
