"""What a run is said to need: by part, on which device, and what to change where it does not fit; without torch."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from backend.errors import MalformedError, NotFoundError
from backend.preflight.devices import devices_folder
from backend.preflight.plan import num_lora_parameters
from backend.preflight.service import USABLE_SHARE, preflight
from backend.preflight.sizes import PolicySizes
from backend.runs.policies import SHIPPED_POLICY
from backend.schemas.config import TrainConfig
from backend.schemas.preflight import MeasuredDevice, Preflight, PreflightRequest
from backend.schemas.run import Worker

GIB = 1 << 30
WORKER = Worker(name="w", run_id=None, device="cpu", num_cores=2, memory_gib=8, seen_at=datetime.now(UTC))
REAL = {"source": "showlab/show-o-512x512", "device": "cuda"}


def told(
    tmp_path: Path, *, workers: tuple[Worker, ...] = (WORKER,), gpu: str | None = None, **config: Any
) -> Preflight:
    memory_gib = config.pop("memory_gib", None)
    wanted = PreflightRequest.model_validate(
        {"config": {"kind": "train", **config}, "accelerator": gpu, "memory_gib": memory_gib}
    )
    return preflight(wanted, workers, tmp_path / "runs")


def bytes_of(found: Preflight) -> dict[str, int]:
    return {part.name: part.num_bytes for part in found.parts}


def test_the_parts_add_up_to_the_peak_and_the_peak_is_the_largest_moment(tmp_path: Path) -> None:
    found = told(tmp_path)
    assert sum(bytes_of(found).values()) == found.peak_bytes == max(moment.num_bytes for moment in found.moments)
    assert found.peak_moment in {moment.name for moment in found.moments}
    assert found.seconds_a_step == pytest.approx(found.seconds_rollout + found.seconds_update)
    assert found.seconds_in_all == pytest.approx(found.num_steps * found.seconds_a_step)


def test_lasting_parts_are_counted_from_the_parameters(tmp_path: Path) -> None:
    few = {"num_prompts": 1, "group_size": 4}
    found = told(tmp_path, policy=REAL, gpu="H200", rollout=few, optimizer={"num_micro_batches": 4, "ema_decay": 0.9})
    trained = PolicySizes().num_transformer_parameters
    policy = 4 * (trained + PolicySizes().tokenizer.num_parameters)
    parts = bytes_of(found)
    assert parts["weights"] == parts["reference"] == policy
    assert (parts["optimizer"], parts["average"], parts["gradients"]) == (8 * trained, 4 * trained, 4 * trained)


def test_lora_needs_no_reference_and_moments_of_its_factors_alone(tmp_path: Path) -> None:
    config = TrainConfig.model_validate({"lora": {"is_enabled": True, "rank": 4, "target_modules": ["q_proj", "fc1"]}})
    assert num_lora_parameters(config, PolicySizes()) == 24 * 4 * (2048 + 2048 + 2048 + 8192)
    found = told(tmp_path, policy=REAL, gpu="H100", lora={"is_enabled": True, "rank": 4})
    assert "reference" not in bytes_of(found)
    assert bytes_of(found)["optimizer"] < 0.01 * bytes_of(found)["weights"]


def test_each_setting_that_saves_memory_lowers_the_peak(tmp_path: Path) -> None:
    base: dict[str, Any] = {"policy": REAL, "gpu": "H100", "optimizer": {"num_micro_batches": 64}}
    peak = told(tmp_path, **base).peak_bytes
    for saving in (
        {"optimizer": {"num_micro_batches": 256}},
        {"scaling": {"is_gradient_checkpointed": True}},
        {"lora": {"is_enabled": True}},
        {"rollout": {"num_prompts": 4}},
        {"grpo": {"transition": "candidate_2"}},
        {"scaling": {"num_processes": 4}},
    ):
        assert told(tmp_path, **(base | saving)).peak_bytes < peak, saving


def test_guidance_and_more_steps_take_longer(tmp_path: Path) -> None:
    seconds = told(tmp_path).seconds_rollout
    assert told(tmp_path, sampling={"guidance_scale": 3.0}).seconds_rollout > 1.5 * seconds
    assert told(tmp_path, sampling={"num_unmasking_steps": 32}).seconds_rollout > 1.5 * seconds


def test_guidance_is_charged_to_every_update_but_the_forward_process(tmp_path: Path) -> None:
    for grpo, is_charged in (({}, True), ({"objective": "forward_process", "ratio": "token"}, False)):
        plain, guided = (told(tmp_path, grpo=grpo, sampling={"guidance_scale": scale}) for scale in (0.0, 3.0))
        assert (guided.seconds_update > plain.seconds_update) is is_charged
        assert guided.seconds_rollout > plain.seconds_rollout


def test_a_mask_schedule_that_masks_longer_takes_longer(tmp_path: Path) -> None:
    by_schedule = {name: told(tmp_path, sampling={"mask_schedule": name}) for name in ("linear", "cosine", "square")}
    linear, cosine, square = by_schedule.values()
    assert linear.seconds_rollout < cosine.seconds_rollout < square.seconds_rollout
    assert linear.seconds_update < cosine.seconds_update < square.seconds_update


def test_changes_are_made_in_order_until_it_fits(tmp_path: Path) -> None:
    found = told(tmp_path, policy=REAL, gpu="RTX 4090", rollout={"num_prompts": 4, "group_size": 6})
    assert found.fits is False
    assert found.device.memory_bytes == 24 * GIB
    names = [change.setting for change in found.changes]
    assert names[0] == "optimizer.num_micro_batches"
    assert len(set(names)) == len(names)
    peaks = [found.peak_bytes, *(change.peak_bytes for change in found.changes)]
    assert peaks == sorted(peaks, reverse=True)
    assert [change.fits for change in found.changes] == [False] * (len(names) - 1) + [True]
    assert peaks[-1] <= USABLE_SHARE * found.device.memory_bytes


def test_the_changes_really_make_it_fit(tmp_path: Path) -> None:
    config: dict[str, Any] = {"policy": REAL, "rollout": {"num_prompts": 4, "group_size": 6}}
    found = told(tmp_path, gpu="RTX 4090", **config)
    for change in found.changes:
        section, name = change.setting.split(".")
        value = json.loads(change.value) if change.value[0] in "tf0123456789" else change.value
        config[section] = {**config.get(section, {}), name: value}
    after = told(tmp_path, gpu="RTX 4090", **config)
    assert after.fits is True
    assert (after.changes, after.peak_bytes) == ((), found.changes[-1].peak_bytes)


def test_what_never_fits_is_said(tmp_path: Path) -> None:
    found = told(tmp_path, policy={"source": "showlab/show-o", "device": "cpu"}, memory_gib=1)
    assert found.fits is False
    assert "take a larger device" in found.notes[-1]


def test_a_measured_device_goes_before_an_assumed_rate(tmp_path: Path) -> None:
    assumed = told(tmp_path)
    assert assumed.device.rate_source.startswith("assumed")
    assert assumed.device.memory_bytes == 8 * GIB
    folder = devices_folder(tmp_path / "runs")
    folder.mkdir()
    (folder / "broken.json").write_text("{")
    measured = MeasuredDevice(
        host="here",
        name="a CPU",
        kind="cpu",
        memory_bytes=16 * GIB,
        float32_rate=2 * assumed.device.operations_per_second,
        bfloat16_rate=1e9,
        bandwidth=2 * assumed.device.bytes_per_second,
        measured_at=datetime.now(UTC),
    )
    (folder / "here-cpu.json").write_text(measured.model_dump_json())
    found = told(tmp_path)
    assert found.device.rate_source.startswith("measured on here")
    assert found.device.memory_bytes == 16 * GIB
    assert found.seconds_a_step == pytest.approx(assumed.seconds_a_step / 2)


def test_of_several_machines_it_is_that_of_the_worker_that_was_heard_from_last(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    workers = tuple(
        WORKER.model_copy(update={"name": name, "num_cores": cores, "seen_at": now - timedelta(seconds=ago)})
        for name, cores, ago in (("big-box-7", 64, 9), ("desk-1", 4, 1), ("elder-3", 16, 20))
    )
    assert told(tmp_path, workers=workers).device.name == "CPU, 4 cores"
    folder = devices_folder(tmp_path / "runs")
    folder.mkdir()
    values: dict[str, Any] = {
        "kind": "cpu",
        "memory_bytes": GIB,
        "float32_rate": 1e9,
        "bfloat16_rate": 1e9,
        "bandwidth": 1e9,
    }
    for place, host in enumerate(("elder", "big-box", "gone")):
        measured = MeasuredDevice(host=host, name=host, measured_at=now + timedelta(seconds=place), **values)
        (folder / f"{host}-cpu.json").write_text(measured.model_dump_json())
    assert told(tmp_path, workers=workers).device.name == "big-box", "the last heard from has measured nothing yet"
    assert told(tmp_path, workers=workers[1:2]).device.name == "gone", "the newest"


def test_without_a_worker_the_memory_is_unknown(tmp_path: Path) -> None:
    found = told(tmp_path, workers=())
    assert (found.fits, found.device.memory_bytes, found.changes) == (None, None, ())


def test_a_gpu_that_nobody_measured_must_be_named(tmp_path: Path) -> None:
    with pytest.raises(MalformedError, match="accelerator 'RTX 4090'"):
        told(tmp_path, policy=REAL)


def test_a_policy_of_unknown_sizes_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"showlab/show-o, showlab/show-o-512x512"):
        told(tmp_path, policy={"source": "somebody/else"})


def test_a_policy_that_was_fetched_from_the_hub_has_the_sizes_of_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    wanted = {"source": "somebody/else", "device": "cpu"}
    with pytest.raises(NotFoundError, match="hf download"):
        told(tmp_path, policy=wanted)
    snapshot = tmp_path / "hub" / "models--somebody--else" / "snapshots" / "abc"
    shutil.copytree(SHIPPED_POLICY, snapshot, ignore=shutil.ignore_patterns("clip"))
    assert told(tmp_path, policy=wanted).peak_bytes == told(tmp_path, policy={"device": "cpu"}).peak_bytes
    # Without an image tokenizer inside it is the published one; its language model may have a repository of its own.
    shutil.rmtree(snapshot / "vq")
    llm = tmp_path / "hub" / "models--somebody--words" / "snapshots" / "def"
    llm.parent.mkdir(parents=True)
    (snapshot / "llm").rename(llm)
    own = json.loads((snapshot / "config.json").read_text())
    (snapshot / "config.json").write_text(json.dumps(own | {"llm_model_path": "somebody/words"}))
    assert told(tmp_path, policy=wanted).peak_bytes > told(tmp_path, policy={"device": "cpu"}).peak_bytes


@pytest.mark.parametrize(
    ("source", "place", "start"),
    [
        ("run:01a", "exports/adapter", "../../start/policy"),
        ("run:01a@20", "checkpoints/000020/policy", "../../../start/policy"),
    ],
)
def test_an_adapter_has_the_sizes_of_the_policy_that_it_belongs_to(
    tmp_path: Path, source: str, place: str, start: str
) -> None:
    run = tmp_path / "runs" / "01a"
    (run / place).mkdir(parents=True)
    note = run / place / "adapter_config.json"
    wanted = {"source": source, "device": "cpu"}
    note.write_text(json.dumps({"base_model_name_or_path": start}))
    with pytest.raises(NotFoundError, match="01a/start/policy"):
        told(tmp_path, policy=wanted)
    shutil.copytree(SHIPPED_POLICY, run / "start" / "policy")
    assert told(tmp_path, policy=wanted).peak_bytes == told(tmp_path, policy={"device": "cpu"}).peak_bytes
    note.write_text(json.dumps({"base_model_name_or_path": "showlab/show-o"}))
    named = told(tmp_path, policy={"source": "showlab/show-o", "device": "cpu"})
    assert told(tmp_path, policy=wanted).peak_bytes == named.peak_bytes


def test_a_state_dict_has_the_sizes_of_the_files_beside_it(tmp_path: Path) -> None:
    shutil.copytree(SHIPPED_POLICY, tmp_path / "tuned")
    (tmp_path / "tuned" / "mycheckpoint.pth").touch()
    found = told(tmp_path, policy={"source": str(tmp_path / "tuned" / "mycheckpoint.pth"), "device": "cpu"})
    assert found.peak_bytes == told(tmp_path, policy={"source": "shipped", "device": "cpu"}).peak_bytes


def test_pretraining_has_no_preflight(tmp_path: Path) -> None:
    with pytest.raises(MalformedError, match="all kinds but one: a pretrain run"):
        preflight(PreflightRequest.model_validate({"config": {"kind": "pretrain"}}), (), tmp_path)


@pytest.mark.parametrize("kind", ["sample", "evaluate"])
def test_pictures_need_no_gradients(tmp_path: Path, kind: str) -> None:
    found = told(tmp_path, kind=kind)
    assert not {"gradients", "optimizer", "reference"} & set(bytes_of(found))
    assert found.seconds_update == 0
    base = told(tmp_path, kind="evaluate", base={"source": "shipped"})
    assert "reference" in bytes_of(base)


def test_a_picture_that_grows_is_counted_window_by_window(tmp_path: Path) -> None:
    prompts = {"texts": ["two stars", "a red circle"]}
    extensions = [{"direction": "right"}, {"direction": "right"}, {"direction": "up"}]
    whole = told(tmp_path, kind="sample", prompts=prompts)
    grown = told(
        tmp_path, kind="sample", prompts=prompts, extrapolation={"picture": "/a.png", "extensions": extensions}
    )
    # Up takes three windows, half a window apart, over an edge twice as long as one.
    assert (whole.num_steps, grown.num_steps) == (1, 2 * (1 + 1 + 3))
    assert grown.seconds_in_all > whole.seconds_in_all
    assert any("unmasked window by window" in note for note in grown.notes)


def test_reward_networks_are_counted(tmp_path: Path) -> None:
    found = told(tmp_path, policy=REAL, gpu="H100", rewards=[{"name": "clip", "precision": "bfloat16"}])
    assert bytes_of(found)["rewards"] == 2 * 986_109_441


def test_the_route_answers_and_refuses(api: TestClient) -> None:
    answer = api.post("/api/v1/preflight", json={"config": {"kind": "train"}, "memory_gib": 24})
    assert answer.status_code == 200, answer.text
    assert Preflight.model_validate(answer.json()).fits is True
    answer = api.post("/api/v1/preflight", json={"config": {"kind": "pretrain"}})
    assert (answer.status_code, answer.json()["code"]) == (422, "malformed")
    answer = api.post("/api/v1/preflight", json={"config": {"kind": "train"}, "memory_gib": 0})
    assert answer.status_code == 422
