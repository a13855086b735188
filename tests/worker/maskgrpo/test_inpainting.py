"""Inpainting: what is known never changes, a full mask is plain sampling, a picture depends on nothing beside it."""

from __future__ import annotations

import pytest
import torch

from backend.schemas.algorithm import SamplingConfig
from tests.worker.maskgrpo.toys import ToyPolicy
from worker.maskgrpo.inpainting import grid_of_pictures, inpaint, inpaint_pictures, masked_cells
from worker.maskgrpo.sampling import rollout, rollout_steps
from worker.showo.policy import ShowoPolicy
from worker.showo.tiny import tiny_policy

SAMPLING = SamplingConfig(num_unmasking_steps=4)
GUIDED = SamplingConfig(num_unmasking_steps=4, guidance_scale=1.75)
PROMPTS = ["a red circle", "two stars"]


@pytest.fixture(scope="module")
def showo() -> ShowoPolicy:
    return tiny_policy(seed=2)


def some_codes(policy: ShowoPolicy, num_rows: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(4)
    return torch.randint(policy.codebook_size, (num_rows, policy.num_image_tokens), generator=generator)


@pytest.mark.parametrize("sampling", [SAMPLING, GUIDED])
def test_a_full_mask_is_plain_sampling_bit_for_bit(showo: ShowoPolicy, sampling: SamplingConfig) -> None:
    codes = some_codes(showo)
    painted = inpaint(showo, codes, torch.ones_like(codes, dtype=torch.bool), PROMPTS, [1, 2], sampling)
    assert torch.equal(painted, rollout(showo, PROMPTS, [1, 2], sampling).codes)
    started = rollout(showo, PROMPTS, [1, 2], sampling, start=torch.full_like(codes, showo.codebook_size))
    plain = rollout(showo, PROMPTS, [1, 2], sampling)
    assert torch.equal(started.log_prob, plain.log_prob)
    assert torch.equal(started.unmasked_at, plain.unmasked_at)


@pytest.mark.parametrize("sampling", [SAMPLING, GUIDED])
@pytest.mark.parametrize("share", [0.05, 0.3, 0.9])
def test_known_cells_never_change_and_all_marked_ones_are_drawn(
    showo: ShowoPolicy, sampling: SamplingConfig, share: float
) -> None:
    codes = some_codes(showo)
    is_repainted = torch.rand(codes.shape, generator=torch.Generator().manual_seed(6)) < share
    is_repainted[:, 3] = True
    painted = inpaint(showo, codes, is_repainted, PROMPTS, [1, 2], sampling)
    assert torch.equal(painted[~is_repainted], codes[~is_repainted])
    assert painted.max() < showo.codebook_size
    assert painted.min() >= 0


def test_what_stands_under_the_mask_is_not_read(showo: ShowoPolicy) -> None:
    codes = some_codes(showo)
    is_repainted = torch.zeros_like(codes, dtype=torch.bool)
    is_repainted[:, :7] = True
    other = codes.clone()
    other[:, :7] = 0
    one, two = (inpaint(showo, each, is_repainted, PROMPTS, [1, 2], SAMPLING) for each in (codes, other))
    assert torch.equal(one, two)


def test_what_is_known_and_the_prompt_matter(showo: ShowoPolicy) -> None:
    codes = some_codes(showo, 1).expand(6, -1)
    is_repainted = torch.zeros_like(codes, dtype=torch.bool)
    is_repainted[:, :8] = True
    other = torch.where(is_repainted, codes, 1)
    seeds = list(range(6))

    def painted(known: torch.Tensor, prompt: str) -> torch.Tensor:
        return inpaint(showo, known, is_repainted, [prompt] * 6, seeds, SAMPLING)[:, :8]

    assert not torch.equal(painted(codes, "two stars"), painted(other, "two stars"))
    assert not torch.equal(painted(codes, "two stars"), painted(codes, "a red circle"))


def test_masks_of_different_sizes_go_together_and_give_what_each_gives_alone(showo: ShowoPolicy) -> None:
    codes = some_codes(showo, 3)
    is_repainted = torch.zeros_like(codes, dtype=torch.bool)
    for row, count in enumerate((2, 9, 2)):
        is_repainted[row, row : row + count] = True
    prompts, seeds = ["two stars"] * 3, [1, 2, 3]
    together = inpaint(showo, codes, is_repainted, prompts, seeds, SAMPLING)
    for row in range(3):
        one = slice(row, row + 1)
        assert torch.equal(
            together[one], inpaint(showo, codes[one], is_repainted[one], prompts[one], seeds[one], SAMPLING)
        )


def test_the_schedule_counts_the_marked_cells(showo: ShowoPolicy) -> None:
    start = some_codes(showo, 1)
    start[:, :10] = showo.codebook_size
    steps = list(rollout_steps(showo, PROMPTS[:1], [1], SAMPLING, start=start))
    assert [int(step.is_masked.sum()) for step in steps] == [10, 9, 7, 3]
    trajectory = rollout(showo, PROMPTS[:1], [1], SAMPLING, start=start)
    assert torch.equal(trajectory.is_masked(0), start == showo.codebook_size)
    assert torch.equal(trajectory.state(0, showo.codebook_size), start)


def test_a_cell_is_masked_when_half_of_it_is_marked() -> None:
    mask = torch.zeros(1, 8, 12)
    mask[:, :4, :2] = 1
    mask[:, :4, 4:5] = 1
    mask[:, 4:, 8:] = 0.5
    assert masked_cells(mask, (2, 3)).tolist() == [[True, False, False, False, False, True]]
    assert masked_cells(mask > 0, (2, 3)).tolist() == [[True, False, False, False, False, True]]
    assert masked_cells(torch.ones(1, 3, 5), (2, 3)).all()


def test_a_mask_in_bytes_is_refused() -> None:
    with pytest.raises(ValueError, match="values go from 0 to 255: give 0"):
        masked_cells(torch.tensor([[[0, 255]]], dtype=torch.uint8), (1, 2))


@pytest.mark.parametrize("shape", [(8, 8), (1, 1, 8, 8)])
def test_a_mask_with_another_number_of_sides_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"the mask's shape is \(.*give \(pictures or 1, height, width\)"):
        masked_cells(torch.ones(shape), (2, 2))


def test_pictures_keep_the_codes_of_what_was_not_marked(showo: ShowoPolicy) -> None:
    pictures = showo.decode(some_codes(showo))
    codes = showo.encode(pictures)
    mask = torch.zeros(1, 16, 16)
    mask[:, :, 8:] = 1
    painted = inpaint_pictures(showo, pictures, mask, PROMPTS, [1, 2], GUIDED)
    assert painted.shape == pictures.shape
    cells = masked_cells(mask, (4, 4)).expand(2, -1)
    assert torch.equal(painted, showo.decode(inpaint(showo, codes, cells, PROMPTS, [1, 2], GUIDED)))


def test_the_grid_follows_from_the_pictures_and_the_number_of_codes() -> None:
    assert grid_of_pictures(torch.zeros(1, 3, 32, 80), 10) == (2, 5)


def test_mistakes_are_refused(showo: ShowoPolicy) -> None:
    codes = some_codes(showo)
    nothing = torch.zeros_like(codes, dtype=torch.bool)
    with pytest.raises(ValueError, match="nothing is marked in picture 0"):
        inpaint(showo, codes, nothing, PROMPTS, [1, 2], SAMPLING)
    with pytest.raises(ValueError, match="with 1 prompts and 2 seeds"):
        inpaint(showo, codes, ~nothing, PROMPTS[:1], [1, 2], SAMPLING)
    with pytest.raises(ValueError, match=r"a picture of 40 x 32 pixels has 20 tokens, the policy's own have 16"):
        inpaint_pictures(showo, torch.zeros(1, 3, 32, 40), torch.ones(1, 4, 4), PROMPTS[:1], [1], SAMPLING)
    start = torch.where(torch.tensor([[True] * 6, [True] * 5 + [False]]), 5, 0)
    with pytest.raises(ValueError, match=r"the rows have \[5, 6\] masked tokens"):
        rollout(ToyPolicy(), PROMPTS, [1, 2], SAMPLING, start=start)
    with pytest.raises(ValueError, match=r"start from are \(2, 6\), but \(1, 6\)"):
        rollout(ToyPolicy(), PROMPTS[:1], [1], SAMPLING, start=start)
