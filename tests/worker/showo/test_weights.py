"""Tensors in files: formats, shards, what is refused and how it is named."""

import json
import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from worker.showo.weights import fill, find_weights, listed, open_weights, weight_problems

TENSORS = {"0.weight": torch.arange(6.0).view(2, 3), "0.bias": torch.tensor([7.0, 8.0])}


class Runs:
    """A pickle of it runs a command when it is read without care."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple:
        return os.system, (self.command,)


def write(path: Path, tensors: dict[str, torch.Tensor]) -> None:
    if path.suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path)


def write_shards(folder: Path, stem: str, suffix: str) -> None:
    names = {name: f"{stem}-{place:05d}-of-00002{suffix}" for place, name in enumerate(TENSORS, 1)}
    for name, shard in names.items():
        write(folder / shard, {name: TENSORS[name]})
    (folder / f"{stem}{suffix}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": names}))


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
@pytest.mark.parametrize("is_sharded", [False, True])
def test_weights_are_read_from_one_file_or_from_shards(tmp_path: Path, suffix: str, is_sharded: bool) -> None:
    if is_sharded:
        write_shards(tmp_path, "pytorch_model", suffix)
    else:
        write(tmp_path / f"pytorch_model{suffix}", TENSORS)
    stored = open_weights(tmp_path)
    assert stored.shapes == {"0.weight": (2, 3), "0.bias": (2,)}
    assert all(torch.equal(stored.read(name), tensor) for name, tensor in TENSORS.items())


def test_pickles_of_old_torch_versions_are_read_too(tmp_path: Path) -> None:
    torch.save(TENSORS, tmp_path / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    assert torch.equal(open_weights(tmp_path).read("0.bias"), TENSORS["0.bias"])


def test_the_wrapper_of_distributed_training_is_taken_off_where_every_name_has_it(tmp_path: Path) -> None:
    path = tmp_path / "mycheckpoint.pth"
    torch.save({"module.weight": torch.ones(2), "module.layer.bias": torch.zeros(3)}, path)
    weights = open_weights(path)
    assert weights.shapes == {"weight": (2,), "layer.bias": (3,)}
    assert torch.equal(weights.read("weight"), torch.ones(2))
    # Where only some names have it, it belongs to them.
    torch.save({"module.weight": torch.ones(2), "bias": torch.zeros(3)}, path)
    assert set(open_weights(path).shapes) == {"module.weight", "bias"}


@pytest.mark.parametrize("suffix", [".safetensors", ".bin"])
@pytest.mark.parametrize("is_sharded", [False, True])
def test_the_wrapper_is_taken_off_in_every_format_and_in_shards(tmp_path: Path, suffix: str, is_sharded: bool) -> None:
    wrapped = {f"module.{name}": tensor for name, tensor in TENSORS.items()}
    if is_sharded:
        for name, tensor in wrapped.items():
            write(tmp_path / f"{name}{suffix}", {name: tensor})
        index = {"weight_map": {name: f"{name}{suffix}" for name in wrapped}}
        (tmp_path / f"pytorch_model{suffix}.index.json").write_text(json.dumps(index))
    else:
        write(tmp_path / f"pytorch_model{suffix}", wrapped)
    stored = open_weights(tmp_path)
    assert stored.shapes == {"0.weight": (2, 3), "0.bias": (2,)}
    assert all(torch.equal(stored.read(name), tensor) for name, tensor in TENSORS.items())


@pytest.mark.parametrize("shard", [3, None, ["a"]])
def test_an_index_that_names_no_files_is_refused(tmp_path: Path, shard: object) -> None:
    path = tmp_path / "pytorch_model.safetensors.index.json"
    path.write_text(json.dumps({"weight_map": {"0.weight": "a.safetensors", "0.bias": shard}}))
    with pytest.raises(ValueError, match=r"is no index of shards: .*for the name of a file"):
        open_weights(path)


def test_safetensors_are_taken_before_a_pickle(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"broken")
    write_shards(tmp_path, "model", ".safetensors")
    assert find_weights(tmp_path) == tmp_path / "model.safetensors.index.json"
    assert open_weights(tmp_path).shapes.keys() == TENSORS.keys()


def test_a_lone_state_dict_is_found_and_one_of_two_is_not_guessed(tmp_path: Path) -> None:
    write(tmp_path / "mycheckpoint.pth", TENSORS)
    assert find_weights(tmp_path) == tmp_path / "mycheckpoint.pth"
    write(tmp_path / "other.pth", TENSORS)
    with pytest.raises(ValueError, match="no weights in"):
        open_weights(tmp_path)


def test_a_pickle_that_would_run_something_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    witness = tmp_path / "ran"
    for path, content in {
        tmp_path / "zip.pth": {"weight": Runs(f"touch {witness}")},
        tmp_path / "plain.bin": None,
    }.items():
        if content is None:
            path.write_bytes(pickle.dumps(Runs(f"touch {witness}"), protocol=2))
        else:
            torch.save(content, path)
        with pytest.raises(ValueError, match="refused, since such a pickle can run code"):
            open_weights(path)
    assert not witness.exists()


@pytest.mark.parametrize("content", [torch.zeros(2), {"a": {"b": torch.zeros(2)}}, {"step": 3}])
def test_what_is_no_plain_state_dict_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"a\.pth is no plain state dict"):
        open_weights(tmp_path / "a.pth")


@pytest.mark.parametrize("name", ["pytorch_model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize("num_bytes", [0, 30, 100])
def test_a_file_that_is_cut_short_is_refused_by_name(tmp_path: Path, name: str, num_bytes: int) -> None:
    write(tmp_path / name, TENSORS)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:num_bytes])
    with pytest.raises(ValueError, match=rf"{name} is (cut short or )?broken"):
        open_weights(tmp_path)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8, 0.95])
def test_an_old_pickle_that_is_cut_short_is_refused_by_name(tmp_path: Path, share: float) -> None:
    path = tmp_path / "old.bin"
    torch.save(TENSORS, path, _use_new_zipfile_serialization=False)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=r"old\.bin is (cut short or )?broken"):
        open_weights(path)


def test_missing_shards_are_all_named(tmp_path: Path) -> None:
    write_shards(tmp_path, "pytorch_model", ".bin")
    for shard in tmp_path.glob("*.bin"):
        shard.unlink()
    with pytest.raises(ValueError, match=r"not there: pytorch_model-00001-of-00002\.bin, pytorch_model-00002-of"):
        open_weights(tmp_path)


def test_a_shard_without_the_tensor_that_the_index_promises_is_refused(tmp_path: Path) -> None:
    write_shards(tmp_path, "pytorch_model", ".bin")
    write(tmp_path / "pytorch_model-00002-of-00002.bin", {"other": torch.zeros(1)})
    with pytest.raises(ValueError, match=r"shards do not hold: 0\.bias"):
        open_weights(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"weight_map": 3}'])
def test_a_broken_index_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(content)
    with pytest.raises(ValueError, match="is no index of shards"):
        open_weights(tmp_path)


@pytest.mark.parametrize(("dtype", "expected"), [(None, torch.float32), (torch.bfloat16, torch.bfloat16)])
def test_a_module_without_memory_is_filled_in_the_wanted_type(
    tmp_path: Path, dtype: torch.dtype | None, expected: torch.dtype
) -> None:
    write(tmp_path / "pytorch_model.bin", {name: tensor.half() for name, tensor in TENSORS.items()})
    with torch.device("meta"):
        module = nn.Sequential(nn.Linear(3, 2))
    fill(module, open_weights(tmp_path), "cpu", dtype)
    assert module[0].weight.dtype is expected
    assert torch.equal(module[0].weight.float(), TENSORS["0.weight"])
    assert module[0].bias.requires_grad


def test_every_tensor_that_does_not_fit_is_named() -> None:
    module = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    problems = weight_problems(module, {"0.weight": (2, 3), "0.bias": (5,), "1.weight": (2, 2), "x": (1,)}, "model")
    assert problems == [
        "model: 1 missing tensors: 1.bias",
        "model: 1 surplus tensors: x",
        "model: 1 misshapen tensors: 0.bias (5,) instead of (2,)",
    ]
    assert weight_problems(module, {name: tuple(t.shape) for name, t in module.state_dict().items()}, "model") == []


def test_a_long_list_names_all_by_the_numbers_of_their_layers() -> None:
    names = [f"layers.{layer}.{part}.bias" for layer in [*range(24), 30] for part in ("fc1", "fc2")] + ["head"]
    assert listed(names) == "layers.{0-23,30}.fc1.bias, layers.{0-23,30}.fc2.bias, head"
    assert listed(names[:3]) == "layers.0.fc1.bias, layers.0.fc2.bias, layers.1.fc1.bias"
