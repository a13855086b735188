"""Each job notes how fast its machine is; the fastest note stays."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
import torch

from backend.artifacts import RunFolder
from backend.preflight.devices import devices_folder, read_devices
from backend.schemas.every_run import PolicyConfig
from worker.jobs import device_rate
from worker.jobs.device_rate import note_device


def test_the_fastest_measurement_of_a_machine_stays(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "runs" / "a")
    folder.root.mkdir(parents=True)
    config, drawn = PolicyConfig(device="cpu", num_threads=1), torch.get_rng_state()
    note_device(config, folder)
    (found,) = read_devices(devices_folder(tmp_path / "runs"))
    assert found.kind == "cpu"
    assert found.memory_bytes == psutil.virtual_memory().total
    assert found.float32_rate > 1e7
    assert found.bfloat16_rate > 1e5
    assert found.bandwidth > 1e7
    assert torch.equal(torch.get_rng_state(), drawn)
    path = devices_folder(tmp_path / "runs") / f"{found.host}-cpu.json"
    for rate, is_kept in ((1e18, True), (1.0, False)):
        path.write_text(found.model_copy(update={"float32_rate": rate}).model_dump_json())
        note_device(config, folder)
        (after,) = read_devices(devices_folder(tmp_path / "runs"))
        assert (after.float32_rate == rate) is is_kept


def test_a_folder_that_cannot_be_written_costs_no_run(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "runs" / "a")
    folder.root.mkdir(parents=True)
    (tmp_path / "devices").write_text("in the way")
    note_device(PolicyConfig(device="cpu", num_threads=1), folder)
    assert read_devices(devices_folder(tmp_path / "runs")) == []


def test_a_device_without_memory_for_the_measurement_costs_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = RunFolder(tmp_path / "runs" / "a")
    folder.root.mkdir(parents=True)
    # No machine holds two such matrices: torch itself raises, as it does on a full GPU.
    monkeypatch.setattr(device_rate, "_CPU_SIDE", 1 << 29)
    note_device(PolicyConfig(device="cpu", num_threads=1), folder)
    assert read_devices(devices_folder(tmp_path / "runs")) == []
    assert "was not measured, the run goes on" in caplog.text
