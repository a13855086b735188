"""The record of an extrapolation: it ends in what `extrapolate` gives, and says of every step what its window drew."""

from __future__ import annotations

import pytest
import torch

from backend.schemas.algorithm import SamplingConfig
from backend.schemas.editing import Direction, ExtrapolationConfig
from worker.maskgrpo.extrapolation import Extension, cells_added, extrapolate, grown_grid, planned_windows
from worker.maskgrpo.growth import Growth, grow
from worker.maskgrpo.sampling import rollout
from worker.maskgrpo.seeds import derived_seed
from worker.showo.policy import ShowoPolicy
from worker.showo.tiny import tiny_policy

SAMPLING = SamplingConfig(num_unmasking_steps=3, guidance_scale=1.75)
SEEDS = [1, 2]
LEFT, RIGHT, UP, DOWN = Direction.LEFT, Direction.RIGHT, Direction.UP, Direction.DOWN


@pytest.fixture(scope="module")
def showo() -> ShowoPolicy:
    return tiny_policy(seed=2)


@pytest.fixture(scope="module")
def codes(showo: ShowoPolicy) -> torch.Tensor:
    return torch.randint(showo.codebook_size, (2, 4, 4), generator=torch.Generator().manual_seed(4))


def extensions(*directions: Direction) -> list[Extension]:
    return [Extension(direction, "two stars") for direction in directions]


def test_one_window_is_recorded_as_its_own_rollout(showo: ShowoPolicy, codes: torch.Tensor) -> None:
    growth = grow(showo, codes, extensions(LEFT), SEEDS, SAMPLING)
    window = torch.cat([torch.full((2, 4, 2), showo.codebook_size), codes[:, :, :2]], dim=2).flatten(1)
    seeds = [derived_seed(seed, "extrapolation", 0, 0) for seed in SEEDS]
    plain = rollout(showo, ["two stars"] * 2, seeds, SAMPLING, start=window)
    assert growth.grid == (4, 6)

    def of_window(values: torch.Tensor) -> torch.Tensor:
        return values.unflatten(-1, (4, 6))[..., :4].flatten(-2)

    assert torch.equal(of_window(growth.codes), plain.codes)
    assert torch.equal(of_window(growth.unmasked_at), plain.unmasked_at)
    assert torch.equal(of_window(growth.drawn).long(), plain.drawn)
    assert torch.equal(growth.log_prob, plain.log_prob)
    for mine, theirs in ((growth.confidence, plain.confidence), (growth.entropy, plain.entropy)):
        torch.testing.assert_close(of_window(mine), theirs.half(), rtol=0, atol=0, equal_nan=True)
        assert of_window(mine).isnan().sum() + mine.unflatten(-1, (4, 6))[..., 4:].numel() == mine.isnan().sum()


@pytest.mark.parametrize("directions", [(RIGHT,), (UP, LEFT), (DOWN, RIGHT, UP), (LEFT, LEFT, DOWN, DOWN)])
def test_the_record_ends_in_what_extrapolation_gives(
    showo: ShowoPolicy, codes: torch.Tensor, directions: tuple[Direction, ...]
) -> None:
    growth = grow(showo, codes, extensions(*directions), SEEDS, SAMPLING)
    grown = extrapolate(showo, codes, extensions(*directions), SEEDS, SAMPLING)
    assert growth.grid == tuple(grown.shape[1:]) == grown_grid((4, 4), directions, 2)
    assert torch.equal(growth.codes, grown.flatten(1))
    windows = planned_windows((4, 4), 4, directions, 2)
    assert growth.drawn.shape == (sum(min(3, each.num_new) for each in windows), 2, grown[0].numel())
    # What was known at the start, and nothing else, was unmasked by no step; each step unmasked something.
    top, left = 2 * directions.count(UP), 2 * directions.count(LEFT)
    is_known = torch.zeros(growth.grid, dtype=torch.bool)
    is_known[top : top + 4, left : left + 4] = True
    assert torch.equal(growth.unmasked_at == -1, is_known.flatten().expand(2, -1))
    assert growth.unmasked_at.unique().tolist() == list(range(-1, len(growth.drawn)))


def test_a_code_once_fixed_stays_and_what_is_to_come_is_not_hinted_at(showo: ShowoPolicy, codes: torch.Tensor) -> None:
    growth = grow(showo, codes, extensions(RIGHT, DOWN), SEEDS, SAMPLING)
    assert 0 <= int(growth.drawn.min()) <= int(growth.drawn.max()) < showo.codebook_size
    for step, drawn in enumerate(growth.drawn):
        is_fixed = growth.unmasked_at <= step
        assert torch.equal(drawn[is_fixed].long(), growth.codes[is_fixed])
        assert torch.equal(~growth.confidence[step].isnan(), ~growth.entropy[step].isnan())
        assert (growth.confidence[step].isnan() | (growth.unmasked_at >= step)).all()
    first = growth.drawn[0].unflatten(1, growth.grid).long()
    # Below, nothing was drawn yet: the last row of the picture stands for it.
    assert torch.equal(first[:, 4:, :4], codes[:, 3:, :].expand(-1, 2, -1))


def test_a_picture_grows_the_same_alone(showo: ShowoPolicy, codes: torch.Tensor) -> None:
    together = grow(showo, codes, extensions(UP, RIGHT), SEEDS, SAMPLING).index(torch.tensor([1]))
    alone: Growth = grow(showo, codes[1:], extensions(UP, RIGHT), SEEDS[1:], SAMPLING)
    assert torch.equal(together.codes, alone.codes)
    assert torch.equal(together.drawn, alone.drawn)
    assert torch.equal(together.unmasked_at, alone.unmasked_at)


@pytest.mark.parametrize("num_new", [None, 1, 3])
def test_the_dictionary_counts_as_many_windows_as_are_filled(num_new: int | None) -> None:
    for directions in ((RIGHT,), (RIGHT, RIGHT, UP), (LEFT, UP, RIGHT, DOWN)):
        wanted = ExtrapolationConfig.model_validate(
            {"picture": "/a.png", "extensions": [{"direction": each} for each in directions], "num_new": num_new}
        )
        for side in (4, 8):
            filled = planned_windows((side, side), side, directions, cells_added(side, num_new))
            assert wanted.num_windows(side) == len(filled)


def test_windows_slide_along_a_long_edge_and_count_their_new_cells() -> None:
    windows = planned_windows((4, 9), 4, [UP], 3)
    assert [(each.top, each.left, each.num_new) for each in windows] == [(0, 0, 12), (0, 2, 6), (0, 4, 6), (0, 5, 3)]
    below = planned_windows((4, 4), 4, [RIGHT, DOWN], 2)
    assert [(each.extension, each.number, each.top, each.left, each.num_new) for each in below] == [
        (0, 0, 0, 2, 8), (1, 0, 2, 0, 8), (1, 1, 2, 2, 4),
    ]  # fmt: skip
