"""The hull of a model's relaxed energies against the hull of the labels."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from pymatgen.core import Composition

from nextrung.compute.stability.comparison import Comparison, Hull, compare_hulls
from nextrung.compute.stability.decomposition import decompose
from nextrung.compute.stability.entries import EntryTable
from nextrung.compute.stability.rows import list_rows
from nextrung.schemas.frames import SPLITS
from nextrung.schemas.stability import (
    StabilityErrors,
    StabilityScore,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from nextrung.schemas.stability import MaterialEnergies, StabilitySettings

#: Name of the score over the materials of every split, and of none.
ALL = "all"


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
        Hull(table=table, decomposition=decompose(table, settings.competitors))
        for table in tables
    )
    comparison = compare_hulls(target, model, settings)
    splits = np.array([material.split for material in materials], dtype=np.str_)
    return StabilityScore(
        metrics=_score_splits(comparison, splits),
        metrics_with_unrelaxed=_score_splits(
            compare_hulls(target, with_unrelaxed, settings), splits
        ),
        n_materials=len(materials),
        n_failed_relaxations=int(np.isnan(relaxed).sum()),
        statuses=dict(Counter(material.status.value for material in materials)),
        rows=list_rows(materials, (target, model, with_unrelaxed), comparison),
    )


def _as_energies(energies: Sequence[float | None]) -> NDArray[np.float64]:
    """Turn missing energies into NaN."""
    return np.array(
        [np.nan if energy is None else energy for energy in energies], dtype=np.float64
    )


def _score_splits(
    comparison: Comparison, splits: NDArray[np.str_]
) -> dict[str, StabilityErrors]:
    """Score the materials of each split that has any, and all of them."""
    chosen = {split: splits == split for split in SPLITS if (splits == split).any()}
    chosen[ALL] = np.ones(len(splits), dtype=bool)
    return {split: _score(comparison, members) for split, members in chosen.items()}


def _score(comparison: Comparison, chosen: NDArray[np.bool_]) -> StabilityErrors:
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
