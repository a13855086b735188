"""Pictures, frames and trajectories on disk say what the tensors said."""

from __future__ import annotations

import errno
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend.artifacts import RunFolder, sha256_of
from backend.models import GroupRow, SampleRow
from backend.samples.files import SampleFiles
from backend.schemas.algorithm import SamplingConfig
from worker.jobs.pictures import MASKED_GREY, Place, frame_strips, to_bytes, to_npz, write_group
from worker.jobs.showing import Shown, show
from worker.maskgrpo.types import Policy
from worker.showo.tiny import tiny_policy

NUM_STEPS = 3


@pytest.fixture(scope="module")
def policy() -> Policy:
    return tiny_policy()


@pytest.fixture(scope="module")
def shown(policy: Policy) -> Shown:
    return show(policy, ["a red circle"], [(1, 2)], SamplingConfig(num_unmasking_steps=NUM_STEPS))[0]


def test_a_trajectory_is_read_without_pickle_in_the_agreed_types(policy: Policy, shown: Shown) -> None:
    content = to_npz(shown.trajectory, policy.codebook_size, "candidate_2")
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        found = {name: arrays[name] for name in arrays.files}
    trajectory = shown.trajectory
    assert {name: (array.dtype.name, array.shape) for name, array in found.items() if name != "transition"} == {
        "codes": ("int16", (2, 16)),
        "unmasked_at": ("int16", (2, 16)),
        "drawn": ("int16", (NUM_STEPS, 2, 16)),
        "confidence": ("float16", (NUM_STEPS, 2, 16)),
        "entropy": ("float16", (NUM_STEPS, 2, 16)),
        "log_prob": ("float32", (NUM_STEPS, 2)),
        "grid": ("int32", (2,)),
        "codebook_size": ("int32", ()),
    }
    assert str(found["transition"]) == "candidate_2"
    assert found["grid"].tolist() == [4, 4]
    assert np.array_equal(found["codes"], trajectory.codes.numpy())
    assert np.array_equal(found["drawn"], trajectory.drawn.numpy())
    assert np.array_equal(found["log_prob"], trajectory.log_prob.numpy())
    assert np.array_equal(np.isnan(found["confidence"]), trajectory.confidence.isnan().numpy())


def test_codes_beyond_int16_are_not_cut(shown: Shown) -> None:
    with np.load(io.BytesIO(to_npz(shown.trajectory, 2**16, "candidate_1")), allow_pickle=False) as arrays:
        assert arrays["codes"].dtype == np.int32


def test_frames_show_fixed_cells_as_decoded_and_masked_ones_in_grey(policy: Policy, shown: Shown) -> None:
    strips = frame_strips(policy.decode, shown.trajectory.drawn, shown.trajectory.unmasked_at)
    assert strips.shape == (2, 32, NUM_STEPS * 32, 3)
    assert np.array_equal(strips[:, :, -32:], to_bytes(shown.pictures))
    grey = round(MASKED_GREY * 255)
    first = strips[0, :, :32].reshape(4, 8, 4, 8, 3)
    for cell, step in enumerate(shown.trajectory.unmasked_at[0].tolist()):
        row, column = divmod(cell, 4)
        is_grey = bool((first[row, :, column] == grey).all())
        assert is_grey == (step > 0)


def test_files_lie_where_the_record_says_and_have_its_hashes(policy: Policy, shown: Shown, folder: RunFolder) -> None:
    place = Place(12, "", 3)
    written = write_group(folder, place, policy, shown.pictures, shown.trajectory, "candidate_2", framed=[1])
    assert written.image_paths == ("samples/000012/003-00.png", "samples/000012/003-01.png")
    assert written.trajectory_path == "trajectories/000012/003.npz"
    assert [sha256_of(folder.path(path)) for path in written.image_paths] == list(written.image_hashes)
    picture = np.asarray(Image.open(folder.path(written.image_paths[1])))
    assert np.array_equal(picture, to_bytes(shown.pictures)[1])
    assert [path.name for path in folder.path("frames/000012").iterdir()] == ["003-01.png"]


def test_frames_that_an_earlier_attempt_left_of_other_samples_are_removed(
    policy: Policy, shown: Shown, folder: RunFolder
) -> None:
    folder.write("frames/000012/003-00.png", b"of an earlier attempt, decoded on request")
    write_group(folder, Place(12, "", 3), policy, shown.pictures, shown.trajectory, "candidate_2", framed=[1])
    assert [path.name for path in folder.path("frames/000012").iterdir()] == ["003-01.png"]


def test_a_probe_never_overwrites_the_pictures_of_its_step() -> None:
    training, probe = Place(12, "", 3), Place(12, "probe-base", 3)
    assert training.path("samples", "-00.png") != probe.path("samples", "-00.png")


def test_a_full_disk_leaves_no_half_written_picture(
    policy: Policy, shown: Shown, folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Path.write_bytes

    def half(self: Path, content: bytes) -> int:
        whole(self, content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(OSError, match="No space left"):
        write_group(folder, Place(1, "", 0), policy, shown.pictures, shown.trajectory, "candidate_2", framed=[])
    assert [path for path in folder.root.rglob("*") if path.is_file()] == []


def test_the_same_group_written_twice_gives_the_same_bytes(policy: Policy, shown: Shown, tmp_path: Path) -> None:
    folders = [RunFolder(tmp_path / name) for name in ("one", "two")]
    for each in folders:
        write_group(each, Place(1, "", 0), policy, shown.pictures, shown.trajectory, "candidate_2", framed=[0, 1])
    one, two = (
        {str(path.relative_to(each.root)): sha256_of(path) for path in each.root.rglob("*") if path.is_file()}
        for each in folders
    )
    assert one == two
    assert len(one) == 5


def test_frames_that_were_not_decoded_are_made_of_the_finished_picture(
    policy: Policy, shown: Shown, folder: RunFolder
) -> None:
    place = Place(1, "", 0)
    written = write_group(folder, place, policy, shown.pictures, shown.trajectory, "candidate_2", framed=[])
    sample = SampleRow(index=1, image_path=written.image_paths[1])
    frames = SampleFiles(folder, sample, GroupRow(trajectory_path=written.trajectory_path)).frames()
    decoded = (
        frame_strips(policy.decode, shown.trajectory.drawn, shown.trajectory.unmasked_at)[1]
        .reshape(32, NUM_STEPS, 32, 3)
        .swapaxes(0, 1)
    )
    assert len(frames) == NUM_STEPS
    assert np.array_equal(np.asarray(frames[-1]), decoded[-1])
    grey = round(MASKED_GREY * 255)
    for frame, wanted in zip(frames, decoded, strict=True):
        assert np.array_equal((np.asarray(frame) == grey).all(axis=-1), (wanted == grey).all(axis=-1))
