"""Workers that are killed: what is lost, and how the campaign ends all the same."""

from __future__ import annotations

import signal
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from tests.faults.conftest import PATIENCE, TRAINING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.conftest import Campaign, Prepared

pytestmark = [pytest.mark.mongo, pytest.mark.slow]


def test_a_killed_relaxation_costs_what_was_in_flight(
    submit: Callable[..., Campaign],
) -> None:
    campaign = submit("relaxation")
    campaign.start()
    campaign.wait_for("material", 3)

    assert campaign.kill() == -signal.SIGKILL
    campaign.rerun_lost()
    campaign.run()

    campaign.assert_undisturbed()


def test_a_structure_that_crashes_its_process_costs_a_row(
    submit: Callable[..., Campaign], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first worker dies of it, the second lets other processes do so."""
    monkeypatch.setenv("FAULTS_POISON", "1")
    campaign = submit("relaxation")

    assert campaign.start().wait(PATIENCE) == -signal.SIGSEGV
    campaign.rerun_lost()
    campaign.run()

    assert set(campaign.states()) == {"COMPLETED"}, campaign.logs
    contents = campaign.contents()
    energies = {**campaign.prepared.undisturbed["energies"]}
    (elemental,) = [name for name in energies if name.startswith("Mg-A_")]
    assert contents["energies"] == pytest.approx(
        {**energies, elemental: None}, abs=1e-3
    )
    assert contents["RelaxationDoc"]["n_failed"] == 1
    assert contents["RelaxationDoc"]["statuses"]["error"] == 1


def test_a_killed_training_costs_its_epoch(
    submit: Callable[..., Campaign], prepared: Prepared
) -> None:
    n_frames = prepared.undisturbed["FineTuningDoc"]["n_train_frames"]
    n_batches = -(-n_frames // TRAINING.batch_size)
    campaign = submit("training")
    campaign.start()
    campaign.wait_for("step", n_batches + 2)

    assert campaign.kill() == -signal.SIGKILL
    campaign.rerun_lost()
    campaign.run()

    campaign.assert_undisturbed()
    steps = Counter(campaign.notes)
    assert len(steps) == n_batches * TRAINING.epochs
    repeated = {int(step.split()[1]) for step, times in steps.items() if times > 1}
    assert repeated <= set(range(n_batches, 2 * n_batches))


def test_a_terminated_training_fizzles_at_once_and_repeats_nothing(
    submit: Callable[..., Campaign],
) -> None:
    campaign = submit("training")
    campaign.start()
    campaign.wait_for("step", 5)

    started = time.monotonic()
    campaign.kill(signal.SIGTERM)
    assert time.monotonic() - started < 5
    assert set(campaign.states()) == {"FIZZLED"}
    campaign.lpad("rerun_fws", "-s", "FIZZLED")
    campaign.run()

    campaign.assert_undisturbed()
    assert set(Counter(campaign.notes).values()) == {1}


def test_an_interrupted_worker_takes_no_other_job(
    submit: Callable[..., Campaign],
) -> None:
    campaign = submit("relaxation", "training")
    campaign.start()
    campaign.wait_for("", 2)

    code = campaign.kill(signal.SIGINT)

    assert code == 128 + signal.SIGTERM
    assert "RUNNING" not in campaign.states()
    assert campaign.launchpad.fireworks.count_documents({"state": "FIZZLED"}) == 1
    campaign.lpad("rerun_fws", "-s", "FIZZLED")
    campaign.run()
    campaign.assert_undisturbed()
