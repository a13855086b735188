"""The rewards that a run can be trained on, and the settings of each part of their sum."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from backend.schemas.base import Section, unit
from backend.schemas.every_run import ALIAS_PREFIX


class RewardName(StrEnum):
    """The rewards a run can be trained on; docs/rewards.md says what each needs."""

    CORRECT = "correct"  # 1 when the verifier finds all that the prompt asks for, else 0.
    DENSE = "dense"  # Share of the prompt's conditions that hold.
    STRICT = "strict"  # 1 when correct and nothing extra is in the picture, else 0.
    JPEG_SIZE = "jpeg_size"  # Size of the picture as JPEG, in KiB, negated: rewards plain pictures.
    CLIP = "clip"  # Cosine of picture and prompt in a CLIP: the paper's reward.
    PICKSCORE = "pickscore"  # PickScore: people's choices between pictures of one prompt.
    HPS = "hps"  # HPSv2.1: people's preferences, cosine in a tuned CLIP.
    AESTHETIC = "aesthetic"  # LAION's aesthetic predictor, about 1 to 10; sees no prompt.
    IMAGE_REWARD = "image_reward"  # ImageReward: people's rankings, about -2 to 2.
    LEARNED = "learned"  # A reward model of this studio, tuned on people's votes; its source is run:<id>.
    REMOTE = "remote"  # What a server answers: for rewards that need an environment of their own.


class RewardNormalisation(StrEnum):
    """What happens to a part's values before its weight; the breakdown keeps them as they were."""

    NONE = "none"  # Nothing.
    BATCH = "batch"  # Minus the mean, over the standard deviation, of the pictures judged together.
    AFFINE = "affine"  # Minus a given mean, over a given standard deviation.


class RewardPrecision(StrEnum):
    """The number format of a reward model's weights and products; scores are float32 always."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


# The others are the verifier, which has no weights, and a file's size.
WEIGHTED_NETWORKS = frozenset(
    {
        RewardName.CLIP,
        RewardName.PICKSCORE,
        RewardName.HPS,
        RewardName.AESTHETIC,
        RewardName.IMAGE_REWARD,
        RewardName.LEARNED,
    }
)
SHIPPED = "shipped"


class RewardConfig(Section):
    """One part of the reward and its weight in the sum."""

    name: RewardName = Field(title="Reward", description="Which reward.")
    weight: float = Field(1.0, ge=-1000, le=1000, title="Weight", description="Its factor in the weighted sum.")
    source: str = Field(
        "",
        max_length=1000,
        title="Source",
        description="Weights: a folder, a hub name in this machine's cache, or architecture:file; shipped = the tiny "
        "CLIP. For learned, run:<id> or alias:<name> of the reward model; for remote, the server's URL.",
    )
    alias: str = Field(
        "",
        max_length=40,
        title="Alias",
        description="The alias that source was taken from; the studio writes it.",
        json_schema_extra={"readOnly": True},
    )
    normalisation: RewardNormalisation = Field(
        RewardNormalisation.NONE,
        title="Normalisation",
        description="batch: z-score over the pictures judged together; affine: by the mean and deviation below.",
    )
    mean: float = Field(0.0, ge=-1e6, le=1e6, title="Mean", description="Subtracted when normalisation is affine.")
    std: float = Field(1.0, gt=0, le=1e6, title="Deviation", description="Divides when normalisation is affine.")
    precision: RewardPrecision = Field(
        RewardPrecision.FLOAT32, title="Precision", description="Of a reward model; halves need a GPU to be fast."
    )
    timeout_s: float = Field(
        60.0,
        gt=0,
        le=3600,
        title="Timeout",
        description="For remote: the longest wait for one answer.",
        json_schema_extra=unit("s"),
    )

    @model_validator(mode="after")
    def _settings_take_effect(self) -> Self:
        if self.name is RewardName.REMOTE and not _is_server(self.source):
            raise ValueError(
                f"rewards: remote needs its server's URL as source, http://host:port, the port 1 to 65535, without a "
                f"password, a query or a fragment in it; got {self.source!r}"
            )
        if self.name is RewardName.LEARNED and not self.source:
            raise ValueError(
                "rewards: learned needs a reward model as source: run:<id>, as the page Rewards lists them"
            )
        if self.name is not RewardName.LEARNED and (self.alias or self.source.startswith(ALIAS_PREFIX)):
            raise ValueError(
                f"rewards: an alias stands for a reward model or a policy, so it is no source of {self.name}: name its "
                "weights, or take the reward learned"
            )
        if self.source == SHIPPED and self.name is not RewardName.CLIP:
            raise ValueError(f"rewards: source is shipped, but no weights of {self.name} are: give a folder")
        if self.source and self.name not in WEIGHTED_NETWORKS | {RewardName.REMOTE}:
            raise ValueError(f"rewards: {self.name} has no weights, so source {self.source!r} has no effect: empty it")
        if self.precision is not RewardPrecision.FLOAT32 and self.name not in WEIGHTED_NETWORKS:
            raise ValueError(f"rewards: {self.name} is no network, so precision {self.precision} has no effect")
        default_wait = type(self).model_fields["timeout_s"].default
        if self.timeout_s != default_wait and self.name is not RewardName.REMOTE:
            raise ValueError(f"rewards: {self.name} waits for no server, so timeout_s {self.timeout_s:g} has no effect")
        is_affine = self.normalisation is RewardNormalisation.AFFINE
        if not is_affine and (self.mean, self.std) != (0.0, 1.0):
            raise ValueError(
                f"rewards: mean {self.mean} and std {self.std} of {self.name} have no effect while normalisation is "
                f"{self.normalisation}: set it to affine"
            )
        return self


def _is_server(source: str) -> bool:
    """Whether a source is a URL of which nothing would be dropped when scores are asked of it."""
    if not re.fullmatch(r"https?://[^/\s@?#]+(/[^\s?#]*)?", source):
        return False
    try:
        address = urlsplit(source)
        return bool(address.hostname) and address.port != 0
    except ValueError:  # A port that is no number or out of range, or brackets that do not close.
        return False


def idle_settings(name: RewardName, normalisation: RewardNormalisation) -> frozenset[str]:
    """The settings of a part that have no effect and so have to keep their defaults, as the model itself demands."""
    idle = set()
    if name not in WEIGHTED_NETWORKS | {RewardName.REMOTE}:
        idle.add("source")
    if name not in WEIGHTED_NETWORKS:
        idle.add("precision")
    if name is not RewardName.REMOTE:
        idle.add("timeout_s")
    if normalisation is not RewardNormalisation.AFFINE:
        idle |= {"mean", "std"}
    return frozenset(idle)
