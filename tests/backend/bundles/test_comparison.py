"""How a replay is judged: rounding about nought is no difference, and what the bundle has not is told, not guessed."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from backend.bundles.comparison import METRIC_TOLERANCE, Comparison, compare
from backend.bundles.first_difference import Stage, of_trajectories
from backend.bundles.manifest import MANIFEST, manifest_bytes
from backend.bundles.replay import Recording
from backend.schemas.event import StepFinished
from backend.schemas.sample import GroupRecord
from backend.zip_stream import ZipStream

Judge = Callable[..., Comparison]


def npz(arrays: dict[str, np.ndarray[Any, Any]]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def png(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), shade, np.uint8)).save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.fixture
def judge(make_group: Callable[..., GroupRecord], tmp_path: Path) -> Judge:
    """Compares a bundle of one step with a replay whose first picture has another shade, its second the same hash."""

    def of(
        said: dict[str, Any],
        made: dict[str, Any],
        *,
        shade: int = 101,
        has_picture: bool = True,
        is_picture_equal: bool = False,
        reward: float = 0.0,
    ) -> Comparison:
        group = make_group()
        first, second = group.samples
        body = {"type": "step", "step": 1, "metrics": said}
        told = {"step": 1, "purpose": "train", "policy": group.policy, "index": 0}
        told["trajectory_path"] = None
        told["samples"] = [{**each.model_dump(), "image_sha256": each.image_sha256} for each in group.samples]
        files = {
            "config.json": b"{}",
            "versions.json": b"{}",
            "run.json": b'{"status": "succeeded", "step": 1}',
            "events.jsonl": json.dumps({"body": body}).encode(),
            "samples.jsonl": json.dumps(told).encode(),
        } | ({first.image_path: png(100)} if has_picture else {})
        stream = ZipStream()
        parts = [piece for name, content in files.items() for piece in stream.add(name, [content])]
        parts += [*stream.add(MANIFEST, [manifest_bytes({"run_id": "7"}, stream.hashes)]), *stream.close()]
        (tmp_path / "it.zip").write_bytes(b"".join(parts))
        (tmp_path / first.image_path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / first.image_path).write_bytes(png(shade))
        other = {"reward": reward} | ({} if is_picture_equal else {"image_sha256": "f" * 64})
        again = group.model_copy(update={"samples": (first.model_copy(update=other), second)})
        step = StepFinished(step=1, num_steps=1, metrics=made, seconds=1.0, groups=(again,))
        return compare(Recording(tmp_path / "it.zip"), [step], tmp_path)

    return of


def test_a_loss_that_is_nought_but_for_rounding_is_close(judge: Judge) -> None:
    found = judge({"loss": 2.4e-08, "reward": 0.5}, {"loss": -1.6e-08, "reward": 0.5})
    assert found.worst == pytest.approx(4e-05)
    assert found.worst_name == "loss at step 1"
    assert (found.is_equal, found.is_close(METRIC_TOLERANCE)) == (False, True)


@pytest.mark.parametrize(("made", "is_close"), [(0.50004, True), (0.5001, False), (None, False)])
def test_a_metric_of_size_may_differ_by_a_ten_thousandth_of_it(
    judge: Judge, made: float | None, is_close: bool
) -> None:
    assert judge({"reward": 0.5}, {"reward": made}).is_close(METRIC_TOLERANCE) is is_close


@pytest.mark.parametrize(("shade", "is_close"), [(101, True), (110, False)])
def test_a_picture_is_judged_by_its_pixels_where_the_bundle_has_it(judge: Judge, shade: int, is_close: bool) -> None:
    found = judge({}, {}, shade=shade)
    assert (found.num_pictures, found.num_pictures_equal, found.num_pictures_unseen) == (2, 1, 0)
    assert found.worst_pixels == pytest.approx((shade - 100) / 255)
    assert found.is_close(METRIC_TOLERANCE) is is_close


def test_what_a_run_computes_first_is_told_first_with_both_values(judge: Judge) -> None:
    found = judge({"loss": 0.5, "seconds/update": 1.0}, {"loss": 0.4, "seconds/update": 2.0})
    assert found.first is not None
    assert (found.first.step, found.first.stage, found.first.name) == (
        1,
        Stage.PICTURE,
        "picture of sample 0 of group 0",
    )
    assert found.first.apart == pytest.approx(1 / 255)
    assert found.first.as_dict()["stage"] == "picture"


def test_of_a_steps_metrics_the_one_that_was_computed_first_is_named(judge: Judge) -> None:
    said = {"gradient_norm": 2.0, "loss": 0.5, "reward/mean": 0.25}
    found = judge(said, {"reward/mean": 0.25, "loss": 0.4, "gradient_norm": 3.0}, is_picture_equal=True)
    assert str(found.first) == "step 1, loss was 0.5, here 0.4, 0.2 apart"
    assert judge(said, said, is_picture_equal=True).first is None


def test_a_reward_that_differs_is_told_though_no_metric_shows_it(judge: Judge) -> None:
    found = judge({}, {}, is_picture_equal=True, reward=0.5)
    assert str(found.first) == "step 1, reward in all of sample 0 of group 0 was 0.0, here 0.5, 1 apart"
    assert not found.is_equal


def test_a_trajectory_tells_the_unmasking_step_and_what_was_computed_first_in_it() -> None:
    said = {name: np.zeros((3, 2, 4), np.float32) for name in ("entropy", "confidence", "drawn")}
    said["log_prob"] = np.zeros((3, 2), np.float32)
    said["confidence"][0, 0, 0] = np.nan
    made = {name: values.copy() for name, values in said.items()}
    assert of_trajectories(npz(said), npz(made), 7, "group 1") is None
    made["drawn"][2] = 5
    made["log_prob"][1, 1] = 0.25
    made["entropy"][2] = 1
    found = of_trajectories(npz(said), npz(made), 7, "group 1")
    assert str(found) == "step 7, log_prob of group 1 from unmasking step 2 on, 0.25 apart"
    made["confidence"][0, 0, 0] = 0.5
    found = of_trajectories(npz(said), npz(made), 7, "group 1")
    assert found is not None
    assert (found.name, found.apart) == ("confidence of group 1 from unmasking step 1 on", float("inf"))
    assert found.as_dict()["apart"] is None, "JSON knows no infinity"


def test_a_picture_that_the_bundle_has_not_is_counted_and_not_guessed(judge: Judge) -> None:
    found = judge({}, {}, shade=255, has_picture=False)
    assert (found.num_pictures_equal, found.num_pictures_unseen, found.worst_pixels) == (1, 1, 0.0)
    assert not found.is_equal
