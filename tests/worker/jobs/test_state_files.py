"""Nested state survives the way through a file bit for bit, and nothing in it can run code."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from worker.jobs.state_files import from_safetensors, join_state, split_state, state_hash, to_safetensors


def through_files(state: object) -> object:
    tensors, tree = split_state(state)
    return join_state(from_safetensors(to_safetensors(tensors)), json.loads(json.dumps(tree)))


def test_every_kind_of_value_comes_back_bit_for_bit() -> None:
    shared = torch.arange(6, dtype=torch.float32).reshape(2, 3)
    state = {
        "tensors": [shared, shared.t(), torch.tensor(1.5), torch.zeros(0, 3), torch.ones(2, dtype=torch.bfloat16)],
        7: ("a text", None, True, -3, 0.1, math.inf, {"empty": {}}),
        "bool": torch.tensor([True, False]),
        "generator": torch.Generator().manual_seed(3).get_state(),
        "array": np.array([[1, 2]], dtype=np.int16),
        "list in a dict": [{"dict": [1]}, []],
    }
    back = through_files(state)
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


def test_a_number_that_is_none_comes_back_as_none() -> None:
    back = through_files([math.nan, -math.inf])
    assert isinstance(back, list)
    assert math.isnan(back[0])
    assert back[1] == -math.inf


def test_an_object_that_only_pickle_could_hold_is_refused() -> None:
    with pytest.raises(TypeError, match="inner is a object: a checkpoint holds"):
        split_state({"inner": object()})


def test_the_hash_sees_one_bit_of_a_tensor_and_one_step_of_a_counter() -> None:
    state = {"weight": torch.zeros(3), "step": 4}
    changed = {"weight": torch.tensor([0.0, -0.0, 0.0]), "step": 4}
    later = {"weight": torch.zeros(3), "step": 5}
    hashes = {state_hash(*split_state(each)) for each in (state, changed, later)}
    assert len(hashes) == 3
    assert state_hash(*split_state(through_files(state))) == state_hash(*split_state(state))
