"""Inpainting as a sample run: marked cells are painted anew, all others keep their codes; what does not fit is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from backend.artifacts import RunFolder
from backend.schemas.event import SamplesMade
from backend.schemas.picture_runs import SampleConfig
from backend.schemas.run import RequestFlags
from worker.jobs import run_job

PROMPT = "a photo of a red circle"
NUM_CELLS = 64


def config_of(**inpainting: Any) -> SampleConfig:
    return SampleConfig.model_validate(
        {
            "prompts": {"texts": [PROMPT]},
            "samples_per_prompt": 2,
            "sampling": {"num_unmasking_steps": 8},
            "policy": {"num_threads": 1},
        }
        | ({"inpainting": inpainting} if inpainting else {})
    )


def made(config: SampleConfig, folder: RunFolder) -> SamplesMade:
    job = run_job(config, folder)
    event, found = next(job), None
    while True:
        found = event if isinstance(event, SamplesMade) else found
        try:
            event = job.send(RequestFlags())
        except StopIteration:
            assert found is not None
            return found


@pytest.fixture
def source(tmp_path: Path) -> str:
    """A picture that another run has made, as a configuration names it."""
    group = made(config_of(), RunFolder(tmp_path / "runs" / "first")).groups[0]
    return f"run:first/{group.samples[0].image_path}"


def trajectory(folder: RunFolder, samples: SamplesMade) -> dict[str, np.ndarray[Any, Any]]:
    path = samples.groups[0].trajectory_path
    assert path is not None
    with np.load(folder.path(path)) as archive:
        return {name: archive[name] for name in archive.files}


def test_marked_cells_are_painted_anew_and_the_others_stay(source: str, tmp_path: Path) -> None:
    mask = "1" * 24 + "0" * (NUM_CELLS - 24)
    again = RunFolder(tmp_path / "runs" / "again")
    before = trajectory(again, made(config_of(), again))["codes"][0]
    folder = RunFolder(tmp_path / "runs" / "second")
    samples = made(config_of(picture=source, mask=mask), folder)
    after = trajectory(folder, samples)
    kept = np.array([digit == "0" for digit in mask])
    assert len(samples.groups[0].samples) == 2
    for codes, unmasked_at in zip(after["codes"], after["unmasked_at"], strict=True):
        assert (codes[kept] == before[kept]).all()
        assert (unmasked_at[kept] == -1).all()
        assert (unmasked_at[~kept] >= 0).all()
    assert (after["codes"][0] != after["codes"][1]).any()


def test_of_a_picture_that_is_no_sample_the_codes_are_encoded(source: str, tmp_path: Path) -> None:
    _, _, path = source.partition("/")
    copied = tmp_path / "copied.png"
    copied.write_bytes((tmp_path / "runs" / "first" / path).read_bytes())
    mask = "1" * 24 + "0" * (NUM_CELLS - 24)
    folders = [RunFolder(tmp_path / "runs" / name) for name in ("of-a-sample", "of-a-file")]
    known, encoded = (
        trajectory(folder, made(config_of(picture=picture, mask=mask), folder))["codes"][0][24:]
        for folder, picture in zip(folders, (source, str(copied)), strict=True)
    )
    # Encoding what was decoded may change a code.
    assert 0.8 < (known == encoded).mean() <= 1


def test_fewer_marked_cells_than_steps_take_as_many_steps(source: str, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "runs" / "second")
    samples = made(config_of(picture=source, mask="110" + "0" * (NUM_CELLS - 3)), folder)
    assert len(trajectory(folder, samples)["drawn"]) == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mask": "1" * 10}, "has 10 digits, but the policy's pictures have 64 cells"),
        ({"picture": "run:first/samples/none.png"}, "there is no file at"),
    ],
)
def test_what_does_not_fit_is_told(source: str, tmp_path: Path, changes: dict[str, str], words: str) -> None:
    wanted = {"picture": source, "mask": "1" * NUM_CELLS} | changes
    with pytest.raises(ValueError, match=words):
        made(config_of(**wanted), RunFolder(tmp_path / "runs" / "second"))


def test_a_picture_of_another_size_is_refused(source: str, tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.new("RGB", (128, 128)).save(path)
    with pytest.raises(ValueError, match="16 rows and 16 columns of cells, but the policy's own pictures have 64"):
        made(config_of(picture=str(path), mask="1" * NUM_CELLS), RunFolder(tmp_path / "runs" / "second"))


@pytest.mark.parametrize(
    ("inpainting", "words"),
    [
        ({"picture": "/a.png", "mask": "000"}, "marks no cell"),
        ({"picture": "/a.png", "mask": "012"}, "should match pattern"),
        ({"picture": "a.png", "mask": "1"}, "should match pattern"),
        ({"picture": "run:x/samples/../../config.png", "mask": "1"}, "leaves its run's folder"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(inpainting: dict[str, str], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        config_of(**inpainting)
    with pytest.raises(ValidationError, match=r"inpainting needs prompts\.texts"):
        SampleConfig.model_validate({"inpainting": {"picture": "/a.png", "mask": "1"}})
