"""Stability errors of a model's relaxed energies, compared with labels."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nextrung.compute.stability.comparison import (
    Comparison,
    compare_decompositions,
    tabulate_stability,
)
from nextrung.compute.stability.decomposition import decompose
from nextrung.schemas.frames import SPLITS
from nextrung.schemas.stability import StabilityErrors, StabilityScore

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nextrung.compute.stability.entries import EntryTable
    from nextrung.schemas.stability import StabilitySettings
    from nextrung.schemas.stability.table import ModelEnergies, StabilityTable

#: Key of the errors over all materials, those without a split included.
ALL = "all"


def score_stability(
    labels: EntryTable,
    predictions: ModelEnergies,
    settings: StabilitySettings,
    *,
    splits: NDArray[np.str_],
) -> tuple[StabilityScore, StabilityTable]:
    """Score the stability of all materials according to a model.

    Parameters
    ----------
    labels : EntryTable
        All materials, with the energies of the labels.
    predictions : ModelEnergies
        Energies of the same materials by the model.
    settings : StabilitySettings
        Definition of decomposition energy and of stability.
    splits : ndarray of str, shape (n_materials,)
        ``train``, ``val``, ``test`` or ``""``.

    Returns
    -------
    score : StabilityScore
        Errors by split and over all materials.
    table : StabilityTable
        One row per material, in order.

    Notes
    -----
    A failed relaxation has no energy: in ``metrics`` its material is left out of the
    model's hull, also as a competitor of others; in ``metrics_with_unrelaxed`` the
    energy of its initial structure is used. The hull of the labels has all materials
    in both.
    """
    relaxed, statuses = predictions.relaxed, predictions.statuses
    filled = np.where(np.isnan(relaxed), predictions.unrelaxed, relaxed)
    target, predicted, with_unrelaxed = (
        decompose(replace(labels, energies=energies), settings.competitors)
        for energies in (labels.energies, relaxed, filled)
    )
    comparison = compare_decompositions(target, predicted, settings)
    score = StabilityScore(
        metrics=_score_splits(comparison, splits),
        metrics_with_unrelaxed=_score_splits(
            compare_decompositions(target, with_unrelaxed, settings), splits
        ),
        n_materials=len(labels),
        n_failed_relaxations=int(np.isnan(relaxed).sum()),
        statuses=dict(Counter(statuses.tolist())),
    )
    table = tabulate_stability(
        comparison, with_unrelaxed, splits=splits, statuses=statuses
    )
    return score, table


def _score_splits(
    comparison: Comparison, splits: NDArray[np.str_]
) -> dict[str, StabilityErrors]:
    """Score the materials of each split, and all materials."""
    chosen = {split: splits == split for split in SPLITS if (splits == split).any()}
    chosen[ALL] = np.ones(len(splits), dtype=bool)
    return {split: _score(comparison, members) for split, members in chosen.items()}


def _score(comparison: Comparison, chosen: NDArray[np.bool_]) -> StabilityErrors:
    """Score the chosen materials that have both decomposition energies."""
    scored = chosen & np.isfinite(comparison.decomposition)
    stable, predicted = comparison.target_stable, comparison.predicted_stable
    compounds = np.diff(comparison.target.table.offsets) > 1
    formed = chosen & np.isfinite(comparison.formation)
    return StabilityErrors(
        n_materials=int(scored.sum()),
        n_missing=int((chosen & ~scored).sum()),
        n_elements=int((scored & ~compounds).sum()),
        decomposition_energy_mae=_average(comparison.decomposition, scored),
        formation_energy_mae=_average(comparison.formation, chosen),
        formation_energy_mae_target_references=_average(
            comparison.formation_target_references, chosen
        ),
        decomposition_energy_mae_compounds=_average(
            comparison.decomposition, scored & compounds
        ),
        formation_energy_mae_compounds=_average(
            comparison.formation, chosen & compounds
        ),
        decomposition_energy_baseline_mae=_average(comparison.target.energies, scored),
        formation_energy_baseline_mae=_average(
            comparison.target.formation_energies, formed
        ),
        same_products=_average(comparison.same_products.astype(float), scored),
        **_count_confusion(stable[scored], predicted[scored]),
    )


def _average(
    differences: NDArray[np.float64], chosen: NDArray[np.bool_]
) -> float | None:
    """Average the absolute values of the chosen finite differences."""
    known = np.abs(differences[chosen])
    known = known[np.isfinite(known)]
    return float(known.mean()) if len(known) else None


def _count_confusion(
    stable: NDArray[np.bool_], predicted: NDArray[np.bool_]
) -> dict[str, Any]:
    """Compute the confusion table of stability, precision, recall and F1."""
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
    """Divide counts; None where the divisor is zero."""
    return part / whole if whole else None
