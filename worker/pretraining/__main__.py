"""`python -m worker.pretraining FOLDER`: both stages on this machine, resumable, scored every few minutes."""

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from backend.schemas.algorithm import SamplingConfig
from backend.schemas.config import PretrainConfig
from worker.pretraining.scoring import score
from worker.pretraining.tokenizer_stage import TokenizerStage
from worker.pretraining.transformer_stage import TransformerStage
from worker.showo.loading import save_policy


def main() -> None:
    """Read the command line, then train one stage after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where checkpoints, scores and the policy go")
    parser.add_argument("--config", default="{}", help="a PretrainConfig as JSON")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--score-every", type=float, default=150.0, help="seconds")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.folder.mkdir(parents=True, exist_ok=True)
    config = PretrainConfig.model_validate_json(arguments.config)
    tokenizer = TokenizerStage(config)
    train(tokenizer, arguments.folder, float("inf"), config.evaluation_sampling)
    transformer = TransformerStage(config, tokenizer.magvit)
    train(transformer, arguments.folder, arguments.score_every, config.evaluation_sampling)


def train(stage: Any, folder: Path, score_every: float, sampling: SamplingConfig) -> None:
    """Train one stage to its end, with a checkpoint a minute and a score every `score_every` seconds."""
    name = type(stage).__name__
    checkpoint = folder / f"{name}.pt"
    if checkpoint.exists():
        stage.load_state_dict(torch.load(checkpoint, weights_only=True))
    started = saved = scored = time.monotonic()
    for step in stage.steps():
        now = time.monotonic()
        if step.step % 50 == 0:
            print(name, step.step, f"{now - started:.0f}s", json.dumps(step.metrics), flush=True)
        if now - saved > 60:
            save(stage, checkpoint)
            saved = now
        if now - scored > score_every:
            report(stage, folder, 180, sampling)
            scored = time.monotonic()
    save(stage, checkpoint)
    if score_every < float("inf"):
        report(stage, folder, 540, sampling)


def save(stage: Any, path: Path) -> None:
    """Write a checkpoint whole or not at all."""
    temporary = path.with_suffix(".new")
    torch.save(stage.state_dict(), temporary)
    os.replace(temporary, path)


def report(stage: TransformerStage, folder: Path, num_prompts: int, sampling: SamplingConfig) -> None:
    """Print the held-out score, and leave the policy and a contact sheet in the folder."""
    started = time.monotonic()
    scores, pictures = score(stage.policy.eval(), num_prompts, sampling)
    line = {"step": stage.step, **{name: round(value, 3) for name, value in scores.items()}}
    print("SCORE", json.dumps(line), f"{time.monotonic() - started:.0f}s", flush=True)
    rows = pictures[:60].unflatten(0, (6, 10)).permute(0, 2, 1, 3, 4).flatten(0, 1).flatten(1, 2)
    Image.fromarray(rows.numpy()).resize((1280, 768), Image.Resampling.NEAREST).save(folder / "sheet.png")
    save_policy(stage.policy, folder / "policy")


if __name__ == "__main__":
    main()
