"""Nested state survives the way through a file bit for bit, and nothing in it can run code."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from worker.jobs.state_files import join_state, read_safetensors, split_state, state_hash, write_safetensors


def through_files(state: object, folder: Path) -> object:
    tensors, tree = split_state(state)
    write_safetensors(tensors, folder / "state.safetensors")
    return join_state(read_safetensors(folder / "state.safetensors"), json.loads(json.dumps(tree)))


def test_every_kind_of_value_comes_back_bit_for_bit(tmp_path: Path) -> None:
    shared = torch.arange(6, dtype=torch.float32).reshape(2, 3)
    state = {
        "tensors": [shared, shared.t(), torch.tensor(1.5), torch.zeros(0, 3), torch.ones(2, dtype=torch.bfloat16)],
        7: ("a text", None, True, -3, 0.1, math.inf, {"empty": {}}),
        "bool": torch.tensor([True, False]),
        "generator": torch.Generator().manual_seed(3).get_state(),
        "array": np.array([[1, 2]], dtype=np.int16),
        "list in a dict": [{"dict": [1]}, []],
    }
    back = through_files(state, tmp_path)
    assert isinstance(back, dict)
    assert back.keys() == state.keys()
    for old, new in zip(state["tensors"], back["tensors"], strict=True):
        assert new.dtype == old.dtype
        assert torch.equal(new, old)
    assert back[7] == state[7]
    assert torch.equal(back["bool"], state["bool"])
    assert torch.equal(back["generator"], state["generator"])
    assert back["array"].dtype == np.int16
    assert back["list in a dict"] == [{"dict": [1]}, []]


def test_a_number_that_is_none_comes_back_as_none(tmp_path: Path) -> None:
    back = through_files([math.nan, -math.inf], tmp_path)
    assert isinstance(back, list)
    assert math.isnan(back[0])
    assert back[1] == -math.inf


def test_a_file_that_was_cut_short_is_refused_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    write_safetensors({"weight": torch.ones(1000)}, path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"state\.safetensors is cut short or broken"):
        read_safetensors(path)


def test_an_object_that_only_pickle_could_hold_is_refused() -> None:
    with pytest.raises(TypeError, match="inner is a object: a checkpoint holds"):
        split_state({"inner": object()})


def test_the_hash_sees_one_bit_of_a_tensor_and_one_step_of_a_counter(tmp_path: Path) -> None:
    state = {"weight": torch.zeros(3), "step": 4}
    changed = {"weight": torch.tensor([0.0, -0.0, 0.0]), "step": 4}
    later = {"weight": torch.zeros(3), "step": 5}
    hashes = {state_hash(*split_state(each)) for each in (state, changed, later)}
    assert len(hashes) == 3
    assert state_hash(*split_state(through_files(state, tmp_path))) == state_hash(*split_state(state))
