"""Settings, results and documents of atomic reference energies."""

from __future__ import annotations

from pydantic import Field

from nextrung.schemas.base import Record, TaskDoc
from nextrung.schemas.models import Rereference


class AtomRefSettings(Record):
    """How atomic reference energies are moved to the functional of the labels."""

    kind: Rereference = Field(
        Rereference.REFIT,
        description="`refit` fits references to total energies; `residual` adds a fit "
        "to label minus source prediction; `none` keeps the source's references.",
    )
    n_train_frames: int | None = Field(
        None,
        ge=1,
        description="Number of training frames to fit, chosen as those of a training; "
        "null for all.",
    )
    seed: int = Field(0, ge=0, description="Seed of this choice.")


class AtomRefFit(Record):
    """Energies per element from a linear regression on composition."""

    energies: dict[str, float] = Field(
        description="Fitted energy of each element that occurs in eV/atom, by symbol."
    )
    rmse: float = Field(
        ge=0, description="Root-mean-square residual in eV/atom over fitted frames."
    )
    rank: int = Field(ge=0, description="Rank of the matrix of atomic fractions.")
    n_frames: int = Field(ge=1, description="Frames fitted.")
    undetermined: list[list[str]] = Field(
        default_factory=list,
        description="Elements of each independent combination that the data do not "
        "determine; empty where every element is determined.",
    )


class AtomRefDoc(TaskDoc):
    """Atomic reference energies of a model, and the fit behind them."""

    settings: AtomRefSettings = Field(description="Settings of the stage.")
    functional: str = Field(description="Functional of the fitted labels.")
    fit: AtomRefFit | None = Field(
        description="Fit of the references, for `residual` of their shift; null where "
        "the references of the source were kept.",
    )
    previous: dict[str, float] = Field(
        description="References of the source in eV/atom, by symbol. Where those are "
        "not known: none for `refit`; 0 for `residual`, whose shift is added to the "
        "energies."
    )
    atom_refs: dict[str, float] = Field(
        description="References of the model in eV/atom, by symbol; an absent element "
        "has no reference and cannot be predicted.",
    )
    shift: dict[str, float] = Field(
        description="New minus previous reference in eV/atom, for elements with both."
    )
