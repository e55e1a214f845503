from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from nextrung.compute.physics.fidelity import (
    compare_structures,
    find_relaxed_labels,
    measure_deviations,
    score_fidelity,
)
from nextrung.schemas.frames import Frames
from nextrung.schemas.relaxation import RelaxationRecord, RelaxationStatus

SALT = Structure(Lattice.cubic(4.0), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])


def relax(
    structure: Structure, status: RelaxationStatus = RelaxationStatus.CONVERGED
) -> RelaxationRecord:
    return RelaxationRecord(status=status, energy=0, structure=structure, n_steps=1)


def move(shifts: list[list[float]]) -> Structure:
    """The same crystal with sites shifted by fractions of the cell."""
    return Structure(SALT.lattice, SALT.species, SALT.frac_coords + np.array(shifts))


def test_a_shift_of_the_whole_crystal_is_no_displacement() -> None:
    shifted = move([[0.3, 0.4, 0.6], [1.3, 0.4, -0.4]])

    assert compare_structures(SALT, shifted) == pytest.approx((0, 0), abs=1e-9)


def test_displacements_are_those_at_equal_cell() -> None:
    """One of two atoms moves by 0.4 Å: 0.2 Å from their mean."""
    moved = move([[0.1, 0, 0], [0, 0, 0]])
    larger = moved.apply_strain(0.1, inplace=False)

    assert compare_structures(SALT, moved) == pytest.approx((0, 0.2))
    assert compare_structures(SALT, larger) == pytest.approx((1.1**3 - 1, 0.2 * 1.05))


def test_other_atoms_are_not_compared() -> None:
    swapped = Structure(SALT.lattice, ["Cl", "Cs"], SALT.frac_coords)

    assert compare_structures(SALT, swapped) is None


def test_the_relaxed_label_of_lowest_energy_is_chosen() -> None:
    """Frames of a: strained, relaxed, relaxed lower; of b: strained alone."""
    frames = Frames.from_structures([SALT] * 4, ["a", "a", "a", "b"])
    forces = np.zeros_like(frames.forces)
    forces[[0, 7], 2] = 0.5
    labelled = replace(
        frames, energies=np.array([-9.0, -5.0, -6.0, -9.0]), forces=forces
    )

    assert find_relaxed_labels(labelled, 0.05).tolist() == [2]
    assert find_relaxed_labels(labelled[[]], 0.05).tolist() == []


def test_materials_without_a_converged_relaxation_are_counted_apart() -> None:
    labels = Frames.from_structures([SALT] * 3, ["a", "b", "c"]).with_splits(
        np.array(["test", "train", "test"])
    )
    larger = SALT.apply_strain(0.1, inplace=False)
    smaller = SALT.apply_strain(-0.1, inplace=False)
    records = {
        "a": relax(larger),
        "b": relax(smaller),
        "c": relax(larger, RelaxationStatus.MAX_STEPS),
    }

    errors = {
        part: score_fidelity(each)
        for part, each in measure_deviations(labels, records).items()
    }

    assert list(errors) == ["all", "test", "train"]
    assert (errors["all"].n_materials, errors["all"].n_compared) == (3, 2)
    assert errors["test"].volume_change == pytest.approx(0.331)
    assert errors["all"].volume_change == pytest.approx((0.331 - 0.271) / 2)
    assert errors["all"].volume_mae == pytest.approx((0.331 + 0.271) / 2)
    assert errors["all"].rmsd == pytest.approx(0, abs=1e-9)


def test_without_labels_there_is_no_number() -> None:
    labels = Frames.from_structures([SALT], ["a"])

    (deviations,) = measure_deviations(labels, {}).values()
    errors = score_fidelity(deviations)

    assert (errors.n_materials, errors.n_compared) == (1, 0)
    assert errors.volume_change is errors.rmsd is None
