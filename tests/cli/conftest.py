"""The command itself."""

import sys

import pytest

from monitor.cli.app import main
from tests.cli.commands import Done, Run


@pytest.fixture
def caldrift(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command as its entry point does."""

    def run(*args: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["caldrift", *args])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return Done(ended.value.code or 0, out, err)

    return run
