"""Rows of the collection `relaxations`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nextrung.schemas.stores.collections import RelaxationRow

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from nextrung.schemas.frames import Frames
    from nextrung.schemas.relaxation import RelaxationRecord, ShardDoc


@dataclass(frozen=True)
class MaterialSummary:
    """Material before relaxation.

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
    """Result of one relaxation without the sites of the structure.

    Parameters
    ----------
    material_id : str
        Id of the material.
    record : RelaxationRecord
        Result of the relaxation, without a structure.
    volume : float or None
        Volume of the relaxed cell in Å³; None without one.
    """

    material_id: str
    record: RelaxationRecord
    volume: float | None


def describe_materials(initial: Frames) -> dict[str, MaterialSummary]:
    """Describe the materials of a study before relaxation.

    Parameters
    ----------
    initial : Frames
        Initial structures, one per material.

    Returns
    -------
    dict of str to MaterialSummary
        Formula, elements, number of atoms, split and volume, by material.
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
    relaxations: Iterable[RelaxationSummary],
    *,
    materials: Mapping[str, MaterialSummary],
    origin: Mapping[str, str],
) -> list[RelaxationRow]:
    """List the relaxations of a shard.

    Parameters
    ----------
    doc : ShardDoc
        Document of the shard.
    relaxations : iterable of RelaxationSummary
        Relaxations of the shard.
    materials : mapping of str to MaterialSummary
        All materials of the study.
    origin : mapping of str to str
        Fields of :class:`.Row`.

    Returns
    -------
    list of RelaxationRow
        One row per material.
    """
    rows = []
    for summary in relaxations:
        record, material = summary.record, materials[summary.material_id]
        n_atoms = material.n_atoms
        rows.append(
            RelaxationRow(
                **origin,
                model=doc.plan.model,
                material_id=summary.material_id,
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
                volume_per_atom=_per_atom(summary.volume, n_atoms),
                initial_volume_per_atom=material.volume / n_atoms,
                error=record.error,
                shard=doc.plan.shard,
                relaxations=doc.records.path,
            )
        )
    return rows


def _per_atom(total: float | None, n_atoms: int) -> float | None:
    """Divide a total by the number of atoms."""
    return None if total is None else total / n_atoms
