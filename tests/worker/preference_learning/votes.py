"""Pair sets as freezing writes them, made of simulated raters with a stated taste: tests and measurements need no one.

The taste: the bluer picture is preferred, with the noise of a Bradley-Terry rater, and a tie where both are about as
blue. Pictures are the small world's renders, in which the prompt leaves colours open.
"""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from worker.shapes.captions import all_captions, scene_for
from worker.shapes.renderer import render

# Log-odds a unit of blueness: at 40, of two pictures that differ by .05, 88 of 100 raters prefer the bluer one.
SHARPNESS = 40.0
TIE_BELOW = 0.002


def blueness(pixels: NDArray[np.uint8]) -> float:
    """Mean of blue minus red over a (H, W, 3) picture, -1 to 1."""
    return float((pixels[..., 2].astype(float) - pixels[..., 0]).mean() / 255)


def vote(first: float, second: float, rng: np.random.Generator, sharpness: float = SHARPNESS) -> float:
    """A simulated rater's label_0 for two pictures of that blueness."""
    if abs(first - second) < TIE_BELOW:
        return 0.5
    return float(rng.random() < 1 / (1 + np.exp(-sharpness * (first - second))))


def write_pair_set(
    data_dir: Path,
    *,
    num_prompts: int = 12,
    pairs_per_prompt: int = 3,
    num_raters: int = 5,
    votes_per_pair: int = 3,
    sharpness: float = SHARPNESS,
    seed: int = 0,
) -> str:
    """Writes a set under `data_dir`/pair-sets and returns its SHA-256; sharpness 0 makes raters who toss coins."""
    rng = np.random.default_rng(seed)
    captions = [each for each in all_captions("train") if all(wanted.colour is None for wanted in each.wanted)]
    chosen = [captions[place] for place in rng.choice(len(captions), size=num_prompts, replace=False)]
    lines: list[bytes] = []
    pictures: dict[str, bytes] = {}
    for caption in chosen:
        for _ in range(pairs_per_prompt):
            both = [render(scene_for(caption, rng), rng) for _ in range(2)]
            names = []
            for pixels in both:
                content = png(pixels)
                names.append(f"{hashlib.sha256(content).hexdigest()}.png")
                pictures[names[-1]] = content
            blue = [blueness(pixels) for pixels in both]
            raters = rng.choice(num_raters, size=votes_per_pair, replace=False)
            votes = [vote_line(f"rater-{rater}", vote(blue[0], blue[1], rng, sharpness)) for rater in sorted(raters)]
            lines.append(pair_line(caption.text, names, votes, 1 / pairs_per_prompt))
    return freeze(data_dir, lines, pictures)


def pair_line(prompt: str, names: list[str], votes: list[dict[str, Any]], weight: float) -> bytes:
    """One line of pairs.jsonl."""
    label = sum(each["label_0"] for each in votes) / len(votes)
    return json.dumps(
        {
            "prompt": prompt,
            "task": None,
            "image_0": names[0],
            "image_1": names[1],
            "label_0": label,
            "label_1": 1 - label,
            "weight": weight,
            "votes": votes,
            "provenance": {},
        }
    ).encode()


def vote_line(rater: str, label_0: float) -> dict[str, Any]:
    """One simulated rater's vote."""
    return {"rater": rater, "label_0": label_0, "is_simulated": True}


def freeze(data_dir: Path, lines: list[bytes], pictures: dict[str, bytes]) -> str:
    """Writes the files under their hash."""
    content = b"\n".join(lines) + b"\n"
    sha256 = hashlib.sha256(content).hexdigest()
    folder = data_dir / "pair-sets" / sha256
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pairs.jsonl").write_bytes(content)
    for name, picture in pictures.items():
        (folder / name).write_bytes(picture)
    return sha256


def png(pixels: NDArray[np.uint8]) -> bytes:
    """A (H, W, 3) picture as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
