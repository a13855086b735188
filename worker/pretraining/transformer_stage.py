"""Stage two: masked prediction of image codes from captions (MaskGIT's objective on Show-o's layout)."""

import math
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from backend.schemas.config import PretrainConfig
from worker.pretraining.pictures import captioned_pictures, to_pixels
from worker.pretraining.stage_optimizer import StageOptimizer
from worker.pretraining.steps import PretrainStep
from worker.shapes.captions import vocabulary
from worker.showo.model import Showo, ShowoConfig
from worker.showo.policy import ShowoPolicy
from worker.showo.prompting import build_word_tokenizer
from worker.showo.vq import MagvitV2

ENCODING_BATCH = 250


def new_policy(config: PretrainConfig, magvit: MagvitV2) -> ShowoPolicy:
    """Return an untrained policy over the small world's words and the tokenizer's codes."""
    settings = config.transformer
    tokenizer = build_word_tokenizer(vocabulary())
    showo = Showo(
        ShowoConfig(
            llm_vocab_size=len(tokenizer),
            codebook_size=magvit.config.codebook_size,
            num_image_tokens=magvit.config.grid_size**2,
            max_text_tokens=settings.max_text_tokens,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            hidden_size=settings.hidden_size,
            intermediate_size=4 * settings.hidden_size,
            num_layers=settings.num_layers,
            num_heads=settings.num_heads,
            rope_theta=settings.rope_theta,
        )
    )
    showo.initialise(torch.Generator().manual_seed(config.seed))
    return ShowoPolicy(showo, magvit.eval(), tokenizer)


def mask_codes(codes: Tensor, mask_code: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mask a random share of each row, cosine of a uniform draw, at least one place.

    Args:
        codes: (B, N) int64.
        mask_code: what stands at a masked place.
        generator: the source of chance.

    Returns:
        (B, N) int64 with `mask_code` where masked, and (B, N) bool, True where masked.
    """
    num_rows, num_tokens = codes.shape
    share = torch.cos(math.pi / 2 * torch.rand(num_rows, 1, generator=generator))
    num_masked = (share * num_tokens).round().clamp(min=1)
    order = torch.rand(num_rows, num_tokens, generator=generator).argsort(dim=1).argsort(dim=1)
    is_masked = order < num_masked
    return codes.masked_fill(is_masked, mask_code), is_masked


class TransformerStage:
    """The policy's transformer in training: everything that resuming needs is in `state_dict()`."""

    def __init__(self, config: PretrainConfig, magvit: MagvitV2) -> None:
        self.settings = config.transformer
        self.step = 0
        self.generator = torch.Generator().manual_seed(config.seed)
        self.policy = new_policy(config, magvit)
        self.captions, self.codes = self._encode_pictures(np.random.default_rng([config.seed, 2]))
        showo = self.policy.showo
        self.optimizer = StageOptimizer(showo, showo.showo.model.layers.parameters(), self.settings)

    def _encode_pictures(self, rng: np.random.Generator) -> tuple[list[str], Tensor]:
        captions: list[str] = []
        codes: list[Tensor] = []
        pending: list[np.ndarray] = []
        for caption, picture in captioned_pictures(self.settings.num_pictures, rng):
            captions.append(caption)
            pending.append(picture)
            if len(pending) == ENCODING_BATCH or len(captions) == self.settings.num_pictures:
                codes.append(self.policy.encode(to_pixels(np.stack(pending))))
                pending = []
        return captions, torch.cat(codes)

    def steps(self) -> Iterator[PretrainStep]:
        """Train on to the configured number of steps, yielding after each one."""
        while self.step < self.settings.num_steps:
            started = time.monotonic()
            metrics = self._train_once()
            seconds = time.monotonic() - started
            yield PretrainStep("transformer", self.step, self.settings.num_steps, metrics, seconds)

    def _train_once(self) -> dict[str, float]:
        loss = self._loss()
        norm = self.optimizer.step(loss, self.step + 1)
        self.step += 1
        return {"loss": float(loss.detach()), "gradient_norm": norm}

    def _loss(self) -> Tensor:
        size = self.settings.batch_size
        chosen = torch.randint(len(self.captions), (size,), generator=self.generator)
        is_dropped = torch.rand(size, generator=self.generator) < self.settings.prompt_dropout
        drops = zip(chosen.tolist(), is_dropped.tolist(), strict=True)
        prompts = ["" if dropped else self.captions[row] for row, dropped in drops]
        codes = self.codes[chosen]
        masked, is_masked = mask_codes(codes, self.policy.codebook_size, self.generator)
        rows = is_masked.flatten().nonzero()[:, 0]
        logits = self.policy.code_logits(self.policy.prefix(prompts), masked, rows)
        return F.cross_entropy(logits, codes[is_masked])

    def state_dict(self) -> dict[str, Any]:
        """Return all that an exact resumption needs; the pictures follow from the seed and the tokenizer."""
        return {
            "step": self.step,
            "showo": self.policy.showo.state_dict(),
            **self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up where `state` was made, bit for bit on a CPU."""
        self.step = state["step"]
        self.policy.showo.load_state_dict(state["showo"])
        self.optimizer.load_state_dict(state)
        self.generator.set_state(state["generator"])
