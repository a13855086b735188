"""Extrapolation as a sample run: the known tokens stay, the rest is written on its own grid, bounds name their cure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from pydantic import ValidationError

from backend.artifacts import RunFolder
from backend.schemas.algorithm import SamplingConfig
from backend.schemas.editing import Direction, ExtrapolationConfig
from backend.schemas.event import SamplesMade
from backend.schemas.picture_runs import SampleConfig
from backend.schemas.sample import GroupRecord
from tests.worker.jobs.driving import drive
from worker.jobs import run_job
from worker.jobs.extrapolation import refuse_unbounded
from worker.jobs.frames import write_frames
from worker.maskgrpo.extrapolation import Extension, extrapolate
from worker.showo.loading import SHIPPED_WEIGHTS, load_policy

PROMPTS = ("a photo of a red circle", "a photo of two stars")
OTHER = "a photo of a blue square"


def config_of(picture: str | None, *extensions: dict[str, str] | str, **changes: Any) -> SampleConfig:
    values: dict[str, Any] = {
        "prompts": {"texts": PROMPTS},
        "samples_per_prompt": 2,
        "sampling": {"num_unmasking_steps": 4, "guidance_scale": 1.5},
        "policy": {"num_threads": 1, "device": "cpu"},
    }
    if picture is not None:
        steps = [{"direction": each} if isinstance(each, str) else each for each in extensions]
        values["extrapolation"] = {"picture": picture, "extensions": steps}
    return SampleConfig.model_validate(values | changes)


def groups_of(config: SampleConfig, folder: RunFolder, stop_after: int | None = None) -> list[GroupRecord]:
    bodies, _ = drive(run_job(config, folder), **({} if stop_after is None else {"stop_after": stop_after}))
    return [group for body in bodies if isinstance(body, SamplesMade) for group in body.groups]


def arrays_of(folder: RunFolder, group: GroupRecord) -> dict[str, NDArray[Any]]:
    assert group.trajectory_path is not None
    with np.load(folder.path(group.trajectory_path)) as archive:
        return {name: archive[name] for name in archive.files}


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, GroupRecord]:
    """A run whose pictures grow."""
    folder = RunFolder(tmp_path_factory.mktemp("studio") / "runs" / "first")
    return folder, groups_of(config_of(None), folder)[0]


def source_of(first: tuple[RunFolder, GroupRecord]) -> str:
    return f"run:first/{first[1].samples[0].image_path}"


@pytest.mark.parametrize("direction", list(Direction))
def test_each_direction_is_a_direct_extrapolation_of_the_samples_own_codes(
    first: tuple[RunFolder, GroupRecord], direction: Direction
) -> None:
    folder = RunFolder(first[0].root.parent / direction)
    config = config_of(source_of(first), direction)
    groups = groups_of(config, folder)
    start = torch.from_numpy(arrays_of(*first)["codes"][:1].astype(np.int64)).view(1, 8, 8).expand(2, -1, -1)
    sampling = SamplingConfig(num_unmasking_steps=4, guidance_scale=1.5)
    policy = load_policy(SHIPPED_WEIGHTS, torch.device("cpu"))
    assert [group.prompt for group in groups] == list(PROMPTS)
    for group in groups:
        arrays = arrays_of(folder, group)
        grid = (8, 12) if direction in (Direction.LEFT, Direction.RIGHT) else (12, 8)
        direct = extrapolate(policy, start, [Extension(direction, group.prompt)], [7, 8], sampling)
        assert (*arrays["grid"], arrays["window_side"]) == (*grid, 8)
        assert np.array_equal(arrays["codes"], direct.flatten(1).numpy())
        is_new = (arrays["unmasked_at"] >= 0).reshape(2, *grid)
        assert is_new.sum(axis=(1, 2)).tolist() == [32, 32]
        known = {"left": np.s_[:, :, 4:], "right": np.s_[:, :, :8], "up": np.s_[:, 4:], "down": np.s_[:, :8]}[direction]
        assert not is_new[known].any()
        assert np.array_equal(arrays["codes"].reshape(2, *grid)[known], start.numpy())
        with Image.open(folder.path(group.samples[0].image_path)) as picture:
            assert picture.size == (8 * grid[1], 8 * grid[0])
        with Image.open(folder.path(group.samples[0].image_path.replace("samples/", "frames/"))) as strip:
            assert strip.size == (4 * 8 * grid[1], 8 * grid[0])


def test_frames_decoded_later_are_those_of_the_job(first: tuple[RunFolder, GroupRecord]) -> None:
    folder = RunFolder(first[0].root.parent / "later")
    group = groups_of(config_of(source_of(first), "right", "up"), folder)[0]
    image_path = group.samples[1].image_path
    strip = folder.path(image_path.replace("samples/", "frames/"))
    with Image.open(strip) as opened:
        before = np.asarray(opened.convert("RGB")).astype(int)
    strip.unlink()
    assert group.trajectory_path is not None
    write_frames(folder, SHIPPED_WEIGHTS / "vq", image_path, group.trajectory_path, 1, lambda _: None)
    with Image.open(strip) as opened:
        assert np.abs(np.asarray(opened.convert("RGB")).astype(int) - before).max() <= 2


def test_what_a_run_made_grows_further_and_keeps_all_of_its_codes(first: tuple[RunFolder, GroupRecord]) -> None:
    once, twice = (RunFolder(first[0].root.parent / name) for name in ("once", "twice"))
    wide = groups_of(config_of(source_of(first), "right"), once)[0]
    tall = groups_of(config_of(f"run:once/{wide.samples[1].image_path}", "up"), twice)[0]
    before, after = arrays_of(once, wide)["codes"][1], arrays_of(twice, tall)["codes"]
    assert np.array_equal(after.reshape(2, 12, 12)[:, 4:], np.broadcast_to(before.reshape(8, 12), (2, 8, 12)))


def test_a_picture_that_was_brought_in_grows(first: tuple[RunFolder, GroupRecord]) -> None:
    sha256 = "5" * 64
    path = first[0].root.parent.parent / "pictures" / f"{sha256}.png"
    path.parent.mkdir()
    Image.new("RGB", (96, 64), (200, 30, 60)).save(path)
    folder = RunFolder(first[0].root.parent / "brought")
    arrays = arrays_of(folder, groups_of(config_of(f"picture:{sha256}", "up"), folder)[0])
    assert arrays["grid"].tolist() == [12, 12]
    policy = load_policy(SHIPPED_WEIGHTS, torch.device("cpu"))
    pixels = torch.tensor([200, 30, 60]).view(1, 3, 1, 1).expand(1, 3, 64, 96) / 255
    assert np.array_equal(arrays["codes"][0].reshape(12, 12)[4:], policy.encode(pixels).view(8, 12).numpy())


def test_an_extension_may_have_a_prompt_of_its_own(first: tuple[RunFolder, GroupRecord]) -> None:
    names = ("plain", "own")
    plain, own = (RunFolder(first[0].root.parent / name) for name in names)
    one = arrays_of(plain, groups_of(config_of(source_of(first), "right", "down"), plain)[0])
    extensions = ("right", {"direction": "down", "prompt": OTHER})
    two = arrays_of(own, groups_of(config_of(source_of(first), *extensions), own)[0])
    first_one, first_two = (each["codes"].reshape(2, 12, 12) for each in (one, two))
    assert np.array_equal(first_one[:, :8], first_two[:, :8])
    assert not np.array_equal(first_one, first_two)


def test_a_run_that_was_killed_goes_on_to_the_same_pictures(first: tuple[RunFolder, GroupRecord]) -> None:
    config = config_of(source_of(first), "left", "down")
    whole, cut = (RunFolder(first[0].root.parent / name) for name in ("whole", "cut"))
    hashes = [[sample.image_sha256 for sample in group.samples] for group in groups_of(config, whole)]
    before = groups_of(config, cut, stop_after=4)
    after = groups_of(config, cut)
    assert [group.index for group in (*before, *after)] == [0, 1]
    assert [[sample.image_sha256 for sample in group.samples] for group in (*before, *after)] == hashes


def test_a_sample_does_not_depend_on_those_beside_it(first: tuple[RunFolder, GroupRecord]) -> None:
    config = config_of(source_of(first), "right")
    many, alone = (RunFolder(first[0].root.parent / name) for name in ("many", "alone"))
    together = arrays_of(many, groups_of(config, many)[1])["codes"][1]
    changes = {"prompts": {"texts": PROMPTS[1:]}, "samples_per_prompt": 1, "seed": 8}
    single = arrays_of(alone, groups_of(config_of(source_of(first), "right", **changes), alone)[0])["codes"][0]
    assert np.array_equal(together, single)


@pytest.mark.parametrize(
    ("extensions", "changes", "words"),
    [
        (["right"], {"num_new": 8}, "an extension of 8 rows or columns: a window of 8 codes can add 1 to 7"),
        (["right"] * 12, {"num_new": 7}, "make 8 rows and 92 columns of cells, 736, but at most 512 are allowed"),
    ],
)
def test_what_grows_too_far_is_refused(
    first: tuple[RunFolder, GroupRecord], extensions: list[str], changes: dict[str, int], words: str
) -> None:
    wanted = {"picture": source_of(first), "extensions": [{"direction": each} for each in extensions]} | changes
    with pytest.raises(ValueError, match=words):
        groups_of(config_of(None, extrapolation=wanted), RunFolder(first[0].root.parent / "far"))


def test_what_would_be_too_much_to_record_is_refused(first: tuple[RunFolder, GroupRecord]) -> None:
    extensions = ["right"] * 6 + ["up"] * 2
    config = config_of(source_of(first), *extensions, sampling={"num_unmasking_steps": 64}, samples_per_prompt=1000)
    with pytest.raises(ValueError, match="samples_per_prompt is 1000, but of pictures that grow so large at most 585"):
        groups_of(config, RunFolder(first[0].root.parent / "much"))

    far = ExtrapolationConfig.model_validate({"picture": "/a.png", "extensions": [{"direction": "right"}] * 2})
    wide = torch.zeros(1, 32, 128, dtype=torch.int64)
    many = SamplingConfig(num_unmasking_steps=256)
    with pytest.raises(ValueError, match="512 unmasking steps, in 2 windows, on 5120 cells, 2,621,440 to record; at"):
        refuse_unbounded(wide, 32, far, many, 1)


def test_a_picture_smaller_than_the_policys_own_is_refused(
    first: tuple[RunFolder, GroupRecord], tmp_path: Path
) -> None:
    path = tmp_path / "small.png"
    Image.new("RGB", (64, 32)).save(path)
    with pytest.raises(ValueError, match=r"extrapolation\.picture has 4 rows and 8 columns of cells, the policy's own"):
        groups_of(config_of(str(path), "right"), RunFolder(tmp_path / "runs" / "run"))


@pytest.mark.parametrize(
    ("extensions", "changes", "words"),
    [
        ([], {}, "at least 1 item"),
        (["right"] * 17, {}, "at most 16 items"),
        (["sideways"], {}, "'left', 'right', 'up' or 'down'"),
        (["right", "up"] * 4, {}, "at least 9 times the policy's picture, at most 8 times are allowed: take fewer"),
        (["up"], {"prompts": {}}, r"extrapolation needs prompts\.texts"),
        (["up"], {"inpainting": {"picture": "/a.png", "mask": "1"}}, "inpainting and extrapolation are both set"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(extensions: list[str], changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        config_of("/a.png", *extensions, **changes)
