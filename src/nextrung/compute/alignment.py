"""How alike the energies of two functionals are, and which elements set them apart.

Total energies of two functionals hardly correlate, because each has its own energies of
the atoms; what is left after each one's atomic references are subtracted does [1]_.

References
----------
.. [1] X. Huang et al., npj Comput. Mater. (2025), doi 10.1038/s41524-025-01796-y,
   figures 1 and 2, equations 4 and 5.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Element
from sklearn.tree import DecisionTreeRegressor

from nextrung.schemas.alignment import (
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

#: Elements that can have a reference, by atomic number from 1.
N_ELEMENTS = 118
#: Points a correlation needs.
TWO_POINTS = 2


def score_alignment(
    target: Frames,
    source: Frames,
    *,
    source_refs: Mapping[str, float],
    target_refs: Mapping[str, float],
    settings: AlignmentSettings,
) -> AlignmentScore:
    """Compare the energies of the same frames in two functionals.

    Parameters
    ----------
    target : Frames
        Frames with energies of the target functional.
    source : Frames
        The same frames with energies of the source functional; NaN where there is none.
    source_refs, target_refs : mapping of str to float
        Atomic reference energies of each functional in eV/atom, by symbol.
    settings : AlignmentSettings
        How the differences are explained by elements.

    Returns
    -------
    AlignmentScore
        Correlations, the contribution of each element, and the points themselves.

    Raises
    ------
    InputError
        If the two sets do not hold the same frames.
    """
    if not np.array_equal(target.frame_ids, source.frame_ids):
        raise InputError(
            f"expected source energies of the {len(target)} labelled frames in their "
            f"order, met {len(source)} frames with other ids"
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
    return AlignmentScore(
        n_frames=len(compared),
        n_left_out=len(target) - len(compared),
        left_out=dict(Counter(reason for reason in reasons if reason)),
        correlation=correlate(energies["source"], energies["target"]),
        correlation_referenced=correlate(
            energies["source_referenced"], energies["target_referenced"]
        ),
        mean_absolute_difference=_average_size(energies["target"] - energies["source"]),
        mean_absolute_difference_referenced=_average_size(difference),
        elements=_describe_elements(
            count_atoms(compared),
            rank_elements(compared, difference, settings),
            _subtract(target_refs, source_refs),
            scale=settings.importance_scale,
        ),
        rows=_list_points(compared, energies),
    )


def subtract_references(
    frames: Frames, references: Mapping[str, float]
) -> NDArray[np.float64]:
    """Subtract atomic reference energies from total energies.

    Parameters
    ----------
    frames : Frames
        Frames with energies.
    references : mapping of str to float
        Reference energy of each element in eV/atom, by symbol.

    Returns
    -------
    ndarray of float, shape (n_frames,)
        What is left in eV/atom; NaN where an element has no reference.
    """
    by_number = np.full(N_ELEMENTS + 1, np.nan)
    for symbol, energy in references.items():
        by_number[Element(symbol).Z] = energy
    elemental = np.bincount(
        frames.frame_of_site, by_number[frames.atomic_numbers], len(frames)
    )
    left: NDArray[np.float64] = (frames.energies - elemental) / frames.n_atoms
    return left


def correlate(x: NDArray[np.float64], y: NDArray[np.float64]) -> float | None:
    """Compute the Pearson correlation of two variables.

    Parameters
    ----------
    x, y : ndarray of float, shape (n_points,)
        The variables.

    Returns
    -------
    float or None
        Correlation in [-1, 1]; None where one of them does not vary.
    """
    if len(x) < TWO_POINTS or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    return float(np.corrcoef(x, y)[0, 1])


def count_atoms(frames: Frames) -> dict[str, int]:
    """Count the atoms of each element over all frames.

    Parameters
    ----------
    frames : Frames
        Frames of any compositions.

    Returns
    -------
    dict of str to int
        Atoms of each element that occurs, by symbol in the order of atomic number.
    """
    numbers, counts = np.unique(frames.atomic_numbers, return_counts=True)
    return {
        Element.from_Z(int(number)).symbol: int(count)
        for number, count in zip(numbers, counts, strict=True)
    }


def rank_elements(
    frames: Frames, differences: NDArray[np.float64], settings: AlignmentSettings
) -> dict[str, float]:
    """Rank elements by how well they explain energy differences.

    Parameters
    ----------
    frames : Frames
        Frames of any compositions.
    differences : ndarray of float, shape (n_frames,)
        Energy difference of each frame in eV/atom, of formation or re-referenced
        energies.
    settings : AlignmentSettings
        Depth and seed of the tree.

    Returns
    -------
    dict of str to float
        Importance of each element that occurs, by symbol; they add up to one unless
        all differences are equal.

    Notes
    -----
    A regression tree is grown on atomic fractions. The importance of an element is the
    variance that is removed at the nodes that split on it, weighted by the frames that
    reach them, over the variance that is removed in all.
    """
    numbers, column = np.unique(frames.atomic_numbers, return_inverse=True)
    if len(frames) == 0:
        return {}
    cells = frames.frame_of_site * len(numbers) + column
    counts = np.bincount(cells, minlength=len(frames) * len(numbers))
    fractions = counts.reshape(len(frames), -1) / frames.n_atoms[:, None]
    tree = DecisionTreeRegressor(
        max_depth=settings.max_depth, random_state=settings.seed
    )
    tree.fit(fractions, differences)
    return {
        Element.from_Z(int(number)).symbol: float(importance)
        for number, importance in zip(numbers, tree.feature_importances_, strict=True)
    }


def _explain_missing(
    target: Frames,
    energies: Mapping[str, NDArray[np.float64]],
    references: Sequence[Mapping[str, float]],
) -> list[str | None]:
    """Say why frames cannot be compared; None for those that can."""
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


def _subtract(
    target_refs: Mapping[str, float], source_refs: Mapping[str, float]
) -> dict[str, float]:
    """Subtract the references of the elements that have both."""
    return {
        symbol: target_refs[symbol] - source_refs[symbol]
        for symbol in target_refs
        if symbol in source_refs
    }


def _describe_elements(
    n_atoms: Mapping[str, int],
    importances: Mapping[str, float],
    shifts: Mapping[str, float],
    *,
    scale: float | None,
) -> dict[str, ElementAlignment]:
    """Put counts, shifts and importances of the elements that occur side by side."""
    per_atom = {symbol: importances[symbol] / n_atoms[symbol] for symbol in n_atoms}
    if scale is None:
        largest = max(per_atom.values(), default=0)
        scale = 1 / largest if largest else 0
    return {
        symbol: ElementAlignment(
            n_atoms=n_atoms[symbol],
            shift=shifts[symbol],
            importance=importances[symbol],
            normalised_importance=per_atom[symbol] * scale,
        )
        for symbol in n_atoms
    }


def _average_size(differences: NDArray[np.float64]) -> float | None:
    """Average the sizes of differences; None where there are none."""
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
