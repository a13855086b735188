"""Rewards are asked about a picture and its bent twins; what one cannot do is told, and stops none of the others."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend.reward_tests.folder import RewardTestFolder, create_test
from backend.schemas.reward import RewardConfig
from backend.schemas.reward_test import VARIANTS, RewardAnswer, RewardTestCreate, RewardTestState
from worker import interactive
from worker.jobs import reward_test
from worker.jobs.reward_test import BENDINGS
from worker.shapes.captions import all_captions, scene_for
from worker.shapes.renderer import render

CAPTION = next(each for each in all_captions("heldout") if each.task == "single_object")


@pytest.fixture
def folder(tmp_path: Path) -> RewardTestFolder:
    rng = np.random.default_rng(0)
    buffer = io.BytesIO()
    Image.fromarray(render(scene_for(CAPTION, rng), rng)).save(buffer, format="PNG")
    names = [("strict", ""), ("jpeg_size", ""), ("clip", "shipped"), ("hps", "/nowhere"), ("learned", "run:none")]
    rewards = tuple(RewardConfig.model_validate({"name": name, "source": source}) for name, source in names)
    request = RewardTestCreate(prompt=CAPTION.text, image="kept", rewards=rewards)
    return create_test(tmp_path / "reward-tests", request, buffer.getvalue())


@pytest.fixture
def answers(folder: RewardTestFolder, tmp_path: Path) -> dict[str, RewardAnswer]:
    return {each.name: each for each in reward_test.answered(folder, tmp_path / "runs").rewards}


def test_each_reward_scores_the_picture_and_all_its_variants(answers: dict[str, RewardAnswer]) -> None:
    for name in ("strict", "jpeg_size", "clip"):
        answer = answers[name]
        assert answer.error is None
        assert [each.variant for each in answer.variants] == list(VARIANTS)
        scores = [each.score for each in answer.variants]
        assert answer.score is not None
        assert answer.largest_change == max(abs(score - answer.score) for score in scores if score is not None)
        assert answer.milliseconds is not None
        assert answer.milliseconds > 0


def test_the_verifier_is_sure_of_a_rendered_picture_and_of_its_mirror(answers: dict[str, RewardAnswer]) -> None:
    by_variant = {each.variant: each.score for each in answers["strict"].variants}
    assert (answers["strict"].score, by_variant["flip"], by_variant["jpeg_90"]) == (1, 1, 1)


def test_what_cannot_be_asked_says_why_and_the_cure(answers: dict[str, RewardAnswer]) -> None:
    assert (answers["hps"].score, answers["learned"].score) == (None, None)
    assert "hf download xswu/HPSv2" in (answers["hps"].error or "")
    assert "there is no run none" in (answers["learned"].error or "")


@pytest.mark.parametrize("name", VARIANTS)
def test_a_bent_picture_keeps_its_size_and_is_another(name: str) -> None:
    rng = np.random.default_rng(1)
    picture = Image.fromarray(rng.integers(0, 255, (48, 64, 3), dtype=np.uint8))
    bent = BENDINGS[name](picture)
    assert (bent.size, bent.mode) == (picture.size, "RGB")
    assert bent.tobytes() != picture.tobytes()


def test_the_interactive_worker_answers_once_and_keeps_the_pictures(
    folder: RewardTestFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    interactive.get_settings.cache_clear()
    interactive.perform_test(folder)
    interactive.get_settings.cache_clear()
    told = folder.to_wire()
    assert (told.state, set(told.variant_urls)) == (RewardTestState.DONE, set(VARIANTS))
    written = (folder.path / "result.json").stat().st_mtime_ns
    interactive.perform_test(folder)
    assert (folder.path / "result.json").stat().st_mtime_ns == written


def test_a_test_that_kills_the_worker_is_given_up_after_three_tries(
    folder: RewardTestFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(BaseException):
        """As when the process is gone: nothing is caught, nothing is told."""

    def die(*_: object) -> None:
        raise KilledError

    monkeypatch.setattr(reward_test, "answered", die)
    for _ in range(3):
        with pytest.raises(KilledError):
            interactive.perform_test(folder)
        assert folder.to_wire().state is RewardTestState.TESTING
    interactive.perform_test(folder)
    told = folder.to_wire()
    assert (told.state, "3 tries in a row were lost" in (told.error or "")) == (RewardTestState.FAILED, True)


def test_a_test_that_cannot_be_performed_is_told_as_failed(folder: RewardTestFolder) -> None:
    (folder.path / "picture.png").unlink()
    interactive.perform_test(folder)
    told = folder.to_wire()
    assert told.state is RewardTestState.FAILED
    assert "picture.png is missing" in (told.error or "")
