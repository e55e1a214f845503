"""Alignment of two functionals over the frames that have both energies."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from nextrung.compute.alignment.correction_estimates import estimate_corrections
from nextrung.compute.alignment.elements import (
    count_atoms,
    rank_elements,
    scale_importances,
)
from nextrung.compute.alignment.formation_differences import subtract_formation_energies
from nextrung.compute.alignment.references import correlate, subtract_references
from nextrung.schemas.alignment import (
    AlignmentCorrections,
    AlignmentPoints,
    AlignmentScore,
    ElementAlignment,
)
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from nextrung.schemas.alignment import AlignmentSettings
    from nextrung.schemas.frames import Frames


def score_alignment(
    target: Frames,
    source: Frames,
    *,
    source_refs: Mapping[str, float],
    target_refs: Mapping[str, float],
    settings: AlignmentSettings,
    corrections: AlignmentCorrections = AlignmentCorrections.NONE,
) -> AlignmentScore:
    """Score the agreement of two functionals on the same frames.

    Parameters
    ----------
    target : Frames
        Frames with energies of the target functional.
    source : Frames
        The same frames with energies of the source functional; NaN where missing.
    source_refs, target_refs : mapping of str to float
        Atomic reference energies of each functional in eV/atom, by symbol.
    settings : AlignmentSettings
        Depth and seed of the decision tree, scales of importance.
    corrections : AlignmentCorrections
        Which side has GGA/GGA+U energies, and whether corrections are included.

    Returns
    -------
    AlignmentScore
        Correlations, contribution of each element, and energies of the frames.

    Raises
    ------
    InputError
        If the two sets are not the same frames.
    """
    if not np.array_equal(target.frame_ids, source.frame_ids):
        raise InputError(
            f"expected source energies of the {len(target)} labelled frames in their "
            f"order, got {len(source)} frames with other ids"
        )
    energies = {
        "target": target.energies / target.n_atoms,
        "source": source.energies / target.n_atoms,
        "target_referenced": subtract_references(target, target_refs),
        "source_referenced": subtract_references(source, source_refs),
    }
    reasons = _explain_missing(target, energies, [source_refs, target_refs])
    kept = np.array([reason is None for reason in reasons], dtype=bool)
    energies = {name: values[kept] for name, values in energies.items()}
    compared = target[kept]
    difference = energies["target_referenced"] - energies["source_referenced"]
    shifts = {
        symbol: target_refs[symbol] - source_refs[symbol]
        for symbol in target_refs
        if symbol in source_refs
    }
    formation, without_phase = subtract_formation_energies(
        compared, source[kept], shifts
    )
    return AlignmentScore(
        n_frames=len(compared),
        n_left_out=len(target) - len(compared),
        left_out=dict(Counter(reason for reason in reasons if reason)),
        correlation=correlate(energies["source"], energies["target"]),
        correlation_referenced=correlate(
            energies["source_referenced"], energies["target_referenced"]
        ),
        mean_absolute_difference=_average_absolute(
            energies["target"] - energies["source"]
        ),
        mean_absolute_difference_referenced=_average_absolute(difference),
        corrections=corrections,
        elements_without_phase=without_phase,
        elements=_describe_elements(
            compared, formation, shifts, settings=settings, corrections=corrections
        ),
        rows=_list_points(compared, energies),
    )


def _describe_elements(
    frames: Frames,
    formation: NDArray[np.float64],
    shifts: Mapping[str, float],
    *,
    settings: AlignmentSettings,
    corrections: AlignmentCorrections,
) -> dict[str, ElementAlignment]:
    """Compute the importance of elements, with and without corrections."""
    n_atoms = count_atoms(frames)
    corrected, uncorrected = _correct(frames, formation, corrections)
    ranks = rank_elements(frames, corrected, settings)
    scaled = scale_importances(ranks, n_atoms, settings.importance_scale)
    plain: dict[str, float] = {}
    if uncorrected is not None:
        plain = rank_elements(frames, uncorrected, settings)
    plain_scaled = scale_importances(
        plain, n_atoms, settings.importance_scale_uncorrected
    )
    return {
        symbol: ElementAlignment(
            n_atoms=n_atoms[symbol],
            shift=shifts[symbol],
            importance=ranks[symbol],
            normalised_importance=scaled[symbol],
            importance_uncorrected=plain.get(symbol),
            normalised_importance_uncorrected=plain_scaled.get(symbol),
        )
        for symbol in n_atoms
    }


def _correct(
    frames: Frames, differences: NDArray[np.float64], corrections: AlignmentCorrections
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Compute differences with corrections and, where there are any, without."""
    if corrections is AlignmentCorrections.NONE:
        return differences, None
    added = estimate_corrections(frames)
    match corrections:
        case AlignmentCorrections.IN_SOURCE:
            return differences, differences + added
        case AlignmentCorrections.IN_TARGET:
            return differences, differences - added
        case AlignmentCorrections.MISSING_IN_SOURCE:
            return differences - added, differences
        case AlignmentCorrections.MISSING_IN_TARGET:
            return differences + added, differences


def _explain_missing(
    target: Frames,
    energies: Mapping[str, NDArray[np.float64]],
    references: Sequence[Mapping[str, float]],
) -> list[str | None]:
    """List why frames cannot be compared; None for those that can."""
    referenced = set.intersection(*(set(refs) for refs in references))
    reasons: list[str | None] = []
    known = zip(
        target.compositions(),
        np.isfinite(energies["target"]),
        np.isfinite(energies["source"]),
        strict=True,
    )
    for composition, has_target, has_source in known:
        missing = sorted(set(composition.get_el_amt_dict()) - referenced)
        if missing:
            reasons.append(f"no atomic reference energy for {', '.join(missing)}")
        elif not has_target:
            reasons.append("no target energy")
        else:
            reasons.append(None if has_source else "no source energy")
    return reasons


def _average_absolute(differences: NDArray[np.float64]) -> float | None:
    """Average absolute differences; None without any."""
    return float(np.abs(differences).mean()) if len(differences) else None


def _list_points(
    frames: Frames, energies: Mapping[str, NDArray[np.float64]]
) -> AlignmentPoints:
    """List the energies of the compared frames."""
    return AlignmentPoints(
        frame_id=frames.frame_ids.tolist(),
        material_id=frames.material_ids.tolist(),
        formula=[c.reduced_formula for c in frames.compositions()],
        **{name: values.tolist() for name, values in energies.items()},
    )
