"""Signals that ask a training to stop: it does, between two steps, once it is kept."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

#: Signals that ask for an end: Ctrl-C, and a queue whose time is up.
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Interrupted(Exception):  # noqa: N818 - nothing is wrong
    """A training has stopped because it was asked to; what it did is kept."""


@dataclass
class StopRequest:
    """Whether a training is asked to stop.

    Parameters
    ----------
    signum : int
        Signal that asked; 0 while there was none.
    """

    signum: int = 0

    def note(self, signum: int, _frame: FrameType | None = None) -> None:
        """Take a signal down; a second Ctrl-C is not put off.

        Parameters
        ----------
        signum : int
            The signal.
        _frame : FrameType, optional
            What it interrupted, which is not read.

        Raises
        ------
        KeyboardInterrupt
            If Ctrl-C had been pressed before.
        """
        if signum == self.signum == signal.SIGINT:
            raise KeyboardInterrupt
        self.signum = signum


@contextmanager
def defer_signals() -> Iterator[StopRequest]:
    """Take SIGINT and SIGTERM down instead of ending at once; end on leaving.

    Yields
    ------
    StopRequest
        Where they are noted; :class:`Interrupted` may be raised once they are. What
        the process ignores is not noted.

    Raises
    ------
    KeyboardInterrupt
        If SIGINT had come.
    SystemExit
        With code 143, if SIGTERM had come.
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
