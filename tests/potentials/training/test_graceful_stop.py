from __future__ import annotations

import signal
from threading import Thread

import pytest

from nextrung.potentials.training.graceful_stop import (
    Interrupted,
    defer_signals,
)


@pytest.mark.parametrize(
    ("signum", "ending"),
    [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)],
    ids=["SIGINT", "SIGTERM"],
)
def test_a_signal_is_deferred_to_the_end_of_the_context(
    signum: signal.Signals, ending: type[BaseException]
) -> None:
    done = []

    def run() -> None:
        with defer_signals() as request:
            signal.raise_signal(signum)
            done.append(request.signum)

    with pytest.raises(ending):
        run()

    assert done == [signum]


def test_an_interrupted_context_ends_with_the_signal() -> None:
    def run() -> None:
        with defer_signals():
            signal.raise_signal(signal.SIGTERM)
            raise Interrupted

    with pytest.raises(SystemExit, match="143"):
        run()


def test_an_interruption_without_signal_is_raised() -> None:
    with pytest.raises(Interrupted), defer_signals():
        raise Interrupted


def test_a_second_ctrl_c_is_not_deferred() -> None:
    done = []

    def run() -> None:
        with defer_signals():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            done.append("more")

    with pytest.raises(KeyboardInterrupt):
        run()

    assert done == []


def test_handlers_are_restored() -> None:
    before = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]

    with defer_signals() as request:
        pass

    assert request.signum == 0
    assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)] == before


def test_ignored_signals_are_not_recorded() -> None:
    """A shell without job control starts background processes that ignore SIGINT."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)

    with defer_signals() as request:
        signal.raise_signal(signal.SIGINT)

    assert request.signum == 0
    assert signal.signal(signal.SIGINT, before) is signal.SIG_IGN


def test_other_threads_than_the_main_one_record_no_signal() -> None:
    done = []

    def run() -> None:
        with defer_signals() as request:
            done.append(request.signum)

    thread = Thread(target=run)
    thread.start()
    thread.join()

    assert done == [0]
