"""Counts wrong tries by address over one minute. Of one process, and forgotten with it; knows nothing of tokens."""

from __future__ import annotations

import ipaddress
import math
import time
from collections import deque
from collections.abc import Callable

MOST_ADDRESSES = 10_000


class Tries:
    """The wrong tries of each address within the last minute."""

    def __init__(self, *, most: int = 10, seconds: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._seconds = seconds
        self._clock = clock
        self._times: dict[str, deque[float]] = {}

    def note(self, address: str) -> int:
        """Notes a wrong try; gives the whole seconds until the next one is counted, 0 while there are few.

        What comes beyond the limit is not noted: who stops trying has waited long enough after a minute.
        """
        now = self._clock()
        # Taken out and put back at the end, so that the first key is the address that was silent longest.
        times = self._times.pop(key := _network(address), deque())
        while times and times[0] <= now - self._seconds:
            times.popleft()
        self._times[key] = times
        if len(self._times) > MOST_ADDRESSES:
            del self._times[next(iter(self._times))]
        if len(times) >= self._most:
            return max(1, math.ceil(times[0] + self._seconds - now))
        times.append(now)
        return 0


def _network(address: str) -> str:
    """The address, or of IPv6 the network of which one machine may use any address."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if found.version == 4:
        return str(found)
    return str(found.ipv4_mapped or ipaddress.ip_network((found, 64), strict=False))
