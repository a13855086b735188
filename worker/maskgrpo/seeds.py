"""Seeds by counting: a hash of where in the run they are used, so that no generator's state has to be saved."""

from __future__ import annotations

import hashlib

NUM_SEED_BITS = 53
"""The largest whole numbers that JSON readers keep exact."""


def derived_seed(run_seed: int, purpose: str, *counters: int) -> int:
    """Gives the seed of one use of chance.

    Args:
        run_seed: the run's seed.
        purpose: what it is for; other purposes give unrelated seeds.
        counters: where: step, group, place in the group, try ...

    Returns:
        An integer in [0, 2**53), the same on every machine.
    """
    text = f"{run_seed} {purpose} {' '.join(str(counter) for counter in counters)}"
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> (64 - NUM_SEED_BITS)
