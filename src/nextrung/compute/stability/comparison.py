"""Comparison of the decompositions of the same materials by labels and by a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nextrung.schemas.stability.table import CompetingPhases, StabilityTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nextrung.compute.stability.decomposition import Decomposition
    from nextrung.schemas.stability import StabilitySettings


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


def tabulate_stability(
    comparison: Comparison,
    with_unrelaxed: Decomposition,
    *,
    splits: NDArray[np.str_],
    statuses: NDArray[np.str_],
) -> StabilityTable:
    """Tabulate the stability of every material according to labels and model.

    Parameters
    ----------
    comparison : Comparison
        Comparison of the labels with the model's relaxed energies.
    with_unrelaxed : Decomposition
        Decomposition by the model, with unrelaxed energies in place of failed
        relaxations.
    splits, statuses : ndarray of str, shape (n_materials,)
        Split of each material, and status of its relaxation.

    Returns
    -------
    StabilityTable
        One row per material, in order.
    """
    target, predicted = comparison.target, comparison.predicted
    formulas = np.array(target.table.reduce_formulas(), dtype=np.str_)
    return StabilityTable(
        material_id=np.array(target.table.entry_ids, dtype=np.str_),
        formula=formulas,
        chemical_system=np.array(target.table.list_systems(), dtype=np.str_),
        split=splits,
        status=statuses,
        target_energy_per_atom=_keep_finite(target.table.energies_per_atom),
        predicted_energy_per_atom=_keep_finite(predicted.table.energies_per_atom),
        target_decomposition_energy=target.energies,
        predicted_decomposition_energy=predicted.energies,
        predicted_decomposition_energy_unrelaxed=with_unrelaxed.energies,
        target_energy_above_hull=target.energies_above_hull,
        predicted_energy_above_hull=predicted.energies_above_hull,
        target_formation_energy=_keep_finite(target.formation_energies),
        predicted_formation_energy=_keep_finite(predicted.formation_energies),
        predicted_formation_energy_target_references=_keep_finite(
            predicted.table.formation_energies(target.references)
        ),
        same_products=comparison.same_products & np.isfinite(comparison.decomposition),
        target_stable=comparison.target_stable,
        predicted_stable=comparison.predicted_stable,
        error=_join_errors(target, predicted),
        target_competing_phases=_list_phases(target, formulas),
        predicted_competing_phases=_list_phases(predicted, formulas),
    )


def _keep_finite(energies: NDArray[np.float64]) -> NDArray[np.float64]:
    """Replace infinite energies by NaN."""
    return np.where(np.isfinite(energies), energies, np.nan)


def _list_phases(
    decomposition: Decomposition, formulas: NDArray[np.str_]
) -> CompetingPhases:
    """List the decomposition products of every material, row after row."""
    listed = decomposition.products >= 0
    products = decomposition.products[listed]
    names = np.array(decomposition.table.entry_ids, dtype=np.str_)
    return CompetingPhases(
        offsets=np.concatenate([[0], np.cumsum(listed.sum(axis=1))]),
        entry_id=names[products],
        formula=formulas[products],
        amount=decomposition.shares[listed],
    )


def _join_errors(target: Decomposition, predicted: Decomposition) -> NDArray[np.str_]:
    """Join the reasons why materials lack a decomposition energy."""
    joined = [""] * len(target.table)
    for row in sorted(target.errors.keys() | predicted.errors.keys()):
        errors = {
            "labels": target.errors.get(row),
            "model": predicted.errors.get(row),
        }
        joined[row] = "; ".join(f"{of}: {why}" for of, why in errors.items() if why)
    return np.array(joined, dtype=np.str_)


def _number_products(decomposition: Decomposition) -> NDArray[np.int64]:
    """List the sorted formula numbers of each material's products."""
    table, products = decomposition.table, decomposition.products
    _, numbers = np.unique(table.reduce_formulas(), return_inverse=True)
    n_elements = int(np.diff(table.offsets).max(initial=1))
    listed = np.full((len(products), n_elements), -1, dtype=np.int64)
    listed[:, : products.shape[1]] = np.where(products < 0, -1, numbers[products])
    return np.sort(listed, axis=1)
