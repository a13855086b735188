"""A policy is found by its source and refused where the machine cannot do what its settings ask."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from backend.artifacts import RunFolder
from backend.schemas.every_run import PolicyConfig
from worker.jobs.policies import load


def test_compiled_layers_are_refused_without_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match=r"policy\.is_compiled is on, but the run works on the CPU.*switch it off"):
        load(PolicyConfig(is_compiled=True), RunFolder(tmp_path / "run"))


def test_layers_are_as_they_are_unless_asked_for(tmp_path: Path) -> None:
    policy = load(PolicyConfig(), RunFolder(tmp_path / "run"))
    assert all(layer._compiled_call_impl is None for layer in policy.showo.showo.model.blocks())
    policy.showo.compile_layers(backend="eager")
    assert all(layer._compiled_call_impl is not None for layer in policy.showo.showo.model.blocks())
