"""Shift of reference energies from a source potential to labels, with a prior."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Element

from nextrung.compute.atom_refs.bayesian import (
    Posterior,
    infer_energies,
)
from nextrung.compute.atom_refs.compositions import (
    list_undetermined,
    select_fitted,
)
from nextrung.compute.atom_refs.grid import average_frames
from nextrung.compute.atom_refs.periodic_priors import list_covariances
from nextrung.schemas.atom_refs import AtomRefFit, AtomRefPosterior
from nextrung.schemas.base import InputError

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from nextrung.schemas.frames import Frames

#: Probability above which a prior is stored with the fit.
SMALLEST_WEIGHT = 0.001


def fit_shift(
    frames: Frames,
    source_energies: NDArray[np.float64],
    elements: Collection[str] = (),
) -> AtomRefFit:
    """Fit one energy per element to label minus source prediction.

    Parameters
    ----------
    frames : Frames
        Frames with energies of the target functional; where frames have splits, only
        training frames are fitted.
    source_energies : ndarray of float, shape (n_frames,)
        Total energy in eV that the source model predicts for each frame.
    elements : collection of str
        Elements that get an energy from the prior if no fitted frame has them.

    Returns
    -------
    AtomRefFit
        Shift of the reference energy in eV/atom of the elements that occur and of the
        given ones, with standard errors and intervals.

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
    Bayesian linear regression with a prior covariance over the periodic table: the
    shift of an element with few frames is drawn to that of similar elements. With many
    frames it is the least-squares fit, which is E_ref(target) − E_ref(source) of
    equation 3, both references fitted to the same frames.
    """
    if len(source_energies) != len(frames):
        raise InputError(
            f"expected one source energy for each of {len(frames)} frames, "
            f"got {len(source_energies)}"
        )
    fitted = select_fitted(frames, frames.energies - source_energies)
    unseen = sorted(set(elements) - set(fitted.symbols), key=lambda s: Element(s).Z)
    symbols = [*fitted.symbols, *unseen]
    fractions = np.pad(fitted.fractions, [(0, 0), (0, len(unseen))])
    means = average_frames(fractions, fitted.energies, fitted.materials)
    posterior = infer_energies(means, list_covariances(symbols))
    residuals = fractions @ posterior.energies - fitted.energies
    rank = int(np.linalg.matrix_rank(fitted.fractions, rtol=fitted.tolerance))
    return AtomRefFit(
        energies=dict(zip(symbols, posterior.energies.tolist(), strict=True)),
        rmse=float(np.sqrt(np.mean(residuals**2))),
        rank=rank,
        n_frames=len(fitted.energies),
        undetermined=list_undetermined(fitted, rank, "the likeliest values a priori"),
        posterior=_describe(posterior, symbols, unseen),
    )


def _describe(
    posterior: Posterior, symbols: list[str], unseen: list[str]
) -> AtomRefPosterior:
    """Describe the distribution of the energies as a record."""
    deviations = np.sqrt(np.diag(posterior.covariance))
    return AtomRefPosterior(
        standard_errors=dict(zip(symbols, deviations.tolist(), strict=True)),
        covariance=[
            row[: index + 1] for index, row in enumerate(posterior.covariance.tolist())
        ],
        unseen=unseen,
        n_materials=len(posterior.left_out),
        material_noise=posterior.material_noise,
        frame_noise=posterior.frame_noise,
        interval_factor=posterior.interval_factor,
        left_out_mae=float(np.mean(np.abs(posterior.left_out))),
        left_out_coverage=posterior.left_out_coverage,
        amplitude=posterior.amplitude,
        priors={
            name: weight
            for name, weight in posterior.priors.items()
            if weight > SMALLEST_WEIGHT
        },
    )
