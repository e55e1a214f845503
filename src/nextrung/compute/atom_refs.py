"""Atomic reference energies by linear regression on composition.

CHGNet predicts the energy relative to a linear composition model, AtomRef. Functionals
differ most in this elemental part, so AtomRef is moved to the functional of the labels
before the network is fine-tuned [1]_.

References
----------
.. [1] X. Huang et al., npj Comput. Mater. (2025), doi 10.1038/s41524-025-01796-y,
   equations 2 and 3.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Element
from scipy.linalg import lstsq, qr, svd

from nextrung.schemas.atom_refs import AtomRefFit
from nextrung.schemas.base import InputError
from nextrung.schemas.models import Rereference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from nextrung.schemas.frames import Frames

#: Largest atomic number covered; CHGNet ends at plutonium.
N_ELEMENTS = 94

#: Smallest coefficient for which an element is listed in a combination.
SMALLEST_PART = 1e-6


class UndeterminedReferencesWarning(UserWarning):
    """The data do not determine the reference energy of every element."""


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


def fit_atom_refs(frames: Frames) -> AtomRefFit:
    """Fit one reference energy per element to total energies.

    Parameters
    ----------
    frames : Frames
        Frames with energies; where frames have splits, only training frames are fitted.

    Returns
    -------
    AtomRefFit
        Reference energies in eV/atom of the elements that occur.

    Raises
    ------
    InputError
        If there is no frame to fit, or one of them has no energy.

    Warns
    -----
    UndeterminedReferencesWarning
        If the compositions do not determine all elements.

    Notes
    -----
    The least-squares solution of ``fractions @ references = energies / n_atoms``: every
    frame has the same weight. Where the data determine only a combination of elements,
    the minimum-norm solution is used.
    """
    chosen = _select_fitted(frames)
    return _regress(frames[chosen], frames.energies[chosen])


def fit_shift(frames: Frames, source_energies: NDArray[np.float64]) -> AtomRefFit:
    """Fit one energy per element to label minus source prediction.

    Parameters
    ----------
    frames : Frames
        Frames with energies of the target functional; where frames have splits, only
        training frames are fitted.
    source_energies : ndarray of float, shape (n_frames,)
        Total energy in eV that the source model predicts for each frame.

    Returns
    -------
    AtomRefFit
        Shift of the reference energy in eV/atom of the elements that occur.

    Raises
    ------
    InputError
        If there is no frame to fit, one of them lacks an energy, or the lengths differ.

    Warns
    -----
    UndeterminedReferencesWarning
        If the compositions do not determine all elements.

    Notes
    -----
    As the regression is linear, the fit is E_ref(target) − E_ref(source) of equation 3,
    both references fitted to the same frames.
    """
    if len(source_energies) != len(frames):
        raise InputError(
            f"expected one source energy for each of {len(frames)} frames, "
            f"got {len(source_energies)}"
        )
    chosen = _select_fitted(frames)
    return _regress(frames[chosen], (frames.energies - source_energies)[chosen])


def rereference(
    kind: Rereference, previous: Mapping[str, float], fit: AtomRefFit | None
) -> dict[str, float]:
    """Move the reference energies of a model by equation 3 of Huang et al. [1]_.

    Parameters
    ----------
    kind : Rereference
        ``none`` keeps the previous references, ``refit`` returns the fitted ones,
        ``residual`` adds the fitted shift to the previous ones.
    previous : mapping of str to float
        References of the source model in eV/atom, by symbol.
    fit : AtomRefFit or None
        Result of :func:`fit_atom_refs` for ``refit``, of :func:`fit_shift` for
        ``residual``; not used for ``none``.

    Returns
    -------
    dict of str to float
        References in eV/atom, by symbol. Except for ``none``, elements that were not
        fitted are absent: they have no reference.

    Raises
    ------
    InputError
        If the fit is missing, or shifts an element without a previous reference.
    """
    if kind is Rereference.NONE:
        return dict(previous)
    if fit is None:
        raise InputError(f"expected a fit to re-reference by {kind}, got none")
    if kind is Rereference.REFIT:
        return dict(fit.energies)
    unknown = sorted(set(fit.energies) - set(previous))
    if unknown:
        raise InputError(
            f"expected previous references of all shifted elements, got none of "
            f"{', '.join(unknown)}"
        )
    return {symbol: previous[symbol] + shift for symbol, shift in fit.energies.items()}


def _select_fitted(frames: Frames) -> NDArray[np.int64]:
    """List the frames to fit: the training split, or all frames without splits."""
    fitted = (
        frames.splits == "train" if (frames.splits != "").any() else frames.splits == ""
    )
    if not fitted.any():
        raise InputError("expected frames in the training split, got none")
    return np.flatnonzero(fitted)


def _regress(frames: Frames, energies: NDArray[np.float64]) -> AtomRefFit:
    """Regress energies per atom on atomic fractions."""
    unlabelled = ~np.isfinite(energies)
    if unlabelled.any():
        frame_id = frames.frame_ids[np.argmax(unlabelled)]
        raise InputError(f"frame {frame_id}: expected a finite energy, got none")
    counts = count_elements(frames)
    columns = np.flatnonzero(counts.any(axis=0))
    symbols = [Element.from_Z(int(column) + 1).symbol for column in columns]
    fractions = counts[:, columns] / frames.n_atoms[:, None]
    targets = energies / frames.n_atoms
    tolerance = max(fractions.shape) * np.finfo(np.float64).eps
    solution, _, rank, _ = lstsq(fractions, targets, cond=tolerance)
    undetermined = _list_undetermined(fractions, int(rank), symbols)
    if undetermined:
        combinations = "; ".join("-".join(names) for names in undetermined)
        warnings.warn(
            f"{len(frames)} frames do not determine the reference energies of "
            f"{combinations}: the values of least norm are used",
            UndeterminedReferencesWarning,
            stacklevel=3,
        )
    return AtomRefFit(
        energies=dict(zip(symbols, solution.tolist(), strict=True)),
        rmse=float(np.sqrt(np.mean((fractions @ solution - targets) ** 2))),
        rank=int(rank),
        n_frames=len(frames),
        undetermined=undetermined,
    )


def _list_undetermined(
    fractions: NDArray[np.float64], rank: int, symbols: list[str]
) -> list[list[str]]:
    """List the elements of each combination in the null space of the fractions."""
    if rank == len(symbols):
        return []
    _, _, directions = svd(qr(fractions, mode="r")[0], full_matrices=True)
    null_space = directions[rank:]
    pivots = qr(null_space, pivoting=True, mode="r")[1][: len(null_space)]
    combinations = np.linalg.solve(null_space[:, pivots], null_space)
    return [
        [symbols[column] for column in np.flatnonzero(np.abs(parts) > SMALLEST_PART)]
        for parts in combinations
    ]
