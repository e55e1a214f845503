"""Rows of phase stability and of densities."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nextrung.schemas.stores.collections import DensityRow, StabilityRow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nextrung.schemas.density import DensityDoc
    from nextrung.schemas.stability import StabilityDoc


def list_stability(doc: StabilityDoc, origin: Mapping[str, str]) -> list[StabilityRow]:
    """List where materials stand on the hulls of labels and model.

    Parameters
    ----------
    doc : StabilityDoc
        The scores, their rows included.
    origin : mapping of str to str
        Study and job of the rows.

    Returns
    -------
    list of StabilityRow
        One row per material.
    """
    same = StabilityRow.model_fields.keys()
    rows = []
    for row in doc.rows:
        target, predicted = (
            row.target_decomposition_energy,
            row.predicted_decomposition_energy,
        )
        known = target is not None and predicted is not None
        fields = {name: value for name, value in row if name in same}
        products = {
            "target_products": row.target_competing_phases,
            "predicted_products": row.predicted_competing_phases,
        }
        rows.append(
            StabilityRow(
                **origin,
                **fields,
                model=doc.model,
                elements=tuple(row.chemical_system.split("-")),
                decomposition_energy_error=predicted - target if known else None,  # type: ignore[operator]
                **{
                    name: tuple(phase.formula for phase in phases)
                    for name, phases in products.items()
                },
            )
        )
    return rows


def list_densities(doc: DensityDoc, origin: Mapping[str, str]) -> list[DensityRow]:
    """List the densities of crystals.

    Parameters
    ----------
    doc : DensityDoc
        The scores, their rows included.
    origin : mapping of str to str
        Study and job of the rows.

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
