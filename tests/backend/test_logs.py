"""Logs are one line a record, for people or machines, with what is bound to the context."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from backend.logs import configure_logging


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def test_a_json_line_carries_the_request_and_the_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("json")
    configure_logging("json")
    with structlog.contextvars.bound_contextvars(request_id="r1"):
        try:
            raise RuntimeError("why")
        except RuntimeError:
            logging.getLogger("backend").exception("run %s failed", 7)
    (line,) = capsys.readouterr().err.splitlines()
    record = json.loads(line)
    assert (record["event"], record["level"], record["request_id"]) == ("run 7 failed", "error", "r1")
    assert "RuntimeError: why" in record["exception"]


def test_what_is_named_beside_the_words_becomes_a_field(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("json")
    structlog.get_logger("worker").warning("the run waits", run_id="7")
    record = json.loads(capsys.readouterr().err)
    assert (record["event"], record["run_id"], record["logger"]) == ("the run waits", "7", "worker")


def test_a_line_for_people_is_plain_text_where_no_terminal_is(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("console")
    logging.getLogger("backend").warning("the broker does not answer")
    line = capsys.readouterr().err
    assert "the broker does not answer" in line
    assert "\x1b" not in line
