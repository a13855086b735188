"""Reward networks never ask the network, and what else the process may fetch is as it was after they are loaded."""

from __future__ import annotations

from pathlib import Path

import open_clip
import pytest
from huggingface_hub import constants

from tests.worker.benchmarks.geneval.tiny_detector import write_detector
from worker.benchmarks.geneval.detector import load_detector
from worker.rewards.clip_score import load_clip_score


@pytest.mark.parametrize("is_offline", [False, True])
def test_what_may_be_fetched_is_the_same_before_and_after_loading(
    is_offline: bool, open_clip_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[bool] = []
    create = open_clip.create_model

    def watched(*args: object, **settings: object) -> object:
        seen.append(constants.HF_HUB_OFFLINE)
        return create(*args, **settings)

    monkeypatch.setattr(open_clip, "create_model", watched)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", is_offline)
    load_clip_score(str(open_clip_folder))
    assert constants.HF_HUB_OFFLINE is is_offline
    load_detector(str(write_detector(tmp_path / "coco", 80)))
    assert constants.HF_HUB_OFFLINE is is_offline
    assert seen == [True], "open_clip was built while it could ask the network"
