"""The Slurm of the tests is what a cluster has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.slurm import Slurm

pytestmark = pytest.mark.slurm


def test_both_partitions_have_the_node_and_its_gpus(slurm: Slurm) -> None:
    lines = slurm.call("sinfo", "-h", "-o", "%P %G").splitlines()

    assert sorted(lines) == ["cpu* gpu:2", "gpu gpu:2"]


def test_each_process_of_a_job_sees_a_gpu_of_its_own(
    slurm: Slurm, tmp_path: Path
) -> None:
    command = 'echo "$SLURM_JOB_PARTITION $CUDA_VISIBLE_DEVICES"'
    script = tmp_path / "job.sh"
    script.write_text(
        f"#!/bin/bash\nsrun --ntasks=2 --gpus-per-task=1 bash -c '{command}'\n"
    )

    options = ("-p", "gpu", "--ntasks=2", "--gres=gpu:2", f"--output={tmp_path}/out")
    slurm.call("sbatch", *options, str(script))
    slurm.wait_until_empty(60)

    assert sorted((tmp_path / "out").read_text().splitlines()) == ["gpu 0", "gpu 1"]


def test_a_job_without_gpu_sees_none(slurm: Slurm, tmp_path: Path) -> None:
    wrapped = '--wrap=echo "$SLURM_JOB_PARTITION ${CUDA_VISIBLE_DEVICES-none}"'

    slurm.call("sbatch", "-p", "cpu", f"--output={tmp_path}/out", wrapped)
    slurm.wait_until_empty(60)

    assert (tmp_path / "out").read_text() == "cpu none\n"
