"""Materials with energies of labels and of a model, and their scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Composition

from nextrung.compute.stability import EntryTable, score_stability
from nextrung.schemas.relaxation import RelaxationStatus
from nextrung.schemas.stability.table import ModelEnergies

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nextrung.schemas.stability import StabilityScore, StabilitySettings
    from nextrung.schemas.stability.table import StabilityTable


@dataclass(frozen=True)
class MaterialEnergies:
    """Total energies of one material in eV; None where missing."""

    material_id: str
    composition: Mapping[str, float]
    split: str
    target_energy: float | None
    predicted_energy: float | None
    unrelaxed_energy: float | None = None
    status: RelaxationStatus = RelaxationStatus.CONVERGED


def score(
    materials: Sequence[MaterialEnergies], settings: StabilitySettings
) -> tuple[StabilityScore, StabilityTable]:
    """Score the stability of materials."""
    target, relaxed, unrelaxed = (
        np.array([getattr(material, name) for material in materials], dtype=np.float64)
        for name in ("target_energy", "predicted_energy", "unrelaxed_energy")
    )
    table = EntryTable.from_compositions(
        [material.material_id for material in materials],
        [Composition(material.composition) for material in materials],
        target,
    )
    statuses = np.array([material.status.value for material in materials], np.str_)
    splits = np.array([material.split for material in materials], dtype=np.str_)
    return score_stability(
        table, ModelEnergies(relaxed, unrelaxed, statuses), settings, splits=splits
    )
