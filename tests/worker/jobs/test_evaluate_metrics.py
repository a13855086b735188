"""Evaluations with diversity, FID and KID, and GenEval on a prompt set with a tiny detector: through the whole job."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from backend.artifacts import RunFolder
from backend.prompt_files import Prompt, content_of, sets_beside
from backend.schemas.event import Body, SamplesMade, ScoreMeasured
from backend.schemas.picture_runs import EvaluateConfig
from tests.worker.benchmarks.geneval.tiny_detector import write_detector
from tests.worker.jobs.driving import drive
from worker.jobs import run_job


def config_of(policy_folder: Path, **changes: Any) -> EvaluateConfig:
    policy = {"source": str(policy_folder), "num_threads": 1, "device": "cpu"}
    values: dict[str, Any] = {
        "kind": "evaluate",
        "policy": policy,
        "num_prompts": 6,
        "samples_per_prompt": 2,
        "batch_size": 8,
        "num_replayed": 0,
        "sampling": {"num_unmasking_steps": 2},
    }
    return EvaluateConfig.model_validate(values | changes)


def scores(bodies: list[Body]) -> dict[str, ScoreMeasured]:
    return {body.policy: body for body in bodies if isinstance(body, ScoreMeasured)}


def test_diversity_is_measured_of_each_policy_and_paired_by_prompt(policy_folder: Path, folder: RunFolder) -> None:
    config = config_of(policy_folder, base={"source": "shipped"}, diversity={"near_duplicate_distance": 2})
    found = scores(drive(run_job(config, folder))[0])
    for name in ("diversity", "pixel_diversity", "near_duplicates"):
        one, two, both = (found[policy].values[name] for policy in ("base", "policy", "difference"))
        assert one is not None
        assert two is not None
        assert both == pytest.approx(two - one)
        assert name in found["difference"].intervals
    assert found["policy"].values["near_duplicates"] == 1, "every pair is nearer than 2"
    assert "CLIP shipped" in found["policy"].notes["diversity"]


def test_a_single_picture_is_refused_by_fid_before_it_is_made(
    policy_folder: Path, folder: RunFolder, tmp_path: Path
) -> None:
    for level in (0, 255):
        Image.new("RGB", (64, 64), (level, 0, 0)).save(tmp_path / f"{level}.png")
    config = config_of(
        policy_folder,
        prompts={"texts": ["a red circle"]},
        samples_per_prompt=1,
        reference={"folder": str(tmp_path), "kid_subset_size": 2},
    )
    with pytest.raises(ValueError, match="at least 2 pictures of a policy, and 1 prompt x samples_per_prompt 1"):
        drive(run_job(config, folder))
    assert not folder.path("samples").exists()


def test_pictures_of_the_reference_itself_are_near_it(policy_folder: Path, folder: RunFolder, tmp_path: Path) -> None:
    drive(run_job(config_of(policy_folder), RunFolder(tmp_path / "real")))
    real = tmp_path / "real" / "samples"
    reference = {"folder": str(real), "kid_subset_size": 6, "num_kid_subsets": 10}
    near = scores(drive(run_job(config_of(policy_folder, reference=reference), folder))[0])["policy"]
    far = tmp_path / "far"
    far.mkdir()
    for level in (0, 120, 255):
        Image.new("RGB", (64, 64), (level, 0, 0)).save(far / f"{level}.png")
    config = config_of(policy_folder, reference=reference | {"folder": str(far), "kid_subset_size": 3})
    away = scores(drive(run_job(config, RunFolder(tmp_path / "second")))[0])["policy"]
    assert near.values["fid"] == pytest.approx(0, abs=1e-4)
    assert (away.values["fid"] or 0) > 0.1
    assert (away.values["kid"] or 0) > (near.values["kid"] or 0)
    assert near.values["kid_standard_error"] is not None
    assert near.notes["fid"] == "features: CLIP shipped; 12 pictures against 12"
    # Of 12 pictures with 96 features.
    assert "fid_infinity" not in near.values
    assert "not extrapolated" in near.notes["fid_infinity"]


def test_distances_have_intervals_and_differences_paired_by_prompt(
    policy_folder: Path, folder: RunFolder, tmp_path: Path
) -> None:
    real = tmp_path / "three"
    real.mkdir()
    for level in (0, 120, 255):
        Image.new("RGB", (64, 64), (level, 90, 0)).save(real / f"{level}.png")
    reference = {"folder": str(real), "kid_subset_size": 3, "num_kid_subsets": 10}
    config = config_of(policy_folder, base={"source": "shipped"}, reference=reference)
    found = scores(drive(run_job(config, folder))[0])
    # Three pictures have two dimensions, so that a dozen are enough to extrapolate.
    for name in ("fid", "fid_infinity", "kid"):
        one, two, both = (found[policy].values[name] for policy in ("base", "policy", "difference"))
        assert one is not None
        assert two is not None
        assert both == pytest.approx(two - one)
        for policy in ("base", "policy", "difference"):
            low, high = found[policy].intervals[name]
            assert low <= (found[policy].values[name] or 0) <= high
            assert low < high
    assert found["base"].values["fid_infinity"] != found["base"].values["fid"]


def test_a_missing_reference_is_told_before_any_picture_is_made(policy_folder: Path, folder: RunFolder) -> None:
    with pytest.raises(ValueError, match="there is no folder"):
        drive(run_job(config_of(policy_folder, reference={"folder": "/nowhere"}), folder))
    assert not folder.path("samples").exists()


@pytest.fixture
def geneval(tmp_path: Path, folder: RunFolder) -> dict[str, Any]:
    """Settings of GenEval with a tiny detector, and two prompts of its metadata as a prompt set."""
    lines = [
        {"tag": "counting", "include": [{"class": "bus", "count": 2}], "prompt": "a photo of two buses"},
        {"tag": "colors", "include": [{"class": "car", "count": 1, "color": "red"}], "prompt": "a photo of a red car"},
    ]
    prompts = [Prompt(str(line["prompt"]), str(line["tag"]), geneval=line) for line in lines]
    content = content_of(prompts)
    sha256 = hashlib.sha256(content).hexdigest()
    sets = sets_beside(folder.root.parent)
    sets.mkdir()
    (sets / f"{sha256}.jsonl").write_bytes(content)
    detector = write_detector(tmp_path / "detector", 80)
    # Random weights are sure of nothing, so that every detection is wanted.
    settings = {"detector": str(detector), "clip": "shipped", "threshold": 0, "counting_threshold": 0}
    return {"prompts": {"prompt_set": sha256}, "geneval": settings}


def test_geneval_judges_every_picture_by_its_prompts_metadata(
    policy_folder: Path, folder: RunFolder, geneval: dict[str, Any]
) -> None:
    bodies, _ = drive(run_job(config_of(policy_folder, samples_per_prompt=4, **geneval), folder))
    (groups,) = (body.groups for body in bodies if isinstance(body, SamplesMade))
    assert [group.task for group in groups] == ["counting", "colors"]
    by_task = {}
    for group in groups:
        verdicts = [sample.verdict for sample in group.samples]
        assert all(verdict is not None and verdict.conditions and verdict.found for verdict in verdicts)
        correct = [float(verdict.is_correct) for verdict in verdicts if verdict is not None]
        assert [sample.reward for sample in group.samples] == correct
        by_task[group.task] = sum(correct) / 4
    found = scores(bodies)["policy"]
    assert found.benchmark == "geneval"
    assert found.values == by_task | {"overall": pytest.approx((by_task["counting"] + by_task["colors"]) / 2)}
    assert "stands in for mmdet's" in found.notes["geneval"]


def test_geneval_without_its_metadata_is_refused_with_the_cure(
    policy_folder: Path, folder: RunFolder, geneval: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match=r"GenEval's own evaluation_metadata\.jsonl"):
        drive(run_job(config_of(policy_folder, geneval=geneval["geneval"]), folder))


def test_a_prompt_set_that_is_not_there_is_refused(policy_folder: Path, folder: RunFolder) -> None:
    with pytest.raises(ValueError, match="has no such version"):
        drive(run_job(config_of(policy_folder, prompts={"prompt_set": "0" * 64}), folder))
