"""A queue whose patience ends, with jobs of it at work."""

from __future__ import annotations

import shlex
from collections import Counter
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.conftest import Campaign
    from tests.slurm import Slurm

pytestmark = [pytest.mark.mongo, pytest.mark.slurm, pytest.mark.slow]


@pytest.mark.parametrize(
    ("launcher", "ending"),
    [
        ("exec", ()),
        ("srun --ntasks=1", ()),
        ("srun --ntasks=1", ("--signal=INT",)),  # that of pilots before their walltime
    ],
)
def test_a_cancelled_job_fizzles_and_goes_on_in_the_next(
    submit: Callable[..., Campaign],
    slurm: Slurm,
    launcher: str,
    ending: tuple[str, ...],
) -> None:
    """Slurm ends a job whose walltime is over as it ends one that is cancelled."""
    campaign = submit("training")
    script = campaign.root / "job.sh"
    script.write_text(f"#!/bin/bash\n{launcher} {shlex.join(campaign.command)}\n")
    options = ("-p", "gpu", "--gres=gpu:1", f"--chdir={campaign.root}")

    with pytest.MonkeyPatch.context() as patch:
        for name, value in campaign.environment.items():
            patch.setenv(name, value)
        slurm.call("sbatch", *options, "--job-name=faults", str(script))
    campaign.wait_for("step", 3)
    slurm.call("scancel", *ending, "--name=faults")
    slurm.wait_until_empty(60)

    assert set(campaign.states()) == {"FIZZLED"}, campaign.logs
    campaign.lpad("rerun_fws", "-s", "FIZZLED")
    campaign.run()
    campaign.assert_undisturbed()
    assert set(Counter(campaign.notes).values()) == {1}
