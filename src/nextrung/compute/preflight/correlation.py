"""Correlation of source and target energies beyond composition.

Total energies of two functionals correlate through composition alone, so that labels
without any structure would pass. Composition is projected out of both energies, each
frame by a fit to other materials, and what is left is compared with a null in which
the target's part beyond composition belongs to another material [1]_.

References
----------
.. [1] D. Freedman and D. Lane, J. Bus. Econ. Stat. 1, 292 (1983),
   doi 10.1080/07350015.1983.10509354.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nextrung.schemas.preflight import Check, CheckOutcome

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nextrung.schemas.frames import Frames
    from nextrung.schemas.preflight import PreflightSettings

#: Permutations of the null.
N_PERMUTATIONS = 999
#: Largest number of folds of the fits to other materials.
_MAX_FOLDS = 50
#: Standard deviation in eV/atom below which energies are a function of composition.
_NO_STRUCTURE = 1e-5
#: Smallest number of materials that are permuted: 5! orders.
_MIN_MATERIALS = 5


@dataclass(frozen=True)
class PartialCorrelation:
    """Correlation of source and target energies beyond composition.

    Parameters
    ----------
    correlation : float or None
        Pearson correlation of what is left of both energies; None where it is
        undefined.
    null_quantile : float or None
        Correlation that 95 % of the permutations stay below.
    p_value : float or None
        Fraction of permutations, the data among them, that reach the correlation.
    n_frames : int
        Frames whose elements all occur in other materials.
    n_materials : int
        Their materials.
    error : str or None
        Why it is undefined.
    """

    correlation: float | None
    null_quantile: float | None
    p_value: float | None
    n_frames: int
    n_materials: int
    error: str | None = None


def correlate_structure(
    source: Frames, target: Frames, *, seed: int = 0
) -> PartialCorrelation:
    """Correlate source and target energies with composition projected out of both.

    Parameters
    ----------
    source : Frames
        Frames with finite energies predicted by the source.
    target : Frames
        The same frames with their labels.
    seed : int
        Seed of folds and permutations.

    Returns
    -------
    PartialCorrelation
        The correlation, and its null of permuted materials.

    Notes
    -----
    What is left of a frame is its energy per atom minus a linear fit on atomic
    fractions to the materials of other folds. For the null, the residuals of a fit of
    the labels to all frames are moved as blocks to other materials, and composition is
    projected out anew: the trend within trajectories, which all materials share, stays.
    """
    fractions = _count_fractions(target)
    _, materials = np.unique(target.material_ids, return_inverse=True)
    rng = np.random.default_rng(seed)
    operator = _project_out(fractions, materials, rng)
    usable = np.isfinite(operator).all(axis=1)
    counts = int(usable.sum()), len(np.unique(materials[usable]))
    if counts[1] < _MIN_MATERIALS:
        few = f"{counts[1]} materials, of which {_MIN_MATERIALS} are needed"
        return PartialCorrelation(None, None, None, *counts, error=few)
    operator = operator[usable]
    energies = [frames.energies / frames.n_atoms for frames in (source, target)]
    left, right = (operator @ energy for energy in energies)
    for name, values in (("source", left), ("labels", right)):
        if values.std() < _NO_STRUCTURE:
            reason = f"energies of the {name} are a function of composition alone"
            return PartialCorrelation(None, None, None, *counts, error=reason)
    beyond = energies[1] - fractions @ (np.linalg.pinv(fractions) @ energies[1])
    permuted = np.array(
        [beyond[_permute_blocks(materials, rng)] for _ in range(N_PERMUTATIONS)]
    )
    correlation = float(np.corrcoef(left, right)[0, 1])
    null = _correlate_rows(permuted @ operator.T, left)
    reached = 1 + int(np.sum(null >= correlation))
    return PartialCorrelation(
        correlation=correlation,
        null_quantile=float(np.quantile(null, 0.95)),
        p_value=reached / (1 + N_PERMUTATIONS),
        n_frames=counts[0],
        n_materials=counts[1],
    )


def check_correlation(found: PartialCorrelation, settings: PreflightSettings) -> Check:
    """Check whether source and target energies correlate beyond composition.

    Parameters
    ----------
    found : PartialCorrelation
        The correlation and its null.
    settings : PreflightSettings
        Minimum correlation and maximum p-value.

    Returns
    -------
    Check
        Failed below the minimum, above the p-value, and where labels are a function of
        composition; a warning where there are too few materials.
    """
    name = "correlation with the source"
    if found.correlation is None or found.p_value is None:
        few = found.n_materials < _MIN_MATERIALS
        outcome = CheckOutcome.WARNING if few else CheckOutcome.FAILED
        return Check(name=name, outcome=outcome, finding=f"undefined: {found.error}")
    weak = found.correlation < settings.min_correlation
    chance = found.p_value > settings.max_p_value
    finding = (
        f"{found.correlation:.3f} beyond composition (95 % of permuted materials below "
        f"{found.null_quantile:.3f}, p = {found.p_value:.3f}, "
        f"{found.n_materials:,} materials)"
    )
    if weak:
        finding += f"; below {settings.min_correlation:g} transfer will gain little"
    if chance:
        finding += f"; p above {settings.max_p_value:g} may be chance"
    outcome = CheckOutcome.FAILED if weak or chance else CheckOutcome.PASSED
    return Check(name=name, outcome=outcome, finding=finding)


def _count_fractions(frames: Frames) -> NDArray[np.float64]:
    """Count atomic fractions, shape (n_frames, n_elements)."""
    numbers, columns = np.unique(frames.atomic_numbers, return_inverse=True)
    cells = frames.frame_of_site * len(numbers) + columns
    counts = np.bincount(cells, minlength=len(frames) * len(numbers))
    fractions: NDArray[np.float64] = (
        counts.reshape(len(frames), -1) / frames.n_atoms[:, None]
    )
    return fractions


def _project_out(
    fractions: NDArray[np.float64],
    materials: NDArray[np.int64],
    rng: np.random.Generator,
) -> NDArray[np.float64]:
    """Build the matrix that projects composition out of energies (n_frames, n_frames).

    Rows of frames with an element of no other fold are NaN.
    """
    n_materials = int(materials.max()) + 1
    n_folds = min(n_materials, _MAX_FOLDS)
    folds = rng.permutation(np.arange(n_materials) % n_folds)[materials]
    operator = np.eye(len(materials))
    for fold in range(n_folds):
        inside = folds == fold
        known = fractions[~inside].any(axis=0)
        weights = fractions[inside] @ np.linalg.pinv(fractions[~inside])
        weights[(fractions[inside][:, ~known] > 0).any(axis=1)] = np.nan
        operator[np.ix_(inside, ~inside)] -= weights
    return operator


def _permute_blocks(
    materials: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw the frame whose value each frame has when materials are permuted.

    A block of another length is read at evenly spaced frames.
    """
    order: NDArray[np.int64] = np.argsort(materials, kind="stable")
    sizes = np.bincount(materials)
    starts = np.cumsum(sizes) - sizes
    position = np.empty_like(order)
    position[order] = np.arange(len(order)) - starts[materials[order]]
    other = rng.permutation(len(sizes))[materials]
    step = (sizes[other] - 1) / np.maximum(sizes[materials] - 1, 1)
    drawn: NDArray[np.int64] = order[
        starts[other] + np.rint(position * step).astype(int)
    ]
    return drawn


def _correlate_rows(
    rows: NDArray[np.float64], values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Correlate each row with the values; 0 for a constant row."""
    centred = rows - rows.mean(axis=1, keepdims=True)
    deviation = values - values.mean()
    norms = np.linalg.norm(centred, axis=1) * np.linalg.norm(deviation)
    correlations = np.zeros(len(rows))
    np.divide(centred @ deviation, norms, out=correlations, where=norms > 0)
    return correlations
