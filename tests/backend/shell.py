"""The command line as a person uses it: words in, what was printed and the exit code out."""

from __future__ import annotations

import sys

import pytest

from backend import cli


class Shell:
    """Runs commands as a person does, and keeps what they printed."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self.out = ""
        self.err = ""

    def __call__(self, *words: str) -> int:
        self._monkeypatch.setattr(sys, "argv", ["unmask", *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        self.out, self.err = self._capsys.readouterr()
        return int(end.value.code or 0)
