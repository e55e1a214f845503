"""95 % intervals of the numbers of Table 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.compute.intervals import estimate_interval
from nextrung.reports.sections.residuals import read_residuals, select_common

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.schemas.base import TaskDoc

#: Low and high end by model and key of the column.
Intervals = dict[tuple[str, str], tuple[float, float]]


def estimate_intervals(documents: Mapping[str, TaskDoc]) -> Intervals:
    """Estimate intervals of all means whose single errors the documents list.

    Parameters
    ----------
    documents : mapping of str to TaskDoc
        Documents of a study, by stage/model.

    Returns
    -------
    dict
        Intervals in stored units. Densities are of the crystals that all models relax;
        errors of forces and moments have none where the
        documents lack the number of atoms of each frame, which is their weight.
    """
    table = read_residuals(documents, "test")
    hulls = {key: doc for key, doc in documents.items() if key.startswith("stability/")}
    every = read_residuals(hulls, None)  # formation energies are of all materials
    table |= {key: every[key] for key in ("formation_energy",) if key in every}
    if "density" in table:
        common = select_common(table["density"])
        table["density"] = {
            model: {name: residuals[name] for name in common}
            for model, residuals in table["density"].items()
        }
    found: Intervals = {}
    for key, models in table.items():
        for model, residuals in models.items():
            listed = list(residuals.values())
            if not listed:
                continue
            interval = estimate_interval(
                [residual.error for residual in listed],
                [residual.material_id for residual in listed],
                weights=[residual.weight for residual in listed],
            )
            if interval is not None:
                found[model, key] = interval
    return found
