"""Audit of labels: how runs were calculated, and which do not fit the others."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Final

import numpy as np
from pymatgen.core import Composition

from nextrung.compute.curation.label_units import explain_factor, measure_factor
from nextrung.schemas.labels.identity import IdentityValue, Mixture, Outlier

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from nextrung.schemas.frames import Frames
    from nextrung.schemas.labels.identity import LabelIdentity
    from nextrung.schemas.labels.trajectory import Trajectory

#: Value of a Hubbard U that is not there.
NO_U: Final = "0 eV"
#: Digits of versions that change numbers: those before the build.
VERSION_DIGITS: Final = 3
#: Standard deviations, estimated from the median, from which a run is an outlier.
N_DEVIATIONS: Final = 8.0
#: Residual in eV/atom below which no run is an outlier.
MIN_RESIDUAL: Final = 0.06
#: Median absolute value of a normal distribution of unit standard deviation.
MEDIAN_RATIO: Final = 0.6745
#: Leverage from which on a run decides its own fit and cannot be checked.
MAX_LEVERAGE: Final = 1 - 1e-6
#: Root mean square of forces in eV/Å, and of stresses in GPa, from which both labels
#: and predictions tell a factor: those of relaxed crystals are noise.
MIN_SIZE: Final = {"forces": 0.1, "stress": 0.5}


@dataclass(frozen=True)
class _Run:
    """What is compared of a run."""

    run_id: str
    composition: str
    relaxed_energy: float
    fields: Mapping[str, str]


def list_identity(identity: LabelIdentity) -> dict[str, str]:
    """List how a run was calculated, one text per field.

    Parameters
    ----------
    identity : LabelIdentity
        Identity of its labels.

    Returns
    -------
    dict of str to str
        Values by field; potentials and Hubbard U have a field per element.
    """
    version = ".".join(identity.version.split(".")[:VERSION_DIGITS])
    fields = {
        "code": identity.code,
        "version": version,
        "functional": identity.functional,
        "energy": identity.energy,
        "plane_wave_cutoff": f"{identity.plane_wave_cutoff or np.nan:g} eV",
        "smearing": identity.smearing,
        "projection": identity.projection,
    }
    fields |= {f"potential {key}": name for key, name in identity.potentials.items()}
    us = {key: identity.hubbard_us.get(key, 0.0) for key in identity.potentials}
    return fields | {f"hubbard_u {key}": f"{u:g} eV" for key, u in us.items()}


def tabulate_identities(runs: Sequence[Trajectory]) -> list[IdentityValue]:
    """Count the runs by every value of every field of their identity.

    Parameters
    ----------
    runs : sequence of Trajectory
        Runs; those whose source says nothing of their calculation are left out.

    Returns
    -------
    list of IdentityValue
        Values by field, in each field the most frequent first; elements to which no run
        adds a Hubbard U are left out.
    """
    names: dict[tuple[str, str], list[str]] = defaultdict(list)
    for run in _describe_runs(runs):
        for field, value in run.fields.items():
            names[field, value].append(run.run_id)
    counted = [
        IdentityValue(field=field, value=value, n_runs=len(ids), example=ids[0])
        for (field, value), ids in names.items()
    ]
    with_u = {each.field for each in counted if each.value != NO_U}
    shown = [each for each in counted if each.value != NO_U or each.field in with_u]
    return sorted(shown, key=lambda each: (each.field, -each.n_runs, each.value))


def find_mixtures(runs: Sequence[Trajectory]) -> list[Mixture]:
    """Find the fields in which runs differ, and by how much their energies do.

    Parameters
    ----------
    runs : sequence of Trajectory
        Runs of one data set.

    Returns
    -------
    list of Mixture
        One per field of more than one value, the largest energy difference first.
    """
    by_field: dict[str, list[IdentityValue]] = defaultdict(list)
    for value in tabulate_identities(runs):
        by_field[value.field].append(value)
    described = _describe_runs(runs)
    mixtures = []
    for field, values in by_field.items():
        if len(values) > 1:
            difference, composition = _measure_mixture(described, field)
            mixtures.append(
                Mixture(
                    field=field,
                    values=sorted(values, key=lambda value: -value.n_runs),
                    energy_difference=difference,
                    composition=composition,
                )
            )
    return sorted(mixtures, key=lambda mixture: -(mixture.energy_difference or 0.0))


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
    with an element of their own cannot be checked.
    """
    known = np.flatnonzero(np.isfinite(predicted) & np.isfinite(frames.energies))
    amounts = _count_fractions(frames)
    differences = (frames.energies - predicted) / frames.n_atoms
    outliers = []
    while len(known):
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


def _describe_runs(runs: Sequence[Trajectory]) -> list[_Run]:
    """Describe the runs whose source says how they were calculated."""
    described = []
    for run in runs:
        if run.identity is not None:
            (composition,) = run.frames[-1:].compositions()
            described.append(
                _Run(
                    _name_run(run.frames, 0),
                    Composition(composition).reduced_formula,
                    run.relaxed_energy,
                    list_identity(run.identity),
                )
            )
    return described


def _measure_mixture(
    runs: Sequence[_Run], field: str
) -> tuple[float | None, str | None]:
    """Measure the energy difference between values of a field at one composition."""
    lowest: dict[str, dict[str, float]] = defaultdict(dict)
    for run in runs:
        if field in run.fields and np.isfinite(run.relaxed_energy):
            energies = lowest[run.composition]
            value = run.fields[field]
            energies[value] = min(run.relaxed_energy, energies.get(value, np.inf))
    differences = [
        (abs(first - second), composition)
        for composition, energies in lowest.items()
        for first, second in combinations(energies.values(), 2)
    ]
    return max(differences, default=(None, None))


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
    """Name the run of a frame: its name without the number of its step."""
    return str(frames.frame_ids[index]).rpartition("#")[0]
