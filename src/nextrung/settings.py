"""Settings of the machine: folders, device and number of processes; never science."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    import torch


def count_cores() -> int:
    """Count the cores this process may use: those of its Slurm job, or all.

    Returns
    -------
    int
        Number of cores.
    """
    if given := os.environ.get("SLURM_CPUS_PER_TASK"):
        if not given.isdecimal():
            raise InputError(f"$SLURM_CPUS_PER_TASK: expected a number, got {given!r}")
        return int(given)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class MachineSettings(BaseSettings):
    """Settings of this machine, read from ``NEXTRUNG_…`` environment variables."""

    model_config = SettingsConfigDict(env_prefix="NEXTRUNG_", frozen=True)

    root: Path = Field(
        Path("runs"),
        description="Folder of artifacts, unfinished work and stores.",
    )
    device: str = Field("auto", description="torch device; `auto` prefers CUDA.")
    n_processes: int = Field(
        default_factory=count_cores,
        ge=1,
        description="Worker processes of a job on a CPU; a relaxation takes one per "
        "250 structures; by default its cores.",
    )
    n_training_processes: int | None = Field(
        None,
        ge=1,
        description="Processes that share a training; by default one per visible "
        "accelerator, and 1 on a CPU.",
    )

    processes_per_gpu: int = Field(
        1,
        ge=1,
        description="Relaxation processes of a worker on its GPU, which share its "
        "memory: while one writes records, another computes.",
    )
    materials_per_shard: int | None = Field(
        None,
        ge=1,
        description="Materials per relaxation job, in place of the study's number; "
        "10,000 to 35,000 keep a GPU full, as the last structures of a job do not.",
    )

    relaxation_timeout: float = Field(
        3600.0,
        gt=0,
        description="Seconds without a finished structure after which a relaxation "
        "process is killed.",
    )

    gpaw_command: str = Field(
        "",
        description="Command that starts the Python of GPAW, such as `mpiexec -n 8 "
        "gpaw python`; environment variables are expanded. Empty for one process of "
        "this Python.",
    )

    @property
    def artifacts(self) -> Path:
        """Folder of files named by their hash."""
        return self.root / "artifacts"

    @property
    def downloads(self) -> Path:
        """Folder of downloaded files."""
        return self.root / "downloads"

    @property
    def work(self) -> Path:
        """Folder of the unfinished work of jobs, by fingerprint."""
        return self.root / "work"

    def work_of(self, fingerprint: str, token: str | None = None) -> Path:
        """Return the folder of the unfinished work of one job.

        Parameters
        ----------
        fingerprint : str
            Fingerprint of its document.
        token : str, optional
            Token of a job that is to be computed again.
        """
        return self.work / "-".join(filter(None, (fingerprint[:32], token)))


def choose_device(name: str = "auto") -> torch.device:
    """Resolve the name of a torch device of this machine.

    Parameters
    ----------
    name : str
        ``auto`` for CUDA where there is one and the CPU otherwise, or a torch name.

    Returns
    -------
    torch.device
        The device.

    Raises
    ------
    InputError
        If torch has no such device, or this machine has not.
    """
    import torch  # noqa: PLC0415 - seconds, and most readers of settings need none

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    expected = f"device: expected auto, cpu, cuda or cuda:N, got {name!r}"
    try:
        device = torch.device(name)
        n_devices = torch.get_device_module(device).device_count()
    except RuntimeError as error:
        raise InputError(f"{expected}, which torch does not know") from error
    if (device.index or 0) >= n_devices:
        raise InputError(
            f"{expected}, on a machine with {n_devices} {device.type} devices"
        )
    return device
