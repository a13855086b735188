"""Feature extractors: the shipped CLIP, InceptionV3 of the true architecture, and pictures of a user's folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from worker.benchmarks.features import clip_extractor, inception_extractor, pictures_of, read_batches


def write(path: Path, size: tuple[int, int], level: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), level, dtype=np.uint8)).save(path)
    return path


def test_pictures_of_a_folder_are_read_in_order_in_batches_of_one_size(tmp_path: Path) -> None:
    for name, size in (("b/2.png", (8, 8)), ("a/1.jpg", (8, 8)), ("c.webp", (6, 9)), ("notes.txt", (4, 4))):
        write(tmp_path / name.replace(".txt", ".png"), size, 100).rename(tmp_path / name)
    paths = pictures_of(tmp_path)
    assert [path.name for path in paths] == ["1.jpg", "2.png", "c.webp"]
    assert [tuple(batch.shape) for batch in read_batches(paths)] == [(2, 3, 8, 8), (1, 3, 6, 9)]


def test_a_folder_without_pictures_and_a_broken_file_are_refused_with_the_cure(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no folder"):
        pictures_of(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="holds 0 pictures"):
        pictures_of(tmp_path)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match="cannot be read as a picture"):
        list(read_batches([tmp_path / "broken.png"]))


def test_a_clips_features_are_its_embeddings_whatever_the_pictures_size(tmp_path: Path) -> None:
    paths = [write(tmp_path / "a.png", (64, 64), 10), write(tmp_path / "b.png", (40, 90), 200)]
    extractor = clip_extractor("shipped")
    features = extractor.of_files(paths, torch.device("cpu"))
    assert features.shape[0] == 2
    torch.testing.assert_close(features.norm(dim=1), torch.ones(2))
    assert "shipped" in extractor.name


@pytest.mark.slow
def test_inceptions_features_are_what_its_last_layer_reads(tmp_path: Path) -> None:
    from torchvision.models import Inception3  # noqa: PLC0415

    torch.manual_seed(0)
    network = Inception3(transform_input=False, init_weights=False).eval()
    torch.save(network.state_dict(), tmp_path / "inception.pth")
    picture = torch.rand(1, 3, 299, 299)
    features = inception_extractor(tmp_path / "inception.pth").extract(picture)
    assert features.shape == (1, 2048)
    with torch.no_grad():
        wanted = network(picture * 2 - 1)
        torch.testing.assert_close(network.fc(features), wanted, atol=1e-4, rtol=1e-4)


def test_absent_inception_weights_are_refused_with_what_to_download(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"inception_v3_google-0cc3c7bd\.pth"):
        inception_extractor(tmp_path / "nothing.pth")
