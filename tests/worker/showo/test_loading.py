"""Policies to files in the published format, and back; one error names all that does not hold together."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.worker.showo.hub import cache
from worker.showo.config import ShowoConfig
from worker.showo.loading import load_policy, load_vq, save_policy
from worker.showo.prompting import NEW_TOKENS, PAD_TOKEN, build_word_tokenizer
from worker.showo.tiny import tiny_policy

FIXTURES = Path(__file__).parents[2] / "fixtures"
WEIGHTS = "pytorch_model.safetensors"
FIRST_BIAS = "showo.model.layers.1.mlp.fc1.bias"


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    for part in ("showo", "llm", "vq"):
        shutil.copytree(FIXTURES / part, tmp_path / part)
    return tmp_path / "showo"


def rewrite(path: Path, without: tuple[str, ...] = (), **values: Any) -> None:
    """Change a JSON file."""
    content = {name: value for name, value in json.loads(path.read_text()).items() if name not in without}
    path.write_text(json.dumps(content | values))


def equal(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    """Whether two modules hold the same tensors, bit for bit."""
    ours, theirs = one.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


def test_a_saved_policy_is_read_back_bit_for_bit(tmp_path: Path) -> None:
    policy = tiny_policy(seed=1)
    save_policy(policy, tmp_path)
    again = load_policy(tmp_path)
    assert again.showo.config == policy.showo.config
    assert again.magvit.config == policy.magvit.config
    assert equal(again, policy)
    prompts = ["a photo of two red circles", ""]
    codes = torch.full((2, policy.num_image_tokens), policy.codebook_size)
    assert torch.equal(again.input_ids(prompts, codes), policy.input_ids(prompts, codes))


def test_a_published_checkpoint_is_exported_with_its_own_names_and_settings(copied: Path, tmp_path: Path) -> None:
    save_policy(load_policy(copied), tmp_path / "export")
    exported, published = load_file(tmp_path / "export" / WEIGHTS), load_file(copied / WEIGHTS)
    assert exported.keys() == published.keys()
    assert all(torch.equal(exported[name], tensor) for name, tensor in published.items())
    ours, theirs = (json.loads((folder / "config.json").read_text()) for folder in (tmp_path / "export", copied))
    assert {name: ours[name] for name in theirs if name != "llm_model_path"} | {"llm_model_path": "../llm"} == theirs
    assert load_policy(tmp_path / "export").showo.config == load_policy(copied).showo.config


def test_without_tokenizers_ids_are_served_and_prompts_and_pictures_say_what_is_missing(copied: Path) -> None:
    policy = load_policy(copied)
    input_ids = load_file(FIXTURES / "showo_case.safetensors")["input_ids"]
    assert policy.image_logits(input_ids).shape == (4, 36, 64)
    with pytest.raises(ValueError, match=rf"put tokenizer\.json .* into {copied.parent / 'llm'}"):
        policy.prefix(["a red circle"])
    with pytest.raises(ValueError, match=r"put one into .*vq \(that of the published models is showlab/magvitv2\)"):
        policy.decode(torch.zeros(1, 36, dtype=torch.int64))


@pytest.mark.parametrize("problem", ["missing", "surplus", "misshapen"])
def test_weights_that_do_not_fit_are_refused_by_name(copied: Path, problem: str) -> None:
    weights = load_file(copied / WEIGHTS)
    name = FIRST_BIAS
    if problem == "missing":
        del weights[name]
    elif problem == "surplus":
        name = "showo.model.layers.9.mlp.fc1.bias"
        weights[name] = torch.zeros(128)
    else:
        weights[name] = torch.zeros(7)
    save_file(weights, copied / WEIGHTS)
    with pytest.raises(ValueError, match=f"1 {problem} tensors: {name}"):
        load_policy(copied)


def test_all_that_is_wrong_is_named_in_one_error(copied: Path) -> None:
    weights = load_file(copied / WEIGHTS)
    del weights[FIRST_BIAS]
    save_file(weights | {"extra.weight": torch.zeros(1), "showo.lm_head.bias": torch.zeros(3)}, copied / WEIGHTS)
    rewrite(copied / "config.json", vocab_size=500, mask_token_id=499)
    rewrite(copied.parent / "llm" / "config.json", hidden_act="relu")
    build_word_tokenizer(["red"]).save_pretrained(copied.parent / "llm")
    vq = load_file(copied.parent / "vq" / WEIGHTS)
    del vq["quantize.power_vals"]
    save_file(vq, copied.parent / "vq" / WEIGHTS)
    with pytest.raises(ValueError, match="does not hold together") as caught:
        load_policy(copied, vq=copied.parent / "vq")
    for part in (
        "vocab_size is 500, but words, new tokens, codes and mask make 475",
        "mask_token_id is 499 instead of the last id, 474",
        "hidden_act is relu",
        f"1 missing tensors: {FIRST_BIAS}",
        "1 surplus tensors: extra.weight",
        "1 misshapen tensors: showo.lm_head.bias (3,) instead of (475,)",
        "1 missing tensors: quantize.power_vals",
        "the text tokenizer has 13 words with Show-o's 10 new ones, the transformer 410",
    ):
        assert part in str(caught.value)


def test_a_vocabulary_that_does_not_add_up_is_refused(copied: Path) -> None:
    rewrite(copied / "config.json", codebook_size=128)
    with pytest.raises(ValueError, match="vocab_size is 475, but words, new tokens, codes and mask make 539"):
        load_policy(copied)


def test_an_image_tokenizer_of_other_codes_is_refused(copied: Path, tmp_path: Path) -> None:
    save_policy(tiny_policy(codebook_bits=4), tmp_path / "other")
    with pytest.raises(ValueError, match="knows 64 image codes, the image tokenizer has 16"):
        load_policy(copied, vq=tmp_path / "other")


def test_a_tokenizer_may_have_show_os_tokens_already_but_only_where_they_belong(tmp_path: Path) -> None:
    policy = tiny_policy()
    save_policy(policy, tmp_path)
    policy.tokenizer.add_tokens([PAD_TOKEN, *NEW_TOKENS])
    policy.tokenizer.save_pretrained(tmp_path / "llm")
    assert len(load_policy(tmp_path).tokenizer) == policy.showo.config.first_image_id
    shuffled = tiny_policy().tokenizer
    shuffled.add_tokens([*NEW_TOKENS, PAD_TOKEN])
    shuffled.save_pretrained(tmp_path / "llm")
    with pytest.raises(ValueError, match=r"Show-o's tokens elsewhere: \[PAD\] at 35, not 26, <\|soi\|> at 26, not 27"):
        load_policy(tmp_path)


@pytest.mark.parametrize(
    ("file", "names"),
    [("showo/config.json", ("llm_vocab_size", "num_vq_tokens")), ("showo/config.json", ("llm_model_path",)),
     ("llm/config.json", ("hidden_size", "rope_theta"))],
)  # fmt: skip
def test_a_config_without_a_size_is_refused_by_file_and_name(copied: Path, file: str, names: tuple[str, ...]) -> None:
    path = copied.parent / file
    rewrite(path, without=names)
    with pytest.raises(ValueError, match=f"{re.escape(str(path))} has no {', '.join(names)}; copy it anew"):
        load_policy(copied)


def test_rotary_settings_are_read_where_newer_transformers_write_them(copied: Path) -> None:
    path = copied.parent / "llm" / "config.json"
    rewrite(path, without=("rope_theta", "partial_rotary_factor"),
            rope_parameters={"rope_theta": 500.0, "partial_rotary_factor": 0.25, "rope_type": "default"})  # fmt: skip
    config = load_policy(copied).showo.config
    assert (config.rope_theta, config.partial_rotary_factor) == (500.0, 0.25)


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe\xff", b"[]"])
def test_a_config_that_is_no_json_object_is_refused_by_file(copied: Path, content: bytes) -> None:
    (copied / "config.json").write_bytes(content)
    with pytest.raises(ValueError, match=f"{re.escape(str(copied / 'config.json'))} .*JSON.*; copy it anew"):
        load_policy(copied)


def test_a_language_model_that_is_not_there_is_refused_by_name(copied: Path) -> None:
    rewrite(copied / "config.json", llm_model_path="../phi")
    with pytest.raises(ValueError, match=f"no config.json in {copied.parent / 'phi'}"):
        load_policy(copied)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no model folder at"):
        load_policy(tmp_path / "nowhere")


def test_a_plain_state_dict_goes_on_top_of_a_base(copied: Path, tmp_path: Path) -> None:
    tuned = {name: tensor + 1 for name, tensor in load_file(copied / WEIGHTS).items()}
    torch.save(tuned, tmp_path / "mycheckpoint.pth")
    policy = load_policy(tmp_path / "mycheckpoint.pth", base=copied, vq=copied.parent / "vq")
    assert torch.equal(policy.showo.state_dict()[FIRST_BIAS], tuned[FIRST_BIAS])
    assert policy.showo.config == load_policy(copied).showo.config
    assert equal(policy.magvit, load_vq(copied.parent / "vq"))
    shutil.copy(tmp_path / "mycheckpoint.pth", copied)
    assert equal(load_policy(copied / "mycheckpoint.pth").showo, policy.showo)
    (copied / WEIGHTS).unlink()
    assert equal(load_policy(copied).showo, policy.showo)


def test_a_state_dict_without_a_base_or_with_the_wrong_one_is_refused(copied: Path, tmp_path: Path) -> None:
    torch.save(tiny_policy().showo.state_dict(), tmp_path / "mycheckpoint.pth")
    with pytest.raises(ValueError, match="name the Show-o that it was tuned from as its base"):
        load_policy(tmp_path / "mycheckpoint.pth")
    with pytest.raises(ValueError, match=r"18 missing tensors: showo\.model\.layers\.2\..*misshapen tensors: showo"):
        load_policy(tmp_path / "mycheckpoint.pth", base=copied)


def test_the_projector_of_a_clip_variant_is_kept_for_export(copied: Path, tmp_path: Path) -> None:
    projector = {
        f"mm_projector.{place}.{name}": torch.randn(*shape, generator=torch.Generator().manual_seed(place))
        for place, width in ((0, 10), (2, 20))
        for name, shape in (("weight", (20, width)), ("bias", (20,)))
    }
    save_file(load_file(copied / WEIGHTS) | projector, copied / WEIGHTS)
    rewrite(copied / "config.json", w_clip_vit=True)
    policy = load_policy(copied)
    assert not any(parameter.requires_grad for parameter in policy.mm_projector.parameters())
    save_policy(policy, tmp_path / "export")
    exported = load_file(tmp_path / "export" / WEIGHTS)
    assert all(torch.equal(exported[name], tensor) for name, tensor in projector.items())
    assert json.loads((tmp_path / "export" / "config.json").read_text())["w_clip_vit"] is True


def test_a_clip_variant_without_its_projector_is_refused(copied: Path) -> None:
    rewrite(copied / "config.json", w_clip_vit=True)
    with pytest.raises(ValueError, match=r"4 missing tensors: mm_projector\.0\.bias, mm_projector\.0\.weight"):
        load_policy(copied)


def test_the_transformer_takes_a_type_and_the_image_tokenizer_keeps_its_own(tmp_path: Path) -> None:
    save_policy(tiny_policy(), tmp_path)
    policy = load_policy(tmp_path, "cpu", torch.bfloat16)
    assert {parameter.dtype for parameter in policy.showo.parameters()} == {torch.bfloat16}
    assert {parameter.dtype for parameter in policy.magvit.parameters()} == {torch.float32}


def test_hub_names_are_read_from_the_cache_and_survive_an_export(copied: Path, hub_cache: Path, tmp_path: Path) -> None:
    tokenizer = build_word_tokenizer([f"word{place}" for place in range(398)])
    shutil.copytree(copied.parent / "llm", cache(hub_cache, "some/llm"), dirs_exist_ok=True)
    tokenizer.save_pretrained(hub_cache / "models--some--llm" / "snapshots" / "abc123")
    rewrite(copied / "config.json", llm_model_path="some/llm")
    shutil.copytree(copied, cache(hub_cache, "some/show-o"), dirs_exist_ok=True)
    shutil.copytree(copied.parent / "vq", cache(hub_cache, "some/vq"), dirs_exist_ok=True)
    policy = load_policy("some/show-o", vq="some/vq")
    assert len(policy.prefix(["word3 word4"])) == 1
    assert policy.decode(torch.zeros(1, 36, dtype=torch.int64)).shape == (1, 3, 24, 24)
    assert policy.showo.config.bos_token_id == tokenizer.bos_token_id
    save_policy(policy, tmp_path / "export")
    assert json.loads((tmp_path / "export" / "config.json").read_text())["llm_model_path"] == "some/llm"
    shutil.rmtree(hub_cache)
    assert equal(load_policy(tmp_path / "export"), policy)


def test_a_language_model_on_the_hub_that_cannot_be_fetched_is_said(copied: Path, hub_cache: Path) -> None:
    rewrite(copied / "config.json", llm_model_path="some/llm")
    with pytest.raises(ValueError, match="hf download some/llm --local-dir DIR"):
        load_policy(copied)


def test_the_sizes_of_phi_are_known_without_the_hub(copied: Path, hub_cache: Path) -> None:
    rewrite(copied / "config.json", llm_model_path="microsoft/phi-1_5", llm_vocab_size=50295, codebook_size=8192,
            num_vq_tokens=1024, vocab_size=58498, mask_token_id=58497)  # fmt: skip
    with pytest.raises(ValueError, match="does not hold together") as caught:
        load_policy(copied)
    assert "showo.lm_head.weight (475, 64) instead of (58498, 2048)" in str(caught.value)
    assert "showo.model.layers.{3-23}.mlp.fc1.bias" in str(caught.value)
    assert ShowoConfig().vocab_size == 58498


def test_an_image_tokenizer_that_is_cut_or_mixed_up_is_refused(copied: Path) -> None:
    vq = copied.parent / "vq"
    rewrite(vq / "config.json", z_channels=7)
    with pytest.raises(ValueError, match=r"misshapen tensors: .*quantize\.embedding \(64, 6\) instead of \(128, 7\)"):
        load_vq(vq)


def test_an_image_tokenizer_takes_a_type_and_is_frozen(copied: Path) -> None:
    vq = load_vq(copied.parent / "vq", "cpu", torch.bfloat16)
    assert not any(parameter.requires_grad for parameter in vq.parameters())
    codes = vq.encode(torch.zeros(1, 3, 32, 40))
    assert codes.shape == (1, 80)
    assert vq.decode(codes, (8, 10)).dtype is torch.bfloat16


def test_pictures_and_codes_that_fill_no_grid_are_refused(copied: Path) -> None:
    vq = load_vq(copied.parent / "vq")
    with pytest.raises(ValueError, match="pictures of 33 x 32 pixels: crop or resize both sides to a multiple of 4"):
        vq.encode(torch.zeros(1, 3, 32, 33))
    with pytest.raises(ValueError, match="80 codes do not fill a grid of 8 rows and 8 columns"):
        vq.decode(torch.zeros(1, 80, dtype=torch.int64))


def test_codes_that_are_none_of_the_codebooks_are_refused(copied: Path) -> None:
    vq = load_vq(copied.parent / "vq")
    for code in (-1, vq.config.codebook_size):
        codes = torch.zeros(1, 64, dtype=torch.int64)
        codes[0, 3] = code
        with pytest.raises(
            ValueError, match=rf"codes from .*{code}.*: give those of 0 to {vq.config.codebook_size - 1}"
        ):
            vq.decode(codes)
