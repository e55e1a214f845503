"""Two hulls of the same materials, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nextrung.compute.stability.decomposition import Decomposition
    from nextrung.compute.stability.entries import EntryTable
    from nextrung.schemas.stability import StabilitySettings


@dataclass(frozen=True, eq=False)
class Hull:
    """All materials with the energies of one source, and where these put them.

    Parameters
    ----------
    table : EntryTable
        Materials and their energies.
    decomposition : Decomposition
        What they decompose into.
    """

    table: EntryTable
    decomposition: Decomposition


@dataclass(frozen=True, eq=False)
class Comparison:
    """What both hulls say of each material, shape (n_materials,) each.

    Parameters
    ----------
    decomposition : ndarray of float
        Predicted minus target decomposition energy in eV/atom, NaN if one is missing.
    formation : ndarray of float
        The same of formation energies, each from its own elemental entries.
    formation_target_references : ndarray of float
        The same, both from the elemental entries of the labels.
    same_products : ndarray of bool
        Whether both decompose into the same compositions.
    target_stable, predicted_stable : ndarray of bool
        Whether each calls the material stable.
    """

    decomposition: NDArray[np.float64]
    formation: NDArray[np.float64]
    formation_target_references: NDArray[np.float64]
    same_products: NDArray[np.bool_]
    target_stable: NDArray[np.bool_]
    predicted_stable: NDArray[np.bool_]


def compare_hulls(target: Hull, model: Hull, settings: StabilitySettings) -> Comparison:
    """Put what the hulls of the labels and of a model say side by side.

    Parameters
    ----------
    target, model : Hull
        The same materials with the energies of the labels and of the model.
    settings : StabilitySettings
        What is called stable.

    Returns
    -------
    Comparison
        Differences and verdicts, material by material.
    """
    true, predicted = target.decomposition, model.decomposition
    return Comparison(
        decomposition=predicted.energies - true.energies,
        formation=predicted.formation_energies - true.formation_energies,
        formation_target_references=(
            model.table.formation_energies(true.references) - true.formation_energies
        ),
        same_products=(_number_products(target) == _number_products(model)).all(axis=1),
        target_stable=true.energies <= settings.stable_below,
        predicted_stable=predicted.energies <= settings.stable_below,
    )


def _number_products(hull: Hull) -> NDArray[np.int64]:
    """List the formulas of the products by sorted number, one row per material."""
    _, numbers = np.unique(hull.table.reduce_formulas(), return_inverse=True)
    products = hull.decomposition.products
    n_elements = int(np.diff(hull.table.offsets).max(initial=1))
    listed = np.full((len(products), n_elements), -1, dtype=np.int64)
    listed[:, : products.shape[1]] = np.where(products < 0, -1, numbers[products])
    return np.sort(listed, axis=1)
