"""Jobs that are asked to end do so at once, and in sight of the LaunchPad.

FireWorks records a job that raises as fizzled, which can be run again; of one that a
signal kills it learns nothing, and the job counts as running for ever. So SIGTERM,
which is how queues announce the end of their patience, raises here. FireWorks would
then start the next job, which the queue would kill unseen; so it is kept from that,
and a second SIGTERM from disturbing what it writes down of this one.
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
#: What FireWorks calls before it starts another job.
_LAUNCHING: Final = (
    ("fireworks.core.rocket", "Rocket", "run"),
    ("fireworks.core.launchpad", "LaunchPad", "run_exists"),
)


@contextmanager
def raise_on_sigterm() -> Iterator[None]:
    """Let SIGTERM end a job as an exception, and the launcher after the job.

    Raises
    ------
    SystemExit
        With code 143, if SIGTERM came.
    """
    in_charge = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    )
    if in_charge:
        signal.signal(signal.SIGTERM, _end)
    try:
        yield
    except (SystemExit, KeyboardInterrupt):
        if _stop_launcher() and in_charge:
            in_charge = False
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise
    finally:
        if in_charge:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _end(*_signal: object) -> NoReturn:
    """End what runs."""
    raise SystemExit(_TERMINATED)


def _stop_launcher() -> bool:
    """Keep FireWorks, if it is there, from starting another job in this process."""
    there = [entry for entry in _LAUNCHING if entry[0] in sys.modules]
    for module, owner, method in there:
        setattr(getattr(sys.modules[module], owner), method, _refuse)
    return bool(there)


def _refuse(*_arguments: object, **_options: object) -> NoReturn:
    """End the process instead of what was asked for."""
    raise SystemExit(_TERMINATED)
