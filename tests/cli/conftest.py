"""The command line as a person calls it, in this process."""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from nextrung.cli import main
from nextrung.cli.running import console

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Finished:
    """What a command left behind."""

    code: int
    output: str
    errors: str


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Finished]:
    """Call ``nextrung`` with arguments."""

    def run(*arguments: object, root: str = "") -> Finished:
        monkeypatch.setattr(sys, "argv", ["nextrung", *map(str, arguments)])
        monkeypatch.setenv("NEXTRUNG_ROOT", root)
        monkeypatch.setattr(console, "width", 160)
        capsys.readouterr()
        with monkeypatch.context() as patch, pytest.raises(SystemExit) as ended:
            patch.setenv("NEXTRUNG_DEVICE", os.environ.get("NEXTRUNG_DEVICE", "auto"))
            main()
        logging.getLogger("jobflow").handlers.clear()  # they write to captured streams
        captured = capsys.readouterr()
        code = ended.value.code
        return Finished(
            code if isinstance(code, int) else 0, captured.out, captured.err
        )

    return run
