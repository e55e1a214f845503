from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from nextrung.potentials.graphs.validity import ISOLATED_ATOM
from nextrung.potentials.relaxation.checks import (
    BAD_NUMBERS,
    describe_cells,
    describe_unrelaxable,
    record_failure,
)
from nextrung.schemas.relaxation import RelaxationStatus

COPPER = Structure.from_spacegroup("Fm-3m", Lattice.cubic(3.6), ["Cu"], [[0, 0, 0]])


def test_an_ordinary_crystal_can_be_relaxed() -> None:
    assert describe_unrelaxable(COPPER) is None


def test_diamond_compressed_by_a_tenth_can_be_relaxed() -> None:
    """The densest crystal under the largest strain of the benchmarks."""
    diamond = Structure.from_spacegroup(
        "Fd-3m", Lattice.cubic(3.567 * 0.9), ["C"], [[0, 0, 0]]
    )

    assert describe_unrelaxable(diamond) is None


@pytest.mark.parametrize(
    ("deformation", "reason"),
    [
        (np.diag([9.0, 1.0, 1.0]), None),
        (np.diag([11.0, 1.0, 1.0]), "cell deformed more than 10-fold"),
        (np.diag([1.0, 0.05, 60.0]), "cell deformed more than 10-fold"),
        (np.eye(3) + 20 * np.eye(3, k=1), "cell deformed more than 10-fold"),
        (np.eye(3) * 0.45, r"4 atoms in 4.25 Å³: more than 0.5 atoms/Å³"),
        (np.full((3, 3), np.inf), "the cell is not finite"),
    ],
    ids=["ninefold", "elevenfold", "flattened", "sheared", "crowded", "infinite"],
)
def test_cells_that_collapse_or_expand_have_a_reason(
    deformation: np.ndarray[tuple[int, int], np.dtype[np.float64]], reason: str | None
) -> None:
    """A valid one in the same batch has none."""
    with np.errstate(invalid="ignore"):
        lattice = COPPER.lattice.matrix @ deformation.T

    reasons = describe_cells(
        np.array([lattice, COPPER.lattice.matrix]),
        np.array([4, 4]),
        np.array([deformation, np.eye(3)]),
    )

    assert reasons == [reason, None]


def test_only_stretches_beyond_the_limits_are_overstrained() -> None:
    """Of rotated and sheared cells of every size, against the singular values."""
    rng = np.random.default_rng(0)
    rotations = np.linalg.qr(rng.normal(size=(2, 300, 3, 3)))[0]
    stretches = 10 ** rng.uniform(-1.2, 1.2, size=(300, 3))
    stretches[:100] = 1 + rng.normal(scale=0.2, size=(100, 3))
    deformations = rotations[0] * stretches[:, None] @ rotations[1]
    beyond = ((stretches > 10) | (stretches < 0.1)).any(axis=1)

    lattices = np.broadcast_to(10 * np.eye(3), deformations.shape)
    reasons = describe_cells(lattices, np.ones(300, dtype=np.int64), deformations)

    assert 50 < beyond.sum() < 250
    assert [reason is not None for reason in reasons] == beyond.tolist()


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (f"{ISOLATED_ATOM}: site 0 (Na)", RelaxationStatus.ISOLATED_ATOM),
        (BAD_NUMBERS, RelaxationStatus.NON_FINITE),
        ("the energy is not finite", RelaxationStatus.NON_FINITE),
        ("overlapping atoms", RelaxationStatus.ERROR),
    ],
)
def test_the_reason_of_a_failure_determines_its_status(
    reason: str, status: RelaxationStatus
) -> None:
    record = record_failure(reason, COPPER, n_steps=3, initial_energy=-1.0)

    assert record.status is status
    assert record.error == reason
    assert record.failed
    assert (record.structure, record.n_steps, record.initial_energy) == (COPPER, 3, -1)
