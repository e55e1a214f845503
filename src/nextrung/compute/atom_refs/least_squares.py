"""Reference energies by least squares, as the paper fits them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import lstsq

from nextrung.compute.atom_refs.compositions import list_undetermined, select_fitted
from nextrung.schemas.atom_refs import AtomRefFit

if TYPE_CHECKING:
    from nextrung.schemas.frames import Frames


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
    fitted = select_fitted(frames, frames.energies)
    solution, _, rank, _ = lstsq(
        fitted.fractions, fitted.energies, cond=fitted.tolerance
    )
    residuals = fitted.fractions @ solution - fitted.energies
    return AtomRefFit(
        energies=dict(zip(fitted.symbols, solution.tolist(), strict=True)),
        rmse=float(np.sqrt(np.mean(residuals**2))),
        rank=int(rank),
        n_frames=len(fitted.energies),
        undetermined=list_undetermined(fitted, int(rank), "the values of least norm"),
    )
