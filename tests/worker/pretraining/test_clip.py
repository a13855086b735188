"""The tiny CLIP's contrasts are truly wrong, its stage learns and resumes exactly, and ranking is counted rightly."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch

from backend.schemas.pretraining import ClipStageConfig
from worker.pretraining.clip_ranking import area_under_curve, caption_ranking, picture_ranking
from worker.pretraining.clip_stage import ClipStage
from worker.pretraining.contrasts import draw_contrast, excluded, reworded_contrasts
from worker.pretraining.pictures import to_pixels
from worker.pretraining.tiny_clip import CONTEXT_LENGTH, TinyClip, build_clip_tokenizer
from worker.shapes.captions import all_captions, parse_caption
from worker.shapes.verifier import verify

CONFIG = ClipStageConfig(num_steps=6, batch_size=4, width=32, embed_size=16, num_layers=1, num_text_layers=1)


def test_right_pictures_are_right_and_nearly_right_ones_are_not() -> None:
    rng = np.random.default_rng(0)
    training = {caption.text for caption in all_captions("train")}
    for _ in range(60):
        contrast = draw_contrast(rng, 2)
        assert verify(contrast.right, contrast.caption).is_strict
        assert not verify(contrast.wrong, contrast.caption).is_strict
        assert {contrast.caption.text, *(caption.text for caption in contrast.hard_captions)} <= training


def test_whatever_the_verifier_accepts_is_no_negative() -> None:
    rng = np.random.default_rng(1)
    batch = [draw_contrast(rng, 3) for _ in range(12)]
    captions = [each.caption for each in batch] + [hard for each in batch for hard in each.hard_captions]
    pictures = [each.right for each in batch] + [each.wrong for each in batch]
    shown = excluded(captions, [each.right_scene for each in batch] + [each.wrong_scene for each in batch])
    accepted = np.array([[verify(picture, caption).is_strict for caption in captions] for picture in pictures])
    is_known = np.array([True] * 12 + [each.wrong_scene is not None for each in batch])
    assert not (accepted & ~shown)[is_known].any()
    assert shown.mean() < 0.2
    assert shown[:12, :12].diagonal().all()


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("a photo of a circle left of a star", "a photo of a circle right of a star"),
        ("a neat print showing two stars", "a neat print showing three stars"),
        ("a photo of a red circle and a blue star", "a photo of a blue circle and a red star"),
        ("a photo of a circle", "a photo of a circle and a cross"),
    ],
)
def test_a_caption_is_contrasted_in_the_same_words(text: str, near: str) -> None:
    assert near in reworded_contrasts(parse_caption(text), 200, np.random.default_rng(0))


def test_a_resumed_stage_equals_the_undisturbed_one_bit_for_bit() -> None:
    undisturbed = ClipStage(CONFIG, 7)
    expected = [step.metrics for step in undisturbed.steps()]
    first = ClipStage(CONFIG, 7)
    steps = first.steps()
    done = [next(steps).metrics for _ in range(3)]
    second = ClipStage(CONFIG, 7)
    second.load_state_dict(first.state_dict())
    done += [step.metrics for step in second.steps()]
    assert done == expected
    pairs = zip(undisturbed.clip.model.parameters(), second.clip.model.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


@pytest.mark.slow
def test_the_stage_learns() -> None:
    stage = ClipStage(CONFIG.model_copy(update={"num_steps": 60, "num_warmup_steps": 5, "batch_size": 8}), 7)
    losses = [step.metrics["loss"] for step in stage.steps()]
    assert np.mean(losses[-10:]) < 0.9 * np.mean(losses[:10])


def test_the_saved_files_are_open_clips_own_format(tmp_path: Path) -> None:
    clip = TinyClip.new(CONFIG, 3)
    clip.model.eval()
    clip.save(tmp_path)
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{tmp_path}")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{tmp_path}")
    picture = draw_contrast(np.random.default_rng(0), 0).right
    with torch.no_grad():
        read = model.eval().encode_text(tokenizer(["a photo of two stars"]), normalize=True)
        seen = model.encode_image(preprocess(to_image(picture))[None], normalize=True)
        scores = clip.score(to_pixels(picture[None]), ["A photo of two stars"])
    torch.testing.assert_close((seen * read).sum(1), scores)


def to_image(pixels: np.ndarray) -> object:
    from PIL import Image  # noqa: PLC0415

    return Image.fromarray(pixels)


def test_every_caption_fits_and_ends_where_clip_pools() -> None:
    tokenizer = build_clip_tokenizer()
    texts = [caption.text for split in ("train", "heldout") for caption in all_captions(split)]  # type: ignore[arg-type]
    longest = max(texts, key=lambda text: len(text.split()))
    ids = tokenizer([longest])["input_ids"][0]
    assert len(ids) <= CONTEXT_LENGTH
    assert max(ids) == ids[-1] == len(tokenizer) - 1
    assert tokenizer.unk_token_id not in ids


def test_rankings_count_pairs_within_a_prompt_and_areas_across() -> None:
    scores = np.array([[0.1, 0.2, 0.3], [0.9, 0.8, 0.8]])
    is_right = np.array([[False, True, True], [False, True, False]])
    # 2 of 2 pairs in the first prompt; in the second the right one loses to .9 and ties with .8.
    ranking = picture_ranking(scores, is_right)
    assert (ranking.value, ranking.num_pairs) == (2.5 / 4, 4)
    assert ranking.low <= ranking.value <= ranking.high
    # Right: .2 .3 .8; wrong: .1 .9 .8.
    assert area_under_curve(scores, is_right) == pytest.approx((1 + 1 + 1 + 0.5) / 9)
    assert math.isnan(picture_ranking(scores, is_right | True).value)


def test_a_score_that_reads_captions_ranks_them_and_one_that_does_not_is_at_chance() -> None:
    captions = all_captions("heldout")[:12]
    texts = {caption.text for caption in captions}

    def knows(pictures: torch.Tensor, prompts: list[str]) -> torch.Tensor:
        return torch.tensor([float(prompt in texts) for prompt in prompts])

    def ignores(pictures: torch.Tensor, prompts: list[str]) -> torch.Tensor:
        return pictures.mean((1, 2, 3))

    rng = np.random.default_rng(0)
    assert caption_ranking(ignores, captions, 3, rng).value == 0.5  # type: ignore[arg-type]
    assert caption_ranking(knows, captions, 3, rng).value > 0.9  # type: ignore[arg-type]
