from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
import torch
from fireworks import LaunchPad
from fireworks.core.rocket import Rocket

from nextrung.makers.jobs.termination import exit_on_device_failure, raise_on_sigterm

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put back what a termination leaves for the end of the process."""
    monkeypatch.setattr(Rocket, "run", Rocket.run)
    monkeypatch.setattr(LaunchPad, "run_exists", LaunchPad.run_exists)
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def be_terminated() -> None:
    with raise_on_sigterm():
        signal.raise_signal(signal.SIGTERM)


def test_a_terminated_job_ends_as_an_exception() -> None:
    with pytest.raises(SystemExit, match="143"):
        be_terminated()


def test_no_other_job_starts_and_a_second_signal_does_not_disturb() -> None:
    with pytest.raises(SystemExit):
        be_terminated()

    signal.raise_signal(signal.SIGTERM)
    with pytest.raises(SystemExit, match="143"):
        Rocket(None, None, None).run()
    with pytest.raises(SystemExit, match="143"):
        LaunchPad.run_exists(None)


def test_ctrl_c_ends_the_launcher_too() -> None:
    def be_interrupted() -> None:
        with raise_on_sigterm():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        be_interrupted()

    with pytest.raises(SystemExit, match="143"):
        LaunchPad.run_exists(None)


def test_a_job_that_fails_lets_others_start() -> None:
    def fail() -> None:
        with raise_on_sigterm():
            raise ValueError("of its own")

    run = Rocket.run

    with pytest.raises(ValueError, match="of its own"):
        fail()

    assert Rocket.run is run
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_the_handler_of_another_stays() -> None:
    got = []
    signal.signal(signal.SIGTERM, lambda *_: got.append("theirs"))

    be_terminated()

    assert got == ["theirs"]


def test_a_failed_device_ends_the_job_and_the_launcher() -> None:
    @exit_on_device_failure()
    def compute() -> None:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    with pytest.raises(SystemExit, match="71") as ended:
        compute()

    assert "illegal memory access" in str(ended.value.__cause__)
    with pytest.raises(SystemExit, match="71"):
        Rocket(None, None, None).run()
    with pytest.raises(SystemExit, match="71"):
        LaunchPad.run_exists(None)


@pytest.mark.parametrize(
    "error", [RuntimeError("of its own"), torch.OutOfMemoryError("CUDA out of memory")]
)
def test_a_job_without_memory_or_with_an_error_lets_others_start(
    error: RuntimeError,
) -> None:
    @exit_on_device_failure()
    def compute() -> None:
        raise error

    run = Rocket.run

    with pytest.raises(RuntimeError) as raised:
        compute()

    assert raised.value is error
    assert Rocket.run is run
