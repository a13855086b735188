"""What judges an evaluation's pictures beside the verifier: detector, CLIPs, Inception; their numbers and operations.

The figures of published networks were counted on their architectures, which a test builds again. No weights, no torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from backend.errors import NotFoundError
from backend.preflight.advice import Estimated
from backend.preflight.plan import Judging
from backend.preflight.reward_model import Tower, towers_of
from backend.schemas.picture_runs import EvaluateConfig
from backend.schemas.reward import SHIPPED, RewardName, RewardPrecision

FLOAT, HALF = 4, 2
MIB = 1 << 20
# Pictures of a reference that are read at once, as worker/benchmarks/features.py does.
REFERENCE_BATCH = 32
# Widths a token that a transformer's block holds at once without a backward pass: input, normed, and the MLP's inside.
HELD_A_BLOCK = 10


@dataclass(frozen=True)
class Network:
    """A network that sees pictures."""

    name: str
    num_parameters: int
    operations: float
    """of one picture, a multiplication and an addition as two"""
    activation_bytes: int
    """held at once, of one picture"""


# Swin-S and its decoder at 800 x 800, GenEval's size; what it holds was measured on a CPU: 854 MiB.
DETECTOR = Network("Mask2Former, Swin-S", 68_741_083, 441_819_480_064, 854 * MIB)
# torchvision's, with the heads that are loaded and not used; its widest maps are 147 x 147 x 64, three at once.
INCEPTION = Network("InceptionV3", 27_161_264, 11_426_432_192, 3 * 147**2 * 64 * FLOAT)
VIT_H_14 = Network("ViT-H-14", 986_109_441, 334_590_279_680, HELD_A_BLOCK * 257 * 1280 * FLOAT)
VIT_L_14 = Network("ViT-L-14", 427_616_513, 162_025_537_536, HELD_A_BLOCK * 257 * 1024 * FLOAT)
# ImageReward's is a BLIP-L: a ViT-L-16 of pictures, counted as the ViT-L-14, beside a BERT.
BLIP_L = Network("BLIP-L", 446_000_000, VIT_L_14.operations, VIT_L_14.activation_bytes)

REWARD_NETWORKS: Mapping[RewardName, Network] = {
    RewardName.CLIP: VIT_H_14,
    RewardName.PICKSCORE: VIT_H_14,
    RewardName.HPS: VIT_H_14,
    RewardName.AESTHETIC: VIT_L_14,
    RewardName.IMAGE_REWARD: BLIP_L,
}


@dataclass(frozen=True)
class Judge:
    """A network as an evaluation uses it."""

    network: Network
    num_at_once: int
    """pictures"""


def judging_of(config: Estimated, runs_dir: Path) -> Judging:
    """The judges of an evaluation, all loaded before its first picture; of other runs none."""
    if not isinstance(config, EvaluateConfig):
        return Judging()
    # Rewards' weights are counted with those of training runs, in the precision that each names.
    scoring, others = tuple(_rewards(config, runs_dir)), tuple(_others(config, runs_dir))
    every = (*scoring, *others)
    return Judging(
        weight_bytes=FLOAT * sum(judge.network.num_parameters for judge in others),
        activation_bytes=max((judge.network.activation_bytes * judge.num_at_once for judge in every), default=0),
        operations=sum(judge.network.operations for judge in every),
        names=tuple(dict.fromkeys(judge.network.name for judge in every)),
    )


def reward_bytes_of(config: Estimated) -> int:
    """Weights of the reward networks that a run loads."""
    total = 0
    for reward in getattr(config, "rewards", ()):
        network = REWARD_NETWORKS.get(reward.name)
        if network is not None and reward.source != SHIPPED:
            total += network.num_parameters * (FLOAT if reward.precision is RewardPrecision.FLOAT32 else HALF)
    return total


def clip_network(source: str, runs_dir: Path) -> Network:
    """The CLIP of a source, as the reward clip has it; one whose sizes cannot be told counts as a ViT-H-14."""
    for network in (VIT_H_14, VIT_L_14):
        if not source or network.name.lower() in source.lower():
            return network
    try:
        pictures, prompts = towers_of(source, runs_dir)
    except NotFoundError:
        return VIT_H_14
    numbers = pictures.num_parameters + prompts.num_parameters
    return Network(f"CLIP {source}", numbers, pictures.operations, _held(pictures))


def _held(tower: Tower) -> int:
    return HELD_A_BLOCK * tower.num_tokens * tower.width * FLOAT


def _rewards(config: EvaluateConfig, runs_dir: Path) -> Iterator[Judge]:
    for reward in config.rewards:
        network = REWARD_NETWORKS.get(reward.name)
        if reward.name is RewardName.CLIP:
            network = clip_network(reward.source, runs_dir)
        if network is not None:
            yield Judge(network, config.samples_per_prompt)


def _others(config: EvaluateConfig, runs_dir: Path) -> Iterator[Judge]:
    if config.geneval is not None:
        yield Judge(DETECTOR, 1)
        # It looks at objects of which nobody knows the number: counted as one a picture.
        yield Judge(clip_network(config.geneval.clip, runs_dir), 1)
    if config.diversity is not None:
        yield Judge(clip_network(config.diversity.clip, runs_dir), config.samples_per_prompt)
    if config.reference is not None:
        own = config.reference
        yield Judge(INCEPTION if own.inception else clip_network(own.clip, runs_dir), REFERENCE_BATCH)
