"""Names the colours of objects: each is cut out, put on grey, and compared by a CLIP with GenEval's ten colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from backend.schemas.geneval_names import COLOURS
from worker.benchmarks.geneval.rules import Detection
from worker.rewards.clip_models import ClipModel

TEMPLATES = ("a photo of a {colour} {name}", "a photo of a {colour}-colored {name}", "a photo of a {colour} object")
# What stands around an object in its box: #999.
GREY = 0x99 / 255


@dataclass(frozen=True, eq=False)
class ColourClassifier:
    """Zero-shot: a colour's embedding is the mean over the templates, made of length 1 again."""

    clip: ClipModel
    _known: dict[str, Tensor] = field(default_factory=dict)

    def name(self, picture: Tensor, objects: Sequence[Detection], class_name: str) -> list[str]:
        """The colour of each object of a (3, H, W) picture in [0, 1]."""
        if not objects:
            return []
        crops = [cut_out(picture, each) for each in objects]
        embeddings = torch.cat([self.clip.embed_pictures(crop[None]) for crop in crops])
        similar = embeddings @ self._colours_of(class_name).to(embeddings.device).T
        return [COLOURS[place] for place in similar.argmax(1).tolist()]

    def _colours_of(self, class_name: str) -> Tensor:
        """(10, D) of length 1."""
        if class_name not in self._known:
            texts = [each.format(colour=colour, name=class_name) for colour in COLOURS for each in TEMPLATES]
            by_colour = self.clip.embed_prompts(texts).unflatten(0, (len(COLOURS), len(TEMPLATES))).mean(1)
            self._known[class_name] = F.normalize(by_colour, dim=-1)
        return self._known[class_name]


def cut_out(picture: Tensor, detection: Detection) -> Tensor:
    """(3, h, w): what is in the object's box, grey where its mask is not."""
    if detection.mask is not None:
        mask = torch.from_numpy(detection.mask).to(picture.device)
        picture = torch.where(mask, picture, torch.full_like(picture, GREY))
    left, top, right, bottom = (round(side) for side in detection.box)
    return picture[:, max(top, 0) : bottom, max(left, 0) : right]
