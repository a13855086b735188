"""What an evaluate run keeps in its folder of figures that no single sample tells, for differences asked for later.

Diversity by prompt, and the distances without each part of the prompts. It reads and writes the file alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from pydantic import TypeAdapter, ValidationError

from backend.artifacts import RunFolder
from backend.schemas.base import Number, WireModel

MEASURED_FILE = "measured.json"


class StoredMeasures(WireModel):
    """Of one policy."""

    by_prompt: dict[str, list[Number]]
    """by measure, a number a prompt"""
    without: dict[str, list[float]]
    """by distance, the figure without each part of the prompts"""


_FILE: TypeAdapter[dict[str, StoredMeasures]] = TypeAdapter(dict[str, StoredMeasures])


def write_measures(folder: RunFolder, measures: Mapping[str, StoredMeasures]) -> None:
    """Writes what was measured of each policy, by its label."""
    content = {label: each.model_dump() for label, each in measures.items()}
    folder.write(MEASURED_FILE, json.dumps(content, allow_nan=False).encode())


def read_measures(folder: RunFolder) -> dict[str, StoredMeasures]:
    """What was measured of each policy; nothing where the file is absent, as of older evaluations, or damaged."""
    try:
        return _FILE.validate_python(json.loads(folder.read(MEASURED_FILE)))
    except (OSError, ValueError, ValidationError):
        return {}
