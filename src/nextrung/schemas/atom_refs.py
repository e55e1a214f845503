"""Settings, results and documents of atomic reference energies."""

from __future__ import annotations

from pydantic import Field

from nextrung.schemas.base import Record, TaskDoc
from nextrung.schemas.models import Rereference


class AtomRefSettings(Record):
    """How atomic reference energies are moved to the functional of the labels."""

    kind: Rereference = Field(
        Rereference.REFIT,
        description="`refit` fits total energies, `residual` fits what the source "
        "model leaves of them, `none` keeps the references of the source.",
    )


class AtomRefFit(Record):
    """Energies per element from a linear regression on composition."""

    energies: dict[str, float] = Field(
        description="Energy in eV/atom by symbol of the elements that occur."
    )
    rmse: float = Field(ge=0, description="Residual in eV/atom over the fitted frames.")
    rank: int = Field(ge=0, description="Combinations of elements the data determine.")
    n_frames: int = Field(ge=1, description="Frames fitted.")
    undetermined: list[list[str]] = Field(
        default_factory=list,
        description="Elements of each independent combination that the data do not "
        "determine; empty where every element is determined.",
    )


class AtomRefDoc(TaskDoc):
    """Reference energies of a model and how they were found."""

    settings: AtomRefSettings = Field(description="How the references were moved.")
    functional: str = Field(description="Functional of the fitted labels.")
    fit: AtomRefFit | None = Field(
        description="Regression of the references, or for `residual` of their shift; "
        "null where they were kept."
    )
    previous: dict[str, float] = Field(
        description="References of the source model in eV/atom, by symbol."
    )
    atom_refs: dict[str, float] = Field(
        description="References to use in eV/atom, by symbol; an element that is not "
        "here has none."
    )
    shift: dict[str, float] = Field(
        description="Reference to use minus the previous one in eV/atom, by symbol of "
        "the elements that have both."
    )
