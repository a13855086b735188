"""Sizes in published configurations that are none, and a rotation that ours is not, are refused by name."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from worker.showo.loading import SHIPPED_WEIGHTS, load_policy, load_vq

FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    for part in ("showo", "llm", "vq"):
        shutil.copytree(FIXTURES / part, tmp_path / part)
    return tmp_path / "showo"


def rewrite(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        *(("showo", "num_vq_tokens", value) for value in ("x", 0, -64, 64.5, True, [64])),
        ("showo", "codebook_size", "64"),
        ("showo", "max_text_tokens", 0),
        ("llm", "num_attention_heads", 0),
        ("llm", "num_hidden_layers", "two"),
        ("llm", "rope_theta", 0),
        ("llm", "layer_norm_eps", "1e-5"),
        ("llm", "partial_rotary_factor", float("nan")),
    ],
)
def test_a_size_that_is_no_number_above_0_is_refused(copied: Path, part: str, name: str, value: object) -> None:
    rewrite(copied.parent / part / "config.json", **{name: value})
    with pytest.raises(ValueError, match=rf"{part}/config\.json has {name} .*numbers above 0 are needed; copy it anew"):
        load_policy(copied)


@pytest.mark.parametrize(
    ("name", "value"), [("z_channels", "6"), ("ch", 0), ("decoder_ch_mult", [1, "2"]), ("encoder_ch_mult", 2.5)]
)
def test_the_image_tokenizers_sizes_too(copied: Path, name: str, value: object) -> None:
    rewrite(copied.parent / "vq" / "config.json", **{name: value})
    with pytest.raises(ValueError, match=rf"vq/config\.json has {name} .*whole numbers above 0 are needed"):
        load_vq(copied.parent / "vq")


def test_a_length_of_texts_that_is_null_is_the_published_one(copied: Path) -> None:
    rewrite(copied / "config.json", max_text_tokens=None)
    assert load_policy(copied).showo.config.max_text_tokens == 128


def test_a_stretched_rotation_is_refused_in_the_newer_spelling_too(copied: Path) -> None:
    llm = copied.parent / "llm" / "config.json"
    stretched = {"rope_type": "linear", "factor": 4.0, "rope_theta": 10000.0, "partial_rotary_factor": 0.5}
    rewrite(llm, rope_parameters=stretched)
    with pytest.raises(ValueError, match="the language model's rope_type is linear; Show-o has default"):
        load_policy(copied)


def test_the_shipped_policys_levels_without_a_block_are_no_mistake() -> None:
    assert 0 in load_policy(SHIPPED_WEIGHTS).magvit.config.decoder_num_res_blocks
