"""`unmask sample`, `evaluate` and `run create --watch` on a real studio with the shipped policy: what a person gets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

if TYPE_CHECKING:
    from tests.e2e.conftest import Up

pytestmark = pytest.mark.e2e

UNMASK = str(Path(sys.executable).parent / "unmask")


def test_pictures_scores_and_a_watched_run(start_up: Callable[..., Up], tmp_path: Path) -> None:
    up = start_up()
    up.wait_until_ready()

    def unmask(*words: str) -> subprocess.CompletedProcess[str]:
        # In the data folder's parent, without a URL: the command finds the studio by its data folder.
        environment = {key: value for key, value in os.environ.items() if not key.endswith("_URL")}
        environment["DATA_DIR"] = str(up.data_dir)
        return subprocess.run(
            [UNMASK, *words], env=environment, capture_output=True, text=True, check=False, cwd=tmp_path
        )

    sampled = unmask("sample", "a photo of a circle", "a photo of a star", "--num", "2", "--steps", "4", "--out", "out")
    assert sampled.returncode == 0, sampled.stderr
    pictures = sorted((tmp_path / "out").glob("*.png"))
    assert [picture.name for picture in pictures] == [
        f"{prompt:03}-seed-{seed}.png" for prompt in (0, 1) for seed in (7, 8)
    ]
    for picture in pictures:
        with Image.open(picture) as opened:
            assert opened.size == (64, 64)

    policies = ("--base", "shipped", "--policy", "again=shipped")
    asked = ("--prompt", "a photo of a star", "--prompt", "a photo of two circles", "--reward", "clip=shipped")
    evaluated = unmask("evaluate", "shipped", *policies, *asked, "--diversity", "--steps", "4", "--json")
    assert evaluated.returncode == 0, evaluated.stderr
    document = json.loads(evaluated.stdout)
    assert [score["policy"] for score in document["scores"]] == ["base", "policy", "again"]
    assert {"overall", "clip", "diversity"} <= document["scores"][2]["values"].keys()
    # The same policy from the same seeds makes the same pictures.
    assert [score["values"]["clip"] for score in document["differences"]] == [0, 0]

    (tmp_path / "small.yaml").write_text("kind: train\nnum_steps: 1\nprobe:\n  num_prompts: 0\n")
    changes = ["--set", "rollout={num_prompts: 2, group_size: 2}", "--set", "sampling.num_unmasking_steps=4"]
    watched = unmask("run", "create", "small.yaml", *changes, "--watch", "--json")
    assert watched.returncode == 0, watched.stderr
    assert json.loads(watched.stdout.splitlines()[-1])["body"]["status"] == "succeeded"

    broken = unmask("sample", "a photo of a circle", "--policy", "run:absent", "--num", "1")
    assert broken.returncode == 2
    assert "there is no run absent" in broken.stderr
