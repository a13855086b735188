"""What a remote reward and its server say to each other: pictures as PNG and prompts there, scores back, in JSON.

    POST /score   {"prompts": ["a red fox"], "pictures": ["<PNG, base64>"]}
    200           {"scores": [0.31]}            one number a picture, in the same order
    4xx, 5xx      {"error": "a sentence"}

It knows no sockets. A server in any language can speak it.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import math
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

MAX_REQUEST_BYTES = 64 * 2**20
MAX_ANSWER_BYTES = 2**20
MAX_PICTURES = 1024
MAX_PICTURE_PIXELS = 4096**2
TOKEN_VARIABLE = "UNMASK_REWARD_TOKEN"


def request_of(pictures: Tensor, prompts: Sequence[str]) -> bytes:
    """Return the body of a request for (B, 3, H, W) pictures in [0, 1]; PNG keeps 8 bits of each colour.

    Raises:
        ValueError: the body is larger than any server takes.
    """
    pixels = (pictures.detach().clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    content = {"prompts": list(prompts), "pictures": [_png(each) for each in pixels]}
    body = json.dumps(content).encode()
    if len(body) > MAX_REQUEST_BYTES:
        raise ValueError(
            f"{len(pixels)} pictures make a request of {len(body)} bytes, but at most {MAX_REQUEST_BYTES} are sent: "
            "judge fewer or smaller pictures at once"
        )
    return body


def read_request(body: bytes) -> tuple[Tensor, list[str]]:
    """Return (B, 3, H, W) float32 pictures in [0, 1] and B prompts.

    Raises:
        ValueError: it is no request, or its pictures are not of one size and number.
    """
    content = _json_object(body, "the request")
    prompts, encoded = content.get("prompts"), content.get("pictures")
    if not _are_texts(prompts) or not _are_texts(encoded):
        raise ValueError("the request must hold the lists of texts 'prompts' and 'pictures'")
    if len(prompts) != len(encoded) or not 0 < len(prompts) <= MAX_PICTURES:
        raise ValueError(
            f"the request holds {len(prompts)} prompts and {len(encoded)} pictures: give as many of each, 1 to "
            f"{MAX_PICTURES}"
        )
    pictures = [_pixels(each) for each in encoded]
    if len({each.shape for each in pictures}) > 1:
        raise ValueError(f"the pictures have different sizes: {sorted({each.shape[:2] for each in pictures})}")
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255, prompts


def answer_of(scores: Tensor) -> bytes:
    """Return the body of an answer with (B,) scores.

    Raises:
        ValueError: a score is NaN or infinite; JSON has no such number, and no training can use one.
    """
    values = scores.double().tolist()
    _refuse_broken(values)
    return json.dumps({"scores": values}).encode()


def read_answer(body: bytes, num_pictures: int) -> Tensor:
    """Return (B,) float32 scores.

    Raises:
        ValueError: it holds anything but one finite number a picture.
    """
    scores = _json_object(body, "the answer").get("scores")
    if not isinstance(scores, list):
        raise ValueError("the answer must hold a list 'scores'")
    if len(scores) != num_pictures:
        raise ValueError(
            f"the answer holds {len(scores)} scores for {num_pictures} pictures: it must hold one a picture"
        )
    _refuse_broken(scores)
    # As floats first: torch takes no whole number beyond 64 bits.
    values = torch.tensor([float(score) for score in scores], dtype=torch.float32)
    if not bool(values.isfinite().all()):
        raise ValueError(f"a score is too large for float32: {max(scores, key=abs)}")
    return values


def read_error(body: bytes) -> str:
    """Return the sentence of a refusal, or the beginning of whatever else stands there."""
    try:
        return str(_json_object(body, "the refusal")["error"])[:500]
    except (ValueError, KeyError, RecursionError):
        return body[:200].decode(errors="replace") or "no reason given"


def _refuse_broken(scores: list[object]) -> None:
    for place, score in enumerate(scores):
        is_number = isinstance(score, int | float) and not isinstance(score, bool)
        try:
            is_finite = is_number and math.isfinite(score)  # type: ignore[arg-type]
        except OverflowError:  # A whole number of more digits than any float has.
            is_finite = False
        if not is_finite:
            raise ValueError(f"score {place} is {score!r:.80}: every score must be a finite number")


def _json_object(body: bytes, what: str) -> dict[str, object]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{what} is no JSON, or too deep: {body[:80]!r}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{what} must be a JSON object, got {type(content).__name__}")
    return content


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _png(pixels: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=1)
    return base64.b64encode(buffer.getvalue()).decode()


def _pixels(encoded: str) -> np.ndarray:
    """(H, W, 3) uint8 of a PNG."""
    try:
        image = Image.open(io.BytesIO(base64.b64decode(encoded, validate=True)), formats=["PNG"])
        if image.width * image.height > MAX_PICTURE_PIXELS:
            raise ValueError(f"a picture of {image.width} x {image.height} is larger than {MAX_PICTURE_PIXELS} pixels")
        return np.asarray(image.convert("RGB"))
    except (OSError, binascii.Error, SyntaxError) as error:
        raise ValueError(f"a picture is no PNG in base64: {error}") from error
