"""The models of a study: one table of three choices."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from pydantic import Field

from nextrung.schemas.base import Record

if TYPE_CHECKING:
    from collections.abc import Mapping


class Model(StrEnum):
    """A potential of a study, by how it was made from the source potential."""

    SOURCE = "source"
    SOURCE_REFIT = "source_refit"
    SOURCE_RESIDUAL = "source_residual"
    SCRATCH = "scratch"
    TRAINABLE_ATOM_REFS = "trainable_atom_refs"
    FROZEN_ATOM_REFS = "frozen_atom_refs"
    REFITTED_ATOM_REFS = "refitted_atom_refs"
    RESIDUAL_ATOM_REFS = "residual_atom_refs"


class Rereference(StrEnum):
    """How the atomic reference energies are moved to the target functional."""

    NONE = "none"
    REFIT = "refit"
    RESIDUAL = "residual"


class Trained(StrEnum):
    """Which weights fine-tuning moves."""

    NOTHING = "nothing"
    NETWORK = "network"
    NETWORK_AND_ATOM_REFS = "network_and_atom_refs"


class Recipe(Record):
    """The three choices that tell one model of a study from another."""

    pretrained: bool = Field(description="Whether the network has the source weights.")
    rereference: Rereference = Field(description="How atomic energies are moved first.")
    trained: Trained = Field(description="Which weights are trained afterwards.")


#: The untouched source, the zero-data points, the paper's methods 1 to 4, and ours.
RECIPES: Mapping[Model, Recipe] = {
    model: Recipe(pretrained=pretrained, rereference=rereference, trained=trained)
    for model, pretrained, rereference, trained in (
        (Model.SOURCE, True, Rereference.NONE, Trained.NOTHING),
        (Model.SOURCE_REFIT, True, Rereference.REFIT, Trained.NOTHING),
        (Model.SOURCE_RESIDUAL, True, Rereference.RESIDUAL, Trained.NOTHING),
        (Model.SCRATCH, False, Rereference.REFIT, Trained.NETWORK),
        (
            Model.TRAINABLE_ATOM_REFS,
            True,
            Rereference.NONE,
            Trained.NETWORK_AND_ATOM_REFS,
        ),
        (Model.FROZEN_ATOM_REFS, True, Rereference.NONE, Trained.NETWORK),
        (Model.REFITTED_ATOM_REFS, True, Rereference.REFIT, Trained.NETWORK),
        (Model.RESIDUAL_ATOM_REFS, True, Rereference.RESIDUAL, Trained.NETWORK),
    )
}
