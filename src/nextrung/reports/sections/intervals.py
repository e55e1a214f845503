"""95 % intervals of the numbers of Table 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.compute.intervals import estimate_interval
from nextrung.reports.sections.residuals import read_residuals

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
        Intervals in stored units. Errors of forces and moments have none where the
        documents lack the number of atoms of each frame, which is their weight.
    """
    table = read_residuals(documents, "test")
    every = read_residuals(documents, None)
    table |= {key: every[key] for key in ("formation_energy",) if key in every}
    found: Intervals = {}
    for key, models in table.items():
        for model, residuals in models.items():
            listed = list(residuals.values())
            interval = estimate_interval(
                [residual.error for residual in listed],
                [residual.material_id for residual in listed],
                weights=[residual.weight for residual in listed],
            )
            if interval is not None:
                found[model, key] = interval
    return found
