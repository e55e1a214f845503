"""Comparison of the decompositions of the same materials by labels and by a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nextrung.compute.stability.records import list_competing_phases
from nextrung.schemas.stability import StabilityRecord

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nextrung.compute.stability.decomposition import Decomposition
    from nextrung.schemas.stability import MaterialEnergies, StabilitySettings


@dataclass(frozen=True, eq=False)
class Comparison:
    """Differences between two decompositions, arrays of shape (n_materials,).

    Parameters
    ----------
    target, predicted : Decomposition
        Decomposition of the same materials by the labels and by the model.
    decomposition : ndarray of float
        Predicted minus target decomposition energy in eV/atom; NaN if one is missing.
    formation : ndarray of float
        Predicted minus target formation energy in eV/atom, each from its own elemental
        entries.
    formation_target_references : ndarray of float
        Predicted minus target formation energy in eV/atom, both from the elemental
        entries of the labels.
    same_products : ndarray of bool
        Whether both decompose into the same compositions.
    target_stable, predicted_stable : ndarray of bool
        Whether the material is stable according to each.
    """

    target: Decomposition
    predicted: Decomposition
    decomposition: NDArray[np.float64]
    formation: NDArray[np.float64]
    formation_target_references: NDArray[np.float64]
    same_products: NDArray[np.bool_]
    target_stable: NDArray[np.bool_]
    predicted_stable: NDArray[np.bool_]


def compare_decompositions(
    target: Decomposition, predicted: Decomposition, settings: StabilitySettings
) -> Comparison:
    """Compare the decompositions of the same materials by labels and by a model.

    Parameters
    ----------
    target, predicted : Decomposition
        Decomposition of the same materials by the labels and by the model.
    settings : StabilitySettings
        Definition of stability.

    Returns
    -------
    Comparison
        Differences, material by material.
    """
    from_target_references = predicted.table.formation_energies(target.references)
    return Comparison(
        target=target,
        predicted=predicted,
        decomposition=predicted.energies - target.energies,
        formation=predicted.formation_energies - target.formation_energies,
        formation_target_references=from_target_references - target.formation_energies,
        same_products=(_number_products(target) == _number_products(predicted)).all(
            axis=1
        ),
        target_stable=target.energies <= settings.stable_below,
        predicted_stable=predicted.energies <= settings.stable_below,
    )


def list_stability(
    materials: Sequence[MaterialEnergies],
    comparison: Comparison,
    with_unrelaxed: Decomposition,
) -> list[StabilityRecord]:
    """List the stability of every material according to labels and model.

    Parameters
    ----------
    materials : sequence of MaterialEnergies
        Every material, in the order of the decompositions.
    comparison : Comparison
        Comparison of the labels with the model's relaxed energies.
    with_unrelaxed : Decomposition
        Decomposition by the model, with unrelaxed energies in place of failed
        relaxations.

    Returns
    -------
    list of StabilityRecord
        One record per material, in order.
    """
    target, predicted = comparison.target, comparison.predicted
    columns = _list_energies(target, predicted, with_unrelaxed) | {
        "formula": target.table.reduce_formulas(),
        "target_competing_phases": list_competing_phases(target),
        "predicted_competing_phases": list_competing_phases(predicted),
        "same_products": _keep(
            comparison.same_products, np.isfinite(comparison.decomposition)
        ),
        "target_stable": _keep(comparison.target_stable, np.isfinite(target.energies)),
        "predicted_stable": _keep(
            comparison.predicted_stable, np.isfinite(predicted.energies)
        ),
    }
    return [
        StabilityRecord(
            material_id=material.material_id,
            chemical_system="-".join(sorted(material.composition)),
            split=material.split,
            status=material.status,
            error=_join_errors(target.errors.get(row), predicted.errors.get(row)),
            **{name: column[row] for name, column in columns.items()},
        )
        for row, material in enumerate(materials)
    ]


def _list_energies(
    target: Decomposition, predicted: Decomposition, with_unrelaxed: Decomposition
) -> dict[str, list[Any]]:
    """List the energies of every material, column by column; None where missing."""
    energies = {
        "target_energy_per_atom": target.table.energies_per_atom,
        "predicted_energy_per_atom": predicted.table.energies_per_atom,
        "target_decomposition_energy": target.energies,
        "predicted_decomposition_energy": predicted.energies,
        "predicted_decomposition_energy_unrelaxed": with_unrelaxed.energies,
        "target_energy_above_hull": target.energies_above_hull,
        "predicted_energy_above_hull": predicted.energies_above_hull,
        "target_formation_energy": target.formation_energies,
        "predicted_formation_energy": predicted.formation_energies,
        "predicted_formation_energy_target_references": (
            predicted.table.formation_energies(target.references)
        ),
    }
    return {
        name: _keep(values, np.isfinite(values)) for name, values in energies.items()
    }


def _keep(values: NDArray[np.generic], known: NDArray[np.bool_]) -> list[Any]:
    """List the known values, and None in place of the others."""
    pairs = zip(values.tolist(), known.tolist(), strict=True)
    return [value if is_known else None for value, is_known in pairs]


def _join_errors(of_labels: str | None, of_model: str | None) -> str | None:
    """Join the reasons why a material lacks a decomposition energy."""
    errors = {"labels": of_labels, "model": of_model}
    return "; ".join(f"{of}: {why}" for of, why in errors.items() if why) or None


def _number_products(decomposition: Decomposition) -> NDArray[np.int64]:
    """List the sorted formula numbers of each material's products."""
    table, products = decomposition.table, decomposition.products
    _, numbers = np.unique(table.reduce_formulas(), return_inverse=True)
    n_elements = int(np.diff(table.offsets).max(initial=1))
    listed = np.full((len(products), n_elements), -1, dtype=np.int64)
    listed[:, : products.shape[1]] = np.where(products < 0, -1, numbers[products])
    return np.sort(listed, axis=1)
