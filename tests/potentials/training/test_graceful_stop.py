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
def test_a_signal_ends_the_process_after_the_work(
    signum: signal.Signals, ending: type[BaseException]
) -> None:
    done = []

    def work() -> None:
        with defer_signals() as request:
            signal.raise_signal(signum)
            done.append(request.signum)

    with pytest.raises(ending):
        work()

    assert done == [signum]


def test_work_that_stops_early_ends_the_same_way() -> None:
    def work() -> None:
        with defer_signals():
            signal.raise_signal(signal.SIGTERM)
            raise Interrupted

    with pytest.raises(SystemExit, match="143"):
        work()


def test_work_that_stops_without_a_signal_says_so() -> None:
    with pytest.raises(Interrupted), defer_signals():
        raise Interrupted


def test_a_second_ctrl_c_is_not_put_off() -> None:
    done = []

    def work() -> None:
        with defer_signals():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            done.append("more")

    with pytest.raises(KeyboardInterrupt):
        work()

    assert done == []


def test_handlers_are_as_before() -> None:
    before = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]

    with defer_signals() as request:
        pass

    assert request.signum == 0
    assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)] == before


def test_what_a_process_ignores_it_goes_on_to_ignore() -> None:
    """As one does that a shell without job control has put in the background."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)

    with defer_signals() as request:
        signal.raise_signal(signal.SIGINT)

    assert request.signum == 0
    assert signal.signal(signal.SIGINT, before) is signal.SIG_IGN


def test_threads_that_may_not_handle_signals_work_all_the_same() -> None:
    done = []

    def work() -> None:
        with defer_signals() as request:
            done.append(request.signum)

    thread = Thread(target=work)
    thread.start()
    thread.join()

    assert done == [0]
