"""Finds COCO's objects in a picture with transformers' Mask2Former, scored and boxed as mmdet's Mask2Former does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from backend.schemas.geneval_names import CLASSES
from worker.benchmarks.geneval.rules import Detection
from worker.rewards.weights import Published, read_json, staying_offline, weights_folder

DETECTOR = Published(
    "geneval",
    "Download a Mask2Former for COCO instances, GenEval's size with `hf download "
    "facebook/mask2former-swin-small-coco-instance --local-dir DIR`, and set geneval.detector to DIR",
)
# Of torchvision's and mmdet's preprocessing: pixels in [0, 1], ImageNet's mean and deviation.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_SHORTEST, _LONGEST, _DIVISOR = 800, 1333, 32
_NUM_KEPT = 100
# Buffers that follow from the configuration alone.
_DERIVED = ("relative_position_index", "criterion.empty_weight")


@dataclass(frozen=True, eq=False)
class Mask2FormerDetector:
    """An instance segmenter, frozen. It follows the pictures to their device."""

    network: nn.Module
    shortest: int = _SHORTEST
    longest: int = _LONGEST

    @torch.inference_mode()
    def detect(self, picture: Tensor) -> dict[str, list[Detection]]:
        """The objects of a (3, H, W) picture in [0, 1] by GenEval's class names, the most confident first.

        The best 100 pairs of query and class are taken; a pair's confidence is the class's probability times the mean
        probability within its mask; its box bounds the mask.
        """
        self.network.to(picture.device)
        found = self.network(pixel_values=self._prepared(picture))
        classes = found.class_queries_logits[0].softmax(-1)[:, :-1]
        scores, places = classes.flatten().topk(min(_NUM_KEPT, classes.numel()))
        queries, labels = places // classes.shape[1], places % classes.shape[1]
        logits = found.masks_queries_logits[0, queries]
        logits = F.interpolate(logits[None], picture.shape[-2:], mode="bilinear", align_corners=False)[0]
        masks = logits > 0
        inside = (logits.sigmoid() * masks).flatten(1).sum(1) / (masks.flatten(1).sum(1) + 1e-6)
        result: dict[str, list[Detection]] = {}
        for score, label, mask in sorted(
            zip((scores * inside).tolist(), labels.tolist(), masks.cpu(), strict=True), key=lambda each: -each[0]
        ):
            if mask.any():
                result.setdefault(CLASSES[label], []).append(Detection(_box(mask), score, mask.numpy()))
        return result

    def _prepared(self, picture: Tensor) -> Tensor:
        """(1, 3, h, w): the shorter side resized, both rounded to what the network divides by."""
        height, width = picture.shape[-2:]
        factor = min(self.shortest / min(height, width), self.longest / max(height, width))
        sides = [max(_DIVISOR, round(side * factor / _DIVISOR) * _DIVISOR) for side in (height, width)]
        resized = F.interpolate(picture[None], sides, mode="bilinear", align_corners=False)
        mean = torch.tensor(_MEAN, device=picture.device)[:, None, None]
        return (resized - mean) / torch.tensor(_STD, device=picture.device)[:, None, None]


def load_detector(source: str) -> Mask2FormerDetector:
    """Load a Mask2Former from a folder, or from this machine's hub cache; nothing is downloaded or unpickled.

    Raises:
        ValueError: it is absent, broken or knows other classes; the error says what to download.
    """
    # Seconds of import that no other benchmark needs.
    from transformers import Mask2FormerForUniversalSegmentation  # noqa: PLC0415

    folder = weights_folder(source, DETECTOR)
    content = read_json(folder / "config.json")
    if content.get("model_type") != "mask2former":
        raise ValueError(f"{folder} holds a {content.get('model_type')!r}, not a 'mask2former'. {DETECTOR.how_to_get}")
    try:
        with torch.random.fork_rng(devices=[]), staying_offline():
            network, report = Mask2FormerForUniversalSegmentation.from_pretrained(
                folder, local_files_only=True, output_loading_info=True, weights_only=True, torch_dtype=torch.float32
            )
    except (OSError, RuntimeError, TypeError, KeyError) as error:
        raise ValueError(f"{folder} cannot be read as a Mask2Former: {error}. {DETECTOR.how_to_get}") from error
    missing = [name for name in report["missing_keys"] if not name.endswith(_DERIVED)]
    if missing or report["mismatched_keys"]:
        raise ValueError(f"{folder} lacks weights of this Mask2Former, as {(missing or ['of other shapes'])[0]}")
    if network.config.num_labels != len(CLASSES):
        raise ValueError(
            f"{folder} knows {network.config.num_labels} classes, but GenEval asks for COCO's {len(CLASSES)} of "
            f"instances, none of panoptic or semantic models. {DETECTOR.how_to_get}"
        )
    return Mask2FormerDetector(network.eval().requires_grad_(False), *_sides(folder))


def _sides(folder: Path) -> tuple[int, int]:
    """The shorter side that pictures are resized to, and the longest that the other may become."""
    path = folder / "preprocessor_config.json"
    size = read_json(path).get("size", {}) if path.is_file() else {}
    size = size if isinstance(size, dict) else {}
    return int(size.get("shortest_edge", _SHORTEST)), int(size.get("longest_edge", _LONGEST))


def _box(mask: Tensor) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of a mask (H, W); right and bottom are one beyond its last pixels, as in mmdet."""
    rows, columns = mask.any(1).nonzero().flatten(), mask.any(0).nonzero().flatten()
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)
