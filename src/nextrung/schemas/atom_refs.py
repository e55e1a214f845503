"""Settings, results and documents of atomic reference energies."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Self

import numpy as np
from pydantic import Field, model_validator

from nextrung.schemas.base import InputError, Record, TaskDoc
from nextrung.schemas.models import Rereference

if TYPE_CHECKING:
    from collections.abc import Mapping


class UnseenElements(StrEnum):
    """What becomes of the elements that no fitted frame has."""

    ERROR = "error"
    PRIOR = "prior"


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
    unseen_elements: UnseenElements = Field(
        UnseenElements.ERROR,
        description="Elements of the source that no fitted frame has: `error` leaves "
        "them without a reference, so that predictions of their energies fail; `prior` "
        "gives them the shift that similar elements suggest, for `residual`.",
    )

    @model_validator(mode="after")
    def _validate_prior(self) -> Self:
        """Validate that the fit has a prior."""
        has_prior = self.kind is Rereference.RESIDUAL
        if self.unseen_elements is UnseenElements.PRIOR and not has_prior:
            raise ValueError(
                f"unseen_elements: expected error with kind: {self.kind}, got prior; "
                f"only kind: {Rereference.RESIDUAL} has a prior"
            )
        return self


class AtomRefPosterior(Record):
    """Distribution of the energies of a Bayesian regression on composition."""

    standard_errors: dict[str, float] = Field(
        description="Standard error of the energy of each element in eV/atom."
    )
    covariance: list[list[float]] = Field(
        description="Covariance of the energies in (eV/atom)², in the order of the "
        "standard errors: rows of the lower triangle."
    )
    unseen: list[str] = Field(
        default_factory=list,
        description="Elements of no fitted frame, whose energy is that of the prior.",
    )
    n_materials: int = Field(
        ge=1, description="Materials fitted, by material and composition."
    )
    material_noise: float = Field(
        ge=0,
        description="Standard deviation in eV/atom of the energy that the frames of a "
        "material share and its composition does not explain.",
    )
    frame_noise: float = Field(
        ge=0,
        description="Standard deviation of a frame about its material in eV/atom.",
    )
    interval_factor: float = Field(
        gt=0, description="Half the width of a 90 % interval, in standard errors."
    )
    left_out_mae: float = Field(
        ge=0,
        description="Mean absolute error in eV/atom of the mean energy of each "
        "material as predicted from the others.",
    )
    left_out_coverage: float = Field(
        ge=0,
        le=1,
        description="Fraction of materials in the 90 % interval of that prediction.",
    )
    amplitude: float = Field(
        gt=0,
        description="Standard deviation of an element about the trend of the prior "
        "over the noise of a material; geometric mean over the grid.",
    )
    priors: dict[str, float] = Field(
        description="Posterior probability of each kind of prior, above 0.1 %."
    )

    def interval(self, composition: Mapping[str, float]) -> float:
        """Return half the width of the 90 % interval of the energy of a material.

        Parameters
        ----------
        composition : mapping of str to float
            Amount of each element.

        Returns
        -------
        float
            Half the width in eV/atom, with the noise of a material and of a frame;
            the shift of its energy is expected within it.

        Raises
        ------
        InputError
            If an element has no energy.
        """
        symbols = list(self.standard_errors)
        unknown = sorted(set(composition) - set(symbols))
        if unknown:
            raise InputError(
                f"expected elements with an energy, got {', '.join(unknown)}"
            )
        total = sum(composition.values())
        fractions = np.array([composition.get(each, 0.0) / total for each in symbols])
        lower = np.zeros((len(symbols), len(symbols)))
        for index, row in enumerate(self.covariance):
            lower[index, : index + 1] = row
        covariance = lower + np.tril(lower, -1).T
        noise = self.material_noise**2 + self.frame_noise**2
        variance = fractions @ covariance @ fractions + noise
        return float(self.interval_factor * np.sqrt(variance))


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
    posterior: AtomRefPosterior | None = Field(
        None,
        description="Standard errors and intervals of a shift; null for least squares.",
    )

    @property
    def prior_errors(self) -> dict[str, float]:
        """Standard error in eV/atom of each element whose energy is of the prior."""
        if self.posterior is None:
            return {}
        errors = self.posterior.standard_errors
        return {symbol: errors[symbol] for symbol in self.posterior.unseen}


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

    @property
    def prior_errors(self) -> dict[str, float]:
        """Standard error in eV/atom of each reference that is of the prior."""
        return {} if self.fit is None else self.fit.prior_errors
