"""Outliers among labels: runs that do not fit the others."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

import numpy as np

from nextrung.compute.curation.label_units import explain_factor, measure_factor
from nextrung.schemas.labels.identity import Outlier

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nextrung.schemas.frames import Frames

#: Standard deviations, estimated from the median, from which a run is an outlier.
N_DEVIATIONS: Final = 8.0
#: Residual in eV/atom below which no run is an outlier.
MIN_RESIDUAL: Final = 0.06
#: Runs beyond the number of elements below which the scatter of energies is unknown.
MIN_FREEDOM: Final = 10
#: Median absolute value of a normal distribution of unit standard deviation.
MEDIAN_RATIO: Final = 0.6745
#: Leverage from which on a run decides its own fit and cannot be checked.
MAX_LEVERAGE: Final = 1 - 1e-6
#: Root mean square of forces in eV/Å, and of stresses in GPa, from which both labels
#: and predictions tell a factor: those of relaxed crystals are noise.
MIN_SIZE: Final = {"forces": 0.1, "stress": 0.5}


def find_outliers(frames: Frames, predicted: Frames) -> tuple[list[Outlier], int]:
    """Find runs whose labels do not fit those of the others.

    Parameters
    ----------
    frames : Frames
        All frames of all runs, those of one run in order.
    predicted : Frames
        The same frames, labelled by a potential.

    Returns
    -------
    outliers : list of Outlier
        Runs of another energy scale, then those of another unit or sign.
    n_runs : int
        Number of runs.
    """
    names = [_name_run(frames, index) for index in range(len(frames))]
    last = np.array(sorted({name: index for index, name in enumerate(names)}.values()))
    outliers = find_energy_outliers(frames[last], predicted.energies[last])
    return outliers + find_derivative_outliers(frames, predicted), len(last)


def find_energy_outliers(
    frames: Frames, predicted: NDArray[np.float64]
) -> list[Outlier]:
    """Find final frames whose energy no shift per element explains.

    Parameters
    ----------
    frames : Frames
        The last frame of every run.
    predicted : ndarray of float, shape (n_frames,)
        Total energies in eV of the same frames by one potential; NaN where it fails.

    Returns
    -------
    list of Outlier
        Runs beyond the residuals of the others, the largest first.

    Notes
    -----
    Label minus prediction per atom is regressed on the composition. A run is compared
    with the fit to all others (leave-one-out residuals by the leverage), the worst one
    is taken out, and the others are fitted again, until none is beyond the limit. Runs
    with an element of their own cannot be checked, nor data sets that have fewer than
    ten runs more than elements.
    """
    known = np.flatnonzero(np.isfinite(predicted) & np.isfinite(frames.energies))
    amounts = _count_fractions(frames)
    differences = (frames.energies - predicted) / frames.n_atoms
    outliers = []
    while len(known) - np.linalg.matrix_rank(amounts[known]) >= MIN_FREEDOM:
        residuals = _leave_one_out(amounts[known], differences[known])
        sizes = np.abs(np.nan_to_num(residuals))
        usual = float(np.nanmedian(np.abs(residuals))) / MEDIAN_RATIO
        limit = max(N_DEVIATIONS * usual, MIN_RESIDUAL)
        worst = int(np.argmax(sizes))
        if not sizes[worst] > limit:
            break
        frame = known[worst]
        outliers.append(
            Outlier(
                run_id=_name_run(frames, int(frame)),
                kind="energy",
                reason=f"expected an energy within {1000 * limit:.0f} meV/atom of what "
                f"the other runs give for its composition, got "
                f"{1000 * residuals[worst]:+.0f} meV/atom",
            )
        )
        known = np.delete(known, worst)
    return outliers


def find_derivative_outliers(frames: Frames, predicted: Frames) -> list[Outlier]:
    """Find runs whose forces or stresses have another unit or sign than the others.

    Parameters
    ----------
    frames : Frames
        All frames of all runs.
    predicted : Frames
        The same frames, labelled by a potential.

    Returns
    -------
    list of Outlier
        Runs whose labels are those of the potential but for a factor that a wrong unit
        or sign explains; a potential that is too soft or too stiff is none.
    """
    runs: dict[str, list[int]] = defaultdict(list)
    for index in range(len(frames)):
        runs[_name_run(frames, index)].append(index)
    outliers = []
    for run_id, indices in runs.items():
        labels, guesses = frames[np.array(indices)], predicted[np.array(indices)]
        pairs = {
            "forces": (labels.forces, guesses.forces),
            "stress": (labels.stresses, guesses.stresses),
        }
        for kind, (label, guess) in pairs.items():
            size = MIN_SIZE[kind]
            factor = measure_factor(label, guess, min_predicted=size, min_label=size)
            if factor is not None and (cause := explain_factor(factor)):
                reason = (
                    f"expected {kind} as a potential predicts, got {factor:.3g} times "
                    f"that: {cause}?"
                )
                outliers.append(Outlier(run_id=run_id, kind=kind, reason=reason))
    return outliers


def _count_fractions(frames: Frames) -> NDArray[np.float64]:
    """Count the fraction of each element, shape (n_frames, n_elements)."""
    present, columns = np.unique(frames.atomic_numbers, return_inverse=True)
    counts = np.zeros((len(frames), len(present)))
    np.add.at(counts, (frames.frame_of_site, columns), 1)
    fractions: NDArray[np.float64] = counts / frames.n_atoms[:, None]
    return fractions


def _leave_one_out(
    fractions: NDArray[np.float64], values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Compute residuals against the fit to all others; NaN where there is none."""
    hat = fractions @ np.linalg.pinv(fractions)
    leverages = np.diag(hat)
    with np.errstate(divide="ignore", invalid="ignore"):
        residuals = (values - hat @ values) / (1 - leverages)
    return np.where(leverages < MAX_LEVERAGE, residuals, np.nan)


def _name_run(frames: Frames, index: int) -> str:
    """Name the run of a frame: its name without the number of its step, if any."""
    frame_id = str(frames.frame_ids[index])
    return frame_id.rpartition("#")[0] or frame_id
