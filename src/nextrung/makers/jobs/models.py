"""Frames and potentials of documents: files whose hash is verified."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from nextrung.adapters.files.artifacts import artifact_path
from nextrung.adapters.files.frames import read_frames
from nextrung.potentials.registry import load_potential, load_shared
from nextrung.potentials.relaxation.parallel import relax_in_processes
from nextrung.settings import MachineSettings, choose_device

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pymatgen.core import Structure

    from nextrung.potentials.potential import Potential
    from nextrung.potentials.relaxation.restart import Restarts
    from nextrung.schemas.base import Artifact
    from nextrung.schemas.dataset import DatasetDoc
    from nextrung.schemas.fine_tuning import FineTuningDoc
    from nextrung.schemas.frames import Frames
    from nextrung.schemas.relaxation import RelaxationRecord, RelaxationSettings

#: Fewest structures for which another relaxation process is started, by device.
STRUCTURES_PER_PROCESS = {"cpu": 250, "cuda": 2000}


def count_relaxation_processes(machine: MachineSettings, n_structures: int) -> int:
    """Count the processes that relax on the device of this machine.

    Parameters
    ----------
    machine : MachineSettings
        Settings of this machine.
    n_structures : int
        Structures to relax.

    Returns
    -------
    int
        At most the cores of a CPU, or the processes per GPU of the settings.
    """
    kind = choose_device(machine.device).type
    most = machine.n_processes if kind == "cpu" else machine.processes_per_gpu
    return min(most, max(1, n_structures // STRUCTURES_PER_PROCESS[kind]))


def open_frames(dataset: DatasetDoc) -> Frames:
    """Read the frames of a data set and verify their hash.

    Parameters
    ----------
    dataset : DatasetDoc
        The data set.
    """
    return read_frames(artifact_path(dataset.frames))


def open_potential(model: FineTuningDoc) -> Potential:
    """Load the potential of a model and verify its hash.

    Parameters
    ----------
    model : FineTuningDoc
        The model.

    Returns
    -------
    Potential
        The potential on the device of this machine.
    """
    path = artifact_path(model.checkpoint)
    return load_potential(str(path), MachineSettings().device)


def relax_with(
    checkpoint: Artifact,
    structures: Sequence[Structure],
    settings: RelaxationSettings,
    *,
    on_record: Callable[[int, RelaxationRecord], None],
    relaxer: Callable[..., list[RelaxationRecord]] = relax_in_processes,
    restarts: Restarts | None = None,
) -> list[RelaxationRecord]:
    """Relax structures with a stored potential and verify its hash.

    Parameters
    ----------
    checkpoint : Artifact
        Checkpoint of the potential.
    structures : sequence of Structure
        Initial structures.
    settings : RelaxationSettings
        Settings of the relaxation.
    on_record : callable of (int, RelaxationRecord)
        Called with the index and the result of each finished structure.
    relaxer : callable
        ``relax_in_isolation`` where a structure may have crashed its process.
    restarts : Restarts, optional
        Restart points.

    Returns
    -------
    list of RelaxationRecord
        The result of each structure, in the order given.
    """
    path = str(artifact_path(checkpoint))
    return relax_in_workers(
        path,
        structures,
        settings,
        on_record=on_record,
        relaxer=relaxer,
        restarts=restarts,
    )


def relax_in_workers(
    potential: str,
    structures: Sequence[Structure],
    settings: RelaxationSettings,
    *,
    on_record: Callable[[int, RelaxationRecord], None] | None = None,
    relaxer: Callable[..., list[RelaxationRecord]] = relax_in_processes,
    restarts: Restarts | None = None,
) -> list[RelaxationRecord]:
    """Relax structures on the device and in the processes of this machine.

    Parameters
    ----------
    potential : str
        Name of a shipped potential, or a checkpoint file.
    structures : sequence of Structure
        Initial structures.
    settings : RelaxationSettings
        How to relax.
    on_record : callable of (int, RelaxationRecord), optional
        Told of each structure as it ends.
    relaxer : callable
        ``relax_in_isolation`` where a structure is suspected to kill its process.
    restarts : Restarts, optional
        Restart points.

    Returns
    -------
    list of RelaxationRecord
        The end of each structure, in the order given.
    """
    machine = MachineSettings()
    n_processes = count_relaxation_processes(machine, len(structures))
    return relaxer(
        partial(load_shared, potential, machine.device, n_processes),
        structures,
        settings,
        n_processes=n_processes,
        timeout=machine.relaxation_timeout,
        on_record=on_record,
        restarts=restarts,
    )
