"""A sample's files in its run's folder: the picture, the strip of its unmasking frames, the group's trajectories."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

from backend.artifacts import RunFolder, run_folder
from backend.errors import MalformedError, NotFoundError
from backend.models import GroupRow, SampleRow

# As bright as the job paints it, see worker/jobs/pictures.py.
MASKED_GREY = 102
MAX_REPLAY_PIXELS = 2**28
"""that an animation may have, 3 bytes each while it is made: 64 frames of 512 x 512 pixels at scale 4"""

FramesOrigin = Literal["decoded", "composed"]

_SAID_OF: dict[FramesOrigin, str] = {
    "decoded": "Each frame was decoded after its unmasking step; cells that were still masked are grey.",
    "composed": "Frames composed from the finished picture: cells that were still masked are covered in grey.",
}


def frames_path(image_path: str) -> str:
    """Where the strip of a sample's decoded frames lies in the run's folder, given where its picture does."""
    return image_path.replace("samples/", "frames/", 1)


@dataclass(frozen=True)
class SampleFiles:
    """Reads what belongs to one sample."""

    folder: RunFolder
    sample: SampleRow
    group: GroupRow

    def image(self) -> bytes:
        """The picture, as PNG."""
        return self._read(self.sample.image_path, "picture")

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays of the group's trajectories; docs/architecture.md names them."""
        if self.group.trajectory_path is None:
            raise NotFoundError(f"sample {self.sample.id} has no trajectory: its run did not record it")
        content = self._read(self.group.trajectory_path, "trajectory")
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}

    @property
    def is_decoded(self) -> bool:
        """Whether each step's picture was decoded; else frames are made of the finished picture."""
        return self.folder.path(frames_path(self.sample.image_path)).is_file()

    def origin(self, wanted: FramesOrigin | None = None) -> FramesOrigin:
        """How frames come to be: as wanted, else decoded where they are.

        Raises:
            NotFoundError: when decoded frames are wanted and not there.
        """
        if wanted == "decoded" and not self.is_decoded:
            raise NotFoundError(
                f"the frames of sample {self.sample.id} are not decoded: ask for them with "
                f"POST /api/v1/samples/{self.sample.id}/frames"
            )
        return wanted or ("decoded" if self.is_decoded else "composed")

    @property
    def num_steps(self) -> int:
        """The number of unmasking steps, and so of frames."""
        return len(self._strip()) if self.is_decoded else len(self.arrays()["drawn"])

    def frames(self, origin: FramesOrigin | None = None) -> list[Image.Image]:
        """The picture after each unmasking step, cells that are still masked in grey; see `origin`."""
        if self.origin(origin) == "decoded":
            return self._strip()
        finished, arrays = self._finished(), self.arrays()
        return [self._composed(finished, arrays, step) for step in range(len(arrays["drawn"]))]

    def frame(self, step: int, origin: FramesOrigin) -> bytes:
        """The picture after one unmasking step, as PNG."""
        num_steps = self.num_steps
        if step >= num_steps:
            raise NotFoundError(f"there is no unmasking step {step}: the last is {num_steps - 1}")
        # One alone: those of a picture that grew far, all at once, would take gigabytes.
        is_decoded = origin == "decoded"
        frame = self._strip()[step] if is_decoded else self._composed(self._finished(), self.arrays(), step)
        buffer = io.BytesIO()
        frame.save(buffer, format="PNG")
        return buffer.getvalue()

    def replay(
        self, kind: Literal["GIF", "WEBP"], origin: FramesOrigin, *, scale: int | None, milliseconds: int
    ) -> bytes:
        """The frames as an animation, enlarged without smoothing; the finished picture stays a while.

        The file itself says, as its comment or description, whether its frames were decoded or composed. `scale` is
        pixels a pixel; None for 4, or as many as stay in bounds.

        Raises:
            MalformedError: it would have too many pixels.
        """
        scale = self._scale(scale)
        frames = self.frames(origin)
        size = (frames[0].width * scale, frames[0].height * scale)
        large = [frame.resize(size, Image.Resampling.NEAREST) for frame in frames]
        durations = [milliseconds] * (len(large) - 1) + [max(milliseconds, 1500)]
        buffer = io.BytesIO()
        options: dict[str, Any] = {"comment": _SAID_OF[origin].encode()}
        if kind == "WEBP":
            exif = Image.Exif()
            exif[ExifTags.Base.ImageDescription] = _SAID_OF[origin]
            options = {"lossless": True, "exif": exif}
        large[0].save(
            buffer, format=kind, save_all=True, append_images=large[1:], duration=durations, loop=0, **options
        )
        return buffer.getvalue()

    def _scale(self, wanted: int | None) -> int:
        finished, num_steps = self._finished(), self.num_steps
        pixels = num_steps * finished.shape[0] * finished.shape[1]
        largest = math.isqrt(MAX_REPLAY_PIXELS // pixels)
        if largest < (wanted or 1):
            cure = f"ask for a scale of at most {largest}" if largest else "ask for its frames one by one"
            raise MalformedError(
                f"a replay of {num_steps} frames of {finished.shape[1]} x {finished.shape[0]} pixels at scale "
                f"{wanted or 1} has more than {MAX_REPLAY_PIXELS:,} pixels: {cure}"
            )
        return wanted or min(largest, 4)

    def _strip(self) -> list[Image.Image]:
        """The decoded frames, which stand side by side, each as wide as the picture."""
        content = self._read(frames_path(self.sample.image_path), "unmasking frames")
        with Image.open(io.BytesIO(content)) as opened, Image.open(io.BytesIO(self.image())) as picture:
            width, strip = picture.width, opened.convert("RGB")
        return [strip.crop((left, 0, left + width, strip.height)) for left in range(0, strip.width, width)]

    def _finished(self) -> NDArray[np.uint8]:
        """(H, W, 3): the picture."""
        with Image.open(io.BytesIO(self.image())) as picture:
            return np.asarray(picture.convert("RGB"))

    def _composed(self, finished: NDArray[np.uint8], arrays: dict[str, NDArray[Any]], step: int) -> Image.Image:
        """The finished picture with grey over the cells that a step had left masked.

        A token that was kept never changes again, so its cell is as decoded then but for what its neighbours add.
        """
        rows, columns = (int(size) for size in arrays["grid"])
        unmasked_at = arrays["unmasked_at"][self.sample.index].reshape(rows, columns)
        cell = np.ones((finished.shape[0] // rows, finished.shape[1] // columns), dtype=bool)
        is_masked = np.kron(unmasked_at > step, cell)[:, :, None]
        return Image.fromarray(np.where(is_masked, np.uint8(MASKED_GREY), finished))

    def _read(self, path: str, what: str) -> bytes:
        try:
            return self.folder.read(path)
        except FileNotFoundError:
            raise NotFoundError(
                f"the {what} of sample {self.sample.id} is gone: {path} is missing in the folder of its run"
            ) from None


def files_of(runs_dir: Path, sample: SampleRow, group: GroupRow) -> SampleFiles:
    """The files of a sample."""
    return SampleFiles(run_folder(runs_dir, sample.run_id), sample, group)
