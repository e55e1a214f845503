"""Handling of SIGTERM, which queues send at the walltime limit.

FireWorks marks a job that raises as FIZZLED, and it can be rerun; a job that a signal
kills stays RUNNING. So SIGTERM raises SystemExit here. The launcher must then start no
other job, which the queue would kill, and a second SIGTERM must not interrupt the
update of the LaunchPad.
"""

from __future__ import annotations

import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator

_TERMINATED: Final = 128 + signal.SIGTERM
#: Methods that FireWorks calls before it starts another job.
_LAUNCH_METHODS: Final = (
    ("fireworks.core.rocket", "Rocket", "run"),
    ("fireworks.core.launchpad", "LaunchPad", "run_exists"),
)


@contextmanager
def raise_on_sigterm() -> Iterator[None]:
    """Turn SIGTERM into SystemExit, and stop the launcher after the job.

    Raises
    ------
    SystemExit
        With exit code 143, on SIGTERM.
    """
    handles_signal = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    )
    if handles_signal:
        signal.signal(signal.SIGTERM, _exit)
    try:
        yield
    except (SystemExit, KeyboardInterrupt):
        if _stop_launcher() and handles_signal:
            handles_signal = False
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise
    finally:
        if handles_signal:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _exit(*_arguments: object, **_options: object) -> NoReturn:
    """Exit with the code of SIGTERM."""
    raise SystemExit(_TERMINATED)


def _stop_launcher() -> bool:
    """Make FireWorks, where it is loaded, exit instead of starting another job."""
    loaded = [entry for entry in _LAUNCH_METHODS if entry[0] in sys.modules]
    for module, owner, method in loaded:
        setattr(getattr(sys.modules[module], owner), method, _exit)
    return bool(loaded)
