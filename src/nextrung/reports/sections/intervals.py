"""95 % intervals of the numbers of Table 1."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING

import numpy as np

from nextrung.compute.intervals import ModelComparison

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.compute.intervals import Errors, ErrorTable, Repeat

#: Low and high end by model and key of the column.
Intervals = dict[tuple[str, str], tuple[float, float]]


def estimate_intervals(test: ErrorTable, every: ErrorTable) -> Intervals:
    """Estimate intervals of all means whose single errors are known.

    Parameters
    ----------
    test, every : dict of str to dict
        Errors of the test split, and of the materials of every split, by column, model
        and repeat.

    Returns
    -------
    dict
        Intervals in stored units, over materials and repeats. Formation energies are
        of all materials; densities are of the crystals that all models relax; errors
        of forces and moments have none where the documents lack the number of atoms of
        each frame, which is their weight.
    """
    table = dict(test)
    table |= {key: every[key] for key in ("formation_energy",) if key in every}
    if "density" in table:
        table["density"] = _select_common(table["density"])
    return {
        (model, key): interval
        for key, models in table.items()
        for model in models
        if (interval := ModelComparison(models).estimate_interval(model)) is not None
    }


def _select_common(
    models: Mapping[str, Mapping[Repeat, Errors]],
) -> dict[str, dict[Repeat, Errors]]:
    """Select the crystals that all models relax in all repeats, if any."""
    names = [errors.names for repeats in models.values() for errors in repeats.values()]
    common = reduce(np.intersect1d, names)
    found = {
        model: {
            repeat: errors.take(np.isin(errors.names, common))
            for repeat, errors in repeats.items()
        }
        for model, repeats in models.items()
    }
    return found if len(common) else {}
