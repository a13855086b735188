"""ImageReward (arXiv 2304.05977): people's rankings, from BLIP's picture-reading BERT and a small head.

It reads the published ImageReward.pt without the published package, which no longer runs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import BertWordPieceTokenizer
from torch import Tensor, nn

from worker.rewards.blip import HEAD_SIZE, BlipSizes, TextTower, VisionTower
from worker.rewards.preprocessing import Preprocessing, prepare
from worker.rewards.score_head import ScoreHead
from worker.rewards.weights import Published, fill, first_file, read_weights, weights_folder

IMAGE_REWARD = Published(
    "image_reward",
    "Its folder must hold ImageReward.pt (`hf download THUDM/ImageReward ImageReward.pt --local-dir DIR`) and BERT's "
    "vocabulary (`hf download google-bert/bert-base-uncased vocab.txt --local-dir DIR`); set its source to that folder",
)
# The published scores have about mean 0 and deviation 1 over the authors' pictures.
MEAN, STD = 0.16717362830052426, 1.0333394966054072
NUM_TEXT_TOKENS = 35
BATCH_SIZE = 32
# BLIP's contrastive projections come with the checkpoint and are not part of the score.
NOT_USED = r"blip\.(vision_proj|text_proj)\..*|(.*\.)?position_ids"


class ImageRewardNetwork(nn.Module):
    """The network under the published names: `blip.visual_encoder`, `blip.text_encoder`, `mlp`."""

    def __init__(self, sizes: BlipSizes) -> None:
        super().__init__()
        self.blip = nn.ModuleDict({"visual_encoder": VisionTower(sizes), "text_encoder": TextTower(sizes)})
        self.mlp = ScoreHead(sizes.text_width)

    def forward(self, pictures: Tensor, ids: Tensor, is_attended: Tensor) -> Tensor:
        """(B, 3, S, S) normalised, (B, L) ids and (B, L) bool -> (B,) float32 published scores; the head is float32."""
        seen = self.blip["visual_encoder"](pictures)
        read = self.blip["text_encoder"](ids, is_attended, seen)
        return (self.mlp(read[:, 0].float())[:, 0] - MEAN) / STD


@dataclass(frozen=True, eq=False)
class ImageReward:
    """How a person would rank the picture for its prompt, about -2 to 2."""

    network: ImageRewardNetwork
    tokenizer: BertWordPieceTokenizer
    preprocessing: Preprocessing

    @torch.inference_mode()
    def __call__(self, pictures: Tensor, prompts: Sequence[str]) -> Tensor:
        """Return (B,) float32 for (B, 3, H, W) pictures in [0, 1] and B prompts."""
        self.network.to(pictures.device)
        dtype = next(self.network.blip.parameters()).dtype
        encoded = self.tokenizer.encode_batch(list(prompts))
        ids = torch.tensor([each.ids for each in encoded], device=pictures.device)
        is_attended = torch.tensor([each.attention_mask for each in encoded], device=pictures.device).bool()
        return torch.cat(
            [
                self.network(prepare(part, self.preprocessing).to(dtype), *rest)
                for part, *rest in zip(
                    pictures.float().split(BATCH_SIZE),
                    ids.split(BATCH_SIZE),
                    is_attended.split(BATCH_SIZE),
                    strict=True,
                )
            ]
        )


def load_image_reward(source: str) -> ImageReward:
    """Load the network and its words from a folder.

    Raises:
        ValueError: files are missing or broken, or the names are not ImageReward's; the error says what to download.
    """
    folder = weights_folder(source, IMAGE_REWARD)
    path = first_file(folder, ("ImageReward.pt", "ImageReward.safetensors"), IMAGE_REWARD)
    words = first_file(folder, ("vocab.txt",), IMAGE_REWARD)
    weights = read_weights(path)
    sizes = sizes_of(weights, path)
    with torch.random.fork_rng(devices=[]):
        network = ImageRewardNetwork(sizes)
    fill(network, weights, str(path), NOT_USED)
    tokenizer = BertWordPieceTokenizer(str(words), lowercase=True)
    tokenizer.enable_truncation(NUM_TEXT_TOKENS)
    tokenizer.enable_padding(pad_id=tokenizer.token_to_id("[PAD]") or 0, length=NUM_TEXT_TOKENS)
    return ImageReward(
        network.eval().requires_grad_(False), tokenizer, Preprocessing((sizes.image_size, sizes.image_size))
    )


def sizes_of(weights: Mapping[str, Tensor], path: Path) -> BlipSizes:
    """Read the towers' sizes off the weights; the heads are 64 wide in both, as in every BLIP.

    Raises:
        ValueError: the names that tell them are missing.
    """
    vision, text = "blip.visual_encoder.", "blip.text_encoder."
    telling = {
        "patches": f"{vision}patch_embed.proj.weight",
        "places": f"{vision}pos_embed",
        "words": f"{text}embeddings.word_embeddings.weight",
        "positions": f"{text}embeddings.position_embeddings.weight",
        "inner": f"{text}encoder.layer.0.intermediate.dense.weight",
    }
    missing = [name for name in telling.values() if name not in weights]
    if missing:
        raise ValueError(f"{path} does not hold the weights of ImageReward: missing: {', '.join(missing)}")
    width, _, patch, _ = weights[telling["patches"]].shape
    vocab_size, text_width = weights[telling["words"]].shape
    if width % HEAD_SIZE or text_width % HEAD_SIZE:
        raise ValueError(f"{path} has towers {width} and {text_width} wide: both must be multiples of {HEAD_SIZE}")
    return BlipSizes(
        image_size=round((weights[telling["places"]].shape[1] - 1) ** 0.5) * patch,
        patch_size=patch,
        vision_width=width,
        vision_layers=_num_layers(weights, rf"{re.escape(vision)}blocks\.(\d+)\."),
        text_width=text_width,
        text_layers=_num_layers(weights, rf"{re.escape(text)}encoder\.layer\.(\d+)\."),
        text_inner_width=weights[telling["inner"]].shape[0],
        vocab_size=vocab_size,
        max_positions=weights[telling["positions"]].shape[0],
    )


def _num_layers(weights: Mapping[str, Tensor], pattern: str) -> int:
    return 1 + max((int(found[1]) for name in weights if (found := re.match(pattern, name))), default=-1)
