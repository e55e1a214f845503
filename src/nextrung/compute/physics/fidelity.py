"""Deviation of structures relaxed by a model from relaxed labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nextrung.schemas.physics import FidelityErrors
from nextrung.schemas.relaxation import RelaxationStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from pymatgen.core import Structure

    from nextrung.schemas.frames import Frames
    from nextrung.schemas.relaxation import RelaxationRecord

#: Name of the errors over all materials.
ALL = "all"


class Deviation(NamedTuple):
    """Deviation of one relaxed structure from its label.

    Attributes
    ----------
    volume_change : float
        Relative deviation of the volume; positive where too large.
    rmsd : float
        Root-mean-square displacement of the sites at equal cell in Å.
    """

    volume_change: float
    rmsd: float


def find_relaxed_labels(frames: Frames, label_fmax: float) -> NDArray[np.int64]:
    """Find the relaxed frame of lowest energy of every material.

    Parameters
    ----------
    frames : Frames
        Labelled frames.
    label_fmax : float
        Largest force on an atom of a relaxed frame in eV/Å.

    Returns
    -------
    ndarray of int, shape (n_materials,)
        Index of one frame of each material that has a relaxed one.
    """
    if not len(frames):
        return np.array([], dtype=np.int64)
    norms = np.linalg.norm(frames.forces, axis=1)
    fmax = np.maximum.reduceat(norms, frames.offsets[:-1])
    relaxed = np.flatnonzero((fmax <= label_fmax) & np.isfinite(frames.energies))
    per_atom = (frames.energies / frames.n_atoms)[relaxed]
    ordered = relaxed[np.argsort(per_atom, kind="stable")]
    _, first = np.unique(frames.material_ids[ordered], return_index=True)
    return np.sort(ordered[first])


def compare_structures(label: Structure, relaxed: Structure) -> Deviation | None:
    """Compare a relaxed structure with its label, site by site.

    Displacements are those of the fractional coordinates in the mean of both cells,
    without the displacement of the whole.

    Parameters
    ----------
    label : Structure
        Relaxed label.
    relaxed : Structure
        Structure relaxed by a model.

    Returns
    -------
    Deviation or None
        None where the sites are not the same atoms in the same order.
    """
    if label.atomic_numbers != relaxed.atomic_numbers:
        return None
    shift = relaxed.frac_coords - label.frac_coords
    shift -= shift[0]  # so that no site is close to half a cell away
    shift -= np.round(shift)
    shift -= shift.mean(axis=0)
    cell = (label.lattice.matrix + relaxed.lattice.matrix) / 2
    squared = np.sum((shift @ cell) ** 2, axis=1)
    return Deviation(
        volume_change=float(relaxed.volume / label.volume - 1),
        rmsd=float(np.sqrt(squared.mean())),
    )


def measure_deviations(
    labels: Frames, records: Mapping[str, RelaxationRecord]
) -> dict[str, list[Deviation | None]]:
    """Measure the deviation of each relaxed structure from its label.

    Parameters
    ----------
    labels : Frames
        One relaxed frame per material, as of :func:`find_relaxed_labels`.
    records : mapping of str to RelaxationRecord
        Relaxation of each material by a model.

    Returns
    -------
    dict of str to list of Deviation or None
        Deviations of all materials, and of those of each split; None without a
        converged relaxation of the same atoms.
    """
    deviations: dict[str, list[Deviation | None]] = {ALL: []}
    for name, split, label in zip(
        labels.material_ids.tolist(),
        labels.splits.tolist(),
        labels.to_structures(),
        strict=True,
    ):
        record = records.get(name)
        converged = record and record.status is RelaxationStatus.CONVERGED
        relaxed = record.structure if record and converged else None
        deviation = relaxed and compare_structures(label, relaxed)
        for part in (ALL, split):
            deviations.setdefault(part, []).append(deviation)
    return {part: each for part, each in deviations.items() if part}


def score_fidelity(deviations: Sequence[Deviation | None]) -> FidelityErrors:
    """Average deviations over the materials that have one.

    Parameters
    ----------
    deviations : sequence of Deviation or None
        Deviation of each material with a relaxed label.

    Returns
    -------
    FidelityErrors
        Means, without intervals.
    """
    compared = [deviation for deviation in deviations if deviation is not None]
    changes = np.array([deviation.volume_change for deviation in compared])
    distances = [deviation.rmsd for deviation in compared]
    return FidelityErrors(
        n_materials=len(deviations),
        n_compared=len(compared),
        volume_change=float(changes.mean()) if compared else None,
        volume_mae=float(np.abs(changes).mean()) if compared else None,
        rmsd=float(np.mean(distances)) if compared else None,
    )
