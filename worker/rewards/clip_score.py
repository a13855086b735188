"""The rewards that are a cosine in a CLIP: CLIP score (the paper's), PickScore, HPSv2.1."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from backend.schemas.reward import SHIPPED
from worker.rewards.clip_models import ClipModel, load_clip, load_open_clip
from worker.rewards.weights import Published, first_file, weights_folder
from worker.shapes.captions import vocabulary

SHIPPED_CLIP = Path(__file__).parents[1] / "shapes" / "weights" / "clip"

CLIP = Published(
    "clip",
    "Download one of open_clip's models, the paper's with `hf download laion/CLIP-ViT-H-14-laion2B-s32B-b79K "
    "--local-dir DIR`, and set its source to DIR; to shipped for the small world's own tiny CLIP; or to "
    "architecture:file, as ViT-H-14:/models/open_clip_pytorch_model.bin",
    "laion/CLIP-ViT-H-14-laion2B-s32B-b79K",
)
PICKSCORE = Published(
    "pickscore",
    "Download it with `hf download yuvalkirstain/PickScore_v1 --local-dir DIR` and set its source to DIR, which then "
    "holds config.json and model.safetensors",
    "yuvalkirstain/PickScore_v1",
)
HPS = Published(
    "hps",
    "Download it with `hf download xswu/HPSv2 HPS_v2.1_compressed.pt --local-dir DIR` and set its source to DIR or to "
    "that file",
    "xswu/HPSv2",
)
HPS_FILES = ("HPS_v2.1_compressed.pt", "HPS_v2.1*.pt", "HPS_v2.1*.safetensors")
HPS_ARCHITECTURE = "ViT-H-14"


@dataclass(frozen=True, eq=False)
class ClipScore:
    """The cosine of picture and prompt, times a factor."""

    clip: ClipModel
    factor: float = 1.0
    words: frozenset[str] | None = None
    """the only words that the model knows; None = any text"""

    def __call__(self, pictures: Tensor, prompts: Sequence[str]) -> Tensor:
        """Return (B,) float32 for (B, 3, H, W) pictures in [0, 1] and B prompts.

        Raises:
            ValueError: the model knows a few words only, and a prompt has others.
        """
        if self.words is not None:
            refuse_unknown(prompts, self.words)
        return self.factor * self.clip.cosines(pictures, prompts)


def load_clip_score(source: str) -> ClipScore:
    """Load the CLIP that a source names: shipped, a folder, a cached hub name, or architecture:file.

    Raises:
        ValueError: it cannot be found or read; the error says what to download.
    """
    if source == SHIPPED:
        return ClipScore(load_clip(SHIPPED_CLIP, CLIP), words=frozenset(vocabulary()))
    if named := re.fullmatch(r"([\w.-]+):(.+)", source):
        return ClipScore(load_open_clip(named[1], _file(named[2], CLIP)))
    return ClipScore(load_clip(weights_folder(source, CLIP), CLIP))


def load_pickscore(source: str) -> ClipScore:
    """Load PickScore: cosines times the model's own logit scale, as published, about 15 to 25.

    Raises:
        ValueError: it cannot be found or read; the error says what to download.
    """
    clip = load_clip(weights_folder(source, PICKSCORE), PICKSCORE)
    return ClipScore(clip, clip.logit_scale)


def load_hps(source: str) -> ClipScore:
    """Load HPSv2.1: open_clip's ViT-H-14, or what an open_clip_config.json beside the checkpoint says.

    Its authors score whole pictures (`resize_longest_max`, github.com/tgxs002/HPSv2, hpsv2/img_score.py): the longer
    side is resized and the rest padded, so open_clip's crop is taken only where a configuration asks for it.

    Raises:
        ValueError: it cannot be found or read; the error says what to download.
    """
    path = Path(source).expanduser()
    weights = path if source and path.is_file() else first_file(weights_folder(source, HPS), HPS_FILES, HPS)
    has_own = (weights.parent / "open_clip_config.json").is_file()
    if has_own:
        return ClipScore(load_open_clip(weights.parent, weights))
    clip = load_open_clip(HPS_ARCHITECTURE, weights)
    return ClipScore(replace(clip, preprocessing=replace(clip.preprocessing, resize_mode="longest")))


def _file(name: str, published: Published) -> Path:
    path = Path(name).expanduser()
    if not path.is_file():
        raise published.missing(f"finds no file at {path}")
    return path


def refuse_unknown(prompts: Sequence[str], words: frozenset[str]) -> None:
    """Refuse prompts with words that a CLIP of a few words never saw.

    Raises:
        ValueError: with the first such prompt.
    """
    for prompt in prompts:
        unknown = [word for word in re.findall(r"\w+|[^\w\s]", prompt.lower()) if word not in words and word != "."]
        if unknown:
            raise ValueError(
                f"the shipped CLIP does not know {unknown} of {prompt!r}: it was trained on the small world's captions "
                "alone. Set the source of the reward clip, or a reward model's base, to a CLIP of the world at large"
            )
