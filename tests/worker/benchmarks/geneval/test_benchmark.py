"""The detector on tiny random weights of its true architecture, the colours by a tiny CLIP, and both as one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from backend.schemas.geneval_names import CLASSES, COLOURS
from tests.worker.benchmarks.geneval.tiny_detector import write_detector
from worker.benchmarks.geneval.benchmark import GenEval
from worker.benchmarks.geneval.colours import TEMPLATES, ColourClassifier, cut_out
from worker.benchmarks.geneval.detector import Mask2FormerDetector, load_detector
from worker.benchmarks.geneval.rules import Detection, Thresholds


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Mask2FormerDetector:
    return load_detector(str(write_detector(tmp_path_factory.mktemp("mask2former") / "coco", 80)))


def test_a_loaded_detector_boxes_its_masks_and_orders_by_confidence(detector: Mask2FormerDetector) -> None:
    assert (detector.shortest, detector.longest) == (64, 128)
    picture = torch.rand(3, 48, 40, generator=torch.Generator().manual_seed(1))
    found = detector.detect(picture)
    assert found
    assert set(found) <= set(CLASSES)
    for detections in found.values():
        confidences = [each.confidence for each in detections]
        assert confidences == sorted(confidences, reverse=True)
        for each in detections:
            assert each.mask is not None
            assert each.mask.shape == (48, 40)
            rows, columns = np.nonzero(each.mask)
            assert each.box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert 0 < each.confidence <= 1


def test_a_confidence_is_the_class_times_the_mean_within_the_mask(detector: Mask2FormerDetector) -> None:
    class Found:
        class_queries_logits = torch.full((1, 1, 81), -50.0).index_fill(2, torch.tensor([5, 80]), 0.0)
        masks_queries_logits = torch.full((1, 1, 8, 8), -3.0)

    Found.masks_queries_logits[..., 2:6, 0:4] = 2.0

    class Network(torch.nn.Module):
        def forward(self, pixel_values: Tensor) -> type[Found]:
            return Found

    found = Mask2FormerDetector(Network(), 8, 8).detect(torch.zeros(3, 8, 8))
    bus = found["bus"][0]
    assert bus.box == (0, 2, 4, 6)
    # No object is as likely as a bus, so its probability is a half; within the mask it is sigmoid(2).
    assert bus.confidence == pytest.approx(0.5 / (1 + np.exp(-2)), rel=1e-4)


def test_a_detector_that_is_absent_or_of_other_classes_is_refused_with_the_cure(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="hf download facebook/mask2former-swin-small-coco-instance"):
        load_detector(str(tmp_path / "nowhere"))
    with pytest.raises(ValueError, match="knows 133 classes, but GenEval asks for COCO's 80"):
        load_detector(str(write_detector(tmp_path / "panoptic", 133)))


class ColourEye:
    """Stands in for a CLIP: embeds a picture as its mean colour, and a text as the colour that it names."""

    def __init__(self) -> None:
        self.seen: list[Tensor] = []
        self.texts: list[str] = []

    def embed_pictures(self, pictures: Tensor) -> Tensor:
        self.seen.append(pictures)
        return torch.nn.functional.normalize(pictures.mean((2, 3)), dim=-1)

    def embed_prompts(self, texts: Sequence[str]) -> Tensor:
        self.texts += texts
        basis = {"red": (1.0, 0, 0), "green": (0, 1.0, 0), "blue": (0, 0, 1.0)}
        return torch.tensor([next((basis[c] for c in basis if f" {c}" in text), (0.0, 0, 0)) for text in texts])


def half_and_half() -> tuple[Tensor, Detection, Detection]:
    """Left red, right blue, and an object in each half."""
    picture = torch.zeros(3, 8, 16)
    picture[0, :, :8] = 1
    picture[2, :, 8:] = 1
    left, right = np.zeros((8, 16), bool), np.zeros((8, 16), bool)
    left[2:6, 2:6], right[2:6, 10:14] = True, True
    return picture, Detection((2, 2, 6, 6), 0.9, left), Detection((10, 2, 14, 6), 0.8, right)


def test_an_object_is_cut_out_on_grey() -> None:
    picture, left, _ = half_and_half()
    assert left.mask is not None
    left.mask[2, 2] = False
    crop = cut_out(picture, left)
    assert crop.shape == (3, 4, 4)
    torch.testing.assert_close(crop[:, 0, 0], torch.full((3,), 0.6))
    assert crop[:, 1, 1].tolist() == [1, 0, 0]


def test_colours_are_named_with_the_benchmarks_templates_once_a_class() -> None:
    eye = ColourEye()
    classifier = ColourClassifier(eye)  # type: ignore[arg-type]
    picture, left, right = half_and_half()
    assert classifier.name(picture, [left, right], "cup") == ["red", "blue"]
    assert classifier.name(picture, [right], "cup") == ["blue"]
    assert len(eye.texts) == len(COLOURS) * len(TEMPLATES)
    assert eye.texts[:3] == ["a photo of a red cup", "a photo of a red-colored cup", "a photo of a red object"]


def test_a_verdict_tells_clauses_and_what_was_found() -> None:
    picture, left, right = half_and_half()

    class Drawn:
        def detect(self, picture: Tensor) -> dict[str, list[Detection]]:
            return {"cup": [left], "book": [right]}

    geneval = GenEval(Drawn(), ColourClassifier(ColourEye()), Thresholds(), "drawn")  # type: ignore[arg-type]
    include = [{"class": "cup", "count": 1, "color": "red"}, {"class": "book", "count": 1, "color": "green"}]
    verdict = geneval.judge(picture, {"tag": "color_attr", "include": include})
    assert (verdict.is_correct, verdict.dense) == (False, 0.5)
    assert [condition.is_satisfied for condition in verdict.conditions] == [True, False]
    assert verdict.conditions[1].text == "at least 1 green book: blue found"
    assert [(each.shape, each.box) for each in verdict.found] == [("cup", left.box), ("book", right.box)]
