"""Says when a studio stands open to a network. Knows where it listens, not whether something shields it there."""

from __future__ import annotations

import ipaddress

from backend.settings import Settings


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there; a name that is no address is taken for an outer one."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def exposure(settings: Settings) -> str | None:
    """What to tell who starts a studio that listens beyond this machine and asks for no token, with the cure."""
    if settings.access_token is not None or is_loopback(settings.host):
        return None
    return (
        f"there is no sign-in, and the studio listens on {settings.host}: whoever reaches the port may do everything. "
        "Set UNMASK_ACCESS_TOKEN, or let a proxy with sign-in stand before it"
    )
