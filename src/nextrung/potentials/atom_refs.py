"""Atomic references of a potential moved to the functional of labelled frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nextrung.compute.atom_refs import fit_atom_refs, fit_shift, rereference
from nextrung.schemas.models import Recipe, Rereference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.potentials.potential import Potential
    from nextrung.schemas.atom_refs import AtomRefFit
    from nextrung.schemas.frames import Frames


def move_atom_refs(
    source: Potential, frames: Frames, kind: Rereference
) -> tuple[AtomRefFit | None, dict[str, float]]:
    """Fit what a kind of re-referencing needs, and apply it.

    Parameters
    ----------
    source : Potential
        Potential whose references are moved.
    frames : Frames
        Frames with target energies; where they have splits, only those to train on
        are fitted. Frames that the source cannot predict are left out of the shift.
    kind : Rereference
        How the references are moved.

    Returns
    -------
    fit : AtomRefFit or None
        Regression of the references or of their shift; None where they are kept.
    atom_refs : dict of str to float
        References to use in eV/atom; elements that were not fitted have none.
    """
    fit: AtomRefFit | None = None
    if kind is Rereference.REFIT:
        fit = fit_atom_refs(frames)
    elif kind is Rereference.RESIDUAL:
        predicted, _ = source.predict_frames(frames, "e")
        usable = np.isfinite(predicted.energies)
        fit = fit_shift(frames[usable], predicted.energies[usable])
    return fit, rereference(kind, source.atom_refs, fit)


def prepare_start(
    source: Potential,
    recipe: Recipe,
    atom_refs: Mapping[str, float] | None,
    *,
    seed: int,
) -> Potential:
    """Give a potential the weights and the references a recipe starts from.

    Parameters
    ----------
    source : Potential
        The source potential; it is not changed.
    recipe : Recipe
        How the model is made.
    atom_refs : mapping of str to float, or None
        References in eV/atom; None to keep those of the source.
    seed : int
        Seed of random weights.

    Returns
    -------
    Potential
        Where training starts.
    """
    start = source if recipe.pretrained else source.with_random_network(seed)
    return start if atom_refs is None else start.with_atom_refs(atom_refs)
