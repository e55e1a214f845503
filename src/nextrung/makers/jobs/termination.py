"""Ends of worker processes: SIGTERM at the walltime limit, and failed devices.

FireWorks marks a job that raises as FIZZLED, and it can be rerun; a job that a signal
kills stays RUNNING. So SIGTERM raises SystemExit here. The launcher must then start no
other job, which the queue would kill, and a second SIGTERM must not interrupt the
update of the LaunchPad. A process whose device has failed ends in the same way: the job
is marked FIZZLED, and no other job starts in a process that cannot compute any more.
"""

from __future__ import annotations

import logging
import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NoReturn

from nextrung.potentials.devices import is_device_failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

logger = logging.getLogger("nextrung")

#: Exit code of a process whose device has failed, EX_OSERR of sysexits.h.
DEVICE_FAILED: Final = 71
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
        if _stop_launcher(_exit) and handles_signal:
            handles_signal = False
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise
    finally:
        if handles_signal:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


@contextmanager
def exit_on_device_failure() -> Iterator[None]:
    """Turn the error of a failed device into SystemExit, and stop the launcher.

    Raises
    ------
    SystemExit
        With exit code 71, if the device of this process has failed.
    """
    try:
        yield
    except Exception as error:
        if not is_device_failure(error):
            raise
        logger.error("%s; this process ends, as its device has failed", error)  # noqa: TRY400 - raised below
        _stop_launcher(_exit_without_device)
        raise SystemExit(DEVICE_FAILED) from error


def _exit_without_device(*_arguments: object, **_options: object) -> NoReturn:
    """Exit with the code of a failed device."""
    raise SystemExit(DEVICE_FAILED)


def _exit(*_arguments: object, **_options: object) -> NoReturn:
    """Exit with the code of SIGTERM."""
    raise SystemExit(_TERMINATED)


def _stop_launcher(leave: Callable[..., NoReturn]) -> bool:
    """Make FireWorks, where it is loaded, exit instead of starting another job."""
    loaded = [entry for entry in _LAUNCH_METHODS if entry[0] in sys.modules]
    for module, owner, method in loaded:
        setattr(getattr(sys.modules[module], owner), method, leave)
    return bool(loaded)
