from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from nextrung.potentials.relaxation.autobatcher import (
    InFlightAutoBatcher,
    estimate_costs,
)
from nextrung.schemas.relaxation import RelaxationSettings, RelaxationStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

COPPER = Structure.from_spacegroup("Fm-3m", Lattice.cubic(3.6), ["Cu"], [[0, 0, 0]])
DISORDERED = Structure(Lattice.cubic(3), [{"Cu": 0.5}], [[0, 0, 0]])
COST = estimate_costs(COPPER.lattice.matrix[None], np.array([4])).item()


def test_costs_are_counts_of_neighbours_and_angles() -> None:
    """In a large random crystal of even density."""
    rng = np.random.default_rng(0)
    structure = Structure(np.eye(3) * 12, ["H"] * 150, rng.random((150, 3)))
    n_neighbours = len(structure.get_neighbor_list(6.0)[0])
    n_bonds = np.bincount(structure.get_neighbor_list(3.0)[0], minlength=150)

    cost = estimate_costs(structure.lattice.matrix[None], np.array([150]))

    assert cost == pytest.approx(n_neighbours + (n_bonds**2).sum(), rel=0.15)


def test_structures_board_until_the_room_is_used_up() -> None:
    """The last may exceed it, so that each structure finds room some day."""
    autobatcher = InFlightAutoBatcher(
        [(index, COPPER) for index in range(6)], RelaxationSettings()
    )

    sizes = [len(autobatcher.fill(room * COST)) for room in (0.0, 0.1, 1.5, 10.0, 10.0)]

    assert sizes == [0, 1, 2, 3, 0]
    assert not autobatcher


def test_structures_are_drawn_one_ahead_of_need() -> None:
    drawn = []

    def draw() -> Iterator[tuple[int, Structure]]:
        for index in range(5):
            drawn.append(index)
            yield index, COPPER

    autobatcher = InFlightAutoBatcher(draw(), RelaxationSettings())
    assert drawn == [0]

    autobatcher.fill(1.5 * COST)
    assert drawn == [0, 1, 2]


def test_who_can_never_board_is_refused_with_a_reason_once() -> None:
    waiting = [(3, DISORDERED), (8, COPPER), (5, DISORDERED)]
    autobatcher = InFlightAutoBatcher(waiting, RelaxationSettings())

    batch = autobatcher.fill(10 * COST)

    assert [item.index for item in batch.items] == [8]
    assert autobatcher
    rejected = autobatcher.pop_rejected()
    assert [index for index, _ in rejected] == [3, 5]
    assert {record.status for _, record in rejected} == {RelaxationStatus.ERROR}
    assert autobatcher.pop_rejected() == []
    assert not autobatcher


def test_a_symmetry_to_keep_is_found_before_the_start() -> None:
    crooked = COPPER.copy()
    crooked.perturb(0.003)
    autobatcher = InFlightAutoBatcher(
        [(0, crooked)], RelaxationSettings(fix_symmetry=True)
    )

    ((item,)) = autobatcher.fill(1.0).items

    assert item.symmetry is not None
    assert len(item.symmetry.rotations) == 192
    np.testing.assert_allclose(item.structure.lattice.abc, [3.6] * 3, atol=0.01)
    assert item.structure.get_space_group_info(symprec=1e-6)[1] == 225


def test_a_structure_without_a_space_group_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_atoms: object) -> None:
        raise ValueError("spglib is at a loss")

    monkeypatch.setattr("nextrung.potentials.relaxation.symmetry.FixSymmetry", fail)

    autobatcher = InFlightAutoBatcher(
        [(0, COPPER)], RelaxationSettings(fix_symmetry=True)
    )

    ((_, record),) = autobatcher.pop_rejected()
    assert record.error == "no space group found: spglib is at a loss"
