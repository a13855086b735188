"""The report's pairs: the pictures of every policy embedded in the file, with prompt, seed and rewards."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from backend.artifacts import run_folder
from backend.evaluations.report.words import figure, name_of, signed, text
from backend.schemas.evaluation import SamplePair
from backend.schemas.sample import Sample

# Larger pictures are embedded as WebP: fifty of 512 pixels as PNG would make a file that nobody can send.
LARGEST_PNG = 96 * 1024
WEBP_QUALITY = 90


def pair_tiles(runs_dir: Path, pairs: list[SamplePair], labels: list[str], two: tuple[str, str]) -> Iterator[str]:
    """A tile a pair, one after another, so that pictures are in memory one pair at a time."""
    yield f'<div class="pairs{" many" if len(labels) > 2 else ""}">'
    for pair in pairs:
        samples = {two[0]: pair.base, two[1]: pair.policy, **pair.others}
        pictures = "".join(_picture(runs_dir, label, samples[label]) for label in labels if label in samples)
        words = f"<p>{text(pair.prompt)}</p>{_told(pair)}"
        yield f'<article class="pair"><div class="pictures">{pictures}</div>{words}</article>'
    yield "</div>"


def _told(pair: SamplePair) -> str:
    task = f"{text(pair.task.replace('_', ' '))} · " if pair.task else ""
    kind = "" if not pair.difference else ' class="gain"' if pair.difference > 0 else ' class="loss"'
    change = "equal" if pair.difference == 0 else signed(pair.difference)
    return f'<p><small class="muted">{task}seed {pair.seed} · <b{kind}>{change}</b></small></p>'


def _picture(runs_dir: Path, label: str, sample: Sample) -> str:
    source = _data_uri(runs_dir, sample)
    alt = f"{name_of(label)}: {text(sample.prompt)}"
    shown = f'<img src="{source}" alt="{alt}">' if source else '<div class="gone">the picture’s file is gone</div>'
    return f"<figure>{shown}<figcaption><small>{name_of(label)} {figure(sample.reward)}</small></figcaption></figure>"


def _data_uri(runs_dir: Path, sample: Sample) -> str | None:
    """The picture as text; None where its file is gone or no picture any more, which must not cost the report."""
    try:
        content = run_folder(runs_dir, sample.run_id).read(sample.image_path)
        kind = "png"
        if len(content) > LARGEST_PNG:
            buffer = io.BytesIO()
            with Image.open(io.BytesIO(content)) as picture:
                picture.convert("RGB").save(buffer, format="WEBP", quality=WEBP_QUALITY)
            content, kind = buffer.getvalue(), "webp"
    except OSError:
        return None
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
