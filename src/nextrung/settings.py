"""Where we are: the folders and processors of this machine; never science."""

from __future__ import annotations

import os
from pathlib import Path

import torch
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


def count_cores() -> int:
    """Count the cores this process may use: those a queue has given it, or all.

    Returns
    -------
    int
        Number of cores.
    """
    if given := os.environ.get("SLURM_CPUS_PER_TASK"):
        return int(given)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class MachineSettings(BaseSettings):
    """What differs between machines, read from ``NEXTRUNG_…`` variables."""

    model_config = SettingsConfigDict(env_prefix="NEXTRUNG_", frozen=True)

    root: Path = Field(
        Path("runs"),
        description="Folder of artifacts, unfinished work and stores.",
    )
    device: str = Field("auto", description="torch device; `auto` prefers CUDA.")
    n_processes: int = Field(
        default_factory=count_cores,
        ge=1,
        description="Worker processes of a job on a CPU; by default its cores.",
    )
    n_training_processes: int | None = Field(
        None,
        ge=1,
        description="Processes that share a training; by default one per visible "
        "accelerator, and 1 on a CPU.",
    )

    relaxation_timeout: float = Field(
        3600.0,
        gt=0,
        description="Seconds in which a process that relaxes has to end a structure; "
        "one that does not is taken for stuck and killed.",
    )

    @property
    def artifacts(self) -> Path:
        """Folder of files named by their content."""
        return self.root / "artifacts"

    @property
    def downloads(self) -> Path:
        """Folder of what was fetched from servers."""
        return self.root / "downloads"

    @property
    def work(self) -> Path:
        """Folder of the unfinished work of jobs, by fingerprint."""
        return self.root / "work"


def choose_device(name: str = "auto") -> torch.device:
    """Resolve the name of a torch device.

    Parameters
    ----------
    name : str
        ``auto`` for CUDA where there is one and the CPU otherwise, or a torch name.

    Returns
    -------
    torch.device
        The device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)
