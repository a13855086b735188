"""Sessions of browsers: signed, ending, good only from pages of ours; wrong tries are slowed, the right one never."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import SecretStr
from sqlalchemy.orm import Session, sessionmaker
from starlette.websockets import WebSocketDisconnect

from backend.access.gate import LIFETIME, Gate
from backend.access.open_paths import SESSION
from backend.access.tries import MOST_ADDRESSES, Tries
from backend.errors import TooManyTriesError, UnauthenticatedError
from backend.settings import Settings
from tests.backend.shut_studio import RIGHT, TOKEN, shut_studio

Sessions = sessionmaker[Session]

HOST = "http://testserver"
OWN = {"Origin": HOST}
RUNS = "/api/v1/runs"
TRAIN = {"config": {"kind": "train"}}
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC).timestamp()


class Clock:
    """A time that stands until it is moved."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON)


@pytest.fixture
def gate(clock: Clock) -> Gate:
    return Gate(TOKEN, tries=Tries(clock=clock), delay_seconds=0.0, clock=clock)


@pytest.fixture
def shut(settings: Settings, sessions: Sessions, broker: Callable[[], list[str]]) -> Iterator[FastAPI]:
    app = shut_studio(settings)
    yield app
    app.state.engine.dispose()


@pytest.fixture
def browser(shut: FastAPI) -> TestClient:
    """A browser that keeps its cookies, before it has signed in."""
    return TestClient(shut, base_url=HOST, follow_redirects=False)


def sign_in(browser: TestClient, token: str = TOKEN, **headers: str) -> int:
    return browser.post(SESSION, json={"token": token}, headers={**OWN, **headers}).status_code


def test_the_right_token_gives_a_session_that_opens_pages_and_api(browser: TestClient) -> None:
    assert browser.get(SESSION).json() == {"is_required": True, "is_signed_in": False, "expires_at": None}
    made = browser.post(SESSION, json={"token": TOKEN}, headers=OWN)
    assert made.status_code == 201
    assert made.json() | {"expires_at": None} == {"is_required": True, "is_signed_in": True, "expires_at": None}
    assert browser.get(SESSION).json() == made.json()
    assert browser.get(RUNS).status_code == 200
    assert browser.get("/studio/run.js").status_code == 200
    assert browser.post(RUNS, json=TRAIN, headers=OWN).status_code == 201


def test_the_cookie_is_out_of_reach_of_scripts_and_holds_no_token(browser: TestClient) -> None:
    made = browser.post(SESSION, json={"token": TOKEN}, headers=OWN)
    cookie = made.headers["set-cookie"]
    assert cookie.startswith("unmask_session_")
    assert {"HttpOnly", "Path=/", "SameSite=lax", f"Max-Age={7 * 86400}"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    assert TOKEN not in str(made.headers)
    assert TOKEN not in made.text


@pytest.mark.parametrize(("base", "public_url"), [("https://testserver", None), (HOST, "https://studio.example")])
def test_the_cookie_stays_off_plain_connections_where_people_come_by_https(
    settings: Settings, base: str, public_url: str | None
) -> None:
    app = shut_studio(settings.model_copy(update={"public_url": public_url}))
    browser = TestClient(app, base_url=base)
    cookie = browser.post(SESSION, json={"token": TOKEN}).headers["set-cookie"]
    assert "Secure" in cookie.split("; ")
    app.state.engine.dispose()


def test_signing_out_takes_the_session_from_the_browser(browser: TestClient) -> None:
    assert sign_in(browser) == 201
    assert browser.delete(SESSION, headers=OWN).status_code == 204
    assert len(browser.cookies) == 0
    assert browser.get(RUNS).status_code == 401
    assert browser.get(SESSION).json()["is_signed_in"] is False


def test_with_a_session_only_a_page_of_the_studio_changes_things(browser: TestClient) -> None:
    assert sign_in(browser) == 201
    unnamed = browser.post(RUNS, json=TRAIN)
    assert (unnamed.status_code, unnamed.json()["code"]) == (403, "forbidden")
    for origin in ("http://evil.example", "null", "http://testserver:81"):
        for method, path in (("POST", RUNS), ("DELETE", SESSION), ("POST", SESSION)):
            assert browser.request(method, path, headers={"Origin": origin}).status_code == 403
    assert browser.get(RUNS).json()["data"] == []
    assert browser.get(RUNS, headers={"Authorization": "Bearer rater_x"}).status_code == 403, "a rater is no owner"


def test_a_websocket_needs_a_session_and_the_studios_origin(browser: TestClient) -> None:
    assert sign_in(browser) == 201
    for headers in ({}, {"Origin": "http://evil.example"}):
        with pytest.raises(WebSocketDisconnect) as refused, browser.websocket_connect("/x", headers=headers):
            pass
        assert refused.value.code == 1008


def test_a_session_ends_after_seven_days(gate: Gate, clock: Clock) -> None:
    value, ends = gate.new_session()
    assert ends.timestamp() == NOON + 7 * 86400 == NOON + LIFETIME.total_seconds()
    clock.now = ends.timestamp() - 1
    assert gate.end_of_session(value) == ends
    clock.now = ends.timestamp()
    assert gate.end_of_session(value) is None


def test_whatever_is_changed_in_a_session_ends_it(gate: Gate) -> None:
    value, _ = gate.new_session()
    later = str(int(value.split(".")[0]) + 1) + value[value.index(".") :]
    changed = [
        value[:place] + ("A" if value[place] != "A" else "B") + value[place + 1 :] for place in range(len(value))
    ]
    other, _ = Gate(TOKEN + "x").new_session()
    swapped = ".".join([*value.split(".")[:2], gate.new_session()[0].split(".")[2]])
    for forged in (
        *changed,
        later,
        other,
        swapped,
        value + " ",
        value + "\n",
        value[:-1],
        "",
        "..",
        TOKEN,
        "٣" + value,
    ):
        assert gate.end_of_session(forged) is None, forged
    assert gate.end_of_session(value) is not None


def test_sessions_differ_and_outlive_a_restart_but_not_another_token(gate: Gate, clock: Clock) -> None:
    value, ends = gate.new_session()
    assert gate.new_session()[0] != value
    assert Gate(TOKEN, clock=clock).end_of_session(value) == ends
    renamed = Gate(TOKEN + "2", clock=clock)
    assert renamed.end_of_session(value) is None
    assert renamed.cookie_name != gate.cookie_name, "two studios of one machine share the cookies of its name"


def test_a_forged_cookie_opens_nothing(browser: TestClient, shut: FastAPI) -> None:
    value, _ = Gate("another-token-of-somebody").new_session()
    browser.cookies.set(shut.state.gate.cookie_name, value)
    assert browser.get(RUNS).status_code == 401


def test_wrong_tokens_are_refused_and_then_slowed_but_the_right_one_still_opens(
    browser: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = {"Authorization": "Bearer not-the-right-one"}
    assert [sign_in(browser, "not-the-right-one") for _ in range(6)] == [401] * 6
    assert [browser.get(RUNS, headers=wrong).status_code for _ in range(5)] == [401] * 4 + [429]
    refused = browser.post(SESSION, json={"token": "x"})
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_tries")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert f"{refused.headers['retry-after']} s" in refused.json()["detail"]
    assert browser.get(RUNS).status_code == 401, "who shows nothing tries nothing"
    assert browser.get(RUNS, headers=RIGHT).status_code == 200
    assert sign_in(browser) == 201
    assert browser.get(RUNS).status_code == 200
    assert caplog.text.count("a wrong access token came from testclient") == 10
    assert "not-the-right-one" not in caplog.text


def test_each_address_has_its_own_tries_and_a_minute_clears_them(clock: Clock) -> None:
    tries = Tries(clock=clock)
    assert [tries.note("198.51.100.1") for _ in range(10)] == [0] * 10
    clock.now += 20.5
    assert tries.note("198.51.100.1") == 40
    assert tries.note("198.51.100.2") == 0
    clock.now += 39.4
    assert tries.note("198.51.100.1") == 1, "never no time at all"
    clock.now += 0.1
    assert tries.note("198.51.100.1") == 0


def test_one_network_of_ipv6_is_one_address(clock: Clock) -> None:
    tries = Tries(most=2, clock=clock)
    assert [tries.note(f"2001:db8:0:1::{place}") for place in range(3)] == [0, 0, 60]
    assert tries.note("2001:db8:0:2::1") == 0
    assert [tries.note(each) for each in ("192.0.2.7", "::ffff:192.0.2.7", "192.0.2.7")] == [0, 0, 60]
    assert [tries.note(each) for each in ("fe80::1%eth0", "fe80::2%eth1", "fe80::3")] == [0, 0, 60]


def test_many_addresses_do_not_fill_the_memory(clock: Clock) -> None:
    tries = Tries(most=1, clock=clock)
    for place in range(MOST_ADDRESSES + 50):
        tries.note(f"10.{place >> 16}.{place >> 8 & 255}.{place & 255}")
    assert len(tries._times) == MOST_ADDRESSES
    assert tries.note("10.0.0.0") == 0, "the one that was silent longest is forgotten first"
    assert tries.note("10.0.39.16") == 60


def test_the_answer_to_a_wrong_try_says_which_kind_it_is(gate: Gate) -> None:
    answers = [asyncio.run(gate.wrong_try("203.0.113.1")) for _ in range(11)]
    assert [type(each) for each in answers] == [UnauthenticatedError] * 10 + [TooManyTriesError]
    assert answers[0].headers == {"WWW-Authenticate": "Bearer"}
    assert answers[-1].headers == {"Retry-After": "60"}


@pytest.mark.parametrize("given", ["", "an", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "ä" * 20, "\ud800"])
def test_only_the_very_token_is_the_token(gate: Gate, given: str) -> None:
    assert gate.is_token(TOKEN)
    assert not gate.is_token(given)


def test_the_token_shows_in_no_representation_of_the_settings(settings: Settings) -> None:
    assert TOKEN not in repr(settings.model_copy(update={"access_token": SecretStr(TOKEN)}))
