"""Values that the paper reports, shown beside those of a study of the same data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.schemas.models import Model

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Name of the study whose data set and settings are the paper's.
PAPER_STUDY = "mp_r2scan"

#: Where the values come from.
CITATION = "npj Comput. Mater. (2025), doi:10.1038/s41524-025-01796-y"

_KEYS = (
    "energy",
    "forces",
    "stress",
    "magmoms",
    "decomposition_energy",
    "formation_energy",
)

#: Table 1 of the paper, in meV/atom, meV/Å, GPa, μ_B, meV/atom and meV/atom.
TABLE_1: Mapping[str, Mapping[str, float]] = {
    Model.SCRATCH: dict(zip(_KEYS, (27, 45, 0.239, 0.019, 37.44, 43.11), strict=True)),
    Model.TRAINABLE_ATOM_REFS: dict(
        zip(_KEYS, (26, 54, 0.266, 0.027, 41.22, 52.43), strict=True)
    ),
    Model.FROZEN_ATOM_REFS: dict(
        zip(_KEYS, (26, 52, 0.257, 0.026, 38.54, 39.78), strict=True)
    ),
    Model.REFITTED_ATOM_REFS: dict(
        zip(_KEYS, (17, 38, 0.167, 0.023, 23.66, 29.38), strict=True)
    ),
}

#: Correlation of source and target energies before and after re-referencing (Fig. 2).
CORRELATIONS = (0.0917, 0.9250)

#: Exponents of the scaling laws (Fig. 6), by property and model.
SLOPES: Mapping[str, Mapping[str, float]] = {
    "energy_mae": {Model.SCRATCH: -0.615, Model.REFITTED_ATOM_REFS: -0.301},
    "forces_mae": {Model.SCRATCH: -0.394, Model.REFITTED_ATOM_REFS: -0.134},
}
