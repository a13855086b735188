"""Policies to files in the published format, and back."""

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from worker.showo.loading import load_policy, load_showo, save_policy
from worker.showo.tiny import tiny_policy

FIXTURES = Path(__file__).parents[2] / "fixtures"
WEIGHTS = "pytorch_model.safetensors"


def test_a_saved_policy_is_read_back_bit_for_bit(tmp_path: Path) -> None:
    policy = tiny_policy(seed=1)
    save_policy(policy, tmp_path)
    again = load_policy(tmp_path)
    assert again.showo.config == policy.showo.config
    assert again.magvit.config == policy.magvit.config
    assert again.state_dict().keys() == policy.state_dict().keys()
    assert all(torch.equal(again.state_dict()[name], tensor) for name, tensor in policy.state_dict().items())
    prompts = ["a photo of two red circles", ""]
    codes = torch.full((2, policy.num_image_tokens), policy.codebook_size)
    assert torch.equal(again.input_ids(prompts, codes), policy.input_ids(prompts, codes))


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    for part in ("showo", "llm"):
        shutil.copytree(FIXTURES / part, tmp_path / part)
    return tmp_path / "showo"


@pytest.mark.parametrize("problem", ["missing", "surplus", "misshapen"])
def test_weights_that_do_not_fit_are_refused_by_name(copied: Path, problem: str) -> None:
    weights = load_file(copied / WEIGHTS)
    name = "showo.model.layers.1.mlp.fc1.bias"
    if problem == "missing":
        del weights[name]
    elif problem == "surplus":
        name = "showo.model.layers.9.mlp.fc1.bias"
        weights[name] = torch.zeros(128)
    else:
        weights[name] = torch.zeros(7)
    save_file(weights, copied / WEIGHTS)
    with pytest.raises(ValueError, match=f"1 {problem} tensors: {name}"):
        load_showo(copied)


def test_a_vocabulary_that_does_not_add_up_is_refused(copied: Path) -> None:
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps(config | {"codebook_size": 128}))
    with pytest.raises(ValueError, match="vocab_size is 475, but words, new tokens, codes and mask make 539"):
        load_showo(copied)


@pytest.mark.parametrize(
    ("file", "names"),
    [("showo/config.json", ["llm_vocab_size", "num_vq_tokens"]), ("showo/config.json", ["llm_model_path"]),
     ("llm/config.json", ["hidden_size", "rope_theta"])],
)  # fmt: skip
def test_a_config_without_a_size_is_refused_by_file_and_name(copied: Path, file: str, names: list[str]) -> None:
    path = copied.parent / file
    config = json.loads(path.read_text())
    path.write_text(json.dumps({name: value for name, value in config.items() if name not in names}))
    with pytest.raises(ValueError, match=f"{re.escape(str(path))} has no {', '.join(names)}; copy it anew"):
        load_showo(copied)


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe\xff", b"[]"])
def test_a_config_that_is_no_json_object_is_refused_by_file(copied: Path, content: bytes) -> None:
    (copied / "config.json").write_bytes(content)
    with pytest.raises(ValueError, match=f"{re.escape(str(copied / 'config.json'))} .*JSON.*; copy it anew"):
        load_showo(copied)


@pytest.mark.parametrize("num_bytes", [0, 100, 10_000])
def test_a_truncated_weights_file_is_refused_by_file(copied: Path, num_bytes: int) -> None:
    path = copied / WEIGHTS
    path.write_bytes(path.read_bytes()[:num_bytes])
    with pytest.raises(ValueError, match=f"{re.escape(str(path))} is cut short or broken: .*; copy it anew"):
        load_showo(copied)


def test_a_folder_without_weights_is_refused(copied: Path) -> None:
    (copied / WEIGHTS).unlink()
    with pytest.raises(ValueError, match="no weights in"):
        load_showo(copied)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no model folder at"):
        load_policy(tmp_path / "nowhere")
