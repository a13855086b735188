"""Every reward model on tiny weights of its true architecture, against a direct computation by other means."""

from __future__ import annotations

import shutil
from pathlib import Path

import open_clip
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor
from torchvision.transforms.functional import to_pil_image
from transformers import CLIPImageProcessorFast, CLIPModel

from backend.schemas.reward import RewardConfig, RewardName
from tests.worker.rewards.conftest import TINY_BLIP, pictures_of
from tests.worker.rewards.published_blip import published_scores
from worker.rewards.build import build_reward
from worker.rewards.clip_score import HPS_ARCHITECTURE, load_clip_score
from worker.rewards.image_reward import ImageReward
from worker.rewards.networks import load_network

PROMPTS = ["a red fox", "two cats on a mat", "a red fox", "the sea", "an old book", "a tall tree"]
NETWORKS = {
    "clip": "open_clip_folder",
    "pickscore": "transformers_folder",
    "hps": "hps_folder",
    "aesthetic": "aesthetic_folder",
    "image_reward": "image_reward_folder",
}


def scores_of(name: str, folder: Path | str, pictures: Tensor, prompts: list[str], **settings: object) -> Tensor:
    config = RewardConfig.model_validate({"name": name, "source": str(folder), **settings})
    return build_reward([config])(pictures, prompts).breakdown[name]


def images_of(pictures: Tensor) -> list[Image.Image]:
    return [to_pil_image(each) for each in pictures]


def rounded(pictures: Tensor) -> Tensor:
    """What a file would hold: 8 bits."""
    return (pictures * 255).round() / 255


@torch.no_grad()
def direct_open_clip(folder: Path, pictures: Tensor) -> Tensor:
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}", load_weights=False)
    path = folder / "open_clip_model.safetensors"
    weights = load_file(path) if path.is_file() else torch.load(folder / "HPS_v2.1_compressed.pt")["state_dict"]
    model.load_state_dict(weights)
    seen = model.eval().encode_image(torch.stack([preprocess(each) for each in images_of(pictures)]), normalize=True)
    read = model.encode_text(open_clip.get_tokenizer("ViT-B-32")(PROMPTS), normalize=True)
    return (seen * read).sum(dim=1)


@torch.no_grad()
def direct_transformers(folder: Path, pictures: Tensor) -> tuple[CLIPModel, Tensor, Tensor]:
    model = CLIPModel.from_pretrained(folder, local_files_only=True)
    processor = CLIPImageProcessorFast(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    pixels = processor(images_of(pictures), return_tensors="pt")["pixel_values"]
    ids = open_clip.get_tokenizer("ViT-B-32")(PROMPTS)
    output = model(input_ids=ids, pixel_values=pixels)
    return model, output.logits_per_image.diagonal(), output.image_embeds


def direct(name: str, folder: Path, pictures: Tensor) -> Tensor:
    """The score by the libraries' own ways, over PIL."""
    if name in ("clip", "hps"):
        return direct_open_clip(folder, pictures)
    if name == "pickscore":
        return direct_transformers(folder, pictures)[1]
    if name == "image_reward":
        return published_scores(folder, TINY_BLIP, pictures, PROMPTS)
    head = torch.load(folder / "sac+logos+ava1-l14-linearMSE.pth")
    x = direct_transformers(folder / "clip", pictures)[2]
    for place in (0, 2, 4, 6, 7):
        x = F.linear(x, head[f"layers.{place}.weight"], head[f"layers.{place}.bias"])
    return x[:, 0]


@pytest.mark.parametrize("name", NETWORKS)
def test_scores_are_those_of_a_direct_computation(name: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(NETWORKS[name])
    pictures = rounded(pictures_of(6))
    scores, expected = scores_of(name, folder, pictures, PROMPTS), direct(name, folder, pictures)
    assert expected.std() > 1e-3, "equal scores would prove nothing"
    torch.testing.assert_close(scores, expected, atol=1e-4, rtol=1e-4)
    assert torch.equal(scores.argsort(), expected.argsort())


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("side", [24, 80])
def test_resized_pictures_score_nearly_as_over_pil(name: str, side: int, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(NETWORKS[name])
    pictures = rounded(pictures_of(6, side))
    scores, expected = scores_of(name, folder, pictures, PROMPTS), direct(name, folder, pictures)
    spread = float(expected.max() - expected.min())
    assert (scores - expected).abs().max() < 0.05 * spread


@pytest.mark.parametrize("name", NETWORKS)
def test_a_score_does_not_depend_on_the_other_pictures(name: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(NETWORKS[name])
    pictures = pictures_of(6)
    reward = build_reward([RewardConfig.model_validate({"name": name, "source": str(folder)})])
    together = reward(pictures, PROMPTS).total
    alone = torch.cat([reward(pictures[i : i + 1], PROMPTS[i : i + 1]).total for i in range(6)])
    backwards = reward(pictures.flip(0), PROMPTS[::-1]).total.flip(0)
    torch.testing.assert_close(alone, together, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(backwards, together, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["clip", "pickscore", "hps", "image_reward"])
def test_the_prompt_changes_the_score(name: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(NETWORKS[name])
    picture = pictures_of(1).expand(2, -1, -1, -1)
    one, other = scores_of(name, folder, picture, ["a red fox", "the sea"]).tolist()
    assert one != other


@pytest.mark.parametrize("name", NETWORKS)
def test_half_precision_keeps_the_scores(name: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(NETWORKS[name])
    pictures = pictures_of(6)
    exact = scores_of(name, folder, pictures, PROMPTS)
    half = scores_of(name, folder, pictures, PROMPTS, precision="bfloat16")
    assert half.dtype == torch.float32
    assert 0 < (half - exact).abs().max() < 0.25 * float(exact.max() - exact.min()) + 0.02 * float(exact.abs().max())


def test_the_head_of_image_reward_stays_float32_in_half_precision(image_reward_folder: Path) -> None:
    network = load_network(RewardName.IMAGE_REWARD, str(image_reward_folder), torch.bfloat16)
    assert isinstance(network, ImageReward)
    assert {each.dtype for each in network.network.mlp.parameters()} == {torch.float32}
    assert {each.dtype for each in network.network.blip.parameters()} == {torch.bfloat16}


def renamed(folder: Path, target: Path, file: str, old: str, new: str) -> None:
    """A copy of a published folder in which one tensor has another name."""
    shutil.copytree(folder, target)
    path = target / file
    content = load_file(path) if path.suffix == ".safetensors" else torch.load(path)
    weights = content.get("state_dict", content)
    weights[new] = weights.pop(old)
    if path.suffix == ".safetensors":
        save_file(weights, path)
    else:
        torch.save(content, path)


@pytest.mark.parametrize(
    ("name", "file", "old"),
    [
        ("clip", "open_clip_model.safetensors", "visual.proj"),
        ("pickscore", "model.safetensors", "text_projection.weight"),
        ("hps", "HPS_v2.1_compressed.pt", "ln_final.weight"),
        ("aesthetic", "sac+logos+ava1-l14-linearMSE.pth", "layers.4.bias"),
        ("image_reward", "ImageReward.pt", "blip.text_encoder.encoder.layer.1.crossattention.self.key.weight"),
    ],
)
def test_a_missing_and_a_surplus_weight_are_named(
    name: str, file: str, old: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder = tmp_path / "renamed"
    renamed(request.getfixturevalue(NETWORKS[name]), folder, file, old, "strange.weight")
    with pytest.raises(ValueError, match=f"missing: {old}.*surplus: strange.weight"):
        scores_of(name, folder, pictures_of(6), PROMPTS)


def test_a_weight_of_another_shape_is_named(open_clip_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "reshaped"
    shutil.copytree(open_clip_folder, folder)
    weights = load_file(folder / "open_clip_model.safetensors")
    save_file(weights | {"visual.proj": torch.zeros(32, 7)}, folder / "open_clip_model.safetensors")
    with pytest.raises(ValueError, match=r"of another shape: visual.proj \(32, 7\) instead of \(32, 24\)"):
        load_clip_score(str(folder))


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("clip", "hf download laion/CLIP-ViT-H-14-laion2B-s32B-b79K"),
        ("pickscore", "hf download yuvalkirstain/PickScore_v1"),
        ("hps", "hf download xswu/HPSv2"),
        ("aesthetic", "sac.logos.ava1-l14-linearMSE.pth"),
        ("image_reward", "hf download THUDM/ImageReward"),
    ],
)
@pytest.mark.parametrize("source", ["", "/nowhere/at/all", "nobody/has-this"])
def test_absent_weights_are_told_with_what_to_download(
    name: str, hint: str, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worker.rewards.weights.hub_cache", lambda: str(tmp_path))
    with pytest.raises(ValueError, match=f"the reward {name} .*{hint}.*source"):
        scores_of(name, source, pictures_of(1), PROMPTS[:1])


def test_a_hub_name_is_found_in_the_cache(
    open_clip_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = tmp_path / "models--org--clip"
    shutil.copytree(open_clip_folder, cached / "snapshots" / "abc")
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("abc")
    monkeypatch.setattr("worker.rewards.weights.hub_cache", lambda: str(tmp_path))
    pictures = pictures_of(6)
    expected = scores_of("clip", open_clip_folder, pictures, PROMPTS)
    assert torch.equal(scores_of("clip", "org/clip", pictures, PROMPTS), expected)


def test_a_named_architecture_takes_a_bare_checkpoint(tmp_path: Path) -> None:
    torch.save({}, tmp_path / "weights.pt")
    with pytest.raises(ValueError, match=r"open_clip knows no architecture 'ViT-Z-99'; near it: .*ViT-B-32"):
        load_clip_score(f"ViT-Z-99:{tmp_path / 'weights.pt'}")
    with pytest.raises(ValueError, match=r"clip finds no file at /nowhere\.pt"):
        load_clip_score("ViT-B-32:/nowhere.pt")
    assert open_clip.get_model_config(HPS_ARCHITECTURE)["embed_dim"] == 1024


def test_pickled_code_is_not_run(open_clip_folder: Path, tmp_path: Path) -> None:
    shutil.copy(open_clip_folder / "open_clip_config.json", tmp_path)
    torch.save({"state_dict": Path("anything")}, tmp_path / "open_clip_pytorch_model.bin")
    with pytest.raises(ValueError, match="cannot be read as a pickle of tensors alone"):
        load_clip_score(str(tmp_path))


def test_loading_leaves_the_global_generator_alone(open_clip_folder: Path, image_reward_folder: Path) -> None:
    before = torch.get_rng_state()
    for name, folder in ((RewardName.CLIP, open_clip_folder), (RewardName.IMAGE_REWARD, image_reward_folder)):
        build_reward([RewardConfig(name=name, source=str(folder))])
    assert torch.equal(torch.get_rng_state(), before)
