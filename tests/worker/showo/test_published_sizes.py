"""The same classes, at their default sizes, are the published models; no memory is taken for the weights."""

import torch

from worker.showo.model import Showo, ShowoConfig
from worker.showo.vq import MagvitV2, VQConfig


def test_the_default_transformer_has_the_published_size_and_names() -> None:
    with torch.device("meta"):
        showo = Showo(ShowoConfig())
    shapes = {name: tuple(parameter.shape) for name, parameter in showo.named_parameters()}
    assert sum(parameter.numel() for parameter in showo.parameters()) == 1_448_176_770
    assert shapes["showo.model.embed_tokens.weight"] == (58498, 2048)
    assert shapes["showo.model.layers.23.self_attn.q_layernorm.weight"] == (64,)
    assert shapes["showo.lm_head.bias"] == (58498,)
    assert showo.config.mask_token_id == 58497
    assert showo.config.first_image_id == 50305


def test_the_default_image_tokenizer_has_the_published_size_and_names() -> None:
    with torch.device("meta"):
        magvit = MagvitV2(VQConfig())
    num_parameters = sum(parameter.numel() for parameter in magvit.parameters())
    assert round(num_parameters / 1e6, 1) == 95.4
    shapes = {name: tuple(tensor.shape) for name, tensor in magvit.state_dict().items()}
    assert shapes["quantize.embedding"] == (8192, 13)
    assert shapes["encoder.quant_conv.weight"] == shapes["decoder.post_quant_conv.weight"] == (13, 13, 1, 1)
    assert magvit.config.grid_size == 16
