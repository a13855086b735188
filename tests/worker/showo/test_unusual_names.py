"""Weights whose file has another name than the published ones: the folder's only one is taken, none is guessed."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.worker.showo.test_weights import TENSORS, write, write_shards
from worker.showo.loading import load_policy, load_vq
from worker.showo.weights import find_weights, open_weights

FIXTURES = Path(__file__).parents[2] / "fixtures"
UNUSUAL = (
    "model.pt", "x.ckpt", "showo.safetensors", "weights.bin", "model.bin", "pytorch_model.fp16.safetensors", "my.pth"
)  # fmt: skip


@pytest.mark.parametrize("name", UNUSUAL)
def test_a_folder_s_only_weights_are_found_under_any_name(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, TENSORS)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "tokenizer.txt").write_text("red")
    assert open_weights(tmp_path).path == tmp_path / name
    assert open_weights(tmp_path).shapes.keys() == TENSORS.keys()


@pytest.mark.parametrize(("stem", "suffix"), [("model", ".bin"), ("showo", ".safetensors")])
def test_the_only_weights_may_lie_in_shards_of_any_name(tmp_path: Path, stem: str, suffix: str) -> None:
    write_shards(tmp_path, stem, suffix)
    assert find_weights(tmp_path) == tmp_path / f"{stem}{suffix}.index.json"
    assert all(torch.equal(open_weights(tmp_path).read(name), tensor) for name, tensor in TENSORS.items())


def test_one_of_two_is_not_guessed_and_a_published_name_goes_first(tmp_path: Path) -> None:
    write(tmp_path / "model.pt", TENSORS)
    write(tmp_path / "model.ckpt", TENSORS)
    with pytest.raises(ValueError, match=r"no weights in .* or a single file of another name that ends in \.pth"):
        open_weights(tmp_path)
    write(tmp_path / "pytorch_model.bin", TENSORS)
    assert find_weights(tmp_path) == tmp_path / "pytorch_model.bin"


def test_what_a_trainer_leaves_beside_a_state_dict_does_not_hide_it(tmp_path: Path) -> None:
    write(tmp_path / "my.pth", TENSORS)
    write(tmp_path / "training_args.bin", TENSORS)
    assert find_weights(tmp_path) == tmp_path / "my.pth"


def test_a_broken_index_of_an_unusual_name_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "showo.bin.index.json").write_text(json.dumps([]))
    with pytest.raises(ValueError, match=r"showo\.bin\.index\.json is no index of shards"):
        open_weights(tmp_path)


def test_an_image_tokenizer_is_loaded_from_a_file_as_from_its_folder(tmp_path: Path) -> None:
    for part in ("showo", "llm", "vq"):
        shutil.copytree(FIXTURES / part, tmp_path / part)
    file = tmp_path / "vq" / "magvit.ckpt"
    published = next((tmp_path / "vq").glob("*.safetensors"))
    torch.save(load_file(published), file)
    published.unlink()
    expected = load_vq(FIXTURES / "vq").state_dict()
    for source in (file, tmp_path / "vq"):
        found = load_vq(source).state_dict()
        assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
    assert load_policy(tmp_path / "showo", vq=file).magvit is not None
