"""Models of a study, and the recipe of each."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from pydantic import Field

from nextrung.schemas.base import Record

if TYPE_CHECKING:
    from collections.abc import Mapping


class Model(StrEnum):
    """Model of a study, named after how it is made from the source potential."""

    SOURCE = "source"
    SOURCE_REFIT = "source_refit"
    SOURCE_RESIDUAL = "source_residual"
    SCRATCH = "scratch"
    TRAINABLE_ATOM_REFS = "trainable_atom_refs"
    FROZEN_ATOM_REFS = "frozen_atom_refs"
    REFITTED_ATOM_REFS = "refitted_atom_refs"
    RESIDUAL_ATOM_REFS = "residual_atom_refs"


class Rereference(StrEnum):
    """How atomic reference energies are moved to the target functional."""

    NONE = "none"
    REFIT = "refit"
    RESIDUAL = "residual"


class Trained(StrEnum):
    """Which weights are trained."""

    NOTHING = "nothing"
    NETWORK = "network"
    NETWORK_AND_ATOM_REFS = "network_and_atom_refs"


class Recipe(Record):
    """Three choices that define a model of a study."""

    pretrained: bool = Field(description="Whether training starts from source weights.")
    rereference: Rereference = Field(description="How atomic references are moved.")
    trained: Trained = Field(description="Which weights are trained.")


#: Source, re-referenced sources, methods 1 to 4 of Huang et al. (2025), and ours.
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
