"""Rows of relaxed materials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nextrung.schemas.stores.collections import RelaxationRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nextrung.schemas.frames import Frames
    from nextrung.schemas.relaxation import RelaxationRecord, ShardDoc


@dataclass(frozen=True)
class MaterialSummary:
    """What a row says about a material before any model saw it.

    Parameters
    ----------
    formula : str
        Reduced formula.
    elements : tuple of str
        Elements, sorted.
    n_atoms : int
        Atoms of the cell.
    split : str
        Split of the material.
    volume : float
        Volume of the cell in Å³.
    """

    formula: str
    elements: tuple[str, ...]
    n_atoms: int
    split: str
    volume: float


@dataclass(frozen=True)
class RelaxationSummary:
    """How one relaxation ended, without the sites of the structure.

    Parameters
    ----------
    material_id : str
        Name of the material.
    record : RelaxationRecord
        How it ended; its structure is left out.
    volume : float or None
        Volume of the relaxed cell in Å³; None where there is none.
    """

    material_id: str
    record: RelaxationRecord
    volume: float | None


def describe_materials(initial: Frames) -> dict[str, MaterialSummary]:
    """Describe the materials of a study.

    Parameters
    ----------
    initial : Frames
        One frame per material.

    Returns
    -------
    dict of str to MaterialSummary
        Formula, elements, size, split and volume, by material.
    """
    volumes = np.abs(np.linalg.det(initial.lattices)).tolist()
    return {
        material_id: MaterialSummary(
            formula=composition.reduced_formula,
            elements=tuple(sorted(str(element) for element in composition)),
            n_atoms=n_atoms,
            split=split,
            volume=volume,
        )
        for material_id, composition, n_atoms, split, volume in zip(
            initial.material_ids.tolist(),
            initial.compositions(),
            initial.n_atoms.tolist(),
            initial.splits.tolist(),
            volumes,
            strict=True,
        )
    }


def list_relaxations(
    doc: ShardDoc,
    outcomes: Iterable[RelaxationSummary],
    *,
    materials: Mapping[str, MaterialSummary],
    origin: Mapping[str, str],
) -> list[RelaxationRow]:
    """List the relaxations of a shard.

    Parameters
    ----------
    doc : ShardDoc
        The shard.
    outcomes : iterable of RelaxationSummary
        How its relaxations ended.
    materials : mapping of str to MaterialSummary
        All materials of the study.
    origin : mapping of str to str
        Study and job of the rows.

    Returns
    -------
    list of RelaxationRow
        One row per material.
    """
    return [
        _relaxation(
            outcome,
            materials[outcome.material_id],
            {
                **origin,
                "model": doc.plan.model,
                "shard": doc.plan.shard,
                "relaxations": doc.records.path,
            },
        )
        for outcome in outcomes
    ]


def _relaxation(
    outcome: RelaxationSummary, material: MaterialSummary, origin: Mapping[str, Any]
) -> RelaxationRow:
    """Put a relaxation beside its material."""
    record, n_atoms = outcome.record, material.n_atoms
    return RelaxationRow(
        **origin,
        material_id=outcome.material_id,
        formula=material.formula,
        elements=material.elements,
        chemical_system="-".join(material.elements),
        n_atoms=n_atoms,
        split=material.split,
        status=record.status,
        failed=record.failed,
        energy_per_atom=_per_atom(record.energy, n_atoms),
        initial_energy_per_atom=_per_atom(record.initial_energy, n_atoms),
        n_steps=record.n_steps,
        fmax=record.fmax,
        volume_per_atom=_per_atom(outcome.volume, n_atoms),
        initial_volume_per_atom=material.volume / n_atoms,
        error=record.error,
    )


def _per_atom(total: float | None, n_atoms: int) -> float | None:
    """Share a total out among the atoms."""
    return None if total is None else total / n_atoms
