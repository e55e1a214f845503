"""Rows of the collections `stability`, `densities` and `benchmarks`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.schemas.stability import MaterialStability
from nextrung.schemas.stores.collections import BenchmarkRow, DensityRow, StabilityRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nextrung.schemas.benchmark import BenchmarkDoc
    from nextrung.schemas.density import DensityDoc
    from nextrung.schemas.stability import CompetingPhase, StabilityDoc


def list_stability(doc: StabilityDoc, origin: Mapping[str, str]) -> list[StabilityRow]:
    """List the stability of materials according to labels and model.

    Parameters
    ----------
    doc : StabilityDoc
        Stability of the materials.
    origin : mapping of str to str
        Fields of :class:`.Row`.

    Returns
    -------
    list of StabilityRow
        One row per material.
    """
    rows = []
    for row in doc.rows:
        target = row.target_decomposition_energy
        predicted = row.predicted_decomposition_energy
        missing = target is None or predicted is None
        rows.append(
            StabilityRow(
                **origin,
                **row.model_dump(include=set(MaterialStability.model_fields)),
                model=doc.model,
                elements=tuple(row.chemical_system.split("-")),
                decomposition_energy_error=None if missing else predicted - target,  # type: ignore[operator]
                target_products=_list_formulas(row.target_competing_phases),
                predicted_products=_list_formulas(row.predicted_competing_phases),
            )
        )
    return rows


def _list_formulas(phases: Iterable[CompetingPhase]) -> tuple[str, ...]:
    """List the formulas of decomposition products."""
    return tuple(phase.formula for phase in phases)


def list_densities(doc: DensityDoc, origin: Mapping[str, str]) -> list[DensityRow]:
    """List the experimental and predicted densities of crystals.

    Parameters
    ----------
    doc : DensityDoc
        Densities of the crystals.
    origin : mapping of str to str
        Fields of :class:`.Row`.

    Returns
    -------
    list of DensityRow
        One row per crystal.
    """
    return [
        DensityRow(
            **origin,
            model=doc.model,
            material_id=row.crystal_id,
            **row.model_dump(exclude={"crystal_id"}),
        )
        for row in doc.rows
    ]


def list_benchmarks(doc: BenchmarkDoc, origin: Mapping[str, str]) -> list[BenchmarkRow]:
    """List the measured and predicted properties of crystals.

    Parameters
    ----------
    doc : BenchmarkDoc
        Benchmark of the potential.
    origin : mapping of str to str
        Fields of :class:`.Row`.

    Returns
    -------
    list of BenchmarkRow
        One row per measured value.
    """
    return [
        BenchmarkRow(
            **origin,
            model=doc.model,
            functional=doc.labels,
            material_id=row.crystal_id,
            **row.model_dump(exclude={"crystal_id"}),
        )
        for row in doc.rows
    ]
