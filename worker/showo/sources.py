"""Finds the folder that a model lies in: a local one, or one of the Hugging Face hub, from its cache or fetched.

It knows names and files, no tensors.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from huggingface_hub import constants, snapshot_download
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError

TEXT_FILES = ("*.json", "*.txt")
"""configurations, lists of shards, tokenizer files"""
WEIGHT_PATTERNS = ((*TEXT_FILES, "*.safetensors"), ("*.bin",), ("*.pth",), ("*.pt", "*.ckpt"))
"""what is fetched in turn until there are weights: safetensors first, so that no second copy of them is fetched"""

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
# The bases name the HTTP client's own errors, whichever client this version of the hub's library uses.
_HUB_ERRORS = (OSError, ValueError, RuntimeError, EntryNotFoundError, *HfHubHTTPError.__bases__)


def is_hub_name(source: str | Path) -> bool:
    """Say whether a source has the form `owner/model` and is no local path."""
    return _HUB_NAME.fullmatch(str(source)) is not None and not Path(source).exists()


def find_folder(
    source: str | Path, is_whole: Callable[[Path], bool], patterns: Sequence[Sequence[str]] = WEIGHT_PATTERNS
) -> Path:
    """Return the local folder of a model.

    Args:
        source: a folder, or a hub name such as `showlab/show-o-512x512`.
        is_whole: whether a folder holds all that is needed; asked of what comes from the hub only.
        patterns: of the files to fetch, group by group, until the folder is whole.

    Raises:
        ValueError: there is no such folder, or the hub does not give it; the message says what to fetch and whereto.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        return path
    if not is_hub_name(source):
        raise ValueError(
            f"no model folder at {path}; give a folder that holds config.json and its weights, "
            "or a hub name such as showlab/show-o-512x512"
        )
    return _hub_folder(str(source), is_whole, patterns)


def _hub_folder(name: str, is_whole: Callable[[Path], bool], patterns: Sequence[Sequence[str]]) -> Path:
    """Return the hub's snapshot: the cached one where it is whole, so that a model does not change under a run."""
    reason = "it holds no file that could be one"
    for is_cached in (True, False):
        for allowed in patterns:
            try:
                folder = Path(snapshot_download(name, allow_patterns=list(allowed), local_files_only=is_cached))
            except _HUB_ERRORS as error:
                reason = str(error).strip().splitlines()[0]
                break
            if is_whole(folder):
                return folder
    allowing = ", or start the studio with HF_HUB_OFFLINE=0 to let it fetch" if constants.HF_HUB_OFFLINE else ""
    raise ValueError(
        f"{name} is no local folder, and the Hugging Face hub did not give it ({reason}). Fetch it where there is a "
        f"network, `hf download {name} --local-dir DIR`, and give that folder instead of the name, "
        f"or copy that machine's hub cache to {constants.HF_HUB_CACHE}{allowing}"
    )
