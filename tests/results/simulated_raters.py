"""Raters that are programs: they vote through the rater's door as people do, by a stated taste and with noise.

The taste: the bluer picture, by the mean of blue minus red; how often a rater follows it is a Bradley-Terry rater's
chance. The studio knows each of them as simulated.
"""

from __future__ import annotations

import io
import math
import uuid

import numpy as np
from PIL import Image

from backend.client import StudioClient
from backend.client.connection import RunID
from backend.schemas.preference import Choice, RaterCreate, VoteOutcome, VotePut

TASTE = "Choose the bluer picture."
# Log-odds a unit of blueness: at 40, of two pictures that differ by .05, 88 of 100 raters prefer the bluer one.
SHARPNESS = 40.0
TIE_BELOW = 0.002
PAIRS_AT_ONCE = 5


def blueness(picture: bytes) -> float:
    """Mean of blue minus red over a picture's file, -1 to 1."""
    with Image.open(io.BytesIO(picture)) as image:
        pixels = np.asarray(image.convert("RGB"), dtype=np.float64)
    return float((pixels[..., 2] - pixels[..., 0]).mean() / 255)


def vote_in_turns(client: StudioClient, task_id: RunID, num_raters: int, seed: int) -> None:
    """Make simulated raters and have them vote, a few pairs each in turn, until none is shown a pair any more."""
    tokens = [
        client.create_rater(task_id, RaterCreate(label=f"simulated rater {number}", is_simulated=True)).token
        for number in range(num_raters)
    ]
    rngs = [np.random.default_rng([seed, number]) for number in range(num_raters)]
    waiting = set(range(num_raters))
    while waiting:
        for number in sorted(waiting):
            pairs = client.next_pairs(tokens[number], count=PAIRS_AT_ONCE).data
            if not pairs:
                waiting.remove(number)
            for pair in pairs:
                urls = (pair.left_url, pair.right_url)
                left, right = (blueness(client.get_pair_picture(tokens[number], url)) for url in urls)
                choice = chosen(left, right, rngs[number])
                client.put_vote(
                    tokens[number], uuid.uuid4(), VotePut(pair_id=pair.pair_id, choice=choice, latency_ms=1000)
                )


def chosen(left: float, right: float, rng: np.random.Generator) -> Choice:
    """A choice between two pictures of that blueness."""
    if abs(left - right) < TIE_BELOW:
        return Choice.TIE
    is_left = bool(rng.random() < 1 / (1 + math.exp(-SHARPNESS * (left - right))))
    return Choice.LEFT if is_left else Choice.RIGHT


def is_against_taste(outcome: VoteOutcome, first: float, second: float) -> bool:
    """Whether a vote preferred the less blue of two pictures of that blueness."""
    if outcome not in (VoteOutcome.FIRST, VoteOutcome.SECOND):
        return False
    return (outcome is VoteOutcome.FIRST) is not (first > second)
