"""The access token outside the web process: as a setting, in client and command line, for who starts a studio."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from backend.access.exposure import exposure
from backend.client import StudioClient
from backend.embedded import studio as embedded
from backend.embedded.data_folder import DataFolder
from backend.errors import TooManyTriesError, UnauthenticatedError
from backend.settings import Settings, get_settings
from tests.backend.shell import Shell
from tests.backend.shut_studio import TOKEN
from tests.backend.test_client import free_port, serving


@pytest.fixture
def address(settings: Settings, sessions: object) -> Iterator[str]:
    """A real server that asks for the token."""
    port = free_port()
    with serving(settings.model_copy(update={"access_token": SecretStr(TOKEN)}), port) as app:
        app.state.gate._delay_seconds = 0.0
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def terminal(shell: Shell, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., Shell]]:
    """A shell with an environment of its own; what is not given is not set."""

    def with_environment(**given: str) -> Shell:
        for name in ("UNMASK_URL", "UNMASK_TOKEN", "UNMASK_ACCESS_TOKEN", "UNMASK_PUBLIC_URL"):
            monkeypatch.delenv(name, raising=False)
        for name, value in {"DATA_DIR": str(tmp_path), **given}.items():
            monkeypatch.setenv(name, value)
        get_settings.cache_clear()
        return shell

    yield with_environment
    get_settings.cache_clear()


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("short", "has 5 characters, at least 16 are needed"),
        ("fifteen-letters", "has 15 characters, at least 16"),
        ("with a space in its middle", "no spaces"),
        ("mit-Umlauten-ä-ö-ü-ß", "letters, digits and signs of ASCII"),
        ("rater_1234567890abcdef", "not `rater_` first"),
        ("x" * 513, "at most 512"),
    ],
)
def test_a_token_that_protects_nothing_is_refused_with_the_cure_and_without_itself(
    terminal: Callable[..., Shell], token: str, words: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings(access_token=token)
    assert words in str(refused.value)
    assert "secrets.token_urlsafe(24)" in str(refused.value)
    assert token not in str(refused.value)
    shell = terminal(UNMASK_ACCESS_TOKEN=token)
    assert shell("run", "list") == 2
    assert words in shell.err.replace("\n", " ")
    assert token not in shell.err


def test_sixteen_characters_are_enough_and_an_empty_text_is_none() -> None:
    assert Settings(access_token="0123456789abcdef").access_token is not None
    assert Settings(access_token="").access_token is None
    assert Settings().access_token is None


def test_the_client_shows_the_token_on_every_way(address: str) -> None:
    with StudioClient(address, token=TOKEN) as client:
        assert client.list_runs().data == []
        assert client.get_version().version
    with StudioClient(address) as stranger, pytest.raises(UnauthenticatedError, match="UNMASK_TOKEN"):
        stranger.list_runs()
    with StudioClient(address, token="not-the-right-one") as stranger:
        for _ in range(10):
            with pytest.raises(UnauthenticatedError, match="not the access token of this studio"):
                stranger.list_runs()
        with pytest.raises(TooManyTriesError, match="try again in"):
            list(stranger.watch("01a20fab-c3c9-7645-85c1-92e0fe424f30"))


def test_the_command_line_takes_the_token_from_the_environment(address: str, terminal: Callable[..., Shell]) -> None:
    shell = terminal(UNMASK_URL=address, UNMASK_TOKEN=TOKEN)
    assert shell("run", "list", "--json") == 0, shell.err
    assert json.loads(shell.out) == []
    shell = terminal(UNMASK_URL=address)
    assert shell("run", "list") == 2
    assert "UNMASK_TOKEN" in shell.err
    shell = terminal(UNMASK_URL=address, UNMASK_TOKEN="not-the-right-one")
    assert shell("run", "list") == 2
    assert "not the access token" in shell.err


def test_on_the_studios_machine_the_command_line_needs_nothing_more(
    address: str, terminal: Callable[..., Shell], tmp_path: Path
) -> None:
    DataFolder(tmp_path).address_path.write_text(address + "\n")
    shell = terminal(UNMASK_ACCESS_TOKEN=TOKEN)
    assert shell("run", "list", "--json") == 0, shell.err
    assert terminal(UNMASK_ACCESS_TOKEN=TOKEN, UNMASK_URL=address + "/")("run", "list") == 0
    assert terminal(UNMASK_ACCESS_TOKEN="another-token-of-somebody", UNMASK_TOKEN=TOKEN)("run", "list") == 0


def test_the_token_of_this_machines_studio_is_shown_to_no_other(address: str, terminal: Callable[..., Shell]) -> None:
    # This folder's studio is elsewhere: `address` was only named, and could be anybody's.
    shell = terminal(UNMASK_ACCESS_TOKEN=TOKEN, UNMASK_URL=address)
    assert shell("run", "list") == 2
    assert "asks for its access token" in shell.err


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "studio.example", ""])
def test_who_listens_on_a_network_without_a_token_is_told(host: str) -> None:
    warning = exposure(Settings(host=host))
    assert warning is not None
    assert "Set UNMASK_ACCESS_TOKEN" in warning
    assert exposure(Settings(host=host, access_token=TOKEN)) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_on_loopback_nothing_needs_to_be_said(host: str) -> None:
    assert exposure(Settings(host=host)) is None


@pytest.mark.parametrize(
    ("words", "given", "told", "untold"),
    [
        ([], {"UNMASK_ACCESS_TOKEN": TOKEN}, "Sign-in is on", "Warning"),
        (["--host", "0.0.0.0"], {}, "whoever reaches the port may do everything", "Sign-in"),
        ([], {}, "The studio is ready", "Warning"),
    ],
)
def test_who_starts_a_studio_is_told_who_may_enter(
    terminal: Callable[..., Shell],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    given: dict[str, str],
    told: str,
    untold: str,
) -> None:
    monkeypatch.setattr(embedded, "run_studio", lambda settings, show, announce: announce("http://127.0.0.1:7860"))
    shell = terminal(**given)
    assert shell("up", *words) == 0
    assert told in shell.out.replace("\n", " ")
    assert untold not in shell.out
    assert TOKEN not in shell.out + shell.err
    assert shell("up", "--json", *words) == 0
    assert json.loads(shell.out)["is_sign_in_required"] is bool(given)


def test_workers_and_their_jobs_are_not_given_the_token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Recorder:
        """A supervisor that starts nothing."""

        is_stop_requested = False

        def __init__(self) -> None:
            self.environments: dict[str, Any] = {}

        def start(self, service: Any) -> None:
            self.environments[service.name] = service.environment

        def run_once(self, service: Any, seconds: float) -> None:
            self.start(service)

        def wait_until(self, name: str, is_ready: Callable[[], bool], seconds: float) -> None:
            assert name == "web"

    monkeypatch.setenv("UNMASK_TOKEN", TOKEN)
    settings = Settings(access_token=TOKEN)
    recorder = Recorder()
    environment = embedded._child_environment(settings, tmp_path)
    embedded._start_our_own(recorder, settings, environment)  # type: ignore[arg-type]
    holders = {name for name, environment in recorder.environments.items() if TOKEN in environment.values()}
    assert holders == {"migrate", "web"}
    assert {"worker", "interactive"} < set(recorder.environments)
