"""Relaxation of structures by a potential; a failure is a record too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from nextrung.potentials.relaxation.ase import relax_with_ase
from nextrung.potentials.relaxation.batched import relax_batched
from nextrung.potentials.relaxation.torchsim import relax_with_torchsim
from nextrung.schemas.relaxation import RelaxationEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch
    from ase.calculators.calculator import Calculator
    from pymatgen.core import Structure

    from nextrung.potentials.chgnet.prediction import BatchPrediction
    from nextrung.potentials.graphs.crystals import Crystals
    from nextrung.schemas.relaxation import RelaxationRecord, RelaxationSettings

#: The generator of numbered records behind each engine.
ENGINES = {
    RelaxationEngine.BATCHED: relax_batched,
    RelaxationEngine.ASE: relax_with_ase,
    RelaxationEngine.TORCHSIM: relax_with_torchsim,
}


class Relaxable(Protocol):
    """What a relaxation needs of a potential."""

    @property
    def device(self) -> torch.device:
        """Device that predicts."""
        ...

    def predict(self, crystals: Crystals, properties: str) -> BatchPrediction:
        """Predict energies, forces and stresses.

        Parameters
        ----------
        crystals : Crystals
            Crystals, also such as cannot be predicted.
        properties : str
            Always ``efs``.

        Returns
        -------
        BatchPrediction
            Numbers, or the reason why there are none.
        """
        ...

    def calculator(self) -> Calculator:
        """Make an ASE calculator that raises where a structure cannot be predicted."""
        ...


def relax(
    potential: Relaxable,
    structures: Sequence[Structure],
    settings: RelaxationSettings,
    *,
    on_record: Callable[[int, RelaxationRecord], None] | None = None,
) -> list[RelaxationRecord]:
    """Relax structures with FIRE, positions and cell as in ASE's Frechet cell filter.

    Parameters
    ----------
    potential : Relaxable
        What predicts energies, forces and stresses.
    structures : sequence of Structure
        Where to start from.
    settings : RelaxationSettings
        How to relax.
    on_record : callable of (int, RelaxationRecord), optional
        Called with each structure's position in the sequence and its end, as it ends.

    Returns
    -------
    list of RelaxationRecord
        The end of each structure, in the order of the structures.

    Notes
    -----
    A structure moves as it would alone, whatever else is relaxed with it.
    """
    records: dict[int, RelaxationRecord] = {}
    engine = ENGINES[settings.engine]
    for index, record in engine(potential, enumerate(structures), settings):
        records[index] = record
        if on_record is not None:
            on_record(index, record)
    return [records[index] for index in range(len(structures))]
