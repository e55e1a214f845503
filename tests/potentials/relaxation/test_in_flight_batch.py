from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from nextrung.potentials.relaxation.autobatcher import (
    InFlightAutoBatcher,
)
from nextrung.potentials.relaxation.in_flight_batch import BatchItem, InFlightBatch
from nextrung.schemas.relaxation import RelaxationSettings, RelaxationStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray


SALT = Structure(
    Lattice.cubic(4),
    ["Na+", "Cl-"],
    [[0, 0, 0], [0.5, 0.5, 1.5]],
    site_properties={"magmom": [0.1, 0.2]},
)
IRON = Structure(Lattice.orthorhombic(2, 3, 4), ["Fe"], [[0.1, 0, 0]])


@pytest.fixture
def batch() -> InFlightBatch:
    return InFlightBatch.start([BatchItem(4, SALT), BatchItem(2, IRON)])


def test_the_crystals_of_a_batch_are_its_present_structures(
    batch: InFlightBatch,
) -> None:
    crystals = batch.crystals

    assert crystals.offsets.tolist() == [0, 2, 3]
    assert crystals.atomic_numbers.tolist() == [11, 17, 26]
    np.testing.assert_array_equal(crystals.lattices[1], IRON.lattice.matrix)
    np.testing.assert_allclose(
        crystals.frac_coords, np.concatenate([SALT.frac_coords, IRON.frac_coords])
    )


def test_a_step_moves_all_structures_and_keeps_the_previous_coordinates(
    batch: InFlightBatch,
) -> None:
    forces = np.zeros((9, 3))
    forces[0, 0] = 1.0
    forces[6:, :] = np.eye(3)

    moved = batch.step(forces)

    assert moved.n_steps.tolist() == [1, 1]
    before = moved.structure_at(moved.previous, 0)
    after = moved.structure_at(moved.coordinates, 0)
    np.testing.assert_allclose(before.cart_coords, SALT.cart_coords)
    moved_by = after.cart_coords - SALT.cart_coords
    expected = [[0.01, 0.0, 0.0], [0.0, 0.0, 0.0]]
    np.testing.assert_allclose(moved_by, expected, atol=1e-15)
    grown = moved.structure_at(moved.coordinates, 1)
    growth = grown.lattice.matrix @ IRON.lattice.inv_matrix
    np.testing.assert_allclose(growth, np.exp(0.01) * np.eye(3), atol=1e-15)
    np.testing.assert_allclose(grown.frac_coords, IRON.frac_coords)


def test_structures_keep_their_species_images_and_site_properties(
    batch: InFlightBatch,
) -> None:
    """Oxidation states too; coordinates are not wrapped."""
    structure = batch.structure_at(batch.coordinates, 0)

    assert structure.species == SALT.species
    assert structure.site_properties == {"magmom": [0.1, 0.2]}
    assert structure.frac_coords[1, 2] == pytest.approx(1.5)


def test_structures_are_removed_and_appended(batch: InFlightBatch) -> None:
    changed = batch.keep(np.array([False, True])).join(batch)

    assert [item.index for item in changed.items] == [2, 4, 2]
    assert changed.crystals.atomic_numbers.tolist() == [26, 11, 17, 26]
    assert len(changed) == len(changed.n_steps) == len(changed.initial_energies) == 3


def test_an_empty_batch_can_step() -> None:
    batch = InFlightBatch.start([]).step(np.zeros((0, 3)))

    assert len(batch) == len(batch.crystals) == 0


COPPER = Structure.from_spacegroup("Fm-3m", Lattice.cubic(3.6), ["Cu"], [[0, 0, 0]])
DISORDERED = Structure(Lattice.cubic(3), [{"Cu": 0.5}], [[0, 0, 0]])
COST = 4.0


def count_atoms(
    _lattices: NDArray[np.float64], n_atoms: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Estimate costs by the number of atoms."""
    return n_atoms.astype(np.float64)


def make_autobatcher(
    structures: Iterable[tuple[int, Structure]], *, fix_symmetry: bool = False
) -> InFlightAutoBatcher:
    """Make an autobatcher that counts atoms."""
    settings = RelaxationSettings(fix_symmetry=fix_symmetry)
    return InFlightAutoBatcher(structures, settings, estimate_costs=count_atoms)


def test_structures_are_taken_up_to_the_cost() -> None:
    """The last may exceed it, so that large structures are taken too."""
    autobatcher = make_autobatcher([(index, COPPER) for index in range(6)])

    sizes = [len(autobatcher.fill(n * COST)) for n in (0.0, 0.1, 1.5, 10.0, 10.0)]

    assert sizes == [0, 1, 2, 3, 0]
    assert not autobatcher


def test_structures_are_read_one_ahead_of_need() -> None:
    indices = []

    def read() -> Iterator[tuple[int, Structure]]:
        for index in range(5):
            indices.append(index)
            yield index, COPPER

    autobatcher = make_autobatcher(read())
    assert indices == [0]

    autobatcher.fill(1.5 * COST)
    assert indices == [0, 1, 2]


def test_unusable_structures_are_rejected_with_a_reason_once() -> None:
    numbered = [(3, DISORDERED), (8, COPPER), (5, DISORDERED)]
    autobatcher = make_autobatcher(numbered)

    batch = autobatcher.fill(10 * COST)

    assert [item.index for item in batch.items] == [8]
    assert autobatcher
    rejected = autobatcher.pop_rejected()
    assert [index for index, _ in rejected] == [3, 5]
    assert {record.status for _, record in rejected} == {RelaxationStatus.ERROR}
    assert autobatcher.pop_rejected() == []
    assert not autobatcher


def test_a_symmetry_to_keep_is_found_before_the_start() -> None:
    distorted = COPPER.copy()
    distorted.perturb(0.003)
    autobatcher = make_autobatcher([(0, distorted)], fix_symmetry=True)

    ((item,)) = autobatcher.fill(1.0).items

    assert item.symmetry is not None
    assert len(item.symmetry.rotations) == 192
    np.testing.assert_allclose(item.structure.lattice.abc, [3.6] * 3, atol=0.01)
    assert item.structure.get_space_group_info(symprec=1e-6)[1] == 225


def test_a_structure_without_a_space_group_is_rejected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_atoms: object) -> None:
        raise ValueError("spglib failed")

    monkeypatch.setattr("nextrung.potentials.relaxation.symmetry.FixSymmetry", fail)

    autobatcher = make_autobatcher([(0, COPPER)], fix_symmetry=True)

    ((_, record),) = autobatcher.pop_rejected()
    assert record.error == "no space group found: spglib failed"
