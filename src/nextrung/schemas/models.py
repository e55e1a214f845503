"""Models of a study and the recipe of each, and finished potentials beside them."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from nextrung.schemas.base import Record

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Pattern of the name of a model, which is a part of file names.
MODEL_NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"

#: Columns of Table 1 of energies, whose errors depend on the functional.
_ENERGIES = ("energy", "decomposition_energy", "formation_energy")

#: Endings of the names of checkpoint files.
_CHECKPOINT_SUFFIXES = (".tar", ".pth", ".pt", ".model", ".json")


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
    READOUT = "readout"
    LAST_BLOCK = "last_block"
    ADAPTERS = "adapters"
    NETWORK = "network"
    NETWORK_AND_ATOM_REFS = "network_and_atom_refs"


class TrainingLabels(StrEnum):
    """Which labels of the training frames are trained on."""

    AS_GIVEN = "as_given"
    ENERGIES = "energies"
    ENERGIES_SOURCE_FORCES = "energies_source_forces"


class L2Anchor(Record):
    """Penalty on the squared distance of trained weights from those of the source."""

    kind: Literal["l2"] = "l2"
    weight: float = Field(
        gt=0,
        description="Factor of the sum of squares of their changes, added to the loss.",
    )


class ReplayAnchor(Record):
    """Training on predictions of the source beside the target labels."""

    kind: Literal["replay"] = "replay"
    weight: float = Field(
        1.0, gt=0, description="Weight of a replayed frame relative to a labelled one."
    )
    fraction: float = Field(
        1.0,
        gt=0,
        le=100,
        description="Replayed structures per training frame, in every batch.",
    )


#: What keeps a model near its source.
Anchor = Annotated[L2Anchor | ReplayAnchor, Field(discriminator="kind")]

#: Trained parts that a network with random weights has no use for.
_PARTS_OF_SOURCE = (Trained.READOUT, Trained.LAST_BLOCK, Trained.ADAPTERS)


class Recipe(Record):
    """Choices that define a model of a study."""

    pretrained: bool = Field(description="Whether training starts from source weights.")
    rereference: Rereference = Field(description="How atomic references are moved.")
    trained: Trained = Field(
        description="Which weights are trained: `readout` the layers after the last "
        "interaction; `last_block` the last interaction too; `adapters` a low-rank "
        "change of every linear map; `network` all but the atomic references."
    )
    adapter_rank: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="Rank of the changes of `adapters`; null for other trained parts.",
    )
    anchor: Anchor | None = Field(
        None,
        description="What keeps the model near the source in training; null: nothing.",
    )
    training_labels: TrainingLabels = Field(
        TrainingLabels.AS_GIVEN,
        description="Labels that are trained on: `as_given` all there are; `energies` "
        "those of energies alone; `energies_source_forces` those of energies, beside "
        "forces and stresses that the source predicts.",
    )

    @model_validator(mode="after")
    def _validate_adapter_rank(self) -> Self:
        """Validate that adapters have a rank, and other trained parts none."""
        adapted = self.trained is Trained.ADAPTERS
        if adapted != (self.adapter_rank is not None):
            expected = "a number" if adapted else "null"
            raise ValueError(
                f"adapter_rank: expected {expected} with trained: {self.trained}, got "
                f"{'null' if adapted else self.adapter_rank}"
            )
        return self

    @model_validator(mode="after")
    def _validate_training(self) -> Self:
        """Validate that choices of a training have one, and weights to start from."""
        if self.trained is Trained.NOTHING:
            if not self.pretrained:
                raise ValueError("random weights, and nothing is trained")
            if self.anchor or self.training_labels is not TrainingLabels.AS_GIVEN:
                raise ValueError(
                    "trained: expected a part of the network with an anchor or "
                    "training_labels, got nothing"
                )
        if not self.pretrained and self.trained in _PARTS_OF_SOURCE:
            raise ValueError(
                f"trained: expected network with random weights, got {self.trained}"
            )
        if (
            not self.pretrained
            and self.training_labels is TrainingLabels.ENERGIES_SOURCE_FORCES
        ):
            raise ValueError(
                "training_labels: expected as_given or energies with random weights, "
                "got energies_source_forces"
            )
        if not self.pretrained and self.anchor:
            raise ValueError(
                f"anchor: expected null with random weights, got {self.anchor.kind}"
            )
        return self


#: Source, re-referenced sources, methods 1 to 4 of Huang et al. (2025), and ours.
RECIPES: Mapping[str, Recipe] = {
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


class NamedRecipe(Recipe):
    """Recipe of a model that a study names itself."""

    name: str = Field(
        pattern=MODEL_NAME, description="Name of the model; none of the table."
    )

    def __str__(self) -> str:
        """Return the name, as a model of the table is written."""
        return self.name

    @model_validator(mode="after")
    def _validate_name(self) -> Self:
        """Validate that the name is free."""
        if self.name in set(Model):
            raise ValueError(f"name: expected another than of the table: {self.name}")
        return self


#: A model of the table by its name, or a recipe with a name of its own.
ModelChoice = Annotated[
    Annotated[Model, Tag("model")] | Annotated[NamedRecipe, Tag("recipe")],
    Discriminator(lambda value: "model" if isinstance(value, str) else "recipe"),
]


def find_recipe(model: Model | NamedRecipe) -> Recipe:
    """Find the recipe of a model.

    Parameters
    ----------
    model : Model or NamedRecipe
        A model of the table, or a recipe with a name of its own.
    """
    if isinstance(model, NamedRecipe):
        return Recipe.model_validate(model.model_dump(exclude={"name"}))
    return RECIPES[model]


class FinishedPotential(Record):
    """A finished potential, scored as it is: neither re-referenced nor trained."""

    potential: str = Field(description="Name of the potential, or its checkpoint.")
    functional: str = Field(description="Functional of its energies.")
    same_functional: bool = Field(
        description="Whether its functional is that of the labels; where it is not, "
        "its energies are shown and not compared."
    )

    def is_compared(self, column: str) -> bool:
        """Check whether its errors of a column are compared with those of the models.

        Parameters
        ----------
        column : str
            Column of Table 1, such as ``energy`` or ``forces``.
        """
        return self.same_functional or column not in _ENERGIES


def name_potential(potential: str) -> str:
    """Return the name of the row of a finished potential.

    Parameters
    ----------
    potential : str
        Name of a potential, or path of a checkpoint.

    Returns
    -------
    str
        The name, other characters than letters, digits, dots and dashes replaced by
        underscores; of a path, the name of the file without its suffix.
    """
    family, colon, file = potential.rpartition(":")
    if file[:1] in {"/", ".", "~", "$"} or file.endswith(_CHECKPOINT_SUFFIXES):
        path = PurePath(file)
        while path.suffix in _CHECKPOINT_SUFFIXES:
            path = path.with_suffix("")
        file = path.name
    named = re.sub(r"[^A-Za-z0-9.-]+", "_", f"{family}{colon}{file}")
    return named.strip("_.-") or "potential"


def is_same_functional(functional: str, other: str) -> bool:
    """Check whether two names are of the same functional.

    Parameters
    ----------
    functional, other : str
        Names, such as ``r2SCAN``, ``R2SCAN`` or ``r²SCAN``.
    """
    first, second = (
        re.sub(r"[\s_-]", "", name.replace("²", "2")).casefold()
        for name in (functional, other)
    )
    return first == second
