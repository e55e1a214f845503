"""Stability of many materials as columns of equal length."""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field, InstanceOf

from nextrung.schemas.stability import CompetingPhase, StabilityDoc, StabilityRecord

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Chosen = NDArray[np.bool_] | NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ModelEnergies:
    """Energies of materials by a model, arrays of shape (n_materials,).

    Parameters
    ----------
    relaxed : ndarray of float
        Total energies after relaxation in eV; NaN where it failed.
    unrelaxed : ndarray of float
        Total energies of the initial structures in eV; NaN where unknown.
    statuses : ndarray of str
        Status of each relaxation.
    """

    relaxed: NDArray[np.float64]
    unrelaxed: NDArray[np.float64]
    statuses: NDArray[np.str_]


@dataclass(frozen=True, eq=False)
class CompetingPhases:
    """Decomposition products of many materials, largest amount first.

    Parameters
    ----------
    offsets : ndarray of int, shape (n_materials + 1,)
        Products of material ``i`` are ``offsets[i]:offsets[i + 1]``.
    entry_id, formula : ndarray of str, shape (n_products,)
        Entry of each product, and its reduced formula.
    amount : ndarray of float, shape (n_products,)
        Fraction of the atoms in each product.
    """

    offsets: NDArray[np.int64]
    entry_id: NDArray[np.str_]
    formula: NDArray[np.str_]
    amount: NDArray[np.float64]

    def take(self, chosen: Chosen) -> CompetingPhases:
        """Take the products of some materials.

        Parameters
        ----------
        chosen : ndarray of bool or int
            Mask or indices of the materials.
        """
        rows = np.arange(len(self.offsets) - 1)[chosen]
        sizes = np.diff(self.offsets)[rows]
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        shift = self.offsets[:-1][rows] - offsets[:-1]
        parts = np.arange(offsets[-1]) + np.repeat(shift, sizes)
        return CompetingPhases(
            offsets, self.entry_id[parts], self.formula[parts], self.amount[parts]
        )

    def list_formulas(self) -> list[tuple[str, ...]]:
        """List the formulas of the products of each material."""
        formulas = self.formula.tolist()
        return [tuple(formulas[a:b]) for a, b in pairwise(self.offsets.tolist())]

    def to_records(self) -> list[tuple[CompetingPhase, ...]]:
        """List the products of each material as records."""
        phases = [
            CompetingPhase(entry_id=entry_id, formula=formula, amount=amount)
            for entry_id, formula, amount in zip(
                self.entry_id.tolist(),
                self.formula.tolist(),
                self.amount.tolist(),
                strict=True,
            )
        ]
        return [tuple(phases[a:b]) for a, b in pairwise(self.offsets.tolist())]


@dataclass(frozen=True, eq=False)
class StabilityTable:
    """Stability of materials by labels and by a model, arrays of shape (n_materials,).

    The columns are the fields of :class:`~nextrung.schemas.stability.StabilityRecord`.

    Parameters
    ----------
    material_id, formula, chemical_system, split, status : ndarray of str
        Id, reduced formula, elements, split and status of the relaxation.
    target_energy_per_atom, predicted_energy_per_atom : ndarray of float
        Energies in eV/atom; NaN where missing, as in all columns of energies.
    target_decomposition_energy, predicted_decomposition_energy : ndarray of float
        Decomposition energies in eV/atom.
    predicted_decomposition_energy_unrelaxed : ndarray of float
        Decomposition energy in eV/atom, with unrelaxed energies in place of failed
        relaxations.
    target_energy_above_hull, predicted_energy_above_hull : ndarray of float
        Energies above the hull in eV/atom.
    target_formation_energy, predicted_formation_energy : ndarray of float
        Formation energies in eV/atom, each from its own elemental entries.
    predicted_formation_energy_target_references : ndarray of float
        Formation energy in eV/atom from the labels' elemental entries.
    same_products, target_stable, predicted_stable : ndarray of bool
        Comparison of the hulls; False where a decomposition energy is missing.
    error : ndarray of str
        Why an energy is missing; empty where none is.
    target_competing_phases, predicted_competing_phases : CompetingPhases
        Decomposition products according to the labels and to the model.
    """

    material_id: NDArray[np.str_]
    formula: NDArray[np.str_]
    chemical_system: NDArray[np.str_]
    split: NDArray[np.str_]
    status: NDArray[np.str_]
    target_energy_per_atom: NDArray[np.float64]
    predicted_energy_per_atom: NDArray[np.float64]
    target_decomposition_energy: NDArray[np.float64]
    predicted_decomposition_energy: NDArray[np.float64]
    predicted_decomposition_energy_unrelaxed: NDArray[np.float64]
    target_energy_above_hull: NDArray[np.float64]
    predicted_energy_above_hull: NDArray[np.float64]
    target_formation_energy: NDArray[np.float64]
    predicted_formation_energy: NDArray[np.float64]
    predicted_formation_energy_target_references: NDArray[np.float64]
    same_products: NDArray[np.bool_]
    target_stable: NDArray[np.bool_]
    predicted_stable: NDArray[np.bool_]
    error: NDArray[np.str_]
    target_competing_phases: CompetingPhases
    predicted_competing_phases: CompetingPhases

    def __len__(self) -> int:
        """Count the materials."""
        return len(self.material_id)

    @property
    def compared(self) -> NDArray[np.bool_]:
        """Whether each material has both decomposition energies."""
        return np.isfinite(
            self.target_decomposition_energy - self.predicted_decomposition_energy
        )

    @property
    def known(self) -> dict[str, NDArray[np.bool_]]:
        """Where the columns of flags have a value, by name."""
        return {
            "same_products": self.compared,
            "target_stable": np.isfinite(self.target_decomposition_energy),
            "predicted_stable": np.isfinite(self.predicted_decomposition_energy),
        }

    def take(self, chosen: Chosen) -> StabilityTable:
        """Take some materials.

        Parameters
        ----------
        chosen : ndarray of bool or int
            Mask or indices of the materials.
        """
        taken: dict[str, Any] = {}
        for name in list_columns():
            column = getattr(self, name)
            is_listed = isinstance(column, CompetingPhases)
            taken[name] = column.take(chosen) if is_listed else column[chosen]
        return StabilityTable(**taken)

    def list_values(self, name: str) -> list[Any]:
        """List the values of a column of strings, energies or flags.

        Parameters
        ----------
        name : str
            Name of the column.

        Returns
        -------
        list
            Python values; None where an energy, a flag or an error is missing.
        """
        column = getattr(self, name)
        values: list[Any] = column.tolist()
        if name == "error":
            return [value or None for value in values]
        if column.dtype.kind == "U":
            return values
        known = self.known[name] if name in self.known else np.isfinite(column)
        return [
            value if is_known else None
            for value, is_known in zip(values, known.tolist(), strict=True)
        ]

    def to_records(self) -> list[StabilityRecord]:
        """List one record per material."""
        names = list_columns()
        columns = [
            column.to_records()
            if isinstance(column := getattr(self, name), CompetingPhases)
            else self.list_values(name)
            for name in names
        ]
        return [
            StabilityRecord(**dict(zip(names, values, strict=True)))
            for values in zip(*columns, strict=True)
        ]


class LoadedStability(StabilityDoc):
    """Stability scores of one model, with the rows of its table; never stored."""

    rows: InstanceOf[StabilityTable] = Field(description="Every material, in order.")


def list_columns() -> list[str]:
    """List the names of the columns of a table of stability."""
    return [column.name for column in fields(StabilityTable)]
