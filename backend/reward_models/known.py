"""What each reward rewards and needs, and whether its weights are on this machine. Reads names of files alone."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from backend.artifacts import sha256_of
from backend.runs.policies import SHIPPED_POLICY
from backend.schemas.known_reward import Availability, KnownReward
from backend.schemas.reward import SHIPPED, RewardName

SHIPPED_CLIP = SHIPPED_POLICY / "clip" / "open_clip_model.safetensors"
# Published names that stand in for an empty source.
HUB_NAMES: Mapping[RewardName, str] = {
    RewardName.PICKSCORE: "yuvalkirstain/PickScore_v1",
    RewardName.HPS: "xswu/HPSv2",
}
NUM_SHOWN = 12


class About(NamedTuple):
    """A reward in words."""

    rewards: str
    needs: str = ""


ABOUT: Mapping[RewardName, About] = {
    RewardName.CORRECT: About("All that the prompt asks for is there, by the small world's verifier: 1, else 0"),
    RewardName.DENSE: About("The share of the prompt's conditions that hold, by the verifier"),
    RewardName.STRICT: About("All that was asked and nothing more, by the verifier: 1, else 0"),
    RewardName.JPEG_SIZE: About("Plain pictures: the size as JPEG in KiB, negated"),
    RewardName.CLIP: About(
        "Likeness of picture and prompt: a cosine in a CLIP",
        "The tiny CLIP ships; for the world at large one of open_clip's models",
    ),
    RewardName.PICKSCORE: About("People's choices between pictures of one prompt", "hf download {hub}"),
    RewardName.HPS: About(
        "People's preferences, as a cosine in a tuned CLIP", "hf download {hub} HPS_v2.1_compressed.pt"
    ),
    RewardName.AESTHETIC: About(
        "Pleasing pictures, whatever the prompt", "A folder with LAION's head and a CLIP ViT-L/14"
    ),
    RewardName.IMAGE_REWARD: About(
        "People's rankings, about -2 to 2", "A folder with ImageReward.pt and BERT's vocab.txt"
    ),
    RewardName.LEARNED: About(
        "What the people who voted here would choose: the log-odds of a preference",
        "A reward model of this studio that is better than chance",
    ),
    RewardName.REMOTE: About("Whatever a server answers", "The address of the server"),
}


def known_rewards(*, has_learned: bool) -> list[KnownReward]:
    """All rewards in the order of their names' definition.

    Args:
        has_learned: whether there is a reward model that may be trained on.
    """
    return [_known(name, has_learned) for name in RewardName]


def hub_folder(name: str) -> Path | None:
    """The newest snapshot of a hub name in this machine's cache; None where it is not."""
    home = os.environ.get("HF_HOME") or str(Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "huggingface")
    cache = Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub").expanduser()
    snapshots = cache / f"models--{name.replace('/', '--')}" / "snapshots"
    found = sorted(snapshots.iterdir(), key=lambda path: path.stat().st_mtime) if snapshots.is_dir() else []
    return found[-1] if found else None


def _known(name: RewardName, has_learned: bool) -> KnownReward:
    about, hub = ABOUT[name], HUB_NAMES.get(name, "")
    source, version, availability = hub, "", Availability.BY_SOURCE
    if not about.needs:
        availability = Availability.HERE
    elif name is RewardName.CLIP:
        source, version, availability = SHIPPED, f"sha256 {sha256_of(SHIPPED_CLIP)[:NUM_SHOWN]}", Availability.HERE
    elif name is RewardName.LEARNED:
        availability = Availability.HERE if has_learned else Availability.MISSING
    elif hub:
        folder = hub_folder(hub)
        availability = Availability.MISSING if folder is None else Availability.HERE
        version = "" if folder is None else f"commit {folder.name[:NUM_SHOWN]}"
    return KnownReward(
        name=name,
        rewards=about.rewards,
        needs=about.needs.format(hub=hub),
        source=source,
        version=version,
        availability=availability,
    )
