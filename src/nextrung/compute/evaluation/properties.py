"""Labels, predictions and baseline of the four properties as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from pymatgen.core import Element

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from nextrung.schemas.frames import Frames


class PropertyTable(NamedTuple):
    """Labels and predictions of one property.

    Parameters
    ----------
    target, predicted : ndarray of float, shape (n_rows, n_components)
        Labels and predictions, NaN where missing.
    baseline : ndarray of float, shape (n_rows, n_components)
        Predictions that need no model: zero forces, stresses and moments; for energies
        the atomic references alone, NaN without a reference of every element.
    frames : ndarray of int, shape (n_rows,)
        Frame of each row.
    """

    target: NDArray[np.floating]
    predicted: NDArray[np.floating]
    baseline: NDArray[np.floating]
    frames: NDArray[np.int64]


def pair_properties(
    target: Frames, predicted: Frames, references: Mapping[str, float]
) -> dict[str, PropertyTable]:
    """Arrange labels, predictions and baseline of the four properties as tables.

    Parameters
    ----------
    target : Frames
        Labelled frames.
    predicted : Frames
        The same frames with predictions in place of labels.
    references : mapping of str to float
        Atomic reference energies in eV/atom, fitted to the training frames; empty for
        no baseline of energies.

    Returns
    -------
    dict of str to PropertyTable
        Energies per atom in eV/atom, forces in eV/Å, stresses in GPa with nine
        components, and magnitudes of magnetic moments in μ_B.
    """
    frames, sites = np.arange(len(target)), target.frame_of_site
    n_atoms = target.n_atoms[:, None]
    stresses = target.stresses.reshape(-1, 9)
    moments = np.abs(target.magmoms[:, None])
    return {
        "energy": PropertyTable(
            target.energies[:, None] / n_atoms,
            predicted.energies[:, None] / n_atoms,
            _sum_references(target, references)[:, None] / n_atoms,
            frames,
        ),
        "forces": PropertyTable(
            target.forces, predicted.forces, np.zeros_like(target.forces), sites
        ),
        "stress": PropertyTable(
            stresses, predicted.stresses.reshape(-1, 9), np.zeros_like(stresses), frames
        ),
        "magmoms": PropertyTable(
            moments, np.abs(predicted.magmoms[:, None]), np.zeros_like(moments), sites
        ),
    }


def _sum_references(
    frames: Frames, references: Mapping[str, float]
) -> NDArray[np.float64]:
    """Sum the references of each frame in eV; NaN where an element has none."""
    by_number = np.full(int(frames.atomic_numbers.max(initial=0)) + 1, np.nan)
    for symbol, energy in references.items():
        number = Element(symbol).Z
        if number < len(by_number):
            by_number[number] = energy
    energies = by_number[frames.atomic_numbers]
    return np.bincount(frames.frame_of_site, energies, len(frames)).astype(np.float64)
