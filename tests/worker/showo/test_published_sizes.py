"""The same classes, at their default sizes, are the published models; no memory is taken for the weights."""

from pathlib import Path

import torch
from safetensors import safe_open

from worker.showo.config import ShowoConfig
from worker.showo.model import Showo
from worker.showo.vq import MagvitV2, VQConfig

FIXTURES = Path(__file__).parents[2] / "fixtures"
Shapes = dict[str, tuple[int, ...]]


def shapes_of(module: torch.nn.Module) -> Shapes:
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def both(name: str, *shape: int, bias: int | None = None) -> Shapes:
    """A weight and its bias, as wide as the weight's first side."""
    return {f"{name}.weight": shape, f"{name}.bias": (shape[0] if bias is None else bias,)}


def published_showo() -> Shapes:
    """The published checkpoint's names and shapes, written out from its description."""
    shapes: Shapes = {"showo.model.embed_tokens.weight": (58498, 2048)}
    for layer in range(24):
        start = f"showo.model.layers.{layer}"
        for part in ("q_proj", "k_proj", "v_proj", "dense"):
            shapes |= both(f"{start}.self_attn.{part}", 2048, 2048)
        for part in ("q_layernorm", "k_layernorm"):
            shapes |= both(f"{start}.self_attn.{part}", 64)
        shapes |= both(f"{start}.mlp.fc1", 8192, 2048) | both(f"{start}.mlp.fc2", 2048, 8192)
        shapes |= both(f"{start}.input_layernorm", 2048)
    return shapes | both("showo.model.final_layernorm", 2048) | both("showo.lm_head", 58498, 2048)


def conv(name: str, outputs: int, inputs: int, size: int) -> Shapes:
    return both(name, outputs, inputs, size, size)


def block(name: str, inputs: int, outputs: int) -> Shapes:
    shapes = both(f"{name}.norm1", inputs) | conv(f"{name}.conv1", outputs, inputs, 3)
    shapes |= both(f"{name}.norm2", outputs) | conv(f"{name}.conv2", outputs, outputs, 3)
    return shapes if inputs == outputs else shapes | conv(f"{name}.nin_shortcut", outputs, inputs, 1)


def middle(name: str, width: int) -> Shapes:
    shapes = block(f"{name}.block_1", width, width) | block(f"{name}.block_2", width, width)
    shapes |= both(f"{name}.attn_1.norm", width)
    for part in ("q", "k", "v", "proj_out"):
        shapes |= conv(f"{name}.attn_1.{part}", width, width, 1)
    return shapes


def published_vq() -> Shapes:
    """The same of the published image tokenizer."""
    shapes: Shapes = {"quantize.embedding": (8192, 13), "quantize.power_vals": (13,)}
    shapes |= conv("encoder.conv_in", 128, 3, 3) | middle("encoder.mid", 512) | both("encoder.norm_out", 512)
    shapes |= conv("encoder.conv_out", 13, 512, 3) | conv("encoder.quant_conv", 13, 13, 1)
    width = 128
    for level, (outputs, blocks) in enumerate(zip((128, 256, 256, 512, 512), (4, 3, 4, 3, 4), strict=True)):
        for place in range(blocks):
            shapes |= block(f"encoder.down.{level}.block.{place}", width, outputs)
            width = outputs
        if level < 4:
            shapes |= conv(f"encoder.down.{level}.downsample.conv", width, width, 3)
    shapes |= conv("decoder.post_quant_conv", 13, 13, 1) | conv("decoder.conv_in", 512, 13, 3)
    shapes |= middle("decoder.mid", 512) | both("decoder.norm_out", 128) | conv("decoder.conv_out", 3, 128, 3)
    width = 512
    levels = list(enumerate(zip((128, 128, 256, 256, 512), (4, 4, 3, 4, 3), strict=True)))
    for level, (outputs, blocks) in reversed(levels):
        for place in range(blocks):
            shapes |= block(f"decoder.up.{level}.block.{place}", width, outputs)
            width = outputs
        if level > 0:
            shapes |= conv(f"decoder.up.{level}.upsample.conv", width, width, 3)
    return shapes


def test_the_default_transformer_has_exactly_the_published_names_and_shapes() -> None:
    with torch.device("meta"):
        showo = Showo(ShowoConfig())
    assert shapes_of(showo) == published_showo()
    assert sum(parameter.numel() for parameter in showo.parameters()) == 1_448_176_770
    assert showo.config.mask_token_id == 58497
    assert showo.config.first_image_id == 50305


def test_the_default_image_tokenizer_has_exactly_the_published_names_and_shapes() -> None:
    with torch.device("meta"):
        magvit = MagvitV2(VQConfig())
    assert shapes_of(magvit) == published_vq()
    num_parameters = sum(parameter.numel() for parameter in magvit.parameters())
    assert round(num_parameters / 1e6, 1) == 95.4


def test_what_is_written_out_here_has_the_form_of_the_published_files() -> None:
    for part, written in (("showo", published_showo()), ("vq", published_vq())):
        with safe_open(FIXTURES / part / "pytorch_model.safetensors", framework="pt") as file:
            assert {without_numbers(name) for name in written} == {without_numbers(name) for name in file.keys()}  # noqa: SIM118


def without_numbers(name: str) -> str:
    return ".".join("0" if part.isdigit() else part for part in name.split("."))
