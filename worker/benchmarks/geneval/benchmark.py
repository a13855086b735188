"""GenEval of pictures: detector, colours and rules as one, and the words that say what stood in for what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from backend.schemas.benchmark import GenEvalConfig
from backend.schemas.sample import Condition, FoundObject, VerdictRecord
from worker.benchmarks.geneval.colours import ColourClassifier
from worker.benchmarks.geneval.detector import load_detector
from worker.benchmarks.geneval.rules import Detection, Thresholds, judge, kept
from worker.rewards.clip_score import load_clip_score


class Detector(Protocol):
    """What finds objects."""

    def detect(self, picture: Tensor) -> dict[str, list[Detection]]:
        """The objects of a (3, H, W) picture in [0, 1], by class."""
        ...


@dataclass(frozen=True, eq=False)
class GenEval:
    """Judges pictures by their prompts' metadata."""

    detector: Detector
    colours: ColourClassifier
    thresholds: Thresholds
    note: str

    def judge(self, picture: Tensor, metadata: Mapping[str, Any]) -> VerdictRecord:
        """What a (3, H, W) picture in [0, 1] shows of what its prompt asks for.

        The benchmark has no strict verdict, so it is the same as the other; `dense` is the share of clauses that hold.
        """
        found = kept(self.detector.detect(picture), str(metadata["tag"]), self.thresholds)
        clauses = judge(
            metadata,
            found,
            lambda objects, name: self.colours.name(picture, objects, name),
            self.thresholds.position,
        )
        is_correct = all(clause.is_satisfied for clause in clauses)
        return VerdictRecord(
            is_correct=is_correct,
            is_strict=is_correct,
            dense=sum(clause.is_satisfied for clause in clauses) / max(1, len(clauses)),
            conditions=tuple(Condition(text=clause.text, is_satisfied=clause.is_satisfied) for clause in clauses),
            found=tuple(
                FoundObject(shape=name, colour="", box=each.box, confidence=each.confidence)
                for name, detections in found.items()
                for each in detections
            ),
        )


def load_geneval(config: GenEvalConfig) -> GenEval:
    """The benchmark with the networks that a configuration names.

    Raises:
        ValueError: one is absent or another model; the error says what to download.
    """
    note = (
        f"objects by transformers' Mask2Former {config.detector}, which stands in for mmdet's; colours by CLIP "
        f"{config.clip or 'laion/CLIP-ViT-H-14-laion2B-s32B-b79K'}, which stands in for openai's ViT-L-14 unless it is "
        "that one"
    )
    thresholds = Thresholds(
        config.threshold,
        config.counting_threshold,
        config.max_objects,
        config.max_overlap,
        config.position_threshold,
    )
    return GenEval(
        load_detector(config.detector), ColourClassifier(load_clip_score(config.clip).clip), thresholds, note
    )
