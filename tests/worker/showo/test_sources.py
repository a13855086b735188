"""Hub names without a network: what the cache holds is used, what it lacks is said."""

from pathlib import Path

import pytest

from tests.worker.showo.hub import cache
from worker.showo.sources import TEXT_FILES, find_folder, is_hub_name


def has_config(folder: Path) -> bool:
    return (folder / "config.json").is_file()


@pytest.mark.parametrize(
    ("source", "expected"),
    [("showlab/show-o-512x512", True), ("microsoft/phi-1_5", True), ("show-o", False), ("../llm", False),
     ("/models/show-o", False), ("a/b/c", False), ("./show-o", False)],
)  # fmt: skip
def test_a_hub_name_is_an_owner_and_a_model(source: str, expected: bool) -> None:
    assert is_hub_name(source) is expected


def test_a_local_folder_is_no_hub_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models" / "mine").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert not is_hub_name("models/mine")
    assert find_folder("models/mine", has_config) == Path("models/mine")


def test_a_model_in_the_hub_s_cache_is_found_without_a_network(hub_cache: Path) -> None:
    snapshot = cache(hub_cache, "some/model", config_json="{}")
    assert find_folder("some/model", has_config) == snapshot
    assert find_folder("some/model", has_config, (TEXT_FILES,)) == snapshot


def test_a_cached_model_that_lacks_what_is_needed_is_not_taken_for_whole(hub_cache: Path) -> None:
    cache(hub_cache, "some/model", tokenizer_json="{}")
    with pytest.raises(ValueError, match=r"hf download some/model --local-dir DIR"):
        find_folder("some/model", has_config)


def test_a_name_that_is_not_in_the_cache_says_what_to_fetch_and_where_to_put_it(hub_cache: Path) -> None:
    with pytest.raises(ValueError, match=r"the Hugging Face hub did not give it") as caught:
        find_folder("some/model", has_config)
    assert "`hf download some/model --local-dir DIR`" in str(caught.value)
    assert str(hub_cache) in str(caught.value)
    assert "HF_HUB_OFFLINE=0" in str(caught.value)


def test_a_path_that_is_not_there_is_never_asked_of_the_hub(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no model folder at"):
        find_folder(tmp_path / "nowhere", has_config)
