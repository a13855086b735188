"""The CLIP that ships: whole, small, what its card says, and a reward that ranks the small world's pictures."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch

from backend.schemas.reward import RewardConfig, RewardName
from worker.pretraining.clip_ranking import caption_ranking
from worker.pretraining.contrasts import draw_contrast
from worker.pretraining.pictures import to_pixels
from worker.rewards.build import build_reward
from worker.rewards.clip_score import SHIPPED_CLIP, load_clip_score
from worker.shapes.captions import all_captions

SHIPPED = RewardConfig(name=RewardName.CLIP, source="shipped")


def test_the_card_names_the_file_that_is_there() -> None:
    content = (SHIPPED_CLIP / "open_clip_model.safetensors").read_bytes()
    assert hashlib.sha256(content).hexdigest() in (SHIPPED_CLIP / "README.md").read_text()
    assert sum(path.stat().st_size for path in SHIPPED_CLIP.iterdir()) < 5 * 2**20


def test_it_ranks_heldout_captions_far_above_chance() -> None:
    ranking = caption_ranking(load_clip_score("shipped"), all_captions("heldout")[:60], 2, np.random.default_rng(3))
    assert ranking.value > 0.85


def test_it_prefers_right_pictures_to_nearly_right_ones() -> None:
    rng = np.random.default_rng(3)
    contrasts = [draw_contrast(rng, 0) for _ in range(60)]
    prompts = [each.caption.text for each in contrasts]
    reward = build_reward([SHIPPED])
    right = reward(to_pixels(np.stack([each.right for each in contrasts])), prompts).total
    wrong = reward(to_pixels(np.stack([each.wrong for each in contrasts])), prompts).total
    assert (right > wrong).float().mean() > 0.85


def test_words_that_it_never_saw_are_refused() -> None:
    reward = build_reward([SHIPPED])
    assert reward(torch.rand(1, 3, 64, 64), ["A photo of a red circle."]).total.isfinite().all()
    with pytest.raises(ValueError, match=r"does not know \['dog'\] of 'a photo of a dog'"):
        reward(torch.rand(1, 3, 64, 64), ["a photo of a dog"])
