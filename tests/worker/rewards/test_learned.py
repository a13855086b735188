"""The learned reward: its scale, and what its loader needs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from backend.schemas.reward import RewardName
from tests.backend.reward_models import report_with
from worker.preference_learning.preference_clip import load_preference_clip
from worker.rewards.clip_score import SHIPPED_CLIP, load_clip_score
from worker.rewards.learned import LearnedReward, load_learned
from worker.rewards.networks import load_network

PROMPTS = ["a photo of a circle", "a photo of two stars"]


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """The shipped CLIP as a reward model, with a centre of 2 and a temperature of 1.2."""
    load_preference_clip("shipped").save(tmp_path)
    (tmp_path / "report.json").write_text(report_with().model_dump_json())
    return tmp_path


def test_a_score_is_the_scaled_cosine_from_the_centre_over_the_temperature(exported: Path) -> None:
    pictures = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    cosines = load_clip_score("shipped")(pictures, PROMPTS)
    learned = load_learned(str(exported))
    torch.testing.assert_close(learned(pictures, PROMPTS), (learned.clip.logit_scale * cosines - 2.0) / 1.2)


def test_scores_in_training_are_those_of_the_loaded_reward(exported: Path) -> None:
    pictures = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    in_training = load_preference_clip(str(exported)).score(list(pictures), PROMPTS).detach()
    torch.testing.assert_close((in_training - 2.0) / 1.2, load_learned(str(exported))(pictures, PROMPTS))


def test_the_scale_of_all_scores_stays_float32_in_a_network_of_half_the_bits(exported: Path) -> None:
    scale = load_learned(str(exported)).clip.logit_scale
    half = load_network(RewardName.LEARNED, str(exported), torch.bfloat16)
    assert isinstance(half, LearnedReward)
    pictures = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(3))
    assert half.clip.logit_scale != scale, "the test is of a scale that bfloat16 rounds"
    expected = (scale * half.clip.cosines(pictures, PROMPTS) - 2.0) / 1.2
    torch.testing.assert_close(half(pictures, PROMPTS), expected, rtol=0, atol=0)


def test_the_words_that_the_base_knew_are_all_that_it_knows(exported: Path) -> None:
    with pytest.raises(ValueError, match=r"does not know \['dog'\]"):
        load_learned(str(exported))(torch.rand(1, 3, 64, 64), ["a dog"])
    # Another base in open_clip's format reads any text.
    config = exported / "open_clip_config.json"
    content = json.loads(config.read_text())
    del content["known_words"]
    config.write_text(json.dumps(content))
    assert load_learned(str(exported))(torch.rand(1, 3, 64, 64), ["a dog"]).shape == (1,)


def test_a_folder_without_a_report_is_no_reward_model(tmp_path: Path) -> None:
    shutil.copytree(SHIPPED_CLIP, tmp_path / "clip")
    with pytest.raises(ValueError, match="there is no reward model at"):
        load_learned(str(tmp_path / "clip"))


def test_a_base_in_another_format_is_refused_with_the_cure(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="tuned and kept in open_clip's format"):
        load_preference_clip(str(tmp_path))
