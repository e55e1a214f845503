"""Re-referencing of a potential to the functional of labelled frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nextrung.compute.atom_refs import fit_atom_refs, fit_shift, rereference
from nextrung.potentials.interface import TrainableBackend
from nextrung.schemas.atom_refs import UnseenElements
from nextrung.schemas.base import InputError
from nextrung.schemas.models import Recipe, Rereference, Trained

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.potentials.potential import Potential
    from nextrung.schemas.atom_refs import AtomRefFit
    from nextrung.schemas.frames import Frames


def require_atom_refs(potential: Potential) -> dict[str, float]:
    """Return the references of a potential that has explicit ones.

    Parameters
    ----------
    potential : Potential
        Any potential.

    Returns
    -------
    dict of str to float
        Reference of each covered element in eV/atom.

    Raises
    ------
    InputError
        If its references are not known.
    """
    if potential.backend.atom_refs is None:
        raise InputError(
            f"{potential.name}: expected a potential with explicit atomic references, "
            "got one whose references are not known: a residual shift can be added to "
            "its energies (source_residual), no fit can replace them"
        )
    return potential.atom_refs


def validate_recipe(source: Potential, recipe: Recipe) -> None:
    """Check that a potential can be the source of a recipe.

    Parameters
    ----------
    source : Potential
        Source potential.
    recipe : Recipe
        Recipe of a model.

    Raises
    ------
    InputError
        If the recipe refits references that are not known, or trains a potential that
        cannot be trained.
    """
    if recipe.rereference is Rereference.REFIT:
        require_atom_refs(source)
    if recipe.trained is not Trained.NOTHING:
        require_trainable(source)


def require_trainable(potential: Potential) -> TrainableBackend:
    """Return the model of a potential that can be trained.

    Parameters
    ----------
    potential : Potential
        Any potential.

    Returns
    -------
    TrainableBackend
        Its model.

    Raises
    ------
    InputError
        If it cannot be trained.
    """
    if not isinstance(potential.backend, TrainableBackend):
        raise InputError(
            f"fine-tuning: expected a potential that can be trained, got "
            f"{potential.name}: the family {potential.family} is for predictions"
        )
    return potential.backend


def move_atom_refs(
    source: Potential,
    frames: Frames,
    kind: Rereference,
    *,
    unseen_elements: UnseenElements = UnseenElements.ERROR,
) -> tuple[AtomRefFit | None, dict[str, float]]:
    """Fit and apply a kind of re-referencing.

    Parameters
    ----------
    source : Potential
        Potential to re-reference.
    frames : Frames
        Frames with target energies; if they have splits, those of the training split
        are fitted. Frames that the source cannot predict are left out of the shift.
    kind : Rereference
        Kind of re-referencing.
    unseen_elements : UnseenElements
        Whether elements of the source that no fitted frame has get a shift of the
        prior; a refit has no prior.

    Returns
    -------
    fit : AtomRefFit or None
        Fit of the references or of their shift; None if they are kept.
    atom_refs : dict of str to float
        New references in eV/atom; elements that were not fitted have none. Where the
        references of the source are not known, those of a residual are the shift of
        its energies.
    """
    fit: AtomRefFit | None = None
    if kind is Rereference.REFIT:
        fit = fit_atom_refs(frames)
    elif kind is Rereference.RESIDUAL:
        predicted, _ = source.predict_frames(frames, "e")
        usable = np.isfinite(predicted.energies)
        from_prior = unseen_elements is UnseenElements.PRIOR
        fit = fit_shift(
            frames[usable],
            predicted.energies[usable],
            source.elements if from_prior else (),
        )
    return fit, rereference(kind, source.atom_refs, fit)


def prepare_start(
    source: Potential,
    recipe: Recipe,
    atom_refs: Mapping[str, float] | None,
    *,
    seed: int,
    prior_errors: Mapping[str, float] | None = None,
) -> Potential:
    """Build the initial potential of a recipe.

    Parameters
    ----------
    source : Potential
        The source potential; it is not changed.
    recipe : Recipe
        Recipe of the model.
    atom_refs : mapping of str to float, or None
        References in eV/atom; None to keep those of the source.
    seed : int
        Seed of random weights.
    prior_errors : mapping of str to float, optional
        Standard error in eV/atom of each reference that is of the prior.

    Returns
    -------
    Potential
        Initial potential of the training.
    """
    start = source if recipe.pretrained else source.with_random_network(seed)
    if atom_refs is None:
        return start
    return start.with_atom_refs(atom_refs, prior_errors)
