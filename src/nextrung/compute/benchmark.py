"""Deviations of predicted properties of crystals from experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pymatgen.core import Lattice, Structure

from nextrung.schemas.benchmark import (
    BenchmarkProperty,
    BenchmarkRecord,
    PropertyScore,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nextrung.schemas.benchmark import BenchmarkFact


def build_molecule(symbol: str, bond_length: float, box: float) -> Structure:
    """Build a diatomic molecule in the middle of a cubic cell.

    Parameters
    ----------
    symbol : str
        Element.
    bond_length : float
        Distance of the two atoms in Å.
    box : float
        Length of the cell in Å.
    """
    middle = np.full(3, box / 2)
    half = np.array([bond_length / 2, 0, 0])
    return Structure(
        Lattice.cubic(box),
        [symbol, symbol],
        [middle - half, middle + half],
        coords_are_cartesian=True,
    )


def record_value(fact: BenchmarkFact, value: float | str) -> BenchmarkRecord:
    """Compare the value of a model with experiment.

    Parameters
    ----------
    fact : BenchmarkFact
        The measured value.
    value : float or str
        Value of the model in the same unit, or why there is none.
    """
    number = value if isinstance(value, float) and np.isfinite(value) else None
    reason = value if isinstance(value, str) else f"expected a number, got {value}"
    deviation = None
    if number is not None:
        deviation = number - fact.experiment
        if fact.property is not BenchmarkProperty.FORMATION_ENTHALPY:
            deviation /= fact.experiment
    return BenchmarkRecord(
        **fact.model_dump(),
        value=number,
        deviation=deviation,
        error=reason if number is None else None,
    )


def score_properties(records: Sequence[BenchmarkRecord]) -> list[PropertyScore]:
    """Average the deviations of every property.

    Parameters
    ----------
    records : sequence of BenchmarkRecord
        One per measured value.
    """
    return [
        _score([record for record in records if record.property is kind])
        for kind in BenchmarkProperty
        if any(record.property is kind for record in records)
    ]


def _score(records: Sequence[BenchmarkRecord]) -> PropertyScore:
    """Average the deviations of one property."""
    deviations = [each.deviation for each in records if each.deviation is not None]
    return PropertyScore(
        property=records[0].property,
        n_facts=len(records),
        n_without_value=len(records) - len(deviations),
        mean_deviation=float(np.mean(deviations)) if deviations else None,
        mae=float(np.mean(np.abs(deviations))) if deviations else None,
    )
