"""What stands for a rater in files that leave the studio: a hash, the same in each of them. Knows no table."""

from __future__ import annotations

import hashlib
import re

OF_STUDIO = "studio"
"""the kind of raters who voted in a studio, named by their id"""
_HASH = re.compile(r"[0-9a-f]{16}")


def rater_hash(kind: str, name: object) -> str:
    """What stands for a rater outside: the same rater has one hash, and nobody reads an id from it."""
    return hashlib.sha256(f"rater:{kind}:{name}".encode()).hexdigest()[:16]


def told_rater(kind: str, name: object, *, is_own: bool) -> str:
    """What stands for a rater whom a file tells of; a hash that this program wrote is the rater's already.

    Args:
        kind: of the file.
        name: what the file calls the rater.
        is_own: whether this program wrote the file, as the provenance in it says.
    """
    is_hash = is_own and isinstance(name, str) and _HASH.fullmatch(name) is not None
    return str(name) if is_hash else rater_hash(kind, name)
