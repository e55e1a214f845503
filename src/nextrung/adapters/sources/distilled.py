"""Source of generated crystals, relaxed and labelled by a teacher potential."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from pymatgen.analysis.structure_matcher import StructureMatcher

from nextrung.compute.decoration import (
    draw_compounds,
    draw_polymorphs,
    list_prototypes,
    perturb,
    scale_to_atoms,
)
from nextrung.potentials.registry import load_potential
from nextrung.schemas.frames import Frames
from nextrung.schemas.labels.curation import Rejection, Rule
from nextrung.schemas.labels.trajectory import Trajectory
from nextrung.schemas.relaxation import RelaxationSettings, RelaxationStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pymatgen.core import Structure

    from nextrung.potentials.potential import Potential
    from nextrung.schemas.labels.sources import DistilledSource
    from nextrung.schemas.relaxation import RelaxationRecord

#: Energy difference in eV/atom below which relaxed structures are compared.
SAME_ENERGY = 0.002
#: Volume in Å³/atom below which a crystal has collapsed; diamond, with the highest
#: atomic density at ambient pressure, has 5.7.
SMALLEST_VOLUME = 5.0


def distil(
    source: DistilledSource, on_progress: Callable[[int, int, str], None]
) -> Iterator[Trajectory | Rejection]:
    """Generate crystals, relax them, and label relaxed and perturbed structures.

    Parameters
    ----------
    source : DistilledSource
        Crystals, perturbations and teacher potential.
    on_progress : callable
        Receives the number of crystals relaxed, of all crystals, and the last name.

    Yields
    ------
    Trajectory or Rejection
        Frames of a crystal, perturbed ones first and the relaxed one last; or a
        rejection where the teacher failed or the crystal relaxed to a previous one.

    Notes
    -----
    The order is that of a relaxation, so the same rules find the initial and the
    relaxed structure.
    """
    teacher = load_potential(source.teacher)
    relaxed: dict[str, Structure] = {}
    for name, outcome in _relax(teacher, source, on_progress):
        if isinstance(outcome, Rejection):
            yield outcome
        else:
            relaxed[name] = outcome
    if not relaxed:
        return
    perturbed = _perturb_all(relaxed, source)
    labelled, errors = teacher.predict_frames(perturbed, "efsm")
    for name in relaxed:
        chosen = np.flatnonzero(labelled.material_ids == name).tolist()
        if reason := errors.get(chosen[-1]):
            reason = f"relaxed crystal: {reason}"
            yield from Rejection.of(labelled[chosen], Rule.FAILED_LABELLING, reason)
            continue
        for index in filter(errors.__contains__, chosen):
            yield from Rejection.of(
                labelled[[index]], Rule.FAILED_LABELLING, errors[index]
            )
        yield _to_trajectory(
            labelled[[index for index in chosen if index not in errors]]
        )


def make_crystals(source: DistilledSource) -> dict[str, Structure]:
    """Generate the crystals of a source, unrelaxed and without labels.

    Parameters
    ----------
    source : DistilledSource
        Chemical systems, numbers of crystals and seed.

    Returns
    -------
    dict of str to Structure
        Crystals by name, elements first.
    """
    prototypes = list_prototypes(source.max_atoms)
    rng = np.random.default_rng([source.seed, 0])
    systems = [system.split("-") for system in source.chemical_systems]
    crystals: dict[str, Structure] = {}
    for element in sorted({element for system in systems for element in system}):
        crystals |= draw_polymorphs(
            prototypes, element, source.n_polymorphs_per_element, rng=rng
        )
    for system in systems:
        crystals |= draw_compounds(
            prototypes, system, source.n_materials_per_system, rng=rng
        )
    return {name: scale_to_atoms(structure) for name, structure in crystals.items()}


def _relax(
    teacher: Potential,
    source: DistilledSource,
    on_progress: Callable[[int, int, str], None],
) -> Iterator[tuple[str, Structure | Rejection]]:
    """Relax the crystals; reject failures and duplicates of relaxed structures."""
    crystals = make_crystals(source)
    names, n_done = list(crystals), itertools.count(1)
    records = teacher.relax(
        list(crystals.values()),
        RelaxationSettings(fmax=source.fmax, max_steps=source.max_steps),
        on_record=lambda index, _: on_progress(
            next(n_done), len(names), f"relax {names[index]}"
        ),
    )
    kept: dict[str, RelaxationRecord] = {}
    for name, record in zip(names, records, strict=True):
        if record.status is not RelaxationStatus.CONVERGED or record.structure is None:
            cause = record.error or f"{record.status} after {record.n_steps} steps"
            reason = f"the teacher's relaxation failed: {cause}"
            yield name, _reject(name, Rule.FAILED_LABELLING, reason)
        elif collapse := _find_collapse(record.structure):
            yield name, _reject(name, Rule.FAILED_LABELLING, collapse)
        elif other := _find_same_crystal(record, kept):
            reason = f"relaxes to the same crystal as {other}"
            yield name, _reject(name, Rule.DUPLICATE, reason)
        else:
            kept[name] = record
            yield name, record.structure


def _find_collapse(relaxed: Structure) -> str | None:
    """Describe an unphysical volume: a teacher may lack repulsion at short range."""
    volume = relaxed.volume / len(relaxed)
    if volume >= SMALLEST_VOLUME:
        return None
    return (
        f"the teacher's relaxation collapsed: expected at least {SMALLEST_VOLUME} "
        f"Å³/atom, got {volume:.1f}"
    )


def _find_same_crystal(
    record: RelaxationRecord, others: Mapping[str, RelaxationRecord]
) -> str | None:
    """Find a previous crystal with the same relaxed structure."""
    matcher = StructureMatcher()
    for name, other in others.items():
        same_energy = abs(_energy_per_atom(record) - _energy_per_atom(other))
        if same_energy < SAME_ENERGY and matcher.fit(record.structure, other.structure):
            return name
    return None


def _energy_per_atom(record: RelaxationRecord) -> float:
    """Return the relaxed energy in eV/atom; NaN for a failure."""
    if record.energy is None or record.structure is None:
        return math.nan
    return record.energy / len(record.structure)


def _reject(name: str, rule: Rule, reason: str) -> Rejection:
    """Reject a crystal that has no frames."""
    return Rejection(frame_id=name, material_id=name, rule=rule, reason=reason)


def _perturb_all(relaxed: Mapping[str, Structure], source: DistilledSource) -> Frames:
    """List perturbed copies of each crystal, then the crystal itself."""
    rng = np.random.default_rng([source.seed, 1])
    structures = [
        frame
        for structure in relaxed.values()
        for frame in (
            *(
                perturb(
                    structure,
                    strain=source.strain,
                    displacement=source.displacement,
                    rng=rng,
                )
                for _ in range(source.n_frames_per_material - 1)
            ),
            structure,
        )
    ]
    names = np.repeat(list(relaxed), source.n_frames_per_material)
    counts = np.tile(np.arange(source.n_frames_per_material), len(relaxed))
    frames = Frames.from_structures(
        structures,
        [f"{name}#{count}" for name, count in zip(names, counts, strict=True)],
        functional=source.functional,
    )
    return replace(frames, material_ids=names)


def _to_trajectory(frames: Frames) -> Trajectory:
    """Convert labelled frames that end at the relaxed structure."""
    return Trajectory(
        frames=frames,
        converged=np.full(len(frames), fill_value=True),
        relaxed_energy=float(frames.energies[-1] / frames.n_atoms[-1]),
    )
