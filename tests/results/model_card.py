"""`python -m tests.results.model_card`: measures what the model card of the shipped weights says of the tokenizer."""

from __future__ import annotations

import numpy as np
import torch

from worker.pretraining.pictures import to_pixels
from worker.shapes.captions import all_captions, scene_for
from worker.shapes.renderer import render
from worker.shapes.verifier import verify
from worker.showo.loading import SHIPPED_WEIGHTS, load_policy

_NUM_PICTURES = 240
_SEED = 20


def main() -> None:
    """Rebuilds held-out pictures through the codes and prints what was lost."""
    policy = load_policy(SHIPPED_WEIGHTS)
    rng = np.random.default_rng(_SEED)
    captions = all_captions("heldout")
    captions = [captions[row] for row in rng.choice(len(captions), _NUM_PICTURES, replace=False)]
    pictures = np.stack([render(scene_for(caption, rng), rng) for caption in captions])
    pixels = to_pixels(pictures)
    with torch.no_grad():
        codes = policy.encode(pixels)
        rebuilt = policy.decode(codes)
    as_bytes = (rebuilt * 255).round().byte().permute(0, 2, 3, 1).numpy()
    num_strict = sum(verify(image, caption).is_strict for image, caption in zip(as_bytes, captions, strict=True))
    print(f"pictures rebuilt: {_NUM_PICTURES}, of which the verifier passes strictly: {num_strict}")
    print(f"mean error: {float((rebuilt - pixels).abs().mean()) * 255:.2f} of 255")
    num_distinct = np.mean([len(each.unique()) for each in codes])
    print(f"codes in use: {len(codes.unique())}; distinct codes a picture: {num_distinct:.1f}")
    print(f"parameters: transformer {_millions(policy.showo)}, image tokenizer {_millions(policy.magvit)}")


def _millions(module: torch.nn.Module) -> str:
    return f"{sum(each.numel() for each in module.parameters()) / 1e6:.2f} M"


if __name__ == "__main__":
    main()
