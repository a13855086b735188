"""The tiny Show-o that comes with the project: it loads, it is small, and its tokenizer is faithful."""

import hashlib
import re

import numpy as np
import pytest
import torch

from worker.shapes.captions import all_captions, scene_for
from worker.shapes.renderer import render
from worker.shapes.verifier import verify
from worker.showo.loading import SHIPPED_WEIGHTS, load_policy
from worker.showo.policy import ShowoPolicy
from worker.showo.prompting import tokenize


@pytest.fixture(scope="module")
def policy() -> ShowoPolicy:
    return load_policy(SHIPPED_WEIGHTS)


def test_all_files_together_stay_under_12_megabytes() -> None:
    assert sum(file.stat().st_size for file in SHIPPED_WEIGHTS.rglob("*") if file.is_file()) < 12_000_000


def test_the_model_card_names_the_weights_by_their_hash() -> None:
    card = (SHIPPED_WEIGHTS / "README.md").read_text()
    named = dict(re.findall(r"`(\S+\.safetensors)` \| `([0-9a-f]{64})`", card))
    # The tiny CLIP beside them has a card of its own.
    files = [file for file in SHIPPED_WEIGHTS.rglob("*.safetensors") if "clip" not in file.parent.parts]
    found = {str(file.relative_to(SHIPPED_WEIGHTS)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    assert named == found


def test_every_word_of_every_caption_is_known_and_every_caption_fits(policy: ShowoPolicy) -> None:
    captions = [caption.text for split in ("train", "heldout") for caption in all_captions(split)]
    texts = tokenize(policy.tokenizer, captions)
    assert all(policy.tokenizer.unk_token_id not in text for text in texts)
    # The text block also holds bos and eos.
    assert max(len(text) for text in texts) + 2 <= policy.showo.config.max_text_tokens


def test_what_the_tokenizer_rebuilds_is_still_what_the_caption_asks_for(policy: ShowoPolicy) -> None:
    rng = np.random.default_rng(3)
    captions = all_captions("heldout")[:120]
    pictures = np.stack([render(scene_for(caption, rng), rng) for caption in captions])
    pixels = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
    rebuilt = (policy.decode(policy.encode(pixels)).permute(0, 2, 3, 1) * 255).round().to(torch.uint8).numpy()
    assert all(verify(picture, caption).is_strict for picture, caption in zip(rebuilt, captions, strict=True))
