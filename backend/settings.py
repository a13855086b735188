"""Where things are: URLs and folders, read from the environment (UNMASK_*, DATABASE_URL, BROKER_URL, DATA_DIR)."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

MIN_TOKEN_LENGTH = 16
_HOW_TO_MAKE_ONE = 'make one with: python3 -c "import secrets; print(secrets.token_urlsafe(24))"'


class Settings(BaseSettings):
    """Where the studio's parts lie. What a run does is a RunConfig, never a setting."""

    model_config = SettingsConfigDict(env_prefix="UNMASK_", extra="ignore", frozen=True, hide_input_in_errors=True)

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
    access_token: SecretStr | None = Field(
        None, description="Opens everything but the rater's door; empty = whoever reaches the port may do everything"
    )
    token: SecretStr | None = Field(None, description="The access token that the command line shows another studio")
    heartbeat_seconds: float = Field(10.0, gt=0)
    lease_seconds: float = Field(60.0, gt=0)
    requeue_seconds: float = Field(30.0, gt=0)
    log_format: str = Field("console", pattern="^(console|json)$")

    @field_validator("access_token", "token", mode="before")
    @classmethod
    def _empty_is_none(cls, value: Any) -> Any:
        # A compose file hands over an empty text where nothing is set.
        return value or None

    @field_validator("access_token", "token")
    @classmethod
    def _fits_a_header(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is None or re.fullmatch(r"(?!rater_)[!-~]{1,512}", value.get_secret_value()):
            return value
        raise ValueError(
            f"UNMASK_{str(info.field_name).upper()} travels in a header: at most 512 letters, digits and signs of "
            f"ASCII, no spaces, and not `rater_` first, which opens only the rater's door; {_HOW_TO_MAKE_ONE}"
        )

    @field_validator("access_token")
    @classmethod
    def _hard_to_guess(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None or len(value) >= MIN_TOKEN_LENGTH:
            return value
        raise ValueError(
            f"UNMASK_ACCESS_TOKEN has {len(value)} characters, at least {MIN_TOKEN_LENGTH} are needed so that nobody "
            f"guesses it; {_HOW_TO_MAKE_ONE}"
        )

    @property
    def runs_dir(self) -> Path:
        """Where the runs' folders lie."""
        return self.data_dir.resolve() / "runs"


@cache
def get_settings() -> Settings:
    """The process's settings, read once."""
    return Settings()
