"""A recipe of the real size as a whole job on a GPU, random weights: seconds and memory against the preflight.

python -m tests.bench.measured_gpu FOLDER RECIPE [--steps 2] [--set PATH=VALUE ...]. FOLDER gets random weights of the
published architectures once (Show-o 5.8 GB, its tokenizer, CLIP ViT-H 4 GB), then the run's files. It is the recipe
itself, through the same job as from the page; only the sources and the number of steps are others.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import torch
import yaml

from backend.artifacts import RunFolder
from backend.preflight.service import preflight
from backend.schemas.config import TrainConfig
from backend.schemas.event import Body, CheckpointSaved, StepFinished
from backend.schemas.preflight import PreflightRequest
from tests.bench.middle import Middle, middle_policy
from tests.results.trials import changed
from worker.__main__ import perform
from worker.jobs.device_rate import note_device
from worker.showo.loading import save_policy
from worker.showo.policy import ShowoPolicy
from worker.showo.vq import MagvitV2, VQConfig
from worker.showo.weights import write_weights

RECIPES = Path("backend/recipes")
CLIP_ARCHITECTURE = "ViT-H-14"
GIB = 1 << 30


def random_policy(folder: Path, grid_size: int) -> Path:
    """A Show-o of the published size with the published tokenizer, random, as a model folder."""
    path = folder / f"show-o-{grid_size}"
    if not path.is_dir():
        small = middle_policy(Middle(hidden_size=2048, num_layers=24, grid_size=grid_size))
        torch.manual_seed(0)
        magvit = MagvitV2(VQConfig(resolution=16 * grid_size))
        # The picture tokenizer's 16 pixels a code give the same grid as the policy's.
        save_policy(ShowoPolicy(small.showo, magvit.eval(), small.tokenizer), path)
    return path


def random_clip(folder: Path) -> Path:
    """CLIP ViT-H-14, random, as one file of weights."""
    path = folder / "clip-h.safetensors"
    if not path.is_file():
        import open_clip  # noqa: PLC0415 - only where a recipe asks for it.

        with torch.device("cuda"):
            model = open_clip.create_model(CLIP_ARCHITECTURE, load_weights=False)
        write_weights(path, {name: tensor.clone() for name, tensor in model.state_dict().items()})
    return path


def config_of(recipe: str, folder: Path, num_steps: int, settings: dict[str, Any]) -> TrainConfig:
    """The recipe with sources that are there."""
    content = yaml.safe_load((RECIPES / f"{recipe}.yaml").read_text())
    grid_size = 32 if "512" in content["policy"]["source"] else 16
    content["policy"]["source"] = str(random_policy(folder, grid_size))
    for reward in content["rewards"]:
        reward["source"] = f"{CLIP_ARCHITECTURE}:{random_clip(folder)}"
    lengths = {"num_steps": num_steps, "checkpoints.every_num_steps": num_steps, "optimizer.num_warmup_steps": 0}
    return TrainConfig.model_validate(changed(changed(content, lengths), settings))


class Listener:
    """Notes seconds and peaks of the job's events."""

    def __init__(self) -> None:
        self.steps: list[dict[str, float]] = []
        self.saving: dict[str, float] = {}
        self._since = time.perf_counter()

    def __call__(self, body: Body) -> None:
        """Hears one event."""
        now = time.perf_counter()
        if isinstance(body, StepFinished):
            timed = {name: value for name, value in body.metrics.items() if name.startswith("seconds/") and value}
            peaks = {
                "allocated": torch.cuda.max_memory_allocated() / GIB,
                "kept": torch.cuda.max_memory_reserved() / GIB,
            }
            self.steps.append({"seconds": body.seconds, **timed, **peaks})
            print(f"step {body.step}: " + ", ".join(f"{name} {value:.2f}" for name, value in self.steps[-1].items()))
        if isinstance(body, CheckpointSaved):
            self.saving = {"seconds": now - self._since, "gigabytes": body.num_bytes / 1e9, "host GiB": host_peak()}
            print("checkpoint: " + ", ".join(f"{name} {value:.1f}" for name, value in self.saving.items()))
        self._since = now


def host_peak() -> float:
    """The largest resident memory of this process, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB


def main() -> int:
    """Prints both sides; 0 when the job succeeded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("recipe")
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--set", action="append", default=[], metavar="PATH=VALUE")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    arguments = parser.parse_args()
    settings = {path: yaml.safe_load(value) for path, _, value in (each.partition("=") for each in arguments.set)}
    config = config_of(arguments.recipe, arguments.folder, arguments.steps, settings)
    run = RunFolder(arguments.folder / "runs" / arguments.recipe)
    shutil.rmtree(run.root, ignore_errors=True)
    run.root.mkdir(parents=True)
    note_device(config.policy, run)
    wanted = preflight(PreflightRequest(config=config), (), run.root.parent)
    print(f"== {arguments.recipe} on {wanted.device.name}, torch {torch.__version__} ==")
    print(f"preflight: {wanted.device.rate_source}")
    print(f"preflight: rollout {wanted.seconds_rollout:.1f} s, update {wanted.seconds_update:.1f} s a step; ", end="")
    print(f"peak {wanted.peak_bytes / GIB:.1f} GiB at the {wanted.peak_moment}: ", end="")
    print(", ".join(f"{part.name} {part.num_bytes / GIB:.1f}" for part in wanted.parts))
    listener = Listener()
    torch.cuda.reset_peak_memory_stats()
    perform(config, run, listener)
    print(f"host memory at the peak: {host_peak():.1f} GiB")
    if arguments.json:
        found = {"steps": listener.steps, "checkpoint": listener.saving, "preflight": wanted.model_dump(mode="json")}
        arguments.json.write_text(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
