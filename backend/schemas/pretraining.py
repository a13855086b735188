"""Settings of the two pretraining stages: tokenizer (LFQ, after MAGVIT-v2) and transformer (MaskGIT objective)."""

from __future__ import annotations

from pydantic import Field

from backend.schemas.base import Section, unit


class TokenizerStageConfig(Section):
    """Stage one: pictures to tokens and back."""

    num_steps: int = Field(
        3000,
        ge=1,
        le=1_000_000,
        title="Steps",
        description="Optimizer steps.",
        json_schema_extra=unit("steps"),
    )
    num_pictures: int = Field(4000, ge=1, le=10_000_000, title="Pictures", description="Distinct training pictures.")
    num_encoder_steps: int = Field(
        800,
        ge=1,
        le=1_000_000,
        title="Encoder steps",
        description="Steps after which the encoder is frozen and the decoder goes on alone.",
        json_schema_extra=unit("steps"),
    )
    batch_size: int = Field(16, ge=1, le=4096, title="Batch", description="Pictures a step.")
    learning_rate: float = Field(1.5e-3, gt=0, le=1, title="Learning rate", description="AdamW's peak rate.")
    codebook_bits: int = Field(10, ge=2, le=18, title="Codebook bits", description="The codebook has 2^bits codes.")
    commitment_weight: float = Field(
        0.03, ge=0, le=10, title="Commitment", description="Weight of the commitment term."
    )
    entropy_weight: float = Field(
        0.1, ge=0, le=10, title="Entropy", description="Weight of the entropy term, taken over distinct patches."
    )


class TransformerStageConfig(Section):
    """Stage two: masked token prediction from captions."""

    num_steps: int = Field(
        2600,
        ge=1,
        le=10_000_000,
        title="Steps",
        description="Optimizer steps.",
        json_schema_extra=unit("steps"),
    )
    batch_size: int = Field(32, ge=1, le=4096, title="Batch", description="Pictures a step.")
    num_pictures: int = Field(24_000, ge=1, le=10_000_000, title="Pictures", description="Distinct training pictures.")
    hidden_size: int = Field(128, ge=16, le=4096, title="Width", description="Hidden size of the transformer.")
    num_layers: int = Field(4, ge=1, le=64, title="Layers", description="Transformer blocks.")
    num_heads: int = Field(4, ge=1, le=64, title="Heads", description="Attention heads.")
    max_text_tokens: int = Field(
        20,
        ge=4,
        le=4096,
        title="Text block",
        description="Longest text block without its task token.",
        json_schema_extra=unit("tokens"),
    )
    rope_theta: float = Field(
        100.0, gt=1, le=1e7, title="RoPE theta", description="Base of the rotary wavelengths; 10000 in Phi-1.5."
    )
    muon_learning_rate: float = Field(4e-3, gt=0, le=1, title="Muon rate", description="Rate of the blocks' matrices.")
    learning_rate: float = Field(1.6e-3, gt=0, le=1, title="AdamW rate", description="Rate of all the rest.")
    num_warmup_steps: int = Field(
        100, ge=0, le=100_000, title="Warm-up", description="Linear warm-up.", json_schema_extra=unit("steps")
    )
    decay_fraction: float = Field(
        0.5, ge=0, le=1, title="Decay", description="Last share of the steps, in which the rate falls."
    )
    prompt_dropout: float = Field(
        0.1, ge=0, le=1, title="Prompt dropout", description="Share of empty prompts, for guidance."
    )


class ClipStageConfig(Section):
    """A tiny CLIP, trained to tell a caption's picture from nearly right ones."""

    num_steps: int = Field(
        1000,
        ge=1,
        le=1_000_000,
        title="Steps",
        description="Optimizer steps.",
        json_schema_extra=unit("steps"),
    )
    batch_size: int = Field(
        24, ge=2, le=4096, title="Batch", description="Captions a step, each with a right and a nearly right picture."
    )
    num_hard_captions: int = Field(
        3, ge=0, le=16, title="Hard captions", description="Nearly right captions a picture, beside the batch's others."
    )
    width: int = Field(128, ge=32, le=1024, title="Width", description="Hidden size of both towers.")
    embed_size: int = Field(128, ge=8, le=1024, title="Embedding", description="Size of the shared embedding.")
    num_layers: int = Field(4, ge=1, le=24, title="Picture layers", description="Blocks of the picture tower.")
    num_text_layers: int = Field(3, ge=1, le=24, title="Text layers", description="Blocks of the text tower.")
    muon_learning_rate: float = Field(4e-3, gt=0, le=1, title="Muon rate", description="Rate of the blocks' matrices.")
    learning_rate: float = Field(1.5e-3, gt=0, le=1, title="AdamW rate", description="Rate of all the rest.")
    num_warmup_steps: int = Field(
        50, ge=0, le=100_000, title="Warm-up", description="Linear warm-up.", json_schema_extra=unit("steps")
    )
    decay_fraction: float = Field(
        0.6, ge=0, le=1, title="Decay", description="Last share of the steps, in which the rate falls."
    )
