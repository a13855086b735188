"""What a job's process is given to see."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.embedded.studio import _child_environment
from backend.settings import Settings
from worker.job_process import job_environment


@pytest.mark.parametrize(("own", "seen"), [({}, "1"), ({"HF_HUB_OFFLINE": ""}, "1"), ({"HF_HUB_OFFLINE": "0"}, "0")])
def test_the_hub_is_asked_only_where_a_person_says_so(
    own: dict[str, str], seen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert job_environment({}, own)["HF_HUB_OFFLINE"] == seen
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    assert _child_environment(Settings(), tmp_path)["HF_HUB_OFFLINE"] == seen
