"""The hull of a model's relaxed energies against the hull of the labels."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from pymatgen.core import Composition

from nextrung.compute.stability.decomposition import (
    decompose,
    list_competing_phases,
)
from nextrung.compute.stability.entries import EntryTable
from nextrung.schemas.frames import SPLITS
from nextrung.schemas.stability import (
    StabilityErrors,
    StabilityRow,
    StabilityScore,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nextrung.compute.stability.decomposition import Decomposition
    from nextrung.schemas.stability import MaterialEnergies, StabilitySettings

#: Name of the score over the materials of every split, and of none.
ALL = "all"


@dataclass(frozen=True, eq=False)
class _Hull:
    """All materials with the energies of one source, and where these put them."""

    table: EntryTable
    decomposition: Decomposition


@dataclass(frozen=True, eq=False)
class _Comparison:
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


def score_stability(
    materials: Sequence[MaterialEnergies], settings: StabilitySettings
) -> StabilityScore:
    """Compare the phase stability of all materials between a model and the labels.

    Parameters
    ----------
    materials : sequence of MaterialEnergies
        Every material of the hull, with both energies.
    settings : StabilitySettings
        How decomposition is defined and called stable.

    Returns
    -------
    StabilityScore
        One row per material, in order, and the errors by split and over all of them.

    Raises
    ------
    InputError
        If two materials have one id.

    Notes
    -----
    A failed relaxation has no energy: in ``metrics`` it is missing from the model's
    hull, as itself and as a competitor of others; in ``metrics_with_unrelaxed`` the
    energy of its initial structure stands in. The hull of the labels is whole in both.
    """
    labels = _as_energies([material.target_energy for material in materials])
    relaxed = _as_energies([material.predicted_energy for material in materials])
    initial = _as_energies([material.unrelaxed_energy for material in materials])
    table = EntryTable.from_compositions(
        [material.material_id for material in materials],
        [Composition(material.composition) for material in materials],
        labels,
    )
    filled = np.where(np.isnan(relaxed), initial, relaxed)
    tables = [
        replace(table, energies=energies) for energies in (labels, relaxed, filled)
    ]
    target, model, with_unrelaxed = (
        _Hull(table=table, decomposition=decompose(table, settings.competitors))
        for table in tables
    )
    comparison = _compare(target, model, settings)
    splits = np.array([material.split for material in materials], dtype=np.str_)
    return StabilityScore(
        metrics=_score_splits(comparison, splits),
        metrics_with_unrelaxed=_score_splits(
            _compare(target, with_unrelaxed, settings), splits
        ),
        n_materials=len(materials),
        n_failed_relaxations=int(np.isnan(relaxed).sum()),
        statuses=dict(Counter(material.status.value for material in materials)),
        rows=_list_rows(materials, (target, model, with_unrelaxed), comparison),
    )


def _as_energies(energies: Sequence[float | None]) -> NDArray[np.float64]:
    """Turn missing energies into NaN."""
    return np.array(
        [np.nan if energy is None else energy for energy in energies], dtype=np.float64
    )


def _compare(target: _Hull, model: _Hull, settings: StabilitySettings) -> _Comparison:
    """Put what both hulls say side by side."""
    true, predicted = target.decomposition, model.decomposition
    return _Comparison(
        decomposition=predicted.energies - true.energies,
        formation=predicted.formation_energies - true.formation_energies,
        formation_target_references=(
            model.table.form(true.references) - true.formation_energies
        ),
        same_products=(_number_products(target) == _number_products(model)).all(axis=1),
        target_stable=true.energies <= settings.stable_below,
        predicted_stable=predicted.energies <= settings.stable_below,
    )


def _number_products(hull: _Hull) -> NDArray[np.int64]:
    """List the formulas of the products by sorted number, one row per material."""
    _, numbers = np.unique(hull.table.reduce_formulas(), return_inverse=True)
    products = hull.decomposition.products
    n_elements = int(np.diff(hull.table.offsets).max(initial=1))
    listed = np.full((len(products), n_elements), -1, dtype=np.int64)
    listed[:, : products.shape[1]] = np.where(products < 0, -1, numbers[products])
    return np.sort(listed, axis=1)


def _score_splits(
    comparison: _Comparison, splits: NDArray[np.str_]
) -> dict[str, StabilityErrors]:
    """Score the materials of each split that has any, and all of them."""
    chosen = {split: splits == split for split in SPLITS if (splits == split).any()}
    chosen[ALL] = np.ones(len(splits), dtype=bool)
    return {split: _score(comparison, members) for split, members in chosen.items()}


def _score(comparison: _Comparison, chosen: NDArray[np.bool_]) -> StabilityErrors:
    """Score the chosen materials that have both decomposition energies."""
    scored = chosen & np.isfinite(comparison.decomposition)
    stable, predicted = comparison.target_stable, comparison.predicted_stable
    return StabilityErrors(
        n_materials=int(scored.sum()),
        n_missing=int((chosen & ~scored).sum()),
        decomposition_energy_mae=_average(comparison.decomposition, scored),
        formation_energy_mae=_average(comparison.formation, chosen),
        formation_energy_mae_target_references=_average(
            comparison.formation_target_references, chosen
        ),
        same_products=_average(comparison.same_products.astype(float), scored),
        **_count_confusion(stable[scored], predicted[scored]),
    )


def _average(
    differences: NDArray[np.float64], chosen: NDArray[np.bool_]
) -> float | None:
    """Average the sizes of the chosen differences that are known."""
    known = np.abs(differences[chosen])
    known = known[np.isfinite(known)]
    return float(known.mean()) if len(known) else None


def _count_confusion(
    stable: NDArray[np.bool_], predicted: NDArray[np.bool_]
) -> dict[str, Any]:
    """Count right and wrong calls of stability, and rate them."""
    true_stable = int((stable & predicted).sum())
    false_stable = int((~stable & predicted).sum())
    false_unstable = int((stable & ~predicted).sum())
    return {
        "true_stable": true_stable,
        "false_stable": false_stable,
        "true_unstable": int((~stable & ~predicted).sum()),
        "false_unstable": false_unstable,
        "precision": _divide(true_stable, true_stable + false_stable),
        "recall": _divide(true_stable, true_stable + false_unstable),
        "f1": _divide(2 * true_stable, 2 * true_stable + false_stable + false_unstable),
    }


def _divide(part: int, whole: int) -> float | None:
    """Divide counts; nothing has no share of nothing."""
    return part / whole if whole else None


def _list_rows(
    materials: Sequence[MaterialEnergies],
    hulls: tuple[_Hull, _Hull, _Hull],
    comparison: _Comparison,
) -> list[StabilityRow]:
    """Write down what the labels, the model and its unrelaxed energies say."""
    target, model, _ = hulls
    columns = _list_energies(*hulls) | _list_verdicts(target, model, comparison)
    columns["formula"] = target.table.reduce_formulas()
    for name, hull in (("target", target), ("predicted", model)):
        columns[f"{name}_competing_phases"] = list_competing_phases(
            hull.table, hull.decomposition
        )
    return [
        StabilityRow(
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
    target: _Hull, model: _Hull, with_unrelaxed: _Hull
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
        "predicted_formation_energy_target_references": model.table.form(
            true.references
        ),
    }
    return {
        name: _keep(values, np.isfinite(values)) for name, values in energies.items()
    }


def _list_verdicts(
    target: _Hull, model: _Hull, comparison: _Comparison
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


def _join_errors(target: _Hull, model: _Hull, row: int) -> str | None:
    """Say why one material lacks a decomposition energy in either hull."""
    errors = {
        "labels": target.decomposition.errors.get(row),
        "model": model.decomposition.errors.get(row),
    }
    return "; ".join(f"{of}: {why}" for of, why in errors.items() if why) or None
