"""The reward server's command line: which device it judges on."""

from __future__ import annotations

import pytest
import torch

from worker.rewards.serve import device_of


def test_a_gpu_that_is_not_there_is_refused_and_taken_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device_of("auto").type == "cpu"
    with pytest.raises(ValueError, match="shows no GPU to torch: take auto or cpu"):
        device_of("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert device_of("auto").type == device_of("cuda").type == "cuda"
