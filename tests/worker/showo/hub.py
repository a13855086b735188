"""Models as the Hugging Face library keeps them on disk."""

from pathlib import Path


def cache(hub_cache: Path, name: str, **files: str) -> Path:
    """Put a model into the hub's cache as its library does."""
    model = hub_cache / f"models--{name.replace('/', '--')}"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text("abc123")
    snapshot = model / "snapshots" / "abc123"
    snapshot.mkdir(parents=True)
    for file, content in files.items():
        (snapshot / file.replace("_", ".")).write_text(content)
    return snapshot
