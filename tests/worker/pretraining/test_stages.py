"""Both pretraining stages on small settings: they learn, and they resume exactly."""

import io
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from backend.schemas.config import PretrainConfig
from worker.pretraining.pictures import distinct_patches, random_pictures, to_pixels
from worker.pretraining.steps import rate_factor
from worker.pretraining.tokenizer_stage import TokenizerStage, vq_config
from worker.pretraining.transformer_stage import TransformerStage, mask_codes
from worker.showo.vq import MagvitV2

CONFIG = PretrainConfig.model_validate(
    {
        "tokenizer": {"num_steps": 6, "num_encoder_steps": 4, "batch_size": 2, "num_pictures": 40, "codebook_bits": 8},
        "transformer": {"num_steps": 6, "batch_size": 4, "num_pictures": 20, "hidden_size": 32, "num_layers": 2},
    }
)


def tokenizer_stage() -> TokenizerStage:
    return TokenizerStage(CONFIG)


def transformer_stage() -> TransformerStage:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return TransformerStage(CONFIG, MagvitV2(vq_config(codebook_bits=8)))


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded: dict[str, Any] = torch.load(file, weights_only=True)
    return loaded


def flat(state: Any) -> list[torch.Tensor]:
    if isinstance(state, dict):
        return [tensor for value in state.values() for tensor in flat(value)]
    return [state] if isinstance(state, torch.Tensor) else []


@pytest.mark.parametrize("make", [tokenizer_stage, transformer_stage])
@pytest.mark.parametrize("num_before", [3, 4, 5])
def test_a_resumed_stage_equals_the_undisturbed_one_bit_for_bit(make: Any, num_before: int) -> None:
    undisturbed = make()
    expected = [step.metrics for step in undisturbed.steps()]
    first = make()
    steps = first.steps()
    done = [next(steps).metrics for _ in range(num_before)]
    second = make()
    second.load_state_dict(through_a_file(first.state_dict()))
    done += [step.metrics for step in second.steps()]
    assert done == expected
    pairs = zip(flat(undisturbed.state_dict()), flat(second.state_dict()), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_the_encoder_is_frozen_after_its_steps() -> None:
    stage = tokenizer_stage()
    weights = [
        (step.step, stage.magvit.encoder.hidden.weight.clone(), stage.magvit.decoder.conv_in.weight.clone())
        for step in stage.steps()
    ]
    encoder_moved = [not torch.equal(a[1], b[1]) for a, b in pairwise(weights)]
    decoder_moved = [not torch.equal(a[2], b[2]) for a, b in pairwise(weights)]
    assert encoder_moved == [True, True, True, False, False]
    assert all(decoder_moved)


def test_fresh_latents_are_balanced_over_the_distinct_patches() -> None:
    stage = tokenizer_stage()
    with torch.no_grad():
        latents = stage.magvit.encoder(stage.patches).flatten(1)
    torch.testing.assert_close(latents.mean(dim=0), torch.zeros(8), atol=1e-3, rtol=0)
    torch.testing.assert_close(latents.std(dim=0), torch.ones(8), atol=0.05, rtol=0)


def test_the_loss_of_the_transformer_falls() -> None:
    settings = CONFIG.transformer.model_copy(update={"num_steps": 40, "num_warmup_steps": 5})
    stage = TransformerStage(CONFIG.model_copy(update={"transformer": settings}), MagvitV2(vq_config(8)))
    losses = [step.metrics["loss"] for step in stage.steps()]
    assert losses[-1] < 0.8 * losses[0]


def test_every_row_has_a_masked_place_and_only_those_are_masked() -> None:
    codes = torch.arange(640).view(10, 64)
    masked, is_masked = mask_codes(codes, 999, torch.Generator().manual_seed(0))
    assert torch.equal(masked == 999, is_masked)
    assert is_masked.any(dim=1).all()
    assert torch.equal(masked[~is_masked], codes[~is_masked])
    assert is_masked.sum(dim=1).unique().numel() > 3


def test_distinct_patches_are_every_patch_once() -> None:
    pictures = random_pictures(3, np.random.default_rng(0))
    patches = distinct_patches(pictures, 8)
    seen = {
        picture[r : r + 8, c : c + 8].tobytes()
        for picture in pictures
        for r in range(0, 64, 8)
        for c in range(0, 64, 8)
    }
    assert {patch.tobytes() for patch in patches} == seen
    assert len(patches) == len(seen)
    assert to_pixels(patches).shape == (len(seen), 3, 8, 8)


def test_the_rate_warms_up_stays_and_falls() -> None:
    factors = [rate_factor(step, 10, num_warmup_steps=2, decay_fraction=0.4) for step in range(1, 11)]
    assert factors == [0.5, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25]
