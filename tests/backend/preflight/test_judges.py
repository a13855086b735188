"""The networks that judge an evaluation's pictures are counted: as large as they are, in memory and in time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from fastapi.testclient import TestClient
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import Inception3
from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation

from backend.preflight.judges import DETECTOR, INCEPTION, VIT_H_14, VIT_L_14, Network, clip_network, judging_of
from backend.preflight.service import preflight
from backend.schemas.picture_runs import EvaluateConfig
from backend.schemas.preflight import Preflight, PreflightRequest
from worker.rewards.clip_score import load_clip_score

MIB = 1 << 20
GENEVAL = {"geneval": {"clip": "ViT-L-14-quickgelu:/weights/ViT-L-14.pt"}}


def num_parameters(network: nn.Module) -> int:
    return sum(each.numel() for each in network.parameters())


def mask2former() -> Mask2FormerForUniversalSegmentation:
    """As facebook/mask2former-swin-small-coco-instance says: Swin-S, 100 queries, 80 classes."""
    config = Mask2FormerConfig(num_labels=80)
    swin = config.backbone_config
    assert (swin.embed_dim, list(swin.depths), list(swin.num_heads)) == (96, [2, 2, 18, 2], [3, 6, 12, 24])
    assert (config.hidden_dim, config.encoder_layers, config.decoder_layers, config.num_queries) == (256, 6, 10, 100)
    return Mask2FormerForUniversalSegmentation(config).eval()


def told(tmp_path: Path, **config: Any) -> Preflight:
    request = {"config": {"kind": "evaluate", **config}, "accelerator": "H100"}
    return preflight(PreflightRequest.model_validate(request), (), tmp_path / "runs")


def bytes_of(found: Preflight) -> dict[str, int]:
    return {part.name: part.num_bytes for part in found.parts}


def test_the_detector_has_the_parameters_of_its_architecture() -> None:
    with torch.device("meta"):
        assert num_parameters(mask2former()) == DETECTOR.num_parameters


def test_inception_has_the_parameters_and_operations_of_its_architecture() -> None:
    with torch.device("meta"):
        network = Inception3(transform_input=False, init_weights=False).eval()
        with FlopCounterMode(display=False) as counted:
            network(torch.zeros(1, 3, 299, 299))
    assert num_parameters(network) == INCEPTION.num_parameters
    assert counted.get_total_flops() == INCEPTION.operations


@pytest.mark.parametrize("counted", [VIT_H_14, VIT_L_14])
def test_a_published_clip_has_the_parameters_and_operations_of_its_architecture(counted: Network) -> None:
    with torch.device("meta"):
        network = open_clip.create_model(counted.name, pretrained=None, load_weights=False, device="meta")
        with FlopCounterMode(display=False) as operations:
            network.encode_image(torch.zeros(1, 3, 224, 224))
    assert num_parameters(network) == counted.num_parameters
    assert operations.get_total_flops() == counted.operations


@pytest.mark.slow
def test_the_detector_takes_the_operations_that_torch_counts_at_genevals_size() -> None:
    with torch.random.fork_rng(devices=[]), torch.inference_mode(), FlopCounterMode(display=False) as counted:
        mask2former()(pixel_values=torch.zeros(1, 3, 800, 800))
    assert counted.get_total_flops() == pytest.approx(DETECTOR.operations, rel=0.01)


def test_the_shipped_clip_is_read_from_its_file(tmp_path: Path) -> None:
    own = clip_network("shipped", tmp_path)
    assert own.num_parameters == pytest.approx(num_parameters(load_clip_score("shipped").clip.model), rel=0.05), (
        "biases are left out"
    )


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("", VIT_H_14),
        ("laion/CLIP-ViT-H-14-laion2B-s32B-b79K", VIT_H_14),
        ("ViT-L-14-quickgelu:/weights/ViT-L-14.pt", VIT_L_14),
        ("openai/clip-vit-l-14", VIT_L_14),
        ("/a/folder/that/is/not/there", VIT_H_14),
    ],
)
def test_a_clip_is_told_by_its_name_and_an_unknown_one_counts_as_the_largest(
    tmp_path: Path, source: str, wanted: Network
) -> None:
    assert clip_network(source, tmp_path) is wanted


def test_geneval_holds_its_detector_and_clip_and_takes_their_time(tmp_path: Path) -> None:
    plain, found = told(tmp_path), told(tmp_path, **GENEVAL)
    weights = 4 * (DETECTOR.num_parameters + VIT_L_14.num_parameters)
    assert bytes_of(found)["judges"] == weights
    assert found.peak_bytes >= plain.peak_bytes + weights
    judging = {moment.name: moment.num_bytes for moment in found.moments}["judging"]
    assert judging > weights + 854 * MIB
    # 500 captions of two pictures: the operations of all, over the rate.
    seconds = 1000 * (DETECTOR.operations + VIT_L_14.operations) / found.device.operations_per_second
    assert found.seconds_judging * found.num_steps == pytest.approx(seconds, rel=0.05)
    assert found.seconds_a_step == pytest.approx(found.seconds_rollout + found.seconds_judging)
    assert any("judged by Mask2Former, Swin-S, ViT-L-14" in note for note in found.notes)
    assert "judges" not in bytes_of(plain)
    assert plain.seconds_judging == 0


def test_diversity_and_the_reference_load_a_network_each(tmp_path: Path) -> None:
    both = told(tmp_path, diversity={"clip": ""}, reference={"folder": "/real", "inception": "/inception.pth"})
    assert bytes_of(both)["judges"] == 4 * (VIT_H_14.num_parameters + INCEPTION.num_parameters)
    clip = told(tmp_path, reference={"folder": "/real", "clip": ""})
    assert bytes_of(clip)["judges"] == 4 * VIT_H_14.num_parameters
    small = told(tmp_path, diversity={})
    assert 0 < bytes_of(small)["judges"] < 4 * MIB, "the shipped CLIP"


def test_an_evaluations_scores_are_counted_as_a_training_runs_rewards(tmp_path: Path) -> None:
    found = told(tmp_path, rewards=[{"name": "clip", "precision": "bfloat16"}, {"name": "jpeg_size"}])
    assert bytes_of(found)["rewards"] == 2 * VIT_H_14.num_parameters
    assert found.seconds_judging > 0
    trained = PreflightRequest.model_validate({"config": {"kind": "train", "rewards": [{"name": "clip"}]}}).config
    assert judging_of(trained, tmp_path).operations == 0, "docs/preflight.md: these come on top"  # type: ignore[arg-type]


def test_with_several_policies_every_ones_pictures_are_judged(tmp_path: Path) -> None:
    one = told(tmp_path, **GENEVAL)
    two = told(tmp_path, **GENEVAL, base={"source": "shipped"})
    in_all = [each.seconds_judging * each.num_steps for each in (one, two)]
    assert in_all[1] == pytest.approx(2 * in_all[0])


def test_the_route_counts_them_too(api: TestClient) -> None:
    config = EvaluateConfig.model_validate({"kind": "evaluate", **GENEVAL}).model_dump(mode="json")
    answer = api.post("/api/v1/preflight", json={"config": config, "memory_gib": 64})
    assert answer.status_code == 200, answer.text
    assert "judges" in bytes_of(Preflight.model_validate(answer.json()))
    assert answer.json()["seconds_judging"] > 0
