"""The preflight's arithmetic counts what torch's modules really have and do."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from backend.errors import NotFoundError
from backend.preflight.operations import rollout_operations
from backend.preflight.sizes import PUBLISHED, PolicySizes, TokenizerSizes, read_sizes
from backend.runs.policies import SHIPPED_POLICY
from backend.schemas.algorithm import SamplingConfig
from tests.bench.middle import Middle, middle_policy
from worker.maskgrpo.sampling import rollout
from worker.showo.loading import load_policy, save_policy
from worker.showo.model import Showo
from worker.showo.tiny import tiny_policy
from worker.showo.vq import MagvitV2, VQConfig

SMALL = Middle(hidden_size=128, num_layers=3, grid_size=4, num_words=200, codebook_bits=6)


def num_numbers(module: torch.nn.Module) -> int:
    return sum(each.numel() for each in (*module.parameters(), *module.buffers()))


def test_the_published_sizes_have_the_published_parameters() -> None:
    assert PolicySizes().num_transformer_parameters == 1_448_176_770
    with torch.device("meta"):
        assert TokenizerSizes().num_parameters == num_numbers(MagvitV2(VQConfig()))
    assert PUBLISHED["showlab/show-o-512x512"].picture_side == 512
    assert PUBLISHED["showlab/show-o"].picture_side == 256


def test_the_shipped_policy_has_the_parameters_that_its_files_promise() -> None:
    sizes, policy = read_sizes(SHIPPED_POLICY), load_policy(SHIPPED_POLICY)
    assert sizes.num_transformer_parameters == num_numbers(policy.showo)
    assert sizes.tokenizer.num_parameters == num_numbers(policy.magvit)


def test_a_folder_without_sizes_is_refused_with_its_file(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"config\.json"):
        read_sizes(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(NotFoundError, match=r"llm/config\.json"):
        read_sizes(tmp_path)


@pytest.mark.parametrize(
    ("file", "name", "value"),
    [
        *(("config.json", "num_vq_tokens", value) for value in ("x", 0, None, 2.5)),
        ("llm/config.json", "num_attention_heads", 0),
        ("vq/config.json", "decoder_ch_mult", 3),
        ("vq/config.json", "z_channels", "6"),
    ],
)
def test_a_size_that_is_no_number_above_0_is_refused_by_name(
    tmp_path: Path, file: str, name: str, value: object
) -> None:
    path = shutil.copytree(SHIPPED_POLICY, tmp_path / "policy") / file
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    with pytest.raises(NotFoundError, match=r"has a size that is none .*copy its config\.json files anew"):
        read_sizes(tmp_path / "policy")


def test_a_length_of_texts_that_is_null_is_the_published_one(tmp_path: Path) -> None:
    path = shutil.copytree(SHIPPED_POLICY, tmp_path / "policy") / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"max_text_tokens": None}))
    assert read_sizes(tmp_path / "policy").max_text_tokens == PolicySizes.max_text_tokens


def test_a_published_checkpoint_brought_as_the_docs_say_has_the_published_sizes(tmp_path: Path) -> None:
    own = {"llm_model_path": "microsoft/phi-1_5", "llm_vocab_size": 50295, "codebook_size": 8192, "num_vq_tokens": 1024}
    (tmp_path / "config.json").write_text(json.dumps(own))
    (tmp_path / "vq").mkdir()
    (tmp_path / "vq" / "config.json").write_text('{"_class_name": "MAGVITv2"}')
    assert read_sizes(tmp_path) == PUBLISHED["showlab/show-o-512x512"]
    (tmp_path / "llm").mkdir()
    llm = {"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 3, "num_attention_heads": 4}
    (tmp_path / "llm" / "config.json").write_text(json.dumps(llm))
    assert read_sizes(tmp_path).num_layers == 3, "what lies in the folder goes before what is known"


def test_a_saved_policy_that_keeps_its_language_models_hub_name_has_its_own_sizes(tmp_path: Path) -> None:
    policy = tiny_policy(0)
    config = replace(policy.showo.config, llm_name="microsoft/phi-1_5")
    with torch.device("meta"):
        policy.showo = Showo(config).to_empty(device="cpu")
    save_policy(policy, tmp_path)
    sizes = read_sizes(tmp_path)
    assert (sizes.hidden_size, sizes.num_layers) == (config.hidden_size, config.num_layers)


@pytest.mark.parametrize("guidance_scale", [0.0, 3.0])
def test_a_rollout_takes_the_operations_that_torch_counts(guidance_scale: float) -> None:
    policy, num_steps = middle_policy(SMALL), 4
    prompts = ["a photo of two red squares"] * 3 + ["a photo of two red stars"] * 3
    with FlopCounterMode(display=False) as counter:
        rollout(policy, prompts, range(6), SamplingConfig(num_unmasking_steps=num_steps, guidance_scale=guidance_scale))
    counts = {str(name): each for name, each in counter.get_flop_counts()["Global"].items()}
    products = sum(each for name, each in counts.items() if "attention" not in name)
    told = rollout_operations(
        SMALL.sizes, num_steps, num_prompts=2, group_size=3, num_text_tokens=9, is_guided=guidance_scale > 0
    )
    attention = 4 * SMALL.hidden_size * SMALL.num_layers * (16 + 2) * (9 + 16 + 2) * (2 + 3 * 6)
    attention *= 2 if guidance_scale else 1
    assert told - attention == pytest.approx(products, rel=0.05)
