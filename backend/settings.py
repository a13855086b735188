"""Where things are: URLs and folders, read from the environment (UNMASK_*, DATABASE_URL, BROKER_URL, DATA_DIR)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Where the studio's parts lie. What a run does is a RunConfig, never a setting."""

    model_config = SettingsConfigDict(env_prefix="UNMASK_", extra="ignore", frozen=True)

    data_dir: Path = Field(Path("data"), validation_alias=AliasChoices("UNMASK_DATA_DIR", "DATA_DIR"))
    database_url: SecretStr | None = Field(
        None,
        description="Empty = the embedded Postgres under data_dir/postgres",
        validation_alias=AliasChoices("UNMASK_DATABASE_URL", "DATABASE_URL"),
    )
    broker_url: SecretStr | None = Field(
        None,
        description="Empty = the embedded Valkey",
        validation_alias=AliasChoices("UNMASK_BROKER_URL", "BROKER_URL"),
    )
    host: str = Field("127.0.0.1", description="Address the web process listens on")
    port: int = Field(7860, ge=1, le=65535)
    allowed_hosts: tuple[str, ...] = Field(
        ("127.0.0.1", "localhost", "[::1]"), description="Host headers that are answered; others get 421"
    )
    public_url: str | None = Field(None, description="The address people use, when behind a proxy")
    heartbeat_seconds: float = Field(10.0, gt=0)
    lease_seconds: float = Field(60.0, gt=0)
    requeue_seconds: float = Field(30.0, gt=0)
    log_format: str = Field("console", pattern="^(console|json)$")

    @property
    def runs_dir(self) -> Path:
        """Where the runs' folders lie."""
        return self.data_dir.resolve() / "runs"


@cache
def get_settings() -> Settings:
    """The process's settings, read once."""
    return Settings()
