"""What is fetched from the hub: a stand-in gives the files of a repository that match the patterns, as the hub does."""

import fnmatch
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from worker.showo import sources
from worker.showo.loading import load_policy

NAME = "someone/sharded-showo"
FIXTURES = Path(__file__).parents[2] / "fixtures"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository on the hub, so far without weights; whatever is fetched from it lies in `cached`."""
    remote, local = tmp_path / "remote", tmp_path / "cached"
    local.mkdir()
    shutil.copytree(FIXTURES / "llm", remote / "llm")
    config = json.loads((FIXTURES / "showo" / "config.json").read_text())
    (remote / "config.json").write_text(json.dumps(config | {"llm_model_path": "llm"}))

    def fetch(name: str, allow_patterns: list[str], local_files_only: bool) -> str:
        if name != NAME or (local_files_only and not any(local.iterdir())):
            raise FileNotFoundError(f"{name} is not there")
        for file in [] if local_files_only else [path for path in remote.rglob("*") if path.is_file()]:
            place = file.relative_to(remote)
            if any(fnmatch.fnmatch(str(place), pattern) for pattern in allow_patterns):
                (local / place).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, local / place)
        return str(local)

    monkeypatch.setattr(sources, "snapshot_download", fetch)
    return remote


@pytest.mark.parametrize("suffix", [".bin", ".safetensors"])
@pytest.mark.parametrize("is_interrupted", [False, True])
def test_a_model_in_shards_is_fetched_whole(
    repository: Path, tmp_path: Path, suffix: str, is_interrupted: bool
) -> None:
    weights = load_file(FIXTURES / "showo" / "pytorch_model.safetensors")
    names = list(weights)
    places = {}
    for number, part in enumerate((names[::2], names[1::2]), 1):
        shard = f"pytorch_model-{number:05d}-of-00002{suffix}"
        tensors = {name: weights[name] for name in part}
        save_file(tensors, repository / shard) if suffix == ".safetensors" else torch.save(tensors, repository / shard)
        places |= dict.fromkeys(part, shard)
    index = repository / f"pytorch_model{suffix}.index.json"
    index.write_text(json.dumps({"weight_map": places}))
    if is_interrupted:
        for file in (index, repository / "config.json", repository / places[names[0]]):
            shutil.copy(file, tmp_path / "cached")
    policy = load_policy(NAME)
    assert torch.equal(policy.showo.showo.state_dict()[names[0].removeprefix("showo.")], weights[names[0]])
