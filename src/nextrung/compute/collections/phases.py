"""Rows of the collections `stability`, `densities` and `benchmarks`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.schemas.stability import MaterialStability
from nextrung.schemas.stores.collections import BenchmarkRow, DensityRow, StabilityRow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.schemas.benchmark import BenchmarkDoc
    from nextrung.schemas.density import DensityDoc
    from nextrung.schemas.stability.table import LoadedStability


def list_stability(
    doc: LoadedStability, origin: Mapping[str, str]
) -> list[StabilityRow]:
    """List the stability of materials according to labels and model.

    Parameters
    ----------
    doc : LoadedStability
        Stability of the materials, with its rows.
    origin : mapping of str to str
        Fields of :class:`.Row`.

    Returns
    -------
    list of StabilityRow
        One row per material.
    """
    rows = doc.rows
    names = list(MaterialStability.model_fields)
    columns = [rows.list_values(name) for name in names]
    errors = rows.predicted_decomposition_energy - rows.target_decomposition_energy
    return [
        StabilityRow(
            **origin,
            **dict(zip(names, values, strict=True)),
            model=doc.model,
            elements=tuple(system.split("-")),
            decomposition_energy_error=error if compared else None,
            target_products=target_products,
            predicted_products=predicted_products,
        )
        for (
            values,
            system,
            error,
            compared,
            target_products,
            predicted_products,
        ) in zip(
            zip(*columns, strict=True),
            rows.chemical_system.tolist(),
            errors.tolist(),
            rows.compared.tolist(),
            rows.target_competing_phases.list_formulas(),
            rows.predicted_competing_phases.list_formulas(),
            strict=True,
        )
    ]


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
