"""Our modules against outputs of the published implementation, on a tiny Show-o and a tiny MAGVIT-v2."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from backend.schemas.algorithm import TransitionDefinition
from worker.maskgrpo.transition import has_term, transition_log_prob
from worker.showo.attention import omni_attention_allowed
from worker.showo.loading import load_policy, load_vq
from worker.showo.policy import ShowoPolicy
from worker.showo.prompting import PromptLayout, special_tokens

FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.fixture(scope="module")
def case() -> dict[str, torch.Tensor]:
    return load_file(FIXTURES / "showo_case.safetensors")


@pytest.fixture(scope="module")
def described() -> dict:
    return json.loads((FIXTURES / "showo_case.json").read_text())


@pytest.fixture(scope="module")
def layout(described: dict) -> PromptLayout:
    special = special_tokens(described["pad"], described["bos"], described["eos"])
    return PromptLayout(special, described["max_text_tokens"], num_image_tokens=36)


@pytest.fixture(scope="module")
def policy() -> ShowoPolicy:
    return load_policy(FIXTURES / "showo", vq=FIXTURES / "vq")


def image_part(input_ids: torch.Tensor) -> torch.Tensor:
    return input_ids[:, -37:-1]


def test_special_ids_follow_the_words_in_published_order(layout: PromptLayout, described: dict) -> None:
    special = layout.special
    assert [special.soi, special.eoi, special.t2i] == [described[name] for name in ("soi", "eoi", "t2i")]


def test_sequences_equal_the_published_ones(layout: PromptLayout, case: dict, described: dict) -> None:
    built = layout.input_ids(described["text_token_ids"], image_part(case["input_ids"]))
    assert torch.equal(built, case["input_ids"])


def test_omni_attention_equals_the_published_mask_bit_for_bit(layout: PromptLayout, case: dict) -> None:
    assert torch.equal(omni_attention_allowed(case["input_ids"], layout), case["attention_allowed"])


def test_image_logits_of_whole_sequences_are_the_published_ones(policy: ShowoPolicy, case: dict) -> None:
    with torch.no_grad():
        logits = policy.image_logits(case["input_ids"])
    torch.testing.assert_close(logits, case["image_logits"], atol=1e-4, rtol=0)


def test_fast_way_gives_the_published_logits(
    policy: ShowoPolicy, layout: PromptLayout, case: dict, described: dict
) -> None:
    showo = load_policy(FIXTURES / "showo").showo
    showo.config = replace(showo.config, max_text_tokens=described["max_text_tokens"])
    codes = image_part(case["input_ids"]) - showo.config.first_image_id
    with torch.no_grad():
        prefix = showo.prefix(layout.text_batch(described["text_token_ids"]))
        logits = showo.image_logits(prefix, codes, layout.special.soi, layout.special.eoi, rows=None)
    torch.testing.assert_close(logits, case["image_logits"], atol=1e-4, rtol=0)


@pytest.mark.parametrize("definition", ["autoregressive", "candidate_1", "candidate_2"])
def test_transition_log_probs_of_our_logits_are_those_of_the_published_ones(
    policy: ShowoPolicy, case: dict, definition: str
) -> None:
    expected, definition = case[f"transition_logp_{definition}"], TransitionDefinition(definition)
    is_masked, is_newly_unmasked = case["is_masked"].bool(), case["is_newly_unmasked"].bool()
    rows = has_term(is_masked, is_newly_unmasked, definition).flatten().nonzero().squeeze(1)
    with torch.no_grad():
        log_probs = policy.image_logits(case["input_ids"]).flatten(0, 1)[rows].log_softmax(dim=1)
    found = transition_log_prob(log_probs, rows, case["sampled_codes"], is_newly_unmasked, definition)
    torch.testing.assert_close(found.double(), expected, atol=1e-4, rtol=0)


def test_tokenizer_encodes_and_decodes_as_published() -> None:
    vq, expected = load_vq(FIXTURES / "vq"), load_file(FIXTURES / "vq_case.safetensors")
    torch.testing.assert_close(vq.encoder(expected["pixels"]), expected["latents"], atol=1e-4, rtol=1e-4)
    assert torch.equal(vq.encode(expected["pixels"]), expected["codes"])
    decoded, wide = vq.decode(expected["codes"]), vq.decode(expected["wide_codes"], shape=(8, 10))
    for ours, raw in ((decoded, expected["decoded"]), (wide, expected["wide_decoded"])):
        torch.testing.assert_close(ours, ((raw + 1) / 2).clamp(0, 1), atol=1e-4, rtol=0)


def test_wide_pictures_become_as_many_codes_as_they_have_patches(policy: ShowoPolicy) -> None:
    vq, expected = load_vq(FIXTURES / "vq"), load_file(FIXTURES / "vq_case.safetensors")
    wide = expected["wide_decoded"].clamp(-1, 1)
    assert wide.shape == (1, 3, 32, 40)
    codes = policy.encode((wide + 1) / 2)
    assert torch.equal(codes, vq.encode(wide))
    assert codes.shape == (1, 8 * 10)
    assert policy.decode(codes, (8, 10)).shape == wide.shape
