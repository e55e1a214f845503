"""Graceful stop of a training on SIGINT or SIGTERM, after writing its checkpoint."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

#: Signals of Ctrl-C, and of a queue at the end of the wall time.
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Interrupted(Exception):  # noqa: N818 - not an error
    """A training has stopped on request, after writing its checkpoint."""


@dataclass
class StopRequest:
    """Request to stop a training.

    Parameters
    ----------
    signum : int
        Number of the signal received; 0 before.
    """

    signum: int = 0

    def note(self, signum: int, _frame: FrameType | None = None) -> None:
        """Record a signal; a second Ctrl-C raises at once.

        Parameters
        ----------
        signum : int
            Number of the signal.
        _frame : FrameType, optional
            Interrupted frame; not used.

        Raises
        ------
        KeyboardInterrupt
            If SIGINT was received before.
        """
        if signum == self.signum == signal.SIGINT:
            raise KeyboardInterrupt
        self.signum = signum


@contextmanager
def defer_signals() -> Iterator[StopRequest]:
    """Defer SIGINT and SIGTERM to the end of the context.

    Yields
    ------
    StopRequest
        Request that records the signals; signals that the process ignores are not
        recorded. :class:`Interrupted` in the context is caught after a signal.

    Raises
    ------
    KeyboardInterrupt
        If SIGINT was received.
    SystemExit
        With exit code 143, if SIGTERM was received.
    """
    request = StopRequest()
    before = {}
    if threading.current_thread() is threading.main_thread():
        handlers = {signum: signal.getsignal(signum) for signum in _SIGNALS}
        before = {s: h for s, h in handlers.items() if h is not signal.SIG_IGN}
    for signum in before:
        signal.signal(signum, request.note)
    try:
        yield request
    except Interrupted:
        if not request.signum:
            raise
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
    if request.signum == signal.SIGINT:
        raise KeyboardInterrupt
    if request.signum:
        raise SystemExit(128 + request.signum)
