"""Raters that are programs: they vote through the rater's door as people do, by a stated taste and with noise.

The taste: the bluer picture, by the mean of blue minus red; how often a rater follows it is a Bradley-Terry rater's
chance. The studio knows each of them as simulated.
"""

from __future__ import annotations

import io
import math
import uuid
from dataclasses import dataclass

import numpy as np
from PIL import Image

from backend.client import StudioClient
from backend.client.connection import RunID
from backend.schemas.preference import Choice, RaterCreate, VotePut

TASTE = "Choose the bluer picture."
# Log-odds a unit of blueness: at 40, of two pictures that differ by .05, 88 of 100 raters prefer the bluer one.
SHARPNESS = 40.0
TIE_BELOW = 0.002
PAIRS_AT_ONCE = 20


@dataclass(frozen=True)
class Voted:
    """What a rater did."""

    num_votes: int
    num_against_taste: int


def blueness(picture: bytes) -> float:
    """Mean of blue minus red over a picture's file, -1 to 1."""
    with Image.open(io.BytesIO(picture)) as image:
        pixels = np.asarray(image.convert("RGB"), dtype=np.float64)
    return float((pixels[..., 2] - pixels[..., 0]).mean() / 255)


def vote_on_all(client: StudioClient, task_id: RunID, label: str, seed: int) -> Voted:
    """Make a simulated rater and have it vote on every pair that it is shown."""
    token = client.create_rater(task_id, RaterCreate(label=label, is_simulated=True)).token
    rng = np.random.default_rng(seed)
    num_votes = num_against = 0
    while pairs := client.next_pairs(token, count=PAIRS_AT_ONCE).data:
        for pair in pairs:
            urls = (pair.left_url, pair.right_url)
            left, right = (blueness(client.get_pair_picture(token, url)) for url in urls)
            choice, is_against = chosen(left, right, rng)
            vote = VotePut(pair_id=pair.pair_id, choice=choice, latency_ms=1000)
            client.put_vote(token, uuid.uuid4(), vote)
            num_votes += 1
            num_against += is_against
    return Voted(num_votes, num_against)


def chosen(left: float, right: float, rng: np.random.Generator) -> tuple[Choice, bool]:
    """A choice between two pictures of that blueness, and whether chance turned it against the taste."""
    if abs(left - right) < TIE_BELOW:
        return Choice.TIE, False
    is_left = bool(rng.random() < 1 / (1 + math.exp(-SHARPNESS * (left - right))))
    return (Choice.LEFT if is_left else Choice.RIGHT), is_left is not (left > right)
