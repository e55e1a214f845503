"""Processes forked from one that has imported what they need, which takes seconds."""

from __future__ import annotations

import multiprocessing
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from multiprocessing.context import ForkServerProcess

ROOT = Path(__file__).parents[1]

#: Modules with a function ``main`` that the processes call.
MODULES = ("tests.cli.command", "tests.faults.local")

_FORKSERVER = multiprocessing.get_context("forkserver")


def start_process(
    module: str, *arguments: str, log: Path, environment: Mapping[str, str]
) -> ForkServerProcess:
    """Start a process that calls the function ``main`` of one of the modules."""
    _FORKSERVER.set_forkserver_preload(list(MODULES))
    process = _FORKSERVER.Process(
        target=_call_main, args=(module, arguments, log, dict(environment))
    )
    with pytest.MonkeyPatch.context() as patch:  # for the first process, which forks
        patch.setenv(
            "PYTHONPATH", os.pathsep.join([str(ROOT), *filter(None, sys.path)])
        )
        patch.setenv("OMP_NUM_THREADS", "1")
        process.start()
    return process


def _call_main(
    module: str, arguments: tuple[str, ...], log: Path, environment: dict[str, str]
) -> None:
    """Call the function in a session of its own, with its output in a file."""
    os.setsid()
    sys.path.insert(
        0, str(ROOT)
    )  # that of pytest replaces it, for what this one spawns
    os.environ.clear()
    os.environ.update(environment)
    with log.open("wb") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    loaded = import_module(module)
    main = sys.modules["__main__"]  # which processes that this one spawns import again
    main.__spec__, main.__file__ = None, loaded.__file__
    loaded.main(*arguments)
