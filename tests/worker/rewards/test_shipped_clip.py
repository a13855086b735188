"""The CLIP that ships: whole, small, what its card says, and a reward of the small world's captions alone."""

from __future__ import annotations

import hashlib

import pytest
import torch

from backend.schemas.reward import RewardConfig, RewardName
from worker.rewards.build import build_reward
from worker.rewards.clip_score import SHIPPED_CLIP

SHIPPED = RewardConfig(name=RewardName.CLIP, source="shipped")


def test_the_card_names_the_file_that_is_there() -> None:
    content = (SHIPPED_CLIP / "open_clip_model.safetensors").read_bytes()
    assert hashlib.sha256(content).hexdigest() in (SHIPPED_CLIP / "README.md").read_text()
    assert sum(path.stat().st_size for path in SHIPPED_CLIP.iterdir()) < 5 * 2**20


def test_words_that_it_never_saw_are_refused() -> None:
    reward = build_reward([SHIPPED])
    assert reward(torch.rand(1, 3, 64, 64), ["A photo of a red circle."]).total.isfinite().all()
    with pytest.raises(ValueError, match=r"does not know \['dog'\] of 'a photo of a dog'"):
        reward(torch.rand(1, 3, 64, 64), ["a photo of a dog"])
