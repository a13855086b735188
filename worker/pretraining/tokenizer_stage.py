"""Stage one: pictures to codes and back. Trains a MAGVIT-v2 with a patch-local encoder; knows no captions and no files.

Departures from MAGVIT-v2: no discriminator and no perceptual loss (flat shapes need neither), and an encoder that
never looks beyond its own patch, because codes that depend on their surroundings taught the transformer nothing in
the same time.
"""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from backend.schemas.config import PretrainConfig
from worker.pretraining.pictures import distinct_patches, random_pictures, to_pixels
from worker.pretraining.steps import PretrainStep, rate_factor
from worker.shapes.world import IMAGE_SIZE
from worker.showo.vq import MagvitV2, PatchEncoder, VQConfig


def vq_config(codebook_bits: int) -> VQConfig:
    """Return the shipped tokenizer's sizes: 8 pixels a code, a light decoder that spares the full resolution."""
    return VQConfig(
        ch=32,
        decoder_ch_mult=(1, 1, 2, 2),
        decoder_num_res_blocks=(0, 1, 1, 1),
        z_channels=codebook_bits,
        resolution=IMAGE_SIZE,
        patch_strides=(4, 2),
    )


def quantise(latents: Tensor) -> Tensor:
    """Return the signs of (B, bits, h, w) latents; the gradient passes straight through."""
    signs = torch.where(latents > 0, 1.0, -1.0)
    return latents + (signs - latents).detach()


def entropy_term(latents: Tensor, embedding: Tensor) -> Tensor:
    """Return each place's entropy over the codes minus that of their mean use, nats: sure of each, fond of all."""
    flat = latents.permute(0, 2, 3, 1).flatten(0, 2)
    log_probs = (2 * flat @ embedding.T).log_softmax(dim=-1)
    probs = log_probs.exp()
    mean_use = probs.mean(dim=0)
    of_each = -(probs * log_probs).sum(dim=-1).mean()
    of_mean = -(mean_use * mean_use.clamp_min(1e-9).log()).sum()
    return of_each - of_mean


@torch.no_grad()
def spread_latents(encoder: PatchEncoder, patches: Tensor, generator: torch.Generator) -> None:
    """Set the last layer so that over the (P, 3, h, w) patches the bits start balanced and uncorrelated.

    From a plain start most patches share a few codes, and the decoder needs minutes to pull them apart.
    """
    features = encoder.features(patches).flatten(1)
    mean = features.mean(dim=0)
    _, spread, directions = torch.linalg.svd(features - mean, full_matrices=False)
    num_bits = encoder.quant_conv.out_channels
    whitening = directions[:num_bits] / spread[:num_bits, None] * len(patches) ** 0.5
    mixing = torch.linalg.qr(torch.randn(num_bits, num_bits, generator=generator)).Q
    weight = mixing @ whitening
    encoder.quant_conv.weight.copy_(weight[:, :, None, None])
    assert encoder.quant_conv.bias is not None
    encoder.quant_conv.bias.copy_(-weight @ mean)


class TokenizerStage:
    """The tokenizer in training: everything that resuming needs is in `state_dict()`."""

    def __init__(self, config: PretrainConfig) -> None:
        self.settings = config.tokenizer
        self.step = 0
        self.generator = torch.Generator().manual_seed(config.seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.magvit = MagvitV2(vq_config(self.settings.codebook_bits))
        self.optimizer = self._new_optimizer()
        self.pictures = random_pictures(self.settings.num_pictures, np.random.default_rng([config.seed, 1]))
        self.patches = to_pixels(distinct_patches(self.pictures, self.magvit.config.patch_size)) * 2 - 1
        assert isinstance(self.magvit.encoder, PatchEncoder)
        spread_latents(self.magvit.encoder, self.patches, self.generator)

    def _new_optimizer(self) -> torch.optim.Optimizer:
        parameters = [parameter for parameter in self.magvit.parameters() if parameter.requires_grad]
        return torch.optim.AdamW(parameters, lr=self.settings.learning_rate, betas=(0.9, 0.99), weight_decay=1e-4)

    def _freeze_encoder(self) -> None:
        """Settle the codes, so that the decoder alone goes on and the transformer's data can be made at any time."""
        self.magvit.encoder.requires_grad_(False)
        # A gradient left over would go on counting in the clipped norm.
        self.magvit.encoder.zero_grad(set_to_none=True)
        self.optimizer = self._new_optimizer()

    def steps(self) -> Iterator[PretrainStep]:
        """Train on to the configured number of steps, yielding after each one."""
        while self.step < self.settings.num_steps:
            started = time.monotonic()
            metrics = self._train_once()
            seconds = time.monotonic() - started
            yield PretrainStep("tokenizer", self.step, self.settings.num_steps, metrics, seconds)

    def _train_once(self) -> dict[str, float]:
        if self.step == self.settings.num_encoder_steps:
            self._freeze_encoder()
        factor = rate_factor(self.step + 1, self.settings.num_steps, 20, 0.5)
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.learning_rate * factor
        chosen = torch.randint(len(self.pictures), (self.settings.batch_size,), generator=self.generator)
        loss, metrics = self._loss(to_pixels(self.pictures[chosen.numpy()]) * 2 - 1)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.magvit.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        return metrics

    def _loss(self, pixels: Tensor) -> tuple[Tensor, dict[str, float]]:
        latents = self.magvit.encoder(pixels)
        rebuilt = self.magvit.decoder(quantise(latents))
        pixel_loss = F.l1_loss(rebuilt, pixels) + 2 * F.mse_loss(rebuilt, pixels)
        if self.step >= self.settings.num_encoder_steps:
            return pixel_loss, {"loss": float(pixel_loss.detach()), "pixel_loss": float(pixel_loss.detach())}
        commitment = F.mse_loss(latents, torch.where(latents > 0, 1.0, -1.0))
        # Over distinct patches, not over places: else the few tiles of the ground would be nearly all that counts.
        patch_latents = self.magvit.encoder(self.patches)
        entropy = entropy_term(patch_latents, self.magvit.quantize.embedding)
        loss = pixel_loss + self.settings.commitment_weight * commitment + self.settings.entropy_weight * entropy
        num_codes = self.magvit.quantize.codes(patch_latents.detach()).unique().numel()
        parts = {"loss": loss, "pixel_loss": pixel_loss, "commitment": commitment, "entropy": entropy}
        return loss, {name: float(part.detach()) for name, part in parts.items()} | {"num_codes": float(num_codes)}

    def state_dict(self) -> dict[str, Any]:
        """Return all that an exact resumption needs; the pictures follow from the seed."""
        return {
            "step": self.step,
            "magvit": self.magvit.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up where `state` was made, bit for bit on a CPU."""
        self.step = state["step"]
        if self.step > self.settings.num_encoder_steps:
            self._freeze_encoder()
        self.magvit.load_state_dict(state["magvit"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])
