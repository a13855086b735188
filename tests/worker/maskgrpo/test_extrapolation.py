"""Extrapolation: pictures grow in every direction and order, and what was there stands in them unchanged."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from backend.schemas.algorithm import SamplingConfig
from backend.schemas.editing import Direction
from tests.worker.maskgrpo.toys import ToyPolicy
from worker.maskgrpo.extrapolation import Extension, extrapolate, extrapolate_pictures
from worker.maskgrpo.inpainting import inpaint
from worker.maskgrpo.seeds import derived_seed
from worker.showo.policy import ShowoPolicy
from worker.showo.tiny import tiny_policy

SAMPLING = SamplingConfig(num_unmasking_steps=3, guidance_scale=1.75)
SEEDS = [1, 2]


@pytest.fixture(scope="module")
def showo() -> ShowoPolicy:
    return tiny_policy(seed=2)


def some_codes(policy: ShowoPolicy, rows: int = 4, columns: int = 4) -> torch.Tensor:
    return torch.randint(policy.codebook_size, (2, rows, columns), generator=torch.Generator().manual_seed(4))


def grown(policy: ShowoPolicy, codes: torch.Tensor, *directions: Direction, num_new: int | None = None) -> torch.Tensor:
    extensions = [Extension(direction, "two stars") for direction in directions]
    return extrapolate(policy, codes, extensions, SEEDS, SAMPLING, num_new)


def test_to_the_right_by_half_keeps_the_left_and_inpaints_half_a_window(showo: ShowoPolicy) -> None:
    codes = some_codes(showo)
    wide = grown(showo, codes, Direction.RIGHT)
    assert wide.shape == (2, 4, 6)
    assert torch.equal(wide[:, :, :4], codes)
    window = torch.cat([codes[:, :, 2:], torch.zeros_like(codes[:, :, :2])], dim=2).flatten(1)
    is_new = (torch.arange(16) % 4 >= 2).expand(2, -1)
    seeds = [derived_seed(seed, "extrapolation", 0, 0) for seed in SEEDS]
    painted = inpaint(showo, window, is_new, ["two stars"] * 2, seeds, SAMPLING)
    assert torch.equal(wide[:, :, 2:], painted.view(2, 4, 4))


@pytest.mark.parametrize(
    ("direction", "rows", "columns"),
    [(Direction.LEFT, slice(0, 4), slice(2, 6)), (Direction.RIGHT, slice(0, 4), slice(0, 4)),
     (Direction.UP, slice(2, 6), slice(0, 4)), (Direction.DOWN, slice(0, 4), slice(0, 4))],
)  # fmt: skip
def test_each_direction_adds_on_its_side(showo: ShowoPolicy, direction: Direction, rows: slice, columns: slice) -> None:
    codes = some_codes(showo)
    canvas = grown(showo, codes, direction)
    assert canvas.shape == ((2, 4, 6) if direction in (Direction.LEFT, Direction.RIGHT) else (2, 6, 4))
    assert torch.equal(canvas[:, rows, columns], codes)
    assert canvas.max() < showo.codebook_size


@pytest.mark.parametrize(("first", "second"), list(product(Direction, Direction)))
def test_any_direction_can_follow_any_other(showo: ShowoPolicy, first: Direction, second: Direction) -> None:
    codes = some_codes(showo)
    once, twice = grown(showo, codes, first), grown(showo, codes, first, second)
    added = 2 if second in (Direction.UP, Direction.DOWN) else 0
    assert twice.shape[1:] == (once.shape[1] + added, once.shape[2] + 2 - added)
    top, left = (2 if second is Direction.UP else 0), (2 if second is Direction.LEFT else 0)
    assert torch.equal(twice[:, top : top + once.shape[1], left : left + once.shape[2]], once)
    assert twice.max() < showo.codebook_size


def test_iterated_to_one_side_a_picture_grows_by_half_each_time(showo: ShowoPolicy) -> None:
    codes = some_codes(showo)
    wide = grown(showo, codes, *[Direction.LEFT] * 3)
    assert wide.shape == (2, 4, 10)
    assert torch.equal(wide[:, :, 6:], codes)
    assert torch.equal(wide[:, :, 2:], grown(showo, codes, *[Direction.LEFT] * 2))


def test_a_long_edge_is_covered_whole_whatever_its_length(showo: ShowoPolicy) -> None:
    codes = some_codes(showo, rows=4, columns=9)
    tall = grown(showo, codes, Direction.UP, num_new=3)
    assert tall.shape == (2, 7, 9)
    assert torch.equal(tall[:, 3:], codes)
    assert tall.max() < showo.codebook_size


def test_a_picture_grows_the_same_alone_and_each_prompt_counts(showo: ShowoPolicy) -> None:
    codes = some_codes(showo)
    extensions = [Extension(Direction.DOWN, "two stars"), Extension(Direction.RIGHT, "a red circle")]
    together = extrapolate(showo, codes, extensions, SEEDS, SAMPLING)
    alone = extrapolate(showo, codes[1:], extensions, SEEDS[1:], SAMPLING)
    assert torch.equal(together[1:], alone)
    other = extrapolate(showo, codes, [extensions[0], Extension(Direction.RIGHT, "a blue cross")], SEEDS, SAMPLING)
    assert torch.equal(other[:, :, :4], together[:, :, :4])
    assert not torch.equal(other, together)


def test_grown_pictures_are_decoded_on_their_own_grid(showo: ShowoPolicy) -> None:
    pictures = showo.decode(some_codes(showo).flatten(1))
    wide = extrapolate_pictures(showo, pictures, [Extension(Direction.RIGHT, "two stars")], SEEDS, SAMPLING)
    assert wide.shape == (2, 3, 32, 48)
    codes = showo.encode(pictures).view(2, 4, 4)
    assert torch.equal(wide, showo.decode(grown(showo, codes, Direction.RIGHT).flatten(1), (4, 6)))


def test_mistakes_are_refused(showo: ShowoPolicy) -> None:
    with pytest.raises(ValueError, match="an extension of 4 rows or columns: a window of 4 codes can add 1 to 3"):
        grown(showo, some_codes(showo), Direction.UP, num_new=4)
    with pytest.raises(ValueError, match="codes of 3 x 4 are smaller than the window, 4 x 4"):
        grown(showo, some_codes(showo, rows=3), Direction.UP)
    with pytest.raises(ValueError, match="have 6 tokens, which make no square"):
        grown(ToyPolicy(num_tokens=6), torch.zeros(2, 4, 4, dtype=torch.int64), Direction.UP)
