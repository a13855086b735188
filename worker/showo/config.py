"""The sizes of a Show-o, and where its vocabulary's parts lie."""

from dataclasses import dataclass

from worker.showo.prompting import NUM_NEW_TOKENS


@dataclass(frozen=True)
class ShowoConfig:
    """Sizes of a Show-o; the defaults are the published 512 px model on Phi-1.5."""

    llm_vocab_size: int = 50295
    """words of the language model's tokenizer"""
    codebook_size: int = 8192
    num_image_tokens: int = 1024
    max_text_tokens: int = 128
    """longest text block without its task token"""
    bos_token_id: int = 50256
    eos_token_id: int = 50256
    hidden_size: int = 2048
    intermediate_size: int = 8192
    num_layers: int = 24
    num_heads: int = 32
    partial_rotary_factor: float = 0.5
    """share of each head's dimensions that turn with the position"""
    rope_theta: float = 10000.0
    layer_norm_eps: float = 1e-5
    initializer_range: float = 0.02
    llm_name: str = "llm"
    """the language model's hub name where it has one, kept for export; else the folder beside the weights"""

    @property
    def vocab_size(self) -> int:
        """Words, new tokens, image codes and the mask token."""
        return self.first_image_id + self.codebook_size + 1

    @property
    def first_image_id(self) -> int:
        """The vocabulary id of image code 0."""
        return self.llm_vocab_size + NUM_NEW_TOKENS

    @property
    def mask_token_id(self) -> int:
        """The vocabulary id of the mask token, the last one: code `codebook_size` by the same offset."""
        return self.vocab_size - 1

    @property
    def head_dim(self) -> int:
        """Dimensions of one attention head."""
        return self.hidden_size // self.num_heads
