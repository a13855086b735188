"""Our modules against outputs of the published implementation, on a tiny Show-o and a tiny MAGVIT-v2."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from worker.showo.attention import omni_attention_allowed
from worker.showo.loading import load_magvit, load_showo
from worker.showo.model import Showo
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
def showo(described: dict) -> Showo:
    return load_showo(FIXTURES / "showo", max_text_tokens=described["max_text_tokens"])


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


def test_published_way_gives_the_published_logits(showo: Showo, layout: PromptLayout, case: dict) -> None:
    allowed = omni_attention_allowed(case["input_ids"], layout)
    with torch.no_grad():
        logits = showo.logits(case["input_ids"], allowed)[:, -37:-1]
    columns = slice(showo.config.first_image_id, showo.config.mask_token_id)
    torch.testing.assert_close(logits[..., columns], case["image_logits"], atol=1e-4, rtol=0)


def test_fast_way_gives_the_published_logits(showo: Showo, layout: PromptLayout, case: dict, described: dict) -> None:
    codes = image_part(case["input_ids"]) - showo.config.first_image_id
    with torch.no_grad():
        prefix = showo.prefix(layout.text_batch(described["text_token_ids"]))
        logits = showo.image_logits(prefix, codes, layout.special.soi, layout.special.eoi, rows=None)
    torch.testing.assert_close(logits, case["image_logits"], atol=1e-4, rtol=0)


def test_tokenizer_encodes_and_decodes_as_published() -> None:
    vq, expected = load_magvit(FIXTURES / "vq"), load_file(FIXTURES / "vq_case.safetensors")
    with torch.no_grad():
        torch.testing.assert_close(vq.encoder(expected["pixels"]), expected["latents"], atol=1e-4, rtol=1e-4)
        assert torch.equal(vq.encode(expected["pixels"]), expected["codes"])
        decoded, wide = vq.decode(expected["codes"]), vq.decode(expected["wide_codes"], shape=(8, 10))
    for ours, raw in ((decoded, expected["decoded"]), (wide, expected["wide_decoded"])):
        torch.testing.assert_close(ours, ((raw + 1) / 2).clamp(0, 1), atol=1e-4, rtol=0)
