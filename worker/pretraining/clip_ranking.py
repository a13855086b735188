"""How well a CLIP score ranks, measured against the verifier. Makes no pictures of a policy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from worker.pretraining.contrasts import reworded_contrasts
from worker.pretraining.pictures import to_pixels
from worker.shapes.captions import Caption, parse_caption, scene_for
from worker.shapes.renderer import render
from worker.shapes.verifier import verify

Score = Callable[[Tensor, Sequence[str]], Tensor]


@dataclass(frozen=True)
class Ranking:
    """Shares of pairs in which the right one scores higher; a half is chance, and ties count half."""

    value: float
    low: float
    high: float
    num_pairs: int


def caption_ranking(score: Score, captions: Sequence[Caption], num_wrong: int, rng: np.random.Generator) -> Ranking:
    """Right against nearly right captions of rendered pictures: one thing differs, in the same words otherwise."""
    wins = []
    for caption in captions:
        pixels = render(scene_for(caption, rng), rng)
        # What lies on a diagonal may be right of something and below it, too.
        wrong = [
            text
            for text in reworded_contrasts(caption, num_wrong, rng)
            if not verify(pixels, parse_caption(text)).is_strict
        ]
        texts = [caption.text, *wrong]
        scores = score(to_pixels(pixels[None]).expand(len(texts), -1, -1, -1), texts)
        wins.append(_won(scores[:1].numpy(), scores[1:].numpy()))
    return _ranking(wins)


def picture_ranking(scores: NDArray[np.float64], is_right: NDArray[np.bool_]) -> Ranking:
    """Right against wrong pictures of one prompt, which is what a group's advantages rest on; (prompts, pictures)."""
    return _ranking([_won(row[right], row[~right]) for row, right in zip(scores, is_right, strict=True)])


def area_under_curve(scores: NDArray[np.float64], is_right: NDArray[np.bool_]) -> float:
    """Right against wrong pictures, whatever their prompts; NaN where all are of one kind."""
    won = _won(scores[is_right], scores[~is_right])
    return float(won.mean()) if won.size else float("nan")


def _won(right: NDArray[np.float64], wrong: NDArray[np.float64]) -> NDArray[np.float64]:
    """(R, W): 1 where the right one scores higher, a half at a tie, else 0."""
    won: NDArray[np.float64] = (right[:, None] > wrong) + 0.5 * (right[:, None] == wrong)
    return won


def _ranking(wins: list[NDArray[np.float64]]) -> Ranking:
    """The share over all pairs, and a 95 % interval by a bootstrap over prompts, whose pairs resemble each other."""
    sums = np.array([won.sum() for won in wins])
    counts = np.array([won.size for won in wins])
    if counts.sum() == 0:
        return Ranking(float("nan"), float("nan"), float("nan"), 0)
    drawn = np.random.default_rng(0).integers(len(wins), size=(2000, len(wins)))
    shares = sums[drawn].sum(1) / np.maximum(counts[drawn].sum(1), 1)
    low, high = np.quantile(shares, [0.025, 0.975])
    return Ranking(float(sums.sum() / counts.sum()), float(low), float(high), int(counts.sum()))


def tensor_scores(score: Score, pictures: Sequence[Tensor], prompts: Sequence[str]) -> NDArray[np.float64]:
    """(prompts, pictures) scores of each prompt's (P, 3, H, W) pictures."""
    with torch.inference_mode():
        rows = [score(own, [prompt] * len(own)) for own, prompt in zip(pictures, prompts, strict=True)]
    return torch.stack(rows).double().numpy()
