"""What is stored of every material whose stability was scored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from nextrung.compute.stability.records import list_competing_phases
from nextrung.schemas.stability import StabilityRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nextrung.compute.stability.comparison import Comparison, Hull
    from nextrung.schemas.stability import MaterialEnergies


def list_rows(
    materials: Sequence[MaterialEnergies],
    hulls: tuple[Hull, Hull, Hull],
    comparison: Comparison,
) -> list[StabilityRecord]:
    """Write down what the labels, the model and its unrelaxed energies say.

    Parameters
    ----------
    materials : sequence of MaterialEnergies
        Every material, in the order of the hulls.
    hulls : tuple of Hull
        Hulls of the labels, of the model's relaxed energies, and of these with
        unrelaxed energies in place of those that failed.
    comparison : Comparison
        What the first two say side by side.

    Returns
    -------
    list of StabilityRecord
        One row per material, in order.
    """
    target, model, _ = hulls
    columns = _list_energies(*hulls) | _list_verdicts(target, model, comparison)
    columns["formula"] = target.table.reduce_formulas()
    for name, hull in (("target", target), ("predicted", model)):
        columns[f"{name}_competing_phases"] = list_competing_phases(
            hull.table, hull.decomposition
        )
    return [
        StabilityRecord(
            material_id=material.material_id,
            chemical_system="-".join(sorted(material.composition)),
            split=material.split,
            status=material.status,
            error=_join_errors(target, model, row),
            **{name: column[row] for name, column in columns.items()},
        )
        for row, material in enumerate(materials)
    ]


def _list_energies(
    target: Hull, model: Hull, with_unrelaxed: Hull
) -> dict[str, list[Any]]:
    """List the energies of every material, column by column."""
    true, predicted = target.decomposition, model.decomposition
    energies = {
        "target_energy_per_atom": target.table.energies_per_atom,
        "predicted_energy_per_atom": model.table.energies_per_atom,
        "target_decomposition_energy": true.energies,
        "predicted_decomposition_energy": predicted.energies,
        "predicted_decomposition_energy_unrelaxed": (
            with_unrelaxed.decomposition.energies
        ),
        "target_energy_above_hull": true.energies_above_hull,
        "predicted_energy_above_hull": predicted.energies_above_hull,
        "target_formation_energy": true.formation_energies,
        "predicted_formation_energy": predicted.formation_energies,
        "predicted_formation_energy_target_references": model.table.formation_energies(
            true.references
        ),
    }
    return {
        name: _keep(values, np.isfinite(values)) for name, values in energies.items()
    }


def _list_verdicts(
    target: Hull, model: Hull, comparison: Comparison
) -> dict[str, list[Any]]:
    """List what the hulls call every material, column by column."""
    labelled = np.isfinite(target.decomposition.energies)
    predicted = np.isfinite(model.decomposition.energies)
    return {
        "same_products": _keep(comparison.same_products, labelled & predicted),
        "target_stable": _keep(comparison.target_stable, labelled),
        "predicted_stable": _keep(comparison.predicted_stable, predicted),
    }


def _keep(values: NDArray[np.generic], known: NDArray[np.bool_]) -> list[Any]:
    """List the values that are known, and None in place of the others."""
    return [
        value if is_known else None
        for value, is_known in zip(values.tolist(), known.tolist(), strict=True)
    ]


def _join_errors(target: Hull, model: Hull, row: int) -> str | None:
    """Say why one material lacks a decomposition energy in either hull."""
    errors = {
        "labels": target.decomposition.errors.get(row),
        "model": model.decomposition.errors.get(row),
    }
    return "; ".join(f"{of}: {why}" for of, why in errors.items() if why) or None
