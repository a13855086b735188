"""What an evaluation may measure beside mini-GenEval: whose pictures, on which prompts, by which further metrics."""

from __future__ import annotations

from pydantic import Field

from backend.schemas.base import Section
from backend.schemas.prompts import PromptConfig, PromptSplit


class LabelledPolicy(Section):
    """A further policy of an evaluation; device, threads and precision are those of `policy`."""

    label: str = Field(
        pattern=r"^[a-z0-9][a-z0-9._-]{0,39}$",
        title="Label",
        description="Names it in figures and pictures, as step-20: lower case, digits, dots, dashes.",
    )
    source: str = Field(
        "shipped", min_length=1, max_length=1000, title="Policy", description="As of the model: shipped, run:<id>, ..."
    )
    alias: str = Field(
        "",
        max_length=40,
        title="Alias",
        description="The alias that source was taken from; the studio writes it.",
        json_schema_extra={"readOnly": True},
    )


class EvaluationPromptConfig(PromptConfig):
    """What is shown: the small world's held-out captions, own prompts, or a prompt set."""

    split: PromptSplit = Field(
        PromptSplit.HELDOUT, title="Captions", description="Of the small world; training saw those of train."
    )


class DiversityConfig(Section):
    """How unlike the pictures of one prompt are, and how many are nearly the same."""

    clip: str = Field(
        "shipped", max_length=1000, title="CLIP", description="Whose features: as the source of the reward clip."
    )
    near_duplicate_distance: float = Field(
        0.02, ge=0, le=2, title="Near-duplicates", description="Pairs with a cosine distance below this count as one."
    )


class ReferenceConfig(Section):
    """FID and KID: how far the pictures are from a folder of real ones."""

    folder: str = Field("", max_length=1000, title="Reference folder", description="Pictures, also in sub-folders.")
    inception: str = Field(
        "", max_length=1000, title="Inception weights", description="torchvision's InceptionV3 file; empty = the CLIP."
    )
    clip: str = Field(
        "shipped", max_length=1000, title="CLIP instead", description="Whose features where no Inception is given."
    )
    kid_subset_size: int = Field(100, ge=2, le=10_000, title="KID subset", description="Pictures a subset.")
    num_kid_subsets: int = Field(100, ge=2, le=10_000, title="KID subsets", description="Subsets drawn.")


class GenEvalConfig(Section):
    """GenEval itself: an object detector and a CLIP for colours judge prompts that carry its metadata."""

    detector: str = Field(
        "facebook/mask2former-swin-small-coco-instance",
        max_length=1000,
        title="Detector",
        description="A Mask2Former for COCO instances: a folder, or a hub name in this machine's cache.",
    )
    clip: str = Field(
        "",
        max_length=1000,
        title="CLIP for colours",
        description="As the source of the reward clip; GenEval's is openai's ViT-L-14, as ViT-L-14-quickgelu:FILE.",
    )
    threshold: float = Field(0.3, ge=0, le=1, title="Threshold", description="A detection's least confidence.")
    counting_threshold: float = Field(0.9, ge=0, le=1, title="Counting", description="The same, where objects count.")
    max_objects: int = Field(16, ge=1, le=1000, title="Objects a class", description="The most confident are kept.")
    max_overlap: float = Field(
        1.0, ge=0, le=1, title="Overlap", description="IoU from which the less confident box goes; 1 = none goes."
    )
    position_threshold: float = Field(
        0.1, ge=0, le=1, title="Position", description="Share of both sizes that an offset must exceed."
    )
