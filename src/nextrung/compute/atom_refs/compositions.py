"""Atomic fractions and energies per atom of frames to fit."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Element
from scipy.linalg import qr, svd

from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nextrung.schemas.frames import Frames

#: Largest atomic number covered; CHGNet ends at plutonium.
N_ELEMENTS = 94

#: Smallest coefficient for which an element is listed in a combination.
SMALLEST_PART = 1e-6


class UndeterminedReferencesWarning(UserWarning):
    """The data do not determine the reference energy of every element."""


@dataclass(frozen=True, eq=False)
class FittedFrames:
    """Compositions and energies to fit.

    Parameters
    ----------
    symbols : list of str
        Elements that occur, by atomic number.
    fractions : ndarray of float, shape (n_frames, n_elements)
        Atomic fractions.
    energies : ndarray of float, shape (n_frames,)
        Energies in eV/atom.
    materials : ndarray of str, shape (n_frames,)
        Material of each frame.
    """

    symbols: list[str]
    fractions: NDArray[np.float64]
    energies: NDArray[np.float64]
    materials: NDArray[np.str_]

    @property
    def tolerance(self) -> float:
        """Relative singular value below which a combination is undetermined."""
        return float(max(self.fractions.shape) * np.finfo(np.float64).eps)


def count_elements(frames: Frames) -> NDArray[np.float64]:
    """Count the atoms of each element in each frame.

    Parameters
    ----------
    frames : Frames
        Frames with at least one site each.

    Returns
    -------
    ndarray of float, shape (n_frames, 94)
        Number of atoms; column ``z - 1`` holds atomic number ``z``.

    Raises
    ------
    InputError
        If a frame has no atoms or an atomic number outside 1 to 94.
    """
    numbers = frames.atomic_numbers.astype(np.int64)
    outside = (numbers < 1) | (numbers > N_ELEMENTS)
    if outside.any():
        site = int(np.argmax(outside))
        frame_id = frames.frame_ids[frames.frame_of_site[site]]
        raise InputError(
            f"frame {frame_id}: expected atomic numbers 1 to {N_ELEMENTS}, "
            f"got {numbers[site]}"
        )
    empty = frames.n_atoms == 0
    if empty.any():
        raise InputError(f"frame {frames.frame_ids[np.argmax(empty)]}: no atoms")
    cells = frames.frame_of_site * N_ELEMENTS + numbers - 1
    counts = np.bincount(cells, minlength=len(frames) * N_ELEMENTS)
    return counts.reshape(len(frames), N_ELEMENTS).astype(np.float64)


def select_fitted(frames: Frames, energies: NDArray[np.float64]) -> FittedFrames:
    """Select the frames to fit: the training split, or all frames without splits.

    Parameters
    ----------
    frames : Frames
        Frames.
    energies : ndarray of float, shape (n_frames,)
        Total energies in eV.

    Returns
    -------
    FittedFrames
        Compositions and energies per atom.

    Raises
    ------
    InputError
        If there is no frame to fit, or one of them has no energy.
    """
    fitted = (
        frames.splits == "train" if (frames.splits != "").any() else frames.splits == ""
    )
    if not fitted.any():
        raise InputError("expected frames in the training split, got none")
    chosen, targets = frames[fitted], energies[fitted]
    unlabelled = ~np.isfinite(targets)
    if unlabelled.any():
        frame_id = chosen.frame_ids[np.argmax(unlabelled)]
        raise InputError(f"frame {frame_id}: expected a finite energy, got none")
    counts = count_elements(chosen)
    columns = np.flatnonzero(counts.any(axis=0))
    return FittedFrames(
        symbols=[Element.from_Z(int(column) + 1).symbol for column in columns],
        fractions=counts[:, columns] / chosen.n_atoms[:, None],
        energies=targets / chosen.n_atoms,
        materials=chosen.material_ids,
    )


def list_undetermined(fitted: FittedFrames, rank: int, used: str) -> list[list[str]]:
    """List the elements of each combination that the compositions do not determine.

    Parameters
    ----------
    fitted : FittedFrames
        Compositions.
    rank : int
        Rank of the atomic fractions.
    used : str
        Values that are used for them, as the warning names them.

    Returns
    -------
    list of list of str
        Elements of each combination in the null space of the fractions.

    Warns
    -----
    UndeterminedReferencesWarning
        If there is one.
    """
    if rank == len(fitted.symbols):
        return []
    _, _, directions = svd(qr(fitted.fractions, mode="r")[0], full_matrices=True)
    null_space = directions[rank:]
    pivots = qr(null_space, pivoting=True, mode="r")[1][: len(null_space)]
    combinations = np.linalg.solve(null_space[:, pivots], null_space)
    undetermined = [
        [fitted.symbols[i] for i in np.flatnonzero(np.abs(parts) > SMALLEST_PART)]
        for parts in combinations
    ]
    listed = "; ".join("-".join(names) for names in undetermined)
    warnings.warn(
        f"{len(fitted.energies)} frames do not determine the reference energies of "
        f"{listed}: {used} are used",
        UndeterminedReferencesWarning,
        stacklevel=3,
    )
    return undetermined
